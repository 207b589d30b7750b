"""Publishing: pace, acknowledgements, resuming. The clock moves by sleeping only, the broker is a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from streams import codec
from streams.core.errors import BrokerError, StateError
from streams.replay import publisher
from streams.replay.files import open_log
from streams.replay.outgoing import Outgoing
from streams.replay.publisher import PublishReport, PublishState, Pump
from streams.replay.resume import PublishProgress, publication
from tests.support.event_logs import click, write_log

TOPICS = {"clicks": "id-1", "searches": "id-2", "purchases": "id-3"}


class Clock:
    """Time in seconds; stands still unless somebody sleeps."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.at += seconds


class Ack:
    """An acknowledgement: there, failed, or out until the sender is closed."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.is_done = True
        self._failure = failure

    def get(self, timeout: float | None = None) -> object:
        if self._failure is not None:
            raise self._failure
        return object()


class Broker:
    """Takes messages into a list; ``refuse_from`` is the place of the first it does not acknowledge."""

    def __init__(self, clock: Clock, refuse_from: int | None = None) -> None:
        self.clock = clock
        self.refuse_from = refuse_from
        self.messages: list[tuple[float, Outgoing, int]] = []
        self.closed = False

    def send(self, message: Outgoing, timestamp_ms: int) -> Ack:
        refused = self.refuse_from is not None and len(self.messages) >= self.refuse_from
        self.messages.append((self.clock.at, message, timestamp_ms))
        return Ack(KafkaTimeoutError("no answer") if refused else None)

    def close(self, timeout_s: float) -> None:
        self.closed = True

    @property
    def rows(self) -> list[int]:
        """Row numbers in the order sent."""
        return [int(codec.decode(message.value)["event_id"][-9:]) for _, message, _ in self.messages]


class Shop:
    """A log of ``rows`` clicks a second apart, a progress file and a clock."""

    def __init__(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        self.log = open_log(write_log(folder / "log.jsonl", rows))
        self.path = folder / "progress" / "p.json"
        self.clock = Clock()
        self.told: list[PublishState] = []

    def publish(
        self, broker: Broker, *, rate: float | None = None, speed: float | None = None, topics: dict[str, str] = TOPICS
    ) -> PublishReport:
        progress = PublishProgress(self.path, [self.log.digest], topics)
        pump = Pump(
            [self.log],
            broker,
            progress,
            now=lambda: 1_700_000_000.5,
            clock=self.clock,
            sleep=self.clock.sleep,
            on_progress=self.told.append,
        )
        return pump.run(rate=rate, speed=speed, ack_timeout_s=1)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, [click(f"u{n}", ts=1_000 * n) for n in range(300)])


def test_every_row_is_sent_in_order(shop: Shop) -> None:
    broker = Broker(shop.clock)
    report = shop.publish(broker)
    assert broker.rows == list(range(300))
    assert (report.rows, report.acknowledged, report.resumed, report.unroutable) == (300, 300, 0, 0)
    assert report.by_topic == {"clicks": 300}
    assert broker.closed


def test_messages_carry_the_time_of_publishing(shop: Shop) -> None:
    broker = Broker(shop.clock)
    shop.publish(broker)
    assert {timestamp for _, _, timestamp in broker.messages} == {1_700_000_000_500}


def test_the_end_is_told(shop: Shop) -> None:
    shop.publish(Broker(shop.clock))
    assert shop.told[-1] == PublishState(rows=300, done=300, resumed=0)


def test_a_rate_is_kept(shop: Shop) -> None:
    broker = Broker(shop.clock)
    report = shop.publish(broker, rate=10)
    assert broker.messages[20][0] == pytest.approx(102.0)
    assert report.seconds == pytest.approx(29.9)


def test_a_speed_is_kept(shop: Shop) -> None:
    broker = Broker(shop.clock)
    shop.publish(broker, speed=2)
    assert broker.messages[60][0] == pytest.approx(130.0)


def test_a_row_without_time_is_not_waited_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path, [click(ts=0), click(ts=None), click(ts=4_000)])
    broker = Broker(shop.clock)
    shop.publish(broker, speed=1)
    assert [at for at, _, _ in broker.messages] == pytest.approx([100, 100, 104])


def test_rows_without_a_type_are_counted_not_sent(tmp_path: Path) -> None:
    shop = Shop(tmp_path, [click(ts=0), {**click(ts=1), "event_type": "x"}, click(ts=2)])
    broker = Broker(shop.clock)
    report = shop.publish(broker)
    assert broker.rows == [0, 2]
    assert (report.acknowledged, report.unroutable) == (2, 1)
    assert shop.told[-1].done == 3


def test_a_refusal_says_what_is_published(shop: Shop) -> None:
    with pytest.raises(BrokerError, match="120 of 300 rows") as caught:
        shop.publish(Broker(shop.clock, refuse_from=120))
    assert "goes on from there" in caught.value.hint


def test_after_a_refusal_it_goes_on_behind_the_last_acknowledged_row(shop: Shop) -> None:
    with pytest.raises(BrokerError):
        shop.publish(Broker(shop.clock, refuse_from=120))
    broker = Broker(shop.clock)
    report = shop.publish(broker)
    assert broker.rows == list(range(120, 300))
    assert (report.resumed, report.acknowledged) == (120, 180)


def test_an_interruption_keeps_what_was_acknowledged(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(seconds: float) -> None:
        shop.clock.at += seconds
        if shop.clock.at > 105:
            raise KeyboardInterrupt

    monkeypatch.setattr(shop.clock, "sleep", interrupt)
    broker = Broker(shop.clock)
    with pytest.raises(KeyboardInterrupt):
        shop.publish(broker, rate=10)
    sent = len(broker.messages)
    assert broker.closed
    monkeypatch.undo()
    rest = Broker(shop.clock)
    assert shop.publish(rest).resumed == sent
    assert rest.rows == list(range(sent, 300))


def test_what_was_published_is_not_sent_again(shop: Shop) -> None:
    shop.publish(Broker(shop.clock))
    broker = Broker(shop.clock)
    report = shop.publish(broker)
    assert broker.messages == []
    assert (report.resumed, report.acknowledged) == (300, 0)


def test_topics_created_anew_are_published_to_from_the_first_row(shop: Shop) -> None:
    shop.publish(Broker(shop.clock))
    broker = Broker(shop.clock)
    shop.publish(broker, topics={**TOPICS, "clicks": "id-9"})
    assert broker.rows == list(range(300))


def test_progress_is_kept_while_it_runs(shop: Shop) -> None:
    class Dying(Broker):
        def send(self, message: Outgoing, timestamp_ms: int) -> Ack:
            kept.append(PublishProgress(shop.path, [shop.log.digest], TOPICS).acknowledged)
            return super().send(message, timestamp_ms)

    kept: list[int] = []
    shop.publish(Dying(shop.clock), rate=10)
    assert kept[-1] > 250
    assert kept == sorted(kept)


def test_pending_messages_are_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Ack):
        def __init__(self) -> None:
            super().__init__()
            self.is_done = False
            out.append(self)

        def get(self, timeout: float | None = None) -> object:
            self.is_done = True
            return object()

    class Lagging(Broker):
        def send(self, message: Outgoing, timestamp_ms: int) -> Ack:
            super().send(message, timestamp_ms)
            most.append(sum(not ack.is_done for ack in out))
            return Slow()

    out: list[Slow] = []
    most: list[int] = []
    monkeypatch.setattr(publisher, "PENDING", 8)
    shop.publish(Lagging(shop.clock))
    assert max(most) == 7


# -- the progress file


def test_a_damaged_progress_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    for content in (b"{", b"[]", b'{"acknowledged":-1}', b'{"acknowledged":"x"}'):
        path.write_bytes(content)
        with pytest.raises(StateError, match=r"p\.json"):
            PublishProgress(path, ["d"], TOPICS)


def test_progress_of_other_logs_does_not_count(tmp_path: Path) -> None:
    PublishProgress(tmp_path / "p.json", ["d"], TOPICS).save(5)
    assert PublishProgress(tmp_path / "p.json", ["e"], TOPICS).acknowledged == 0
    assert PublishProgress(tmp_path / "p.json", ["d"], TOPICS).acknowledged == 5


def test_saving_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    PublishProgress(tmp_path / "new" / "p.json", ["d"], TOPICS).save(5)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["p.json"]


def test_an_unwritable_progress_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written|cannot be used"):
        PublishProgress(tmp_path / "file" / "p.json", ["d"], TOPICS).save(5)


def test_the_order_of_the_logs_names_the_publication() -> None:
    assert publication(["a", "b"]) != publication(["b", "a"])
