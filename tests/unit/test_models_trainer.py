"""The trainer: when it learns, what it drops, when it cuts, and how it goes on after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from models.errors import SnapshotError, TrainingRecordError
from models.head_spec import HeadSpec
from models.serving import Cuts
from models.snapshots import model_hash
from models.trainer import Trainer
from tests.support.training_logs import (
    DAY,
    HOUR,
    SPEC,
    START,
    Body,
    example,
    mark,
    plain_loop,
    trainer_over,
)

SCHEMA = SPEC.schema
MINUTE = 60_000


class Topic:
    """Feeds one trainer and numbers the records; ``published`` is what it wrote to ``model-cuts``."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.published: list[dict[str, Any]] = []
        self.offset = 0

    def example(self, number: int, label_ms: int, *, partition: int = 0, **changes: Any) -> None:
        self.trainer.example(example(number, label_ms, partition=partition, schema=SCHEMA, **changes), self.offset)
        self.offset += 1

    def mark(self, watermark: int, now_ms: int = 0, **changes: Any) -> list[dict[str, Any]]:
        records = self.trainer.mark(mark(watermark, **changes), self.offset, now_ms)
        self.offset += 1
        self.published += records
        return records


def topic(partitions: int = 1, **parameters: Any) -> Topic:
    return Topic(trainer_over(partitions, **parameters))


def kinds(records: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(record["type"], (record["day"] - START) // DAY) for record in records]


def test_nothing_is_learned_before_a_mark() -> None:
    log = topic()
    log.example(1, START)
    assert (log.trainer.churn.model.labels, log.trainer.pending) == (0, 1)


def test_mark_releases_the_labels_below_it() -> None:
    log = topic()
    log.example(1, START + 5)
    log.example(2, START + 6)
    log.mark(START + 6)
    assert (log.trainer.churn.model.labels, log.trainer.pending) == (1, 1)


def test_lowest_mark_decides() -> None:
    log = topic(2)
    log.example(1, START + 5)
    log.mark(START + DAY, partitions=2)
    assert log.trainer.pending == 1
    log.mark(START + 7, partition=1, partitions=2)
    assert log.trainer.pending == 0


def test_learns_by_label_time_then_user_hash_then_id() -> None:
    log = topic()
    bodies = [example(n, START + n // 4, schema=SCHEMA, user_hash=n % 2) for n in (9, 3, 7, 1, 6, 2, 5)]
    for offset, body in enumerate(bodies):
        log.trainer.example(body, offset)
    log.trainer.mark(mark(START + HOUR), 7, 0)
    assert log.trainer.churn.model.state() == plain_loop(bodies, START + HOUR).state()


def test_repeat_of_a_pending_example_is_dropped() -> None:
    log = topic()
    log.example(1, START + 5)
    log.example(1, START + 5)
    log.mark(START + 9)
    assert (log.trainer.churn.model.labels, log.trainer.counts["repeats"]) == (1, 1)


def test_example_that_an_earlier_mark_covered_is_dropped() -> None:
    log = topic()
    log.mark(START + 9)
    log.example(1, START + 8)
    assert (log.trainer.pending, log.trainer.counts["repeats"]) == (0, 1)


def test_mark_of_another_partition_covers_nothing() -> None:
    log = topic(2)
    log.mark(START + 9, partition=1, partitions=2)
    log.example(1, START + 8)
    assert log.trainer.pending == 1


def test_first_mark_cuts_its_own_midnight_as_the_empty_model() -> None:
    assert topic().mark(START + 50 * MINUTE) == [{"type": "same", "day": START, "version": "none"}]


def test_cut_holds_exactly_the_labels_up_to_midnight() -> None:
    log = topic()
    bodies = [example(n, START + DAY + n - 3, schema=SCHEMA) for n in range(8)]
    for offset, body in enumerate(bodies):
        log.trainer.example(body, offset)
    records = log.trainer.mark(mark(START + DAY + 2), 8, 0)
    assert kinds(records) == [("cut", 1)]
    assert records[0]["heads"]["churn"]["models"]["posterior"] == plain_loop(bodies, START + DAY).state()


def test_mark_at_midnight_does_not_cut_it_yet() -> None:
    log = topic()
    log.mark(START + 1)
    assert log.mark(START + DAY) == []
    assert kinds(log.mark(START + DAY + 1)) == [("same", 1)]


def test_quiet_days_are_the_same_as_the_last_cut() -> None:
    log = topic()
    log.example(1, START + 5)
    log.mark(START + 1)
    records = log.mark(START + 3 * DAY + 1)
    assert kinds(records) == [("cut", 1), ("same", 2), ("same", 3)]
    assert {record["version"] for record in records} == {log.trainer.version}


def test_example_without_features_is_scored_and_not_learned() -> None:
    log = topic()
    log.example(1, START + 5, features=None, probability=0.5, churned=True)
    assert kinds(log.mark(START + DAY + 1)) == [("same", 1)]
    assert log.trainer.churn.scorecard.summary()["labels"] == 1


def test_example_of_another_schema_is_scored_and_not_learned() -> None:
    log = topic()
    log.trainer.example(example(1, START + 5, schema="another"), 0)
    log.trainer.mark(mark(START + 9), 1, 0)
    assert log.trainer.churn.model.labels == 0
    assert log.trainer.churn.counts["foreign_schema"] == 1
    assert log.trainer.churn.scorecard.summary()["labels"] == 1


def test_example_of_another_horizon_is_left_out() -> None:
    log = topic()
    log.example(1, START + 5, horizon_days=60)
    log.mark(START + 9)
    assert log.trainer.counts["foreign"] == 1
    assert log.trainer.churn.scorecard.summary()["labels"] == 0


def test_cold_until_enough_labels_with_both_classes() -> None:
    log = topic(min_labels=3)
    for number in (1, 2, 3):
        log.example(number, START + number, churned=False)
    log.mark(START + 9)
    assert log.trainer.churn.cold_start
    log.example(5, START + 10, churned=True)
    log.mark(START + 11)
    assert not log.trainer.churn.cold_start


def test_both_classes_are_not_enough_below_the_least_labels() -> None:
    log = topic(min_labels=3)
    log.example(1, START + 1, churned=False)
    log.example(2, START + 2, churned=True)
    log.mark(START + 9)
    assert log.trainer.churn.cold_start


# -- wall clock: partitions that are passed over ---------------------------------------------------


def test_drained_partition_is_passed_over_under_the_wall_clock() -> None:
    log = topic(2)
    log.example(1, START + 5)
    log.mark(START + 1, partition=1, partitions=2, clock="wall", drained=True)
    log.mark(START + 9, partitions=2, clock="wall")
    assert log.trainer.churn.model.labels == 1


def test_all_drained_learn_up_to_the_highest_mark() -> None:
    log = topic(2)
    log.example(1, START + 5)
    log.mark(START + 1, partition=1, partitions=2, clock="wall", drained=True)
    log.mark(START + 9, partitions=2, clock="wall", drained=True)
    assert log.trainer.churn.model.labels == 1


def test_partition_without_a_mark_for_ten_minutes_is_passed_over() -> None:
    log = topic(2)
    log.example(1, START + 5)
    log.mark(START + 1, partition=1, partitions=2, clock="wall")
    log.mark(START + 9, 10 * MINUTE - 1, partitions=2, clock="wall")
    assert log.trainer.churn.model.labels == 0
    log.trainer.tick(10 * MINUTE)
    assert log.trainer.churn.model.labels == 1


def test_says_who_holds_the_next_cut_back() -> None:
    log = topic(2)
    log.mark(START + 1, partition=1, partitions=2, clock="wall")
    log.mark(START + 2 * DAY, 10 * MINUTE - 1, partitions=2, clock="wall")
    assert log.trainer.holding_back(10 * MINUTE - 1) == [1]
    assert log.trainer.holding_back(10 * MINUTE) == []


def test_partition_that_never_marked_is_passed_over_ten_minutes_after_the_start() -> None:
    log = topic(2)
    log.mark(START + 9, 5_000, partitions=2, clock="wall")
    assert log.trainer.tick(5_000 + 10 * MINUTE - 1) == []
    assert kinds(log.trainer.tick(5_000 + 10 * MINUTE)) == [("same", 0)]


def late_by_idleness() -> Topic:
    log = topic(2)
    log.mark(START + 1, partition=1, partitions=2, clock="wall")
    log.mark(START + 9, 20 * MINUTE, partitions=2, clock="wall")
    log.example(1, START + 5, partition=1)
    return log


def test_example_behind_the_marks_is_learned_on_arrival_and_counted() -> None:
    trainer = late_by_idleness().trainer
    assert (trainer.churn.model.labels, trainer.counts["late"], trainer.pending) == (1, 1, 0)


def test_repeat_of_a_late_example_is_dropped() -> None:
    log = late_by_idleness()
    log.example(1, START + 5, partition=1)
    assert (log.trainer.churn.model.labels, log.trainer.counts["repeats"]) == (1, 1)


def test_repeat_of_a_late_example_is_dropped_after_its_mark_too() -> None:
    log = late_by_idleness()
    log.mark(START + 7, 20 * MINUTE, partition=1, partitions=2, clock="wall")
    log.example(1, START + 5, partition=1)
    assert (log.trainer.churn.model.labels, log.trainer.counts["repeats"]) == (1, 1)


def test_repeat_of_a_late_example_at_its_partitions_own_mark_is_dropped() -> None:
    log = late_by_idleness()
    log.mark(START + 5, 20 * MINUTE, partition=1, partitions=2, clock="wall")
    log.example(1, START + 5, partition=1)
    assert (log.trainer.churn.model.labels, log.trainer.counts["repeats"]) == (1, 1)


def test_mark_that_goes_back_uncovers_nothing() -> None:
    log = topic()
    log.mark(START + 9)
    log.mark(START + 5)
    log.example(1, START + 8)
    assert (log.trainer.pending, log.trainer.counts["repeats"]) == (0, 1)


# -- log clock: the frontier and the end of the run ------------------------------------------------


def test_under_the_log_clock_nobody_is_passed_over() -> None:
    log = topic(2)
    log.mark(START + 1, partition=1, partitions=2)
    log.mark(START + 3 * DAY, 60 * MINUTE, partitions=2)
    assert kinds(log.published) == [("same", 0)]
    assert log.trainer.holding_back(60 * MINUTE) == [1]


def test_drained_partition_is_told_to_follow_the_others() -> None:
    log = topic(2)
    log.mark(START + 1, partition=1, partitions=2, drained=True)
    assert kinds(log.mark(START + 2 * DAY, partitions=2)) == [("same", 0), ("frontier", 1)]


def test_frontier_is_told_once() -> None:
    log = topic(2)
    log.mark(START + 1, partition=1, partitions=2, drained=True)
    log.mark(START + 2 * DAY, partitions=2)
    assert log.mark(START + 2 * DAY + 1, partitions=2) == []


def test_partition_without_any_event_is_told_the_first_day() -> None:
    log = topic(2)
    log.mark(-1, partition=1, partitions=2, drained=True)
    assert kinds(log.mark(START + 2 * DAY + 50 * MINUTE, partitions=2)) == [("frontier", 2)]


def test_undrained_partition_without_any_event_holds_everything() -> None:
    log = topic(2)
    log.mark(-1, partition=1, partitions=2)
    assert log.mark(START + 2 * DAY, partitions=2) == []
    assert log.trainer.holding_back(0) == [1]


def test_all_drained_without_an_end_wait_for_more() -> None:
    log = topic(2)
    log.mark(START + 1, partition=1, partitions=2, drained=True)
    assert kinds(log.mark(START + 5, partitions=2, drained=True)) == [("same", 0)]


def test_all_drained_with_an_end_go_on_day_by_day_and_last_to_the_end() -> None:
    log, until = topic(), START + 2 * DAY + 12 * HOUR
    watermark, told = START + 1, []
    for _ in range(4):
        records = log.mark(watermark, drained=True, until=until)
        told += [record["day"] for record in records if record["type"] == "frontier"]
        watermark = told[-1] + 1
    assert told == [START + DAY, START + 2 * DAY, until]
    assert [(r["type"], r["day"]) for r in log.published[-1:]] == [("cut", until)]


def test_final_cut_holds_the_labels_up_to_and_at_the_end() -> None:
    log, until = topic(), START + 12 * HOUR
    bodies = [example(n, until + n - 3, schema=SCHEMA) for n in range(8)]
    for offset, body in enumerate(bodies):
        log.trainer.example(body, offset)
    final = log.trainer.mark(mark(until, drained=True, until=until), 8, 0)[-1]
    assert final["final"]
    assert final["version"].startswith("20110126T1200-")
    assert final["heads"]["churn"]["models"]["posterior"] == plain_loop(bodies, until).state()
    assert log.trainer.final_cut() == final


def test_final_cut_at_midnight_is_that_days_only_cut() -> None:
    log = topic()
    log.example(1, START + 5)
    records = log.mark(START + DAY + 1, drained=True, until=START + DAY)
    assert [(r["type"], r["day"], r.get("final")) for r in records] == [("cut", START + DAY, True)]


def test_final_cut_is_written_once() -> None:
    log = topic()
    log.mark(START + HOUR, drained=True, until=START + HOUR)
    assert log.mark(START + HOUR, drained=True, until=START + HOUR) == []


def test_run_goes_on_behind_its_end_when_a_later_one_is_given() -> None:
    log = topic()
    log.mark(START + HOUR, drained=True, until=START + HOUR)
    log.example(1, START + HOUR)
    log.example(2, START + HOUR + 1)
    records = log.mark(START + DAY + HOUR, drained=True, until=START + DAY + HOUR)
    assert kinds(records) == [("cut", 1), ("cut", 1)]
    assert log.trainer.counts["repeats"] == 1
    assert log.trainer.churn.model.labels == 1


def test_model_of_a_run_without_marks_is_the_empty_one() -> None:
    assert topic().trainer.final_cut()["heads"]["churn"]["examples"] == 0


# -- restarts --------------------------------------------------------------------------------------


def restarted(cut: dict[str, Any], records: list[Body], **parameters: Any) -> Trainer:
    trainer = Trainer.from_cut(cut, 2, [SPEC], **parameters)
    for offset, body in enumerate(records):
        if offset < cut["next_offset"]:
            continue
        if body["type"] == "example":
            trainer.example(body, offset)
        else:
            trainer.mark(body, offset, 0)
    return trainer


def two_partitions() -> list[Body]:
    """Partition 0 runs ahead with its labels; 1 follows a day behind."""
    records: list[Body] = []
    for step in range(12):
        at = START + step * DAY // 2
        for partition, number in ((0, 4 * step + 1), (1, 4 * step + 3)):
            label_ms = at - partition * DAY + HOUR
            records.append(example(number, label_ms, partition=partition, schema=SCHEMA))
        for partition in (0, 1):
            watermark = at - partition * DAY + DAY // 2
            records.append(mark(watermark, partition=partition, partitions=2))
    return records


def uninterrupted(records: list[Body]) -> tuple[Trainer, list[dict[str, Any]]]:
    trainer, published = trainer_over(2), []
    for offset, body in enumerate(records):
        if body["type"] == "example":
            trainer.example(body, offset)
        else:
            published += trainer.mark(body, offset, 0)
    return trainer, [record for record in published if record["type"] == "cut"]


def test_cut_points_back_to_the_oldest_pending_example() -> None:
    _, cuts = uninterrupted(two_partitions())
    assert any(cut["next_offset"] < cut["resume"]["position"] for cut in cuts)


def test_restart_from_any_cut_ends_with_the_same_model_counts_and_scorecard() -> None:
    records = two_partitions()
    whole, cuts = uninterrupted(records)
    assert len(cuts) >= 3
    for cut in cuts:
        again = restarted(cut, records)
        assert again.churn.model.state() == whole.churn.model.state()
        assert again.counts == whole.counts
        assert again.pending == whole.pending
        assert again.churn.scorecard.summary()["window"] == whole.churn.scorecard.summary()["window"]


def test_restart_cuts_the_same_versions_again() -> None:
    records = two_partitions()
    _, cuts = uninterrupted(records)
    trainer, again = Trainer.from_cut(cuts[0], 2, [SPEC]), []
    for offset in range(cuts[0]["next_offset"], len(records)):
        body = records[offset]
        if body["type"] == "example":
            trainer.example(body, offset)
        else:
            again += trainer.mark(body, offset, 0)
    assert [c["version"] for c in again if c["type"] == "cut"] == [c["version"] for c in cuts[1:]]


def test_restart_goes_on_with_the_day_after_its_cut() -> None:
    records = two_partitions()
    _, cuts = uninterrupted(records)
    trainer = Trainer.from_cut(cuts[0], 2, [SPEC])
    published = trainer.mark(records[-1], len(records), 0) + trainer.mark(records[-2], len(records) + 1, 0)
    assert published[0]["day"] == cuts[0]["day"] + DAY


def restarted_after_a_late_example() -> Trainer:
    """Partition 1 was passed over; its example 1 was learned on arrival and is in the cut of the next midnight."""
    log = late_by_idleness()
    cut = log.mark(START + DAY + 9, 21 * MINUTE, partitions=2, clock="wall")[-1]
    assert cut["type"] == "cut"
    trainer = Trainer.from_cut(cut, 2, [SPEC])
    trainer.mark(mark(START + DAY + 9, partitions=2, clock="wall"), cut["next_offset"], 22 * MINUTE)
    return trainer


def test_repeat_of_a_late_example_is_dropped_after_a_restart_too() -> None:
    trainer = restarted_after_a_late_example()
    trainer.example(example(1, START + 5, partition=1, schema=SCHEMA), 99)
    assert (trainer.churn.model.labels, trainer.counts["repeats"]) == (1, 1)


def test_example_behind_the_cut_is_late_after_a_restart_too() -> None:
    trainer = restarted_after_a_late_example()
    trainer.example(example(2, START + 6, partition=1, schema=SCHEMA), 99)
    assert (trainer.churn.model.labels, trainer.counts["late"], trainer.pending) == (2, 2, 0)


def test_restart_over_another_number_of_partitions_is_refused() -> None:
    _, cuts = uninterrupted(two_partitions())
    with pytest.raises(SnapshotError, match="another number of partitions than 3"):
        Trainer.from_cut(cuts[0], 3, [SPEC])


def test_restart_with_a_foreign_catalogue_is_refused() -> None:
    _, cuts = uninterrupted(two_partitions())
    with pytest.raises(SnapshotError, match="no feature in common"):
        Trainer.from_cut(cuts[0], 2, [HeadSpec("churn", ("other",), 30)])


def test_published_records_can_be_served() -> None:
    records, cuts = two_partitions(), Cuts([SPEC])
    trainer = trainer_over(2)
    for offset, body in enumerate(records):
        if body["type"] == "example":
            trainer.example(body, offset)
        else:
            for record in trainer.mark(body, offset, 0):
                cuts.add(record)
    newest = cuts.newest_day_ms
    assert newest is not None
    assert cuts.cut_at(newest + HOUR)[0].version == trainer.version


# -- records that cannot be read -------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"label_at": "2011-09-30"},
        {"label_at": None},
        {"churned": 2},
        {"probability": 1.5},
        {"features": "!!"},
        {"features": "AAAAAA=="},
        {"features": "AADAfwAAAAAAAAAA"},
        {"partition": 1},
    ],
)
def test_unreadable_example_is_refused_with_its_offset_and_changes_nothing(changes: dict[str, Any]) -> None:
    trainer = trainer_over(1)
    with pytest.raises(TrainingRecordError, match="offset 41"):
        trainer.example(example(1, START, schema=SCHEMA, **changes), 41)
    assert (trainer.pending, trainer.counts) == (0, {})


def test_missing_field_is_named() -> None:
    body = example(1, START, schema=SCHEMA)
    del body["user_hash"]
    with pytest.raises(TrainingRecordError, match="field 'user_hash' is missing"):
        trainer_over(1).example(body, 0)


def test_mark_over_another_number_of_partitions_is_refused() -> None:
    with pytest.raises(TrainingRecordError, match="counts 4 partitions, and the trainer 1"):
        trainer_over(1).mark(mark(START, partitions=4), 0, 0)


def test_model_hash_is_of_the_model_alone() -> None:
    _, cuts = uninterrupted(two_partitions())
    assert model_hash({"heads": cuts[0]["heads"]}) == model_hash(cuts[0])
