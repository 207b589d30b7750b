"""The catalogue of topics."""

from __future__ import annotations

import pytest

from streams.core.events import INPUT_TOPICS
from streams.settings import Settings
from streams.topics import (
    CATALOGUE,
    CHANGELOG,
    CLICKS,
    DEAD_LETTER_DECISIONS,
    MODEL_SCORECARD,
    OUTPUT_HOLDS,
    TRAINING_EXAMPLES,
    USER_PROFILES,
    Cleanup,
    topic_name,
    topics_table,
)

SETTINGS = Settings(partitions=6, input_retention_days=2, output_retention_days=3)


def test_every_input_of_the_engine_is_in_the_catalogue() -> None:
    assert set(INPUT_TOPICS) <= set(CATALOGUE)


def test_names_are_the_keys_of_the_catalogue() -> None:
    assert all(name == topic.name for name, topic in CATALOGUE.items())


def test_inputs_changelog_and_keyed_outputs_share_one_partition_count() -> None:
    shared = {topic.partitions(SETTINGS) for topic in CATALOGUE.values() if not topic.single}
    assert shared == {6}


def test_what_has_one_order_has_one_partition() -> None:
    assert {name for name, topic in CATALOGUE.items() if topic.single} == {
        "training-examples",
        "model-cuts",
        "model-events",
        "model-scorecard",
        "dead-letter-decisions",
        "output-holds",
    }


def test_inputs_are_kept_for_the_input_retention() -> None:
    assert CATALOGUE[CLICKS].config(SETTINGS)["retention.ms"] == str(2 * 86_400_000)


def test_outputs_are_kept_for_the_output_retention() -> None:
    assert CATALOGUE["churn-risk"].config(SETTINGS)["retention.ms"] == str(3 * 86_400_000)


def test_a_retention_of_minus_one_keeps_for_ever() -> None:
    assert CATALOGUE[CLICKS].config(Settings(input_retention_days=-1))["retention.ms"] == "-1"


def test_training_examples_are_kept_for_ever() -> None:
    assert CATALOGUE[TRAINING_EXAMPLES].config(SETTINGS)["retention.ms"] == "-1"


def test_state_is_compacted_and_never_deleted() -> None:
    compacted = {name for name, topic in CATALOGUE.items() if topic.cleanup is Cleanup.COMPACT}
    assert compacted == {USER_PROFILES, CHANGELOG, DEAD_LETTER_DECISIONS, OUTPUT_HOLDS, MODEL_SCORECARD}
    assert CATALOGUE[CHANGELOG].config(SETTINGS)["retention.ms"] == "-1"


def test_the_changelog_waits_before_it_compacts_so_that_a_zombie_cannot_hide_a_good_value() -> None:
    config = CATALOGUE[CHANGELOG].config(SETTINGS)
    assert int(config["min.compaction.lag.ms"]) > (SETTINGS.session_timeout_s + SETTINGS.restore_timeout_s) * 1_000


@pytest.mark.parametrize(
    ("actual", "wrong"),
    [
        ({}, 0),
        ({"cleanup.policy": "compact"}, 0),
        ({"cleanup.policy": "compact,delete"}, 1),
        ({"cleanup.policy": "delete", "min.compaction.lag.ms": "0"}, 2),
        ({"min.compaction.lag.ms": str(10**12), "delete.retention.ms": str(10**12)}, 0),
    ],
)
def test_only_what_breaks_a_promise_is_held_against_a_topic(actual: dict[str, str], wrong: int) -> None:
    assert len(CATALOGUE[CHANGELOG].differences(actual)) == wrong


def test_a_retention_of_the_operator_is_no_difference() -> None:
    assert CATALOGUE[CLICKS].differences({"cleanup.policy": "delete", "retention.ms": "1"}) == []


def test_the_name_on_the_broker_has_prefix_and_suffix() -> None:
    assert topic_name(CLICKS, Settings(topic_prefix="eu."), "-trial") == "eu.clicks-trial"


def test_every_topic_says_who_writes_and_reads_it() -> None:
    assert all(topic.written_by and topic.read_by and topic.purpose for topic in CATALOGUE.values())


def test_the_table_has_one_row_for_each_topic() -> None:
    assert [row.split("`")[1] for row in topics_table().splitlines()[2:]] == list(CATALOGUE)


def test_records_of_an_input_are_stamped_on_arrival_whatever_a_producers_clock_says() -> None:
    assert CATALOGUE[CLICKS].config(SETTINGS)["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize(
    ("ahead", "fits", "cautions"),
    [
        (None, True, 0),
        ("300000", True, 0),
        ("300001", True, 1),
        ("3600000", True, 1),
        ("3600001", False, 0),
        ("9223372036854775807", False, 0),
    ],
)
def test_producers_timestamps_are_taken_only_where_kafka_bounds_them(
    ahead: str | None, fits: bool, cautions: int
) -> None:
    actual = {"cleanup.policy": "delete", "message.timestamp.type": "CreateTime"}
    bound = {} if ahead is None else {"message.timestamp.after.max.ms": ahead}
    assert (not CATALOGUE[CLICKS].differences({**actual, **bound})) == fits
    assert len(CATALOGUE[CLICKS].cautions({**actual, **bound})) == cautions
