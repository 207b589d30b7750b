"""What the demo knows of a running shop: a pure reducer, messages and figures in, a view out.

It knows no more than any consumer of the output topics: it keeps the newest word on each user (the highest ``seq``) and
drops what it has seen (a repeat has the id of the first).
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from models.scorecard import Scorecard
from streams import codec
from streams.core.instants import parse_instant
from streams.core.state import STAGE_NAMES
from streams.dead_letters import PREFIX, REASON_HEADER
from streams.demo.view import Change, Customer, Model, Progress, View
from streams.replay.finished_topics import Received
from streams.topics import CHURN_RISK, DEAD_LETTERS, LATE_EVENTS, MODEL_CUTS, SEGMENT_CHANGES, USER_PROFILES

FOLLOWED: Final = (SEGMENT_CHANGES, CHURN_RISK, USER_PROFILES, LATE_EVENTS, DEAD_LETTERS, MODEL_CUTS)
"""The topics it wants to see."""

CHANGE_EVERY_S: Final = 0.7
"""A change stands in the list of the last ones long enough to be read: one more at most this often."""
RATE_OVER_S: Final = 3.0
_BEYOND: Final = frozenset({"churned", "dormant"})
"""Past their limit: nobody can be kept any more, so nobody is ranked."""
_COME_BACK: Final = frozenset({"growing", "loyal", "reactivated"})
_TELLING: Final = frozenset({"loyal", "at_risk", "churned", "reactivated", "high", "critical", "platinum"})


@dataclass(frozen=True, slots=True)
class Told:
    """A word on a user that the verdict is made of: a new stage, or a probability."""

    at_ms: int
    seq: int
    user_id: str
    stage: str | None
    probability: float | None
    reasons: tuple[str, ...] = ()


class DemoState:
    """Takes in messages and figures; gives a :class:`View`.

    Parameters
    ----------
    keep_history
        Keep every stage and probability told, which a verdict against the truth needs.

    Examples
    --------
    >>> state = DemoState()
    >>> state.view(0.0).stages
    ()
    """

    def __init__(self, *, keep_history: bool = False) -> None:
        self.customers: dict[str, Customer] = {}
        self.history: list[Told] = []
        self.totals: dict[str, dict[str, Any]] = {}
        """The ``totals`` of every newest portrait."""
        self.progress = Progress()
        self.outputs: Counter[str] = Counter()
        self.dead_letters: Counter[str] = Counter()
        self.late = 0
        self.horizon_days: int | None = None
        self._keep_history = keep_history
        self._seen: set[str] = set()
        self._letters: set[tuple[bytes, bytes, bytes]] = set()
        self._recent: deque[Change] = deque(maxlen=200)
        self._shown: deque[Change] = deque(maxlen=12)
        self._shown_at = -CHANGE_EVERY_S
        self._cut: dict[str, Any] | None = None
        self._model = Model()
        self._rates: deque[tuple[float, int]] = deque()

    # -- in ----------------------------------------------------------------------------------------------------------

    def apply(self, records: Iterable[Received]) -> None:
        """Take in records of the followed topics, in the order of each partition."""
        cut: bytes | None = None
        for record in records:
            if record.topic == DEAD_LETTERS:
                self._dead_letter(dict(record.headers))
            elif record.topic == MODEL_CUTS:
                # Only the newest of many counts, and each is large.
                if record.value is not None and b'"type":"cut"' in record.value:
                    cut = record.value
            elif record.value is None:
                self._forgotten((record.key or b"").decode("utf-8", "replace"))
            else:
                self._output(record.topic, codec.decode(record.value))
        if cut is not None:
            self._cut = codec.decode(cut)

    def advance(self, progress: Progress, now_s: float) -> None:
        """Take in how far the worker is, at an instant of a steady clock, s."""
        self.progress = replace(progress, published=max(progress.published, self.progress.published))
        self._rates.append((now_s, progress.read))
        while len(self._rates) > 2 and self._rates[1][0] <= now_s - RATE_OVER_S:
            self._rates.popleft()

    def _output(self, topic: str, body: dict[str, Any]) -> None:
        if topic != USER_PROFILES:
            if body["id"] in self._seen:
                return
            self._seen.add(body["id"])
        self.outputs[topic] += 1
        if topic == LATE_EVENTS:
            self.late += 1
            return
        user = self.customers.setdefault(body["user_id"], Customer(body["user_id"]))
        if topic == SEGMENT_CHANGES:
            self._change(user, body)
        elif topic == CHURN_RISK:
            self._risk(user, body)
        elif user.newer("portrait", body["seq"]):
            self.totals[user.user_id] = body["totals"]

    def _change(self, user: Customer, body: dict[str, Any]) -> None:
        dimension, current, evidence = body["dimension"], body["current"], body["evidence"]
        at_ms = parse_instant(body["as_of"]) or 0
        if current in _COME_BACK or evidence.get("orders", 0) >= 2:
            user.came_back = True
        if user.newer(dimension, body["seq"]):
            if dimension == "lifecycle":
                user.stage = current
            elif dimension == "value_tier":
                user.tier = current
        if dimension == "lifecycle" and self._keep_history:
            self.history.append(Told(at_ms, body["seq"], user.user_id, current, None))
        cause = body["cause"]
        kind = cause["topic"] if cause["kind"] == "event" else cause["kind"]
        self._recent.append(Change(at_ms, user.user_id, dimension, body["previous"], current, kind, evidence))

    def _risk(self, user: Customer, body: dict[str, Any]) -> None:
        self.horizon_days = body["horizon_days"]
        probability = body["probability"]
        reasons = tuple(reason["text"] for reason in body["reasons"])
        if probability is not None and self._keep_history:
            at_ms = parse_instant(body["as_of"]) or 0
            self.history.append(Told(at_ms, body["seq"], user.user_id, None, probability, reasons))
        if user.newer("risk", body["seq"]):
            user.probability = probability
            user.rank = body.get("rank_score")
            user.band = body["band"]
            user.reasons = reasons

    def _forgotten(self, user_id: str) -> None:
        self.customers.pop(user_id, None)
        self.totals.pop(user_id, None)

    def _dead_letter(self, headers: dict[str, bytes]) -> None:
        where = (headers[f"{PREFIX}topic"], headers[f"{PREFIX}partition"], headers[f"{PREFIX}offset"])
        if where not in self._letters:
            self._letters.add(where)
            self.outputs[DEAD_LETTERS] += 1
            self.dead_letters[headers[REASON_HEADER].decode()] += 1

    # -- out ---------------------------------------------------------------------------------------------------------

    def view(self, now_s: float, most: int = 12) -> View:
        """What to show at an instant of a steady clock, s; at most so many changes and customers."""
        self._show_a_change(now_s)
        return View(
            progress=self.progress,
            per_second=self._per_second(),
            stages=self.stages(),
            changes=tuple(self._shown)[:most],
            riskiest=self.riskiest(most),
            model=self.model(),
            outputs=dict(self.outputs),
            dead_letters=dict(self.dead_letters),
            late=self.late,
        )

    def stages(self) -> tuple[tuple[str, int], ...]:
        """Users by stage, in the order of life; stages that nobody is in are left out."""
        counts = Counter(customer.stage for customer in self.customers.values())
        return tuple((stage, counts[stage]) for stage in STAGE_NAMES if counts[stage])

    def riskiest(self, most: int) -> tuple[Customer, ...]:
        """The customers to act on, the most endangered first; before there is a model by their silence."""
        ranked = [
            customer
            for customer in self.customers.values()
            if customer.came_back
            and customer.stage not in _BEYOND
            and (customer.probability is not None or customer.rank is not None)
        ]
        return tuple(
            heapq.nsmallest(
                most,
                ranked,
                key=lambda c: (c.probability is None, -(c.probability or 0.0), -(c.rank or 0.0), c.user_id),
            )
        )

    def model(self) -> Model:
        """The newest cut; summed up when asked."""
        if self._cut is not None:
            cut, self._cut = self._cut, None
            self._model = model_of(cut)
        return self._model

    def last_changes(self, most: int) -> tuple[Change, ...]:
        """The last telling changes of the whole run, the newest first."""
        telling = [change for change in self._recent if change.current in _TELLING]
        return tuple(reversed(sorted(telling, key=lambda change: change.at_ms)[-most:]))

    def _show_a_change(self, now_s: float) -> None:
        if now_s - self._shown_at < CHANGE_EVERY_S:
            return
        newest = next((change for change in reversed(self._recent) if change.current in _TELLING), None)
        newest = newest or (self._recent[-1] if self._recent else None)
        if newest is not None and newest not in self._shown:
            self._shown.appendleft(newest)
            self._shown_at = now_s

    def _per_second(self) -> float:
        if len(self._rates) < 2:
            return 0.0
        (since, before), (until, after) = self._rates[0], self._rates[-1]
        return (after - before) / (until - since) if until > since else 0.0


def model_of(cut: dict[str, Any]) -> Model:
    """What a record of ``model-cuts`` says of its model and of the scores as served."""
    window = Scorecard.from_state(cut["heads"]["churn"]["scorecard"], whole_run=False).summary()["window"]
    bins: Sequence[dict[str, float]] = window["bins"]
    return Model(
        version=cut["version"],
        learned=cut["heads"]["churn"]["examples"],
        cold=cut["heads"]["churn"]["cold_start"],
        scored=window["n"],
        base_rate=window["base_rate"],
        auc=window["auc"],
        log_loss=window["log_loss"],
        brier=window["brier"],
        ece=window["ece"],
        bins=tuple((each["mean_probability"], each["observed_ratio"]) for each in bins),
    )
