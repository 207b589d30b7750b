"""What must hold of a run, held against the fault-free run of the same log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from models.examples import TrainingExample
from models.heads import head_of
from models.trainer import Trainer
from streams.core.tally import pending
from streams.model_records import head_specs
from streams.topics import (
    CHURN_RISK,
    CUSTOMER_VALUE,
    DEAD_LETTERS,
    LATE_EVENTS,
    PURCHASE_PROPENSITY,
    SEGMENT_CHANGES,
    TRAINING_EXAMPLES,
    USER_PROFILES,
)
from tests.simulation.event_log import EventLog
from tests.simulation.kafka import Record
from tests.simulation.world import HORIZON_DAYS, Outcome

APPENDED: Final = (SEGMENT_CHANGES, CHURN_RISK, PURCHASE_PROPENSITY, CUSTOMER_VALUE, LATE_EVENTS)


class NotingTrainer(Trainer):
    """The trainer, noting what it learns and in which order."""

    order: list[str]

    def _learn(self, example: TrainingExample) -> list[dict[str, Any]]:
        self.order.append(example.id)
        return super()._learn(example)


class Learned(NamedTuple):
    """What a trainer made of ``training-examples``."""

    once: tuple[str, ...]
    """Ids in the order of learning."""
    waiting: frozenset[str]
    """Ids that no mark has passed yet."""


def broken(outcome: Outcome, reference: Outcome, log: EventLog) -> list[str]:
    """The promises that a run broke, in words; [] where it kept them all."""
    if outcome.failures:
        return outcome.failures
    found = [
        *_settled(outcome, reference),
        *_accounted(outcome, reference, log),
        *_copies(outcome),
        *_one_content(outcome, log),
        *_last_told(outcome, reference),
        *_examples(outcome, reference, log),
        *_letters(outcome, reference),
    ]
    if not log.live:
        found += _same_outputs(outcome, reference)
    return found


def repeats(outcome: Outcome) -> int:
    """Outputs that were sent more than once."""
    seen = Counter(_id(record) for topic in APPENDED for record in _records(outcome, topic))
    return sum(seen.values()) - len(seen)


def _settled(outcome: Outcome, reference: Outcome) -> Iterator[str]:
    for partition, wanted in reference.settled.items():
        found = outcome.settled[partition]
        if (found.watermark, found.newest) != (wanted.watermark, wanted.newest):
            yield (
                f"partition {partition} stands at W {found.watermark}, newest {found.newest}, "
                f"not at {wanted.watermark}, {wanted.newest}"
            )
        for user in sorted(set(found.profiles) | set(wanted.profiles)):
            if found.profiles.get(user) != wanted.profiles.get(user):
                yield f"the settled profile of {user} differs{_difference(found.profiles, wanted.profiles, user)}"


def _difference(found: dict[str, bytes | None], wanted: dict[str, bytes | None], user: str) -> str:
    if user not in wanted:
        return ": nobody was to be known"
    return ": nobody is known" if user not in found else ""


def _accounted(outcome: Outcome, reference: Outcome, log: EventLog) -> Iterator[str]:
    for partition, found in outcome.settled.items():
        if {head: pending(counts) for head, counts in found.tally.items()} != found.waiting:
            yield f"partition {partition} has {found.waiting} scores that wait, and accounts for {found.tally}"
        wanted = reference.settled[partition].tally
        if not log.live and found.tally != wanted:
            yield f"partition {partition} accounts for {found.tally}, not for {wanted}"


def _copies(outcome: Outcome) -> Iterator[str]:
    for (machine, partition), stored in outcome.from_copies.items():
        wanted = outcome.settled[partition].stored
        for key in sorted(stored.keys() | wanted.keys()):
            if stored.get(key) != wanted.get(key):
                yield (
                    f"partition {partition} restored from machine {machine}'s copy and from the changelog alone differ "
                    f"for {key!r}"
                )


def _one_content(outcome: Outcome, log: EventLog) -> Iterator[str]:
    for topic in (*APPENDED, USER_PROFILES):
        contents: dict[str, tuple[Any, bytes]] = {}
        for record in _records(outcome, topic):
            if record.value is None:
                continue
            content = _decision(topic, json.loads(record.value)) if log.live else record.value
            first, value = contents.setdefault(_id(record), (content, record.value))
            if first != content:
                yield f"one id of {topic}, two contents: {value!r} and {record.value!r}"
                return


DECIDED: Final = {
    SEGMENT_CHANGES: ("user_id", "dimension", "previous", "current", "phase", "cause"),
    CHURN_RISK: ("user_id", "as_of", "band", "previous_band", "scheduled", "cold_start", "model"),
    PURCHASE_PROPENSITY: ("user_id", "as_of", "probability", "scheduled", "cold_start", "model"),
    CUSTOMER_VALUE: ("user_id", "as_of", "expected_spend", "clv", "scheduled", "cold_start", "model"),
    USER_PROFILES: ("user_id", "as_of"),
    LATE_EVENTS: ("user_id", "as_of", "event"),
}
"""What an output decides. Where the wall clock says which events were there yet, a repeat may have seen more of them
than the first: its number, instant, rule and evidence are those of its own moment."""


def _decision(topic: str, body: dict[str, Any]) -> list[Any]:
    return [body[name] for name in DECIDED[topic]]


def _last_told(outcome: Outcome, reference: Outcome) -> Iterator[str]:
    found, wanted = _last(outcome), _last(reference)
    for key in sorted(found.keys() | wanted.keys()):
        if found.get(key) != wanted.get(key):
            yield f"last told of {' '.join(key)}: {found.get(key)}, not {wanted.get(key)}"


def _last(outcome: Outcome) -> dict[tuple[str, str], Any]:
    newest: dict[tuple[str, str], tuple[int, Any]] = {}
    for topic in (SEGMENT_CHANGES, CHURN_RISK, PURCHASE_PROPENSITY, USER_PROFILES):
        for record in _records(outcome, topic):
            user = (record.key or b"").decode()
            if record.value is None:
                # As a compacted topic has it: what comes behind a tombstone counts again.
                newest[user, topic] = (0, None)
                continue
            body = json.loads(record.value)
            dimension = body["dimension"] if topic == SEGMENT_CHANGES else topic
            seq, told = body["seq"], _told(topic, body)
            if seq >= newest.get((user, dimension), (0, None))[0]:
                newest[user, dimension] = (seq, told)
    return {key: told for key, (_, told) in newest.items()}


def _told(topic: str, body: dict[str, Any]) -> Any:
    if topic == SEGMENT_CHANGES:
        return body["current"]
    if topic == CHURN_RISK:
        return body["band"]
    # A score at an event is told if it moved by 0.05, so arrival within the grace decides which of two close ones is.
    if topic == PURCHASE_PROPENSITY:
        return body["cold_start"]
    risk = body["risk"] and body["risk"]["band"]
    left_out = ("id", "seq", "as_of", "windows", "risk", "propensity", "value")
    told = {name: value for name, value in body.items() if name not in left_out}
    return told, risk, body["propensity"] is None, (body["value"]["tier"], body["value"]["rfm"])


def _examples(outcome: Outcome, reference: Outcome, log: EventLog) -> Iterator[str]:
    found, wanted = learned(outcome, log), learned(reference, log)
    twice = [id_ for id_, times in Counter(found.once).items() if times > 1]
    if twice:
        yield f"examples learned more than once: {twice[:3]}"
    if set(found.once) | found.waiting != set(wanted.once) | wanted.waiting:
        lost = sorted((set(wanted.once) | wanted.waiting) - set(found.once) - found.waiting)
        more = sorted((set(found.once) | found.waiting) - set(wanted.once) - wanted.waiting)
        yield f"examples lost: {lost[:3]}, learned though they are none: {more[:3]}"
    elif not log.live and found != wanted:
        yield "the trainer learned in another order"


def learned(outcome: Outcome, log: EventLog) -> Learned:
    """Have a trainer read ``training-examples``."""
    trainer = NotingTrainer(log.partitions, [head_of(spec) for spec in head_specs(HORIZON_DAYS)])
    trainer.order = []
    for record in outcome.topics[TRAINING_EXAMPLES][0].records:
        body = json.loads(record.value or b"")
        if body["type"] == "mark":
            trainer.mark(body, record.offset, record.timestamp)
        else:
            trainer.example(body, record.offset)
    return Learned(tuple(trainer.order), frozenset(entry.id for entry in trainer._pending))


def _letters(outcome: Outcome, reference: Outcome) -> Iterator[str]:
    found, wanted = (Counter(record.value for record in _records(one, DEAD_LETTERS)) for one in (outcome, reference))
    lost = wanted.keys() - found.keys()
    if lost or found.keys() - wanted.keys():
        yield f"dead letters lost: {sorted(map(str, lost))}, or too many"


def _same_outputs(outcome: Outcome, reference: Outcome) -> Iterator[str]:
    """A finished log is applied in one order, so it says the same things."""
    for topic in APPENDED:
        found, wanted = ({_id(record): record.value for record in _records(one, topic)} for one in (outcome, reference))
        if found != wanted:
            lost = [wanted[id_] for id_ in wanted.keys() - found.keys()]
            more = [found[id_] for id_ in found.keys() - wanted.keys()]
            yield f"{topic} of a finished log differ: {lost[:1]} were lost, {more[:1]} came in addition"


def _records(outcome: Outcome, topic: str) -> Iterator[Record]:
    return (record for log in outcome.topics[topic] for record in log.records)


def _id(record: Record) -> str:
    return dict(record.headers)["ce_id"].decode()
