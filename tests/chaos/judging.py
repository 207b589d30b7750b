"""The verdict: what a run left behind, held against the fault-free run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streams.topics import CHURN_RISK, SEGMENT_CHANGES
from tests.chaos.truth import Body, Left, by_id

SHOWN: Final = 5
_LABEL: Final = ("as_of", "label_at", "churned", "features", "stage", "tier")


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: how much of it was looked at, and what broke it."""

    promise: str
    compared: int
    broken: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether it holds."""
        return not self.broken


def judged(left: Left, truth: Left, *, by_log: bool, labels_before: str | None = None) -> list[Check]:
    """Every promise.

    Parameters
    ----------
    by_log
        The run was under ``--clock log``: the model and everything told depend on the log alone. Under the wall clock
        only profiles, labels and what is told of stages and tiers do.
    labels_before
        Look at labels before this instant (RFC 3339) only: under the wall clock a run has no end to release them all.
    """
    checks = [
        _equal("settled profiles equal, byte by byte", left.settled, truth.settled),
        Check("one output id, one content", sum(map(len, left.told.values())), _contents(left.told.values())),
        Check("one training example, one content", len(left.labels), _contents([left.labels])),
        _equal("labels equal", _labels(left, labels_before), _labels(truth, labels_before)),
        _equal("last output per user and dimension equal", last_told(left, by_log), last_told(truth, by_log)),
        Check("nothing late, nothing rejected", left.late + left.dead, _none(late=left.late, dead=left.dead)),
        Check("no key of a zombie's left on top", left.shadowed, _none(shadowed=left.shadowed)),
        Check("committed offsets at the end of every input", len(left.beyond), tuple(left.beyond)),
    ]
    if by_log:
        checks += [
            _equal(f"{topic}: the very same messages", by_id(bodies), by_id(truth.told[topic]))
            for topic, bodies in left.told.items()
        ]
        checks += [
            _equal("portraits equal", left.portraits, truth.portraits),
            _equal("every example learned once", {"learned": left.learned}, {"learned": truth.learned}),
            _equal("final model equal", {"version": left.model}, {"version": truth.model}),
        ]
    return checks


def repeats(left: Left) -> dict[str, int]:
    """How many messages came again with the id of an earlier one, by topic."""
    counted = {topic: len(bodies) - len(by_id(bodies)) for topic, bodies in left.told.items()}
    return counted | {"training-examples": len(left.labels) - len(by_id(left.labels))}


def last_told(left: Left, by_log: bool) -> dict[tuple[str, str], Any]:
    """What a consumer holds in the end: per user and dimension the message with the highest ``seq``.

    >>> told = {SEGMENT_CHANGES: [
    ...     {"user_id": "ann", "dimension": "lifecycle", "seq": 2, "current": "growing", "since": "b"},
    ...     {"user_id": "ann", "dimension": "lifecycle", "seq": 1, "current": "visitor", "since": "a"}], CHURN_RISK: []}
    >>> last_told(Left({}, told, [], {}, "", 0), by_log=True)
    {('ann', 'lifecycle'): 'growing'}
    """
    found: dict[tuple[str, str], Any] = {}
    for body in sorted(left.told[SEGMENT_CHANGES], key=lambda body: body["seq"]):
        if by_log or body["dimension"] != "risk_band":
            found[body["user_id"], body["dimension"]] = body["current"]
    if by_log:
        for body in sorted(left.told[CHURN_RISK], key=lambda body: body["seq"]):
            found[body["user_id"], "probability"] = (body["probability"], body["band"], body["model"])
    return found


def _labels(of: Left, before: str | None) -> dict[str, tuple[Any, ...]]:
    return {
        name: tuple(body[field] for field in _LABEL)
        for name, body in by_id(of.labels).items()
        if before is None or body["label_at"] < before
    }


def _contents(groups: Iterable[Sequence[Body]]) -> tuple[str, ...]:
    broken: list[str] = []
    for bodies in groups:
        first: dict[str, Body] = {}
        broken += [
            f"{body['id']}: {_differing(first[body['id']], body)}"
            for body in bodies
            if first.setdefault(body["id"], body) != body
        ]
    return tuple(broken)


def _equal(promise: str, found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> Check:
    broken = [f"missing: {key}" for key in wanted if key not in found]
    broken += [f"too many: {key}" for key in found if key not in wanted]
    broken += [
        f"{key}: {_differing(found[key], wanted[key])}" for key in wanted if key in found and found[key] != wanted[key]
    ]
    return Check(promise, len(wanted), tuple(broken))


def _none(**counts: int) -> tuple[str, ...]:
    return tuple(f"{count} {name}" for name, count in counts.items() if count)


def _differing(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        return ", ".join(f"{name} {one.get(name)!r} and {other.get(name)!r}" for name in sorted(names)[:SHOWN])
    return f"{_short(one)} and {_short(other)}"


def _short(value: Any) -> str:
    return f"{len(value)} bytes {value[:24].hex()}" if isinstance(value, bytes) else repr(value)[:200]
