"""State that older versions stored: every fixture says today what it was written to say, here written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from models import snapshots
from models.errors import SnapshotError, TrainingRecordError
from models.examples import decode_mark
from streams.core import migrations, stored_profile
from streams.core.errors import StateError
from streams.core.events import DAY_MS, HOUR_MS
from streams.core.fold import Fold
from streams.core.profile import Profile, decode_profile
from streams.core.state import Stage
from streams.core.stored_profile import read_header
from streams.live.log_identity import LogIdentity, decode_identity
from streams.live.partition_record import InputPosition, PartitionRecord, decode_record
from tests.support.partition_runs import COMPILED, HORIZON_DAYS
from tests.support.stored_states import STATES, WRITER
from tests.support.training_logs import mark
from tests.support.worlds import START

VERSIONS = {
    "profile": stored_profile.SCHEMA,
    "partition-record": PartitionRecord().version,
    "model-cut": snapshots.FORMAT,
    "store-identity": LogIdentity(changelog="").format,
}


@pytest.mark.parametrize(("kind", "newest"), VERSIONS.items())
def test_every_version_that_ever_was_has_a_stored_state(kind: str, newest: int) -> None:
    stored = sorted(path.name for path in STATES.glob(f"{kind}-*"))
    assert [name.removeprefix(f"{kind}-").partition(".")[0] for name in stored] == [*map(str, range(1, newest + 1))]


class TestProfileOfSchema1:
    """Ada: a visit, a first order of 10.00, a second of 25.50 a week later, and a cart that is still open."""

    value = (STATES / "profile-1.bin").read_bytes()

    @pytest.fixture
    def ada(self) -> Profile:
        return decode_profile("ada", self.value, Fold(COMPILED, HORIZON_DAYS * DAY_MS))

    def test_header(self) -> None:
        header = read_header(self.value)
        assert (header.schema, header.writer, header.stage) == (stored_profile.SCHEMA, WRITER, Stage.GROWING)

    def test_orders_and_money(self, ada: Profile) -> None:
        view = ada.view
        assert (view.orders, view.lines, view.amount, view.refunded) == (2, 2, 35_500_000, 0)
        assert (view.first_order, view.last_order) == (START + 2 * HOUR_MS, START + 7 * DAY_MS)

    def test_clicks_searches_and_carts(self, ada: Profile) -> None:
        assert (ada.view.clicks, ada.view.searches, ada.view.carts) == (2, 1, 1)

    def test_what_is_settled_and_what_is_open(self, ada: Profile) -> None:
        """Settled when the second order came, up to the grace before it."""
        assert ada.settled_through == START + 7 * DAY_MS - 600_000 - 1
        assert [event.id for event in ada.open] == ["again", "carted"]

    def test_offsets_applied_of_clicks_searches_and_purchases(self, ada: Profile) -> None:
        assert ada.applied == [(0, 9), (0, 1), (0, 5)]

    def test_what_was_told(self, ada: Profile) -> None:
        delivery = ada.delivery
        assert (delivery.probability, delivery.version, delivery.cause) == (0.4, "fixed", "carted")

    def test_a_score_that_waits_for_its_label(self, ada: Profile) -> None:
        (waiting,) = ada.view.pending
        assert (waiting.due - waiting.as_of, waiting.returned) == (30 * DAY_MS, True)

    def test_a_score_that_waits_is_no_longer_learned_from_and_its_spend_is_unknown(self, ada: Profile) -> None:
        (waiting,) = ada.view.pending
        assert (waiting.features, waiting.spend) == (None, -1)

    def test_no_propensity_and_no_expected_spend_were_told(self, ada: Profile) -> None:
        delivery = ada.delivery
        assert (delivery.propensity, delivery.propensity_at, delivery.spend, ada.view.expected) == (None, -1, None, [])

    def test_it_is_stored_again_as_a_migrated_one(self, ada: Profile) -> None:
        policy = read_header(self.value).policy
        assert ada.encode(WRITER, policy) == migrations.profile_2(self.value)

    def test_a_damaged_one_is_refused_though_it_was_migrated(self) -> None:
        with pytest.raises(StateError, match="checksum"):
            stored_profile.unpack_profile(self.value[:-1] + bytes([self.value[-1] ^ 1]))


class TestProfileOfSchema2:
    """Ada's story again; what she bought after her score is noted with it."""

    value = (STATES / "profile-2.bin").read_bytes()

    @pytest.fixture
    def ada(self) -> Profile:
        return decode_profile("ada", self.value, Fold(COMPILED, HORIZON_DAYS * DAY_MS))

    def test_orders_money_and_carts(self, ada: Profile) -> None:
        view = ada.view
        assert (view.orders, view.amount, view.carts_open) == (2, 35_500_000, 1)
        assert view.last_cart == START + 7 * DAY_MS + 60_000

    def test_a_score_that_waits_for_its_label_knows_what_was_spent_since(self, ada: Profile) -> None:
        (waiting,) = ada.view.pending
        assert (waiting.due - waiting.as_of, waiting.returned, waiting.spend) == (30 * DAY_MS, True, 25_500_000)

    def test_it_is_stored_again_as_it_was(self, ada: Profile) -> None:
        assert ada.encode(WRITER, read_header(self.value).policy) == self.value


RECORD = PartitionRecord(
    watermark=START + 7 * DAY_MS,
    newest=START + 7 * DAY_MS + 60_000,
    clock=START + 7 * DAY_MS,
    published=START + 8 * DAY_MS,
    portraits_from=812,
    inputs=(
        InputPosition(topic_id="clicks-id", epoch=1, next=10, newest=START + 7 * DAY_MS + 60_000),
        InputPosition(topic_id="searches-id", epoch=0, next=-1, newest=-1),
        InputPosition(topic_id="purchases-id", epoch=0, next=6, newest=START + 7 * DAY_MS),
    ),
)


def test_a_partition_record_of_version_1_knows_neither_cluster_nor_partitions() -> None:
    assert decode_record((STATES / "partition-record-1.json").read_bytes()) == RECORD


def test_a_partition_record_of_version_2() -> None:
    wanted = msgspec.structs.replace(RECORD, cluster_id="cluster", partitions=8, changelog_begins=0)
    assert decode_record((STATES / "partition-record-2.json").read_bytes()) == wanted


def test_a_partition_record_of_version_3() -> None:
    wanted = msgspec.structs.replace(
        RECORD, cluster_id="cluster", partitions=8, applied_until=START + 6 * DAY_MS, bootstrap="0123456789abcdef"
    )
    assert decode_record((STATES / "partition-record-3.json").read_bytes()) == wanted


def test_a_copys_identity_of_version_1_knows_its_changelog() -> None:
    found = decode_identity((STATES / "store-identity-1.json").read_bytes())
    assert found == LogIdentity(changelog="0a1b2c3d-0000-4000-8000-00000000c4a9")


def test_a_copys_identity_of_version_2() -> None:
    found = decode_identity((STATES / "store-identity-2.json").read_bytes())
    assert found == LogIdentity(changelog="changelog-id", cluster_id="cluster", partitions=8, inputs=("c", "s", "p"))


def test_a_model_cut_of_format_1() -> None:
    """Of sixty examples one in four has no features to learn from."""
    cut = snapshots.loads((STATES / "model-cut-1.json").read_bytes(), horizons={"churn": 30})
    head = cut["heads"]["churn"]
    assert (head["examples"], cut["next_offset"], head["columns"]) == (45, 17, ["recency", "frequency", "spend"])
    assert (head["champion"], head["models"]["posterior"]["labels"]) == ("posterior", 45)
    assert cut["resume"] == {"position": 20}


# -- the way up, for versions that are still to come -------------------------------------------------------------------


def test_migrating_leaves_what_was_stored_as_it_is() -> None:
    stored = json.loads((STATES / "partition-record-1.json").read_bytes())
    before = json.dumps(stored)
    migrations.partition_record_2(stored)
    assert json.dumps(stored) == before


def test_steps_are_taken_in_order_from_the_stored_version_on() -> None:
    steps: dict[int, Callable[[str], str]] = {n: lambda old, n=n: f"{old}{n}" for n in (1, 2, 3)}  # type: ignore[misc]
    assert migrations.migrated("", 2, 4, steps, "it") == "23"


def test_a_step_that_is_gone_is_said_with_the_way_around_it() -> None:
    with pytest.raises(StateError, match="It has version 1, and this Ebbtide cannot migrate from version 2") as caught:
        migrations.migrated("", 1, 4, {1: str, 3: str}, "It")
    assert "Start the release before this one first" in caught.value.hint


def test_a_profile_of_an_older_schema_would_be_migrated_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema 3 that stores everything as schema 2 does."""
    monkeypatch.setattr(stored_profile, "SCHEMA", 3)
    steps = {1: migrations.profile_2, 2: lambda value: bytes([value[0], 3]) + value[2:]}
    monkeypatch.setattr(migrations, "PROFILE", steps)
    value = (STATES / "profile-1.bin").read_bytes()
    assert read_header(value).schema == 3


def test_a_profile_of_a_schema_without_a_way_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_profile, "SCHEMA", 3)
    with pytest.raises(StateError, match="version 2, and this Ebbtide cannot migrate from version 2"):
        read_header((STATES / "profile-2.bin").read_bytes())


class TestACutOfAnOlderFormat:
    """A format 3 that calls ``next_offset`` otherwise."""

    text = (STATES / "model-cut-2.json").read_bytes()

    @pytest.fixture(autouse=True)
    def format_3(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(snapshots, "FORMAT", 3)
        monkeypatch.setattr(snapshots, "MIGRATIONS", {2: lambda cut: {**cut, "next_offset": cut["next_offset"] + 1}})

    def test_it_is_migrated(self) -> None:
        assert snapshots.loads(self.text)["next_offset"] == 18

    def test_what_was_migrated_is_a_whole_cut_of_the_new_format(self) -> None:
        cut = snapshots.loads(self.text)
        assert snapshots.verify(cut) == cut
        assert cut["format"] == 3

    def test_its_own_checksum_is_held_against_it_first(self) -> None:
        with pytest.raises(SnapshotError, match="checksum"):
            snapshots.loads(self.text.replace(b'"next_offset":17', b'"next_offset":16'))

    def test_without_a_way_up_it_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(snapshots, "MIGRATIONS", {})
        with pytest.raises(SnapshotError, match="format 2, and this Ebbtide cannot migrate from format 2"):
            snapshots.loads(self.text)


def test_a_newer_cut_is_refused_with_both_formats() -> None:
    cut: dict[str, Any] = json.loads((STATES / "model-cut-2.json").read_bytes())
    with pytest.raises(SnapshotError, match="has format 3, and this Ebbtide reads up to 2") as caught:
        snapshots.verify({**cut, "format": 3})
    assert "roll back" in caught.value.hint


def test_a_training_record_of_a_newer_format_is_refused() -> None:
    with pytest.raises(TrainingRecordError, match="offset 7 cannot be read: it has format 3, .* up to format 2"):
        decode_mark({**mark(0), "format": 3}, 7, 1)
