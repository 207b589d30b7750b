"""``ebbtide replay`` on both brokers: the topics once more say what a backfill of the files says; live stays alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient

from streams.cloud_events import cloud_event_headers
from streams.core.cleaning import CleaningPolicy, clean
from streams.core.errors import TopicError
from streams.core.events import INPUT_TOPICS, Event
from streams.core.ports import Rejection
from streams.live.inputs import InputBuffer
from streams.live.record_batches import Fetched, Span
from streams.provisioning import describe, ensure_topics
from streams.replay.files import open_log
from streams.replay.finished_topics import FinishedTopics, Received
from streams.replay.outgoing import partition_of
from streams.replay.publisher import publish
from streams.replay.topic_source import TopicSource
from streams.settings import Settings
from streams.topics import CHURN_RISK, DEAD_LETTERS, MODEL_CUTS, SEGMENT_CHANGES, SHADOWED, USER_PROFILES, topic_name
from tests.support.backfills import Ran, backfill, ebbtide, instant, shop_rows
from tests.support.brokers import RunningBroker
from tests.support.checkout import CHECKOUT
from tests.support.event_logs import write_log
from tests.support.variables import variables

UNTIL = "2024-04-20"
MAIN = "from streams.cli import main; main()"
NOTHING = {"event_type": "click", "ts": 1_704_067_200_000}


class Installation:
    """Topics with a small shop's log in them, published in two goes: the later half first."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        rows = [row | {"event_id": f"e{number:06d}"} for number, row in enumerate(shop_rows(users=25, days=100))]
        rows.insert(40, NOTHING)
        self.files = [
            write_log(folder / "early.jsonl", rows[: len(rows) // 2]),
            write_log(folder / "late.jsonl", rows[len(rows) // 2 :]),
        ]
        for number, file in enumerate(reversed(self.files)):
            publish([open_log(file)], settings, resume_path=folder / f"progress-{number}.json")
        ensure_topics(settings)

    def read(self, topic: str, suffix: str = "") -> list[Received]:
        return list(FinishedTopics(self.settings, [topic], suffix=suffix).records())


@pytest.fixture(scope="module")
def installation(broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(broker.settings(), tmp_path_factory.mktemp("installation"))


@pytest.fixture(scope="module")
def expected(installation: Installation) -> Ran:
    """What a backfill of the files says."""
    return backfill(installation.files, installation.folder / "expected", until=UNTIL)


@pytest.fixture
def here(installation: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working folder whose settings are those of the installation."""
    monkeypatch.chdir(tmp_path)
    for name, value in variables(installation.settings).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture(scope="module")
def shadow(installation: Installation) -> str:
    """Name of a replay into shadow topics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(installation.folder)
        for name, value in variables(installation.settings).items():
            patch.setenv(name, value)
        assert ebbtide("replay", "--to", UNTIL, "--suffix", "trial") == 0
    return "trial"


def test_a_replay_into_files_says_what_a_backfill_of_the_files_says(here: Path, expected: Ran) -> None:
    assert ebbtide("replay", "--to", UNTIL, "--out", here / "replayed") == 0
    replayed = Ran(here / "replayed")
    assert ebbtide("diff", here / "replayed", expected.folder) == 0
    # the portrait, the settled state and the model to the byte; outputs name other positions
    assert replayed.summary["hashes"]["profiles"] == expected.summary["hashes"]["profiles"]
    assert replayed.summary["hashes"]["model"] == expected.summary["hashes"]["model"]
    assert replayed.summary["records"] == expected.summary["records"]
    assert replayed.summary["observations"] == expected.summary["observations"]


def test_a_replay_into_topics_says_the_same(here: Path, expected: Ran, shadow: str) -> None:
    assert ebbtide("diff", f"topics:{shadow}", expected.folder) == 0


def test_two_replays_into_topics_agree_even_on_positions(here: Path, shadow: str) -> None:
    assert ebbtide("replay", "--to", UNTIL, "--suffix", "again") == 0
    assert ebbtide("diff", f"topics:{shadow}", "topics:again", "--positions") == 0


def test_live_outputs_and_groups_are_untouched(installation: Installation, shadow: str) -> None:
    for topic in SHADOWED:
        assert installation.read(topic) == []
    admin = KafkaAdminClient(bootstrap_servers=installation.settings.brokers)
    try:
        groups = [str(group) for group in admin.list_groups()]
    finally:
        admin.close()
    assert not [group for group in groups if installation.settings.group_id in group]


def test_shadow_topics_are_made_like_the_originals(installation: Installation, shadow: str) -> None:
    originals = {state.topic.name: state for state in describe(installation.settings, SHADOWED)}
    for state in describe(installation.settings, SHADOWED, suffix=f"-{shadow}"):
        original = originals[state.topic.name]
        assert state.name == f"{original.name}-{shadow}"
        assert (state.partitions, state.config) == (original.partitions, original.config)


def test_every_output_is_keyed_placed_and_headed_as_the_workers(installation: Installation, shadow: str) -> None:
    for topic in (SEGMENT_CHANGES, CHURN_RISK, USER_PROFILES):
        records = installation.read(topic, f"-{shadow}")
        assert records
        for record in records:
            assert record.key is not None
            assert record.value is not None
            body = json.loads(record.value)
            assert record.key.decode() == body["user_id"]
            assert record.partition == partition_of(record.key, installation.settings.partitions)
            assert list(record.headers) == cloud_event_headers(
                body["id"],
                topic,
                f"/ebbtide/{installation.settings.group_id}/replay/{shadow}",
                instant(body["as_of"]),
            )


def test_causes_name_where_the_record_stands_in_the_topic(installation: Installation, shadow: str) -> None:
    there = {
        (topic, record.partition, record.offset): json.loads(record.value or b"")["event_id"]
        for topic in INPUT_TOPICS
        for record in installation.read(topic)
    }
    causes = [json.loads(record.value or b"")["cause"] for record in installation.read(SEGMENT_CHANGES, f"-{shadow}")]
    by_event = [cause for cause in causes if cause["kind"] == "event"]
    assert by_event
    for cause in by_event:
        assert there[cause["topic"], cause["partition"], cause["offset"]] == cause["event_id"]


def test_a_rejected_record_is_a_dead_letter_as_it_was(installation: Installation, shadow: str) -> None:
    (letter,) = installation.read(DEAD_LETTERS, f"-{shadow}")
    headers = dict(letter.headers)
    (original,) = [
        record
        for record in installation.read("clicks")
        if record.partition == letter.partition and record.offset == int(headers["__streams.errors.offset"])
    ]
    assert (letter.key, letter.value) == (original.key, original.value)
    assert headers["__streams.errors.exception"] == b"missing_user"
    assert headers["__streams.errors.topic"].decode() == topic_name("clicks", installation.settings)


def test_the_final_model_is_in_its_shadow_topic(installation: Installation, expected: Ran, shadow: str) -> None:
    (cut,) = installation.read(MODEL_CUTS, f"-{shadow}")
    model = json.loads((expected.folder / "model.json").read_bytes())
    found = json.loads(cut.value or b"")
    assert (found["final"], found["version"]) == (True, model["version"])


def test_what_a_worker_said_live_is_what_a_replay_says(
    broker: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the position and the mode: a finished log under ``--clock log``, then the same topics once more."""
    settings = broker.settings()
    monkeypatch.chdir(tmp_path)
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EBBTIDE_HTTP_PORT", "0")
    log = write_log(tmp_path / "log.jsonl", shop_rows(users=25, days=60))
    publish([open_log(log)], settings, resume_path=tmp_path / "progress.json")
    ended = subprocess.run(
        [sys.executable, "-c", MAIN, "worker", "--clock", "log", "--until", "2024-02-20", "--trainer"],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    assert ebbtide("replay", "--to", "2024-02-20", "--suffix", "trial") == 0
    assert ebbtide("diff", "topics", "topics:trial", "--positions") == 0


def test_an_earlier_replay_is_in_the_way_unless_replaced(
    here: Path, shadow: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ebbtide("replay", "--to", UNTIL, "--suffix", shadow) == 1
    captured = capsys.readouterr()
    assert "Choose another --suffix, or add --replace." in captured.err
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert ebbtide("replay", "--to", "2024-02-01", "--suffix", "short") == 0
    assert ebbtide("diff", f"topics:{shadow}", "topics:short") == 1
    assert ebbtide("replay", "--to", UNTIL, "--suffix", "short", "--replace") == 0
    assert ebbtide("diff", f"topics:{shadow}", "topics:short") == 0


def test_from_and_to_bound_event_time(here: Path, installation: Installation) -> None:
    assert ebbtide("replay", "--from", "2024-02-01", "--to", "2024-03-01", "--out", here / "month") == 0
    summary = Ran(here / "month").summary
    within = [
        row
        for file in installation.files
        for row in map(json.loads, file.read_text().splitlines())
        if instant("2024-02-01") <= row["ts"] <= instant("2024-03-01")
    ]
    assert summary["records"]["read"] == len(within)
    assert summary["event_time"]["from"] >= "2024-02-01"
    assert summary["watermark"] == "2024-03-01T00:00:00.000Z"


def test_a_source_that_spools_gives_the_same_rows(installation: Installation) -> None:
    found = []
    for run_bytes in (1_000, 1 << 26):
        with TopicSource(installation.settings, run_bytes=run_bytes) as source:
            source.read()
            rows = list(source.rows())
            assert len(rows) == source.total
            found.append(rows)
    assert found[0] == found[1]
    instants = [row.ts_ms for row in found[0] if row.ts_ms is not None]
    assert instants == sorted(instants)


def test_the_last_portrait_of_a_user_counts(
    broker: RunningBroker, expected: Ran, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic as workers fill it: one portrait was replaced, one user forgotten."""
    settings = broker.settings()
    ensure_topics(settings)
    for name, text in variables(settings).items():
        monkeypatch.setenv(name, text)
    body = next(iter(expected.profiles().values()))
    producer = KafkaProducer(bootstrap_servers=settings.brokers, enable_idempotence=False)
    for user, value in (
        (body["user_id"], json.dumps(body | {"seq": 0}).encode()),
        ("gone", json.dumps(body | {"user_id": "gone"}).encode()),
        (body["user_id"], json.dumps(body).encode()),
        ("gone", None),
    ):
        partition = partition_of(user.encode(), settings.partitions)
        topic = topic_name(USER_PROFILES, settings)
        producer.send(topic, value=value, key=user.encode(), partition=partition).get(30)
    producer.close()
    assert ebbtide("profile", body["user_id"], "--json") == 0
    assert json.loads(capsys.readouterr().out) == body
    for user in ("gone", "never-seen"):
        assert ebbtide("profile", user) == 1
        assert f"knows no user {user!r}" in capsys.readouterr().err
    assert ebbtide("diff", "topics", "topics") == 0
    assert ["user-profiles", "1", "1", "1"] in [line.split()[:4] for line in capsys.readouterr().out.splitlines()]


def test_topics_that_are_missing_are_named(broker: RunningBroker) -> None:
    with pytest.raises(TopicError, match="clicks"):
        FinishedTopics(broker.settings(), INPUT_TOPICS)


# -- what a record means ----------------------------------------------------------------------------------------------

ODD = [
    b'{"user_id":"u","ts":1704067200000,"action":"view"}',
    b'{"event_id":"named","user_id":"u","ts":"2024-01-01T00:00:01Z","action":"cart"}',
    b"not json",
    b"[1,2]",
    b'"text"',
    None,
    b'{"user_id":"u"}',
    b'{"user_id":"u","ts":99999999999999}',
    b'{"user_id":"u","ts":1704067200000,"query":"' + b"x" * 300_000 + b'"}',
]


def test_every_record_means_what_it_means_to_the_worker(broker: RunningBroker) -> None:
    """Id, position, whether it is named, reason and words of a rejection: as the live reader has them."""
    settings = broker.settings(partitions=1)
    ensure_topics(settings, INPUT_TOPICS)
    producer = KafkaProducer(bootstrap_servers=settings.brokers, enable_idempotence=False)
    for value in ODD:
        producer.send(topic_name("clicks", settings), value=value, key=b"u", partition=0).get(30)
    producer.close()
    policy = CleaningPolicy()
    with TopicSource(settings) as source:
        source.read()
        ours: dict[int, Event | Rejection] = {}
        for row in source.rows():
            assert row.kind is not None
            ours[row.position.offset] = (
                Rejection(*row.fault, row.position)
                if row.fault is not None
                else clean(
                    row.raw,
                    row.kind,
                    position=row.position,
                    record_id=row.record_id,
                    published_ms=row.published_ms,
                    policy=policy,
                )
            )
    records = list(FinishedTopics(settings, ["clicks"]).records())
    assert [ours[offset] for offset in sorted(ours)] == list(as_the_worker(settings, records, policy))


def as_the_worker(
    settings: Settings, records: Sequence[Received], policy: CleaningPolicy
) -> Iterator[Event | Rejection]:
    class Record:
        def __init__(self, received: Received) -> None:
            self.offset, self.timestamp = received.offset, received.timestamp_ms
            self.key, self.value, self.headers = received.key, received.value, received.headers

    buffer = InputBuffer(topic_name("clicks", settings), 0, 0, policy, 0, -1)
    fetched: Any = Fetched([Record(record) for record in records], Span(0, len(records)))
    buffer.add(fetched, lambda: None)
    while buffer.head() is not None:
        yield buffer.take()[0]
