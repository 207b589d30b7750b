"""A finished backfill into the topics of a broker: what stands there then, where it is refused, and interruptions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from streams.cli.app import main
from streams.core.errors import BrokerError, SettingsError, StateError
from streams.live import bootstrap_model
from streams.live.bootstrap import Loaded, bootstrap
from streams.live.bootstrap_load import Loading
from streams.live.changelog import Changelog
from streams.live.exits import Exits
from streams.live.trainer_loop import TrainerLoop
from streams.provisioning import ensure_topics
from streams.replay.handed_over import HandedOver
from streams.replay.outgoing import partition_of
from streams.replay.run_options import RunOptions
from streams.settings import Settings
from streams.topics import CHANGELOG, MODEL_CUTS, SEGMENT_CHANGES, TRAINING_EXAMPLES, USER_PROFILES, topic_name
from tests.support.backfills import instant, shop_rows
from tests.support.brokers import RunningBroker
from tests.support.going_on import handed_over
from tests.support.installations import Installation
from tests.support.live_runs import read_topic
from tests.support.live_settled import live_stored
from tests.support.offline_runs import ListedRows
from tests.support.partition_runs import POLICY
from tests.support.variables import variables

UNTIL = instant("2024-02-10T12:00:00Z")
ROWS = [row for row in shop_rows(users=12, days=45) if row["ts"] <= UNTIL]
HORIZON_DAYS = 4


class CutOff(Exception):
    """Stands for kill -9: nothing of ours goes on."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("handed") / "out"
    handed_over(ListedRows(ROWS), RunOptions(horizon_days=HORIZON_DAYS, policy=POLICY, until=UNTIL), place)
    return place


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("another") / "out"
    handed_over(ListedRows(ROWS[:-9]), RunOptions(horizon_days=HORIZON_DAYS, policy=POLICY), place)
    return place


@pytest.fixture(autouse=True, scope="module")
def no_trainer_to_wait_for() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(bootstrap_model, "TRAINER_ANSWERS_WITHIN_S", 0.0)
        yield


@pytest.fixture
def settings(embedded_broker: RunningBroker) -> Settings:
    return embedded_broker.settings(partitions=2, horizon_days=HORIZON_DAYS)


def load(settings: Settings, folder: Path, run: HandedOver | None = None) -> Loaded:
    return asyncio.run(bootstrap(settings, run or HandedOver(folder), partition_of, patience_s=0.0))


def bodies(settings: Settings, name: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in read_topic(settings, name)]


def causes(settings: Settings) -> list[str]:
    return sorted({cause for found in Installation.known(settings).causes() for cause in found})


def assert_loaded(settings: Settings, folder: Path) -> None:
    """Profiles as they were handed over, everybody told, and nothing in the way of a worker."""
    handed = {one.key.decode(): one for one in HandedOver(folder).profiles()}
    assert live_stored(settings) == {user_id: one.value for user_id, one in handed.items()}
    portraits = {record.key.decode(): record.value for record in read_topic(settings, USER_PROFILES)}
    assert portraits == {user_id: one.line for user_id, one in handed.items()}
    assert causes(settings) == []


@pytest.fixture(scope="module")
def loaded(embedded_broker: RunningBroker, folder: Path) -> Settings:
    settings = embedded_broker.settings(partitions=2, horizon_days=HORIZON_DAYS)
    load(settings, folder)
    return settings


class TestAnInstallationWithoutState:
    def test_profiles_and_portraits_are_those_of_the_folder(self, loaded: Settings, folder: Path) -> None:
        assert_loaded(loaded, folder)

    def test_every_partition_goes_on_from_the_end_of_the_run(self, loaded: Settings) -> None:
        records = [one.record for one in Installation.known(loaded).surveyed()]
        assert {(record.applied_until, record.watermark, record.loading) for record in records} == {
            (UNTIL, UNTIL + 1, False)
        }
        assert {known.next for record in records for known in record.inputs} == {0}

    def test_each_dimension_of_a_user_is_told_once_from_nothing(self, loaded: Settings, folder: Path) -> None:
        changes = bodies(loaded, SEGMENT_CHANGES)
        told = sorted((b["user_id"], b["dimension"], b["previous"], b["current"]) for b in changes)
        wanted = []
        for one in HandedOver(folder).profiles():
            assert one.portrait is not None
            for dimension, now in zip(("lifecycle", "value_tier", "risk_band"), one.portrait.standing(), strict=True):
                wanted += [(one.portrait.user_id, dimension, None, now)] if now else []
        assert told == sorted(wanted)
        assert {body["cause"]["kind"] for body in changes} == {"policy"}

    def test_the_last_cut_reads_on_with_the_examples_that_were_brought(self, loaded: Settings, folder: Path) -> None:
        cuts = [body for body in bodies(loaded, MODEL_CUTS) if body["type"] == "cut"]
        learned = bodies(loaded, TRAINING_EXAMPLES)[cuts[-1]["next_offset"] :]
        examples = list(HandedOver(folder).examples())
        assert [body["id"] for body in learned[: len(examples)]] == [body["id"] for body in examples]
        assert [body["partition"] for body in learned[len(examples) :]] == [0, 1]
        assert {body["partition"] for body in learned} == {0, 1}

    def test_once_more_it_does_nothing(self, loaded: Settings, folder: Path) -> None:
        assert load(loaded, folder) == Loaded()

    def test_another_backfill_is_refused_with_what_to_do(self, loaded: Settings, another: Path) -> None:
        with pytest.raises(StateError, match="holds state already: a bootstrap would count it again") as caught:
            load(loaded, another)
        assert f"delete the topics {loaded.topic_prefix}ebbtide-changelog" in caught.value.hint

    def test_what_it_did_is_told(
        self,
        embedded_broker: RunningBroker,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        settings = embedded_broker.settings(partitions=2, horizon_days=HORIZON_DAYS)
        for name, value in variables(settings).items():
            monkeypatch.setenv(name, value)
        for _ in range(2):
            with pytest.raises(SystemExit) as ended:
                main(["bootstrap", str(folder)])
            assert not ended.value.code
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("12 users in 2 partitions in ")
        assert said[1] == "  everything through 2024-02-10T12:00:00.000Z is in"
        assert said[2].endswith("changes of segment, 12 portraits")
        assert said[-1] == "Nothing to do: this backfill is loaded. Start the workers."


class TestRefusals:
    def test_a_backfill_of_another_horizon(self, settings: Settings, folder: Path) -> None:
        with pytest.raises(SettingsError, match="looked 4 days ahead, and EBBTIDE_HORIZON_DAYS is 30"):
            load(replace(settings, horizon_days=30), folder)

    def test_state_that_a_worker_left(self, settings: Settings, folder: Path) -> None:
        Installation(settings).applied(3)
        with pytest.raises(StateError, match="holds state already"):
            load(settings, folder)

    def test_a_group_that_has_read(self, settings: Settings, folder: Path) -> None:
        Installation(settings).commit(4)
        with pytest.raises(StateError, match="workers have been here, and their state is gone"):
            load(settings, folder)

    def test_models_of_a_trainer(self, settings: Settings, folder: Path, another: Path) -> None:
        load(settings, folder)
        moved = replace(settings, topic_prefix=f"{settings.topic_prefix}moved.")
        ensure_topics(moved)
        asyncio.run(_copied(settings, moved))
        with pytest.raises(StateError, match="holds 2 records already: a trainer has been at work"):
            load(moved, folder)

    def test_a_trainer_that_runs(self, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bootstrap_model, "TRAINER_ANSWERS_WITHIN_S", 3.0)
        ensure_topics(settings)

        async def beside_a_trainer() -> None:
            trainer = TrainerLoop(settings, Exits())
            await trainer.start()
            try:
                await bootstrap(settings, HandedOver(folder), partition_of, patience_s=0.0)
            finally:
                await trainer.stop()

        with pytest.raises(BrokerError, match="A trainer runs"):
            asyncio.run(beside_a_trainer())
        assert causes(settings) == ["bootstrap not ended"]
        load(settings, folder)
        assert_loaded(settings, folder)


async def _copied(settings: Settings, moved: Settings) -> None:
    from streams.live.outbox import Message, Producer

    producer = Producer(moved)
    await producer.start()
    try:
        await producer.send(topic_name(MODEL_CUTS, moved), 0, [Message(b"1", b"{}"), Message(b"2", b"{}")])
    finally:
        await producer.stop()


@pytest.mark.kafka
@pytest.mark.xdist_group("kafka")
def test_a_worker_that_runs_is_noticed(apache_kafka: RunningBroker, folder: Path) -> None:
    settings = apache_kafka.settings(partitions=1, horizon_days=HORIZON_DAYS)
    ensure_topics(settings)

    async def beside_a_member() -> None:
        consumer = AIOKafkaConsumer(
            topic_name("clicks", settings), bootstrap_servers=settings.brokers, group_id=settings.group_id
        )
        await consumer.start()
        try:
            await bootstrap(settings, HandedOver(folder), partition_of, patience_s=0.0)
        finally:
            await consumer.stop()

    with pytest.raises(BrokerError, match="a worker runs"):
        asyncio.run(beside_a_member())
    assert read_topic(settings, CHANGELOG) == []


class _Broken(HandedOver):
    """Is cut off after some users."""

    def profiles(self) -> Iterator[Any]:
        for number, one in enumerate(super().profiles()):
            if number == 7:
                raise CutOff
            yield one


class TestInterruptions:
    def test_amid_the_profiles(self, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("streams.live.bootstrap_load.PORTION", 2)
        with pytest.raises(CutOff):
            load(settings, folder, _Broken(folder))
        assert 0 < len(live_stored(settings)) < 12
        assert causes(settings) == ["bootstrap not ended"]
        load(settings, folder)
        assert_loaded(settings, folder)
        ids = [body["id"] for body in bodies(settings, SEGMENT_CHANGES)]
        assert len(set(ids)) == sum(  # whatever was told before is told again under its own id, or not at all
            standing is not None
            for one in HandedOver(folder).profiles()
            if one.portrait is not None
            for standing in one.portrait.standing()
        )

    @pytest.mark.parametrize("appends", [1, 5], ids=["one-has-begun", "one-counts"])
    def test_at_an_append(
        self, settings: Settings, folder: Path, another: Path, monkeypatch: pytest.MonkeyPatch, appends: int
    ) -> None:
        """Of six: each of two partitions says that it is loaded, gets its profiles, and then counts."""
        append, done = Changelog.append, 0

        async def cut_off(self: Changelog, writes: Any, tallies: Any = None) -> int:
            nonlocal done
            if done == appends:
                raise CutOff
            done += 1
            return await append(self, writes, tallies)

        with monkeypatch.context() as patched:
            patched.setattr(Changelog, "append", cut_off)
            with pytest.raises(CutOff):
                load(settings, folder)
        assert causes(settings) == ["bootstrap not ended"]
        with pytest.raises(StateError, match="another bootstrap was interrupted there|holds state already"):
            load(settings, another)
        load(settings, folder)
        assert_loaded(settings, folder)
        assert load(settings, folder) == Loaded()

    def test_a_worker_that_comes_meanwhile_is_told_and_nothing_counts(
        self, settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_all = Loading.load

        async def then_a_worker(self: Any, *arguments: Any) -> None:
            await load_all(self, *arguments)
            taken = self._changelogs[1]
            other = Changelog(self._producer, taken._reader, taken._topic, 1, 4_711)
            await other.fence()

        with monkeypatch.context() as patched:
            patched.setattr(Loading, "load", then_a_worker)
            with pytest.raises(BrokerError, match="a worker or another bootstrap runs"):
                load(settings, folder)
        assert causes(settings) == ["bootstrap not ended"]
        load(settings, folder)
        assert_loaded(settings, folder)


def test_who_follows_already_hears_only_what_is_different(settings: Settings, folder: Path, another: Path) -> None:
    """The state is given up, the outputs stay: the older backfill was told, now comes the newer one."""
    load(settings, another)
    before = {body["user_id"]: body for body in bodies(settings, USER_PROFILES)}
    told = len(bodies(settings, SEGMENT_CHANGES))
    for name in (CHANGELOG, MODEL_CUTS, TRAINING_EXAMPLES):
        Installation.known(settings).recreate(name)
    load(settings, folder)
    now = {body["user_id"]: body for body in bodies(settings, USER_PROFILES)}
    moved = {
        (user_id, dimension)
        for user_id, body in now.items()
        for dimension, standing in standings(body).items()
        if standing != standings(before[user_id])[dimension]
    }
    assert moved
    changes = [body for body in bodies(settings, SEGMENT_CHANGES) if body["as_of"] == "2024-02-10T12:00:00.000Z"]
    assert len(bodies(settings, SEGMENT_CHANGES)) == told + len(changes)
    assert {(body["user_id"], body["dimension"]) for body in changes} == moved
    assert all(body["seq"] > before[body["user_id"]]["seq"] for body in changes)
    assert all(now[user_id]["seq"] > body["seq"] for user_id, body in before.items() if now[user_id] != body)


def standings(body: dict[str, Any]) -> dict[str, str | None]:
    """What a portrait says of each dimension."""
    risk = body["risk"] or {"band": None}
    return {"lifecycle": body["lifecycle"]["stage"], "value_tier": body["value"]["tier"], "risk_band": risk["band"]}
