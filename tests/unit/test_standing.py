"""Where reading goes on after a restart, when it must not, and what it goes on with once that was accepted."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from streams.core.errors import StateError, TopicError
from streams.core.tally import Tally
from streams.live.partition_record import InputPosition, PartitionRecord
from streams.live.standing import Cause, InputNow, Surroundings, accepted, judged, misfits, start_offset

APPLIED = 70
IDS = ("clicks-id", "searches-id", "purchases-id")
BLANK = PartitionRecord()
RECORD = PartitionRecord(
    cluster_id="kafka",
    partitions=4,
    watermark=5,
    inputs=tuple(InputPosition(topic_id=topic_id, next=APPLIED, newest=9) for topic_id in IDS),
)


def now(clicks: dict[str, Any] | None = None, **changes: Any) -> Surroundings:
    """Everything as the record left it, but for the clicks."""
    inputs = [InputNow(name.removesuffix("-id"), name, 0, 100, APPLIED - 5) for name in IDS]
    inputs[0] = InputNow(**{**asdict(inputs[0]), **(clicks or {})})
    fields: dict[str, Any] = {
        "partition": 2,
        "partitions": 4,
        "group": "shop",
        "cluster_id": "kafka",
        "changelog": "ebbtide-changelog",
        "changelog_oldest": 0,
        "inputs": tuple(inputs),
    }
    return Surroundings(**{**fields, **changes})


def asdict(one: InputNow) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ("topic", "topic_id", "oldest", "end", "committed")}


def first_start(clicks: dict[str, Any] | None = None, **changes: Any) -> Surroundings:
    """Nobody was ever here."""
    fresh = now(clicks, **changes)
    inputs = tuple(
        one if clicks and one.topic == "clicks" else InputNow(one.topic, one.topic_id, one.oldest, one.end)
        for one in fresh.inputs
    )
    return Surroundings(**{**{name: getattr(fresh, name) for name in Surroundings.__slots__}, "inputs": inputs})


def causes(record: PartitionRecord, around: Surroundings, *, has_profiles: bool = False) -> list[Cause]:
    return [misfit.cause for misfit in misfits(record, around, has_profiles=has_profiles)]


class TestGoingOn:
    def test_nothing_is_amiss_where_commits_trail_the_record(self) -> None:
        assert misfits(RECORD, now()) == []

    def test_reading_goes_on_where_the_changelog_says_although_commits_trail(self) -> None:
        assert start_offset(RECORD.inputs[0], now().inputs[0]) == APPLIED

    def test_a_group_without_offsets_goes_on_where_the_changelog_says(self) -> None:
        """Group offsets expire after a week without members; the record does not."""
        assert misfits(RECORD, now({"committed": None})) == []

    def test_a_first_start_begins_at_the_oldest_record(self) -> None:
        around = first_start({"oldest": 40, "committed": None})
        assert misfits(BLANK, around) == []
        assert start_offset(judged(BLANK, around, False).inputs[0], around.inputs[0]) == 40

    def test_a_first_start_takes_note_of_topics_cluster_and_partitions(self) -> None:
        record = judged(BLANK, first_start(), False)
        assert (record.cluster_id, record.partitions, [one.topic_id for one in record.inputs]) == ("kafka", 4, [*IDS])

    def test_an_input_read_to_its_end_and_emptied_by_retention_goes_on(self) -> None:
        assert misfits(RECORD, now({"oldest": APPLIED, "end": APPLIED})) == []

    def test_a_record_of_version_1_names_neither_cluster_nor_partitions(self) -> None:
        old = msgspec.structs.replace(RECORD, cluster_id="", partitions=0)
        assert judged(old, now(), True) == RECORD

    def test_a_broker_that_names_no_cluster_is_believed(self) -> None:
        assert misfits(RECORD, now(cluster_id="")) == []

    def test_commits_of_a_topic_that_was_created_anew_say_nothing(self) -> None:
        fresh = InputPosition(topic_id="clicks-id", epoch=1)
        assert causes(msgspec.structs.replace(RECORD, inputs=(fresh, *RECORD.inputs[1:])), now({"committed": 71})) == []


class TestRefusals:
    def test_below_the_brokers_oldest_what_was_never_read_is_counted(self) -> None:
        with pytest.raises(
            TopicError, match=r"^clicks, partition 2: offset 70 comes next, but retention has deleted"
        ) as e:
            judged(RECORD, now({"oldest": 1_273}), True)
        assert "below 1273: 1,203 records were never read" in e.value.what
        assert "ebbtide state accept" in e.value.hint

    def test_a_commit_ahead_of_the_state_means_that_the_changelog_lost_records(self) -> None:
        with pytest.raises(
            StateError, match="shop has read clicks, partition 2 up to offset 71, .* only up to 70"
        ) as e:
            judged(RECORD, now({"committed": 71}), True)
        assert "the input is read again from offset 70" in e.value.hint

    def test_commits_without_any_state_mean_that_state_was_lost(self) -> None:
        with pytest.raises(StateError, match="up to offset 71, but ebbtide-changelog knows nothing of it") as e:
            judged(BLANK, first_start({"committed": 71}), False)
        assert "from offset 0 on" in e.value.hint

    def test_a_commit_below_the_brokers_oldest_without_any_state_is_not_passed_over(self) -> None:
        assert causes(BLANK, first_start({"committed": 7, "oldest": 40})) == [Cause.LOST]

    def test_a_topic_created_anew_is_refused_with_both_ids(self) -> None:
        with pytest.raises(
            TopicError, match=r"clicks-id\) up to offset 70, and the new one \(other\) has .* 0 to 3"
        ) as e:
            judged(RECORD, now({"topic_id": "other", "end": 3}), True)
        assert "all that the new topic holds then counts as new" in e.value.hint

    def test_a_topic_that_lost_its_end_is_refused_with_the_count(self) -> None:
        with pytest.raises(TopicError, match="ends at offset 60, but was applied up to 70: the broker lost 10 records"):
            judged(RECORD, now({"end": 60, "committed": None}), True)

    def test_a_bootstrap_that_has_not_ended_is_refused_and_cannot_be_accepted(self) -> None:
        (misfit,) = misfits(msgspec.structs.replace(RECORD, loading=True), now(), has_profiles=True)
        assert (misfit.cause, misfit.acceptable) == (Cause.LOADING, False)
        assert "Run it again with the same folder" in misfit.hint

    def test_another_cluster_is_refused(self) -> None:
        with pytest.raises(StateError, match="partition 2 was written on Kafka cluster kafka, and this is other") as e:
            judged(RECORD, now(cluster_id="other"), True)
        assert "EBBTIDE_BROKERS" in e.value.hint

    def test_another_partition_count_is_refused(self) -> None:
        with pytest.raises(TopicError, match="partition 2 was made with 4 partitions, and now there are 8") as caught:
            judged(RECORD, now(partitions=8), True)
        assert "EBBTIDE_TOPIC_PREFIX" in caught.value.hint

    def test_a_partition_that_was_added_while_workers_run_is_refused(self) -> None:
        with pytest.raises(TopicError, match="topics have a partition 4, but the state is of 4 partitions"):
            judged(BLANK, first_start(partition=4, others_partitions=4), False)

    def test_a_partition_that_was_added_to_a_state_is_refused(self) -> None:
        with pytest.raises(TopicError, match="of the other partitions was made with 4 partitions, and now there are 8"):
            judged(BLANK, first_start(partitions=8, others_partitions=4), False)

    def test_a_changelog_that_lost_its_beginning_is_refused(self) -> None:
        with pytest.raises(StateError, match="ebbtide-changelog, partition 2 begins at offset 12, not at 0"):
            judged(RECORD, now(changelog_oldest=12), True)

    def test_profiles_without_their_record_are_refused(self) -> None:
        with pytest.raises(StateError, match="holds profiles, but not how far they have come") as caught:
            judged(BLANK, first_start(), True)
        assert "delete it and the consumer group shop" in caught.value.hint

    def test_everything_that_does_not_fit_is_found(self) -> None:
        around = now({"end": 60}, cluster_id="other", changelog_oldest=1)
        assert causes(RECORD, around) == [Cause.CLUSTER, Cause.CHANGELOG_CUT, Cause.TRUNCATED]

    def test_a_refusal_says_how_many_more_there_are(self) -> None:
        with pytest.raises(StateError, match="2 more: `ebbtide state check` lists them"):
            judged(RECORD, now({"end": 60}, cluster_id="other", changelog_oldest=1), True)

    @pytest.mark.parametrize(
        ("around", "acceptable"),
        [(now({"oldest": 71}), True), (now({"end": 60, "committed": 60}), True), (now(partitions=8), False)],
    )
    def test_a_partition_count_alone_cannot_be_accepted(self, around: Surroundings, acceptable: bool) -> None:
        assert [misfit.acceptable for misfit in misfits(RECORD, around)] == [acceptable]


ACCEPTED = {
    Cause.DELETED: (RECORD, now({"oldest": 73}), InputPosition(topic_id="clicks-id", next=73, newest=9)),
    Cause.AHEAD: (RECORD, now({"committed": 71}), InputPosition(topic_id="clicks-id", next=70, newest=9)),
    Cause.RECREATED: (
        RECORD,
        now({"topic_id": "other", "oldest": 2, "end": 3}),
        InputPosition(topic_id="other", epoch=1, next=2),
    ),
    Cause.TRUNCATED: (
        RECORD,
        now({"end": 60, "committed": None}),
        InputPosition(topic_id="clicks-id", epoch=1, next=60, newest=9),
    ),
    Cause.LOST: (BLANK, first_start({"committed": 71, "oldest": 3}), InputPosition(topic_id="clicks-id", next=3)),
    Cause.CLUSTER: (RECORD, now(cluster_id="other"), RECORD.inputs[0]),
    Cause.CHANGELOG_CUT: (RECORD, now(changelog_oldest=12), RECORD.inputs[0]),
}


@pytest.mark.parametrize("cause", ACCEPTED)
class TestAccepting:
    def test_the_position_is_the_one_that_the_refusal_named(self, cause: Cause) -> None:
        record, around, wanted = ACCEPTED[cause]
        assert accepted(record, around).inputs[0] == wanted

    def test_it_was_refused_for_that_cause_alone(self, cause: Cause) -> None:
        record, around, _ = ACCEPTED[cause]
        assert causes(record, around) == [cause]

    def test_afterwards_nothing_is_refused_any_more(self, cause: Cause) -> None:
        record, around, _ = ACCEPTED[cause]
        going_on = accepted(record, around)
        committed = [
            InputNow(**{**asdict(one), "committed": known.next})
            for known, one in zip(going_on.inputs, around.inputs, strict=True)
        ]
        fields = {name: getattr(around, name) for name in Surroundings.__slots__}
        assert misfits(going_on, Surroundings(**{**fields, "inputs": tuple(committed)})) == []


class TestTally:
    counted = msgspec.structs.replace(RECORD, tally=Tally(counts={"churn": {"opened": 3}}))

    def test_scores_are_counted_anew_where_a_loss_of_profiles_is_accepted(self) -> None:
        assert accepted(self.counted, now(changelog_oldest=7)).tally is None

    def test_the_count_goes_on_where_anything_else_is_accepted(self) -> None:
        assert accepted(self.counted, now({"topic_id": "new-id"})).tally == self.counted.tally
