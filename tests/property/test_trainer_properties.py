"""The trainer against the plain loop: the log decides what is learned, not the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.churn import BayesianLogistic
from models.scorecard import Scorecard
from models.serving import Cuts
from models.snapshots import dumps, loads, model_hash
from models.trainer import Trainer
from tests.support.training_logs import (
    DAY,
    HOUR,
    SPEC,
    START,
    Body,
    example,
    head_state,
    label_time,
    mark,
    plain_loop,
    trainer_over,
)

SCHEMA = SPEC.schema
LAST = START + 4 * DAY


@st.composite
def partition_logs(draw: st.DrawFn, clock: str) -> list[list[Body]]:
    """Per partition what its owner sends: examples before the marks that cover them, and now and then repeats."""
    partitions = draw(st.integers(1, 3))
    logs: list[list[Body]] = []
    for partition in range(partitions):
        hours = sorted(draw(st.lists(st.integers(1, 95), max_size=14)))
        bodies = [
            example(100 * partition + n, START + hour * HOUR, partition=partition, schema=SCHEMA)
            for n, hour in enumerate(hours)
        ]
        marks = sorted({*draw(st.lists(st.integers(1, 95), max_size=6)), 96})
        log: list[Body] = []
        sent: list[Body] = []
        for hour in marks:
            watermark = START + hour * HOUR + 1
            due = [b for b in bodies if label_time(b) < watermark and b not in sent]
            ahead = [b for b in bodies if b not in sent and b not in due][: draw(st.integers(0, 1))]
            fresh = draw(st.permutations(due + ahead))
            repeats = draw(st.lists(st.sampled_from(sent + fresh), max_size=3)) if sent or fresh else []
            log += [*fresh, *repeats]
            sent += fresh
            drained = clock == "wall" and hour != 96 and draw(st.booleans())
            log.append(mark(watermark, partition=partition, partitions=partitions, drained=drained, clock=clock))
        logs.append(log)
    return logs


@st.composite
def merges(draw: st.DrawFn, logs: Sequence[Sequence[Body]]) -> list[Body]:
    """Some merge of the partitions' records that keeps each partition's own order."""
    waiting, merged = [list(log) for log in logs], list[Body]()
    while any(waiting):
        chosen = draw(st.sampled_from([log for log in waiting if log]))
        merged.append(chosen.pop(0))
    return merged


@st.composite
def topics(draw: st.DrawFn, clock: str = "log") -> list[Body]:
    return draw(merges(draw(partition_logs(clock))))


def run(
    topic: Sequence[Body], crashes: frozenset[int] = frozenset(), trainer: Trainer | None = None
) -> tuple[Trainer, list[dict[str, Any]]]:
    """Feed a topic; at the given offsets, once each, the process dies and the last published cut takes over."""
    partitions = next(body["partitions"] for body in topic if body["type"] == "mark")
    trainer = trainer_over(partitions) if trainer is None else trainer
    published: list[dict[str, Any]] = []
    left, offset = set(crashes), 0
    while offset < len(topic):
        if offset in left:
            left.discard(offset)
            cuts = [record for record in published if record["type"] == "cut"]
            if cuts:
                trainer = Trainer.from_cut(loads(dumps(cuts[-1])), partitions, [SPEC])
                offset = cuts[-1]["next_offset"]
            else:
                trainer, offset = trainer_over(partitions), 0
            continue
        body = topic[offset]
        if body["type"] == "example":
            trainer.example(body, offset)
        else:
            published += trainer.mark(body, offset, now_ms=0)
        offset += 1
    return trainer, published


def versions_by_day(published: Sequence[Mapping[str, Any]]) -> dict[int, set[str]]:
    days: dict[int, set[str]] = {}
    for record in published:
        if record["type"] != "frontier":
            days.setdefault(record["day"], set()).add(record["version"])
    return days


def examples_of(topic: Sequence[Body]) -> list[Body]:
    return [body for body in topic if body["type"] == "example"]


CRASHES = st.frozensets(st.integers(0, 70), max_size=4)


@given(topics(), CRASHES)
def test_any_interleaving_repeats_and_restarts_learn_what_the_plain_loop_learns(
    topic: list[Body], crashes: frozenset[int]
) -> None:
    trainer, _ = run(topic, crashes)
    assert trainer.churn.model.state() == plain_loop(examples_of(topic), LAST).state()
    assert trainer.pending == 0


@given(topics(), CRASHES)
def test_every_cut_holds_exactly_the_labels_up_to_its_midnight(topic: list[Body], crashes: frozenset[int]) -> None:
    _, published = run(topic, crashes)
    for record in published:
        if record["type"] == "cut":
            assert (
                record["heads"]["churn"]["models"]["posterior"] == plain_loop(examples_of(topic), record["day"]).state()
            )


@given(st.data())
def test_two_interleavings_publish_the_same_versions(data: st.DataObject) -> None:
    logs = data.draw(partition_logs("log"))
    first = data.draw(merges(logs))
    second = data.draw(merges(logs))
    assert versions_by_day(run(first)[1]) == versions_by_day(run(second)[1])


@given(topics(), CRASHES)
def test_a_restarted_trainer_repeats_versions_and_makes_no_others(topic: list[Body], crashes: frozenset[int]) -> None:
    assert versions_by_day(run(topic, crashes)[1]) == versions_by_day(run(topic)[1])


@given(topics(), CRASHES)
def test_restarts_leave_scorecard_and_counts_as_if_nothing_had_happened(
    topic: list[Body], crashes: frozenset[int]
) -> None:
    whole, broken = run(topic)[0], run(topic, crashes)[0]
    assert (broken.counts, broken.churn.counts) == (whole.counts, whole.churn.counts)
    kept, expected = broken.churn.scorecard.state(), whole.churn.scorecard.state()
    assert kept == expected


@given(topics())
def test_days_follow_each_other_without_a_gap(topic: list[Body]) -> None:
    days = [record["day"] for record in run(topic)[1]]
    assert days == list(range(days[0], LAST + DAY, DAY))
    assert days[0] == min(body["watermark"] for body in topic if body["type"] == "mark") // DAY * DAY


@given(topics("wall"), CRASHES)
def test_what_is_passed_over_is_still_learned_exactly_once(topic: list[Body], crashes: frozenset[int]) -> None:
    trainer, _ = run(topic, crashes)
    unique = {body["id"]: body for body in examples_of(topic)}
    assert trainer.count("learned") + trainer.count("unlearned") == len(unique)
    assert trainer.churn.scorecard.summary()["labels"] == len(unique)
    assert trainer.churn.model.positives == sum(b["churned"] for b in unique.values() if b["features"] is not None)


@given(topics(), st.integers(0, 70))
def test_a_second_trainer_does_no_harm(topic: list[Body], behind: int) -> None:
    first, second = run(topic)[1], run(topic)[1]
    mixed = sorted([*enumerate(first), *((n + behind, record) for n, record in enumerate(second))], key=lambda r: r[0])
    alone, both = Cuts([SPEC]), Cuts([SPEC])
    for record in first:
        alone.add(record)
    for _, record in mixed:
        both.add(record)
    for day in range(6):
        at = START + day * DAY + HOUR
        assert both.cut_at(at)[0].version == alone.cut_at(at)[0].version


class Owner:
    """A drained partition under ``--clock log``: marks what its log holds, then follows the frontier."""

    def __init__(self, partition: int, partitions: int, ends_at: int, until: int | None) -> None:
        self.partition, self.partitions, self.until = partition, partitions, until
        self.ends_at, self.watermark = ends_at, -1

    def next_mark(self, frontier: int | None, known: Cuts) -> Body | None:
        """The next mark: the next boundary of its log once the cut before it is known, or the frontier."""
        before = self.watermark
        if self.watermark < self.ends_at:
            start = self.watermark if self.watermark >= 0 else self.ends_at - self.ends_at % DAY - DAY
            day = start // DAY * DAY
            if self.watermark < 0 or known.has(day):
                self.watermark = min(self.ends_at, day + DAY + 50 * 60_000)
        elif frontier is not None and self.watermark <= frontier:
            self.watermark = frontier + 1
        if self.watermark == before and before >= 0:
            return None
        return mark(
            self.watermark,
            partition=self.partition,
            partitions=self.partitions,
            drained=self.watermark >= self.ends_at,
            until=self.until,
        )


@given(st.lists(st.integers(-1, 130), min_size=1, max_size=4), st.integers(130, 200), st.data())
def test_finished_log_is_cut_day_by_day_to_its_end_wherever_the_partitions_end(
    ends: list[int], until_hour: int, data: st.DataObject
) -> None:
    until = START + until_hour * HOUR
    owners = [Owner(p, len(ends), START + hour * HOUR if hour >= 0 else -1, until) for p, hour in enumerate(ends)]
    trainer, cuts, offset = trainer_over(len(ends)), Cuts(), 0
    published: list[dict[str, Any]] = []
    turns = data.draw(st.permutations(range(len(owners))))
    for _ in range(60):
        for turn in turns:
            body = owners[turn].next_mark(cuts.frontier_ms, cuts)
            if body is None:
                continue
            for record in trainer.mark(body, offset, now_ms=0):
                published.append(record)
                cuts.add(record)
            offset += 1
        if published and published[-1].get("final"):
            break
    finals = [record for record in published if record.get("final")]
    assert [record["day"] for record in finals] == [until]
    midnights = [record["day"] for record in published if record["type"] == "same"]
    assert midnights == list(range(min(midnights, default=until), until, DAY))
    assert bool(midnights) == (max(ends) >= 0)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.booleans()), max_size=40))
def test_learning_never_leaves_the_finite_numbers(examples: list[tuple[float, float, bool]]) -> None:
    model = BayesianLogistic(["a", "b"])
    for a, b, churned in examples:
        model.learn_vector([a, b], churned)
    assert model_hash({"heads": {"churn": head_state(model, model.features)}})
    assert 0.0 < model.probability([1.0, -1.0]) < 1.0


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.integers(1, 20))
def test_scorecard_window_does_not_care_about_the_order_within_it(labels: list[tuple[int, bool]], window: int) -> None:
    ahead, back = Scorecard(window), Scorecard(window)
    recent = labels[-window:]
    for card, order in ((ahead, recent), (back, recent[::-1])):
        for tenths, churned in order:
            card.observe(0, 1, tenths / 10, churned, "loyal", None)
    assert ahead.summary()["window"] == back.summary()["window"]
