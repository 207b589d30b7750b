"""What a row becomes on Kafka, and on which partition."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.partitioner.default import murmur2

from streams import codec
from streams.core.cleaning import CleaningPolicy, clean
from streams.core.events import Event, Position
from streams.replay.outgoing import MAX_MESSAGE_BYTES, Outgoing, outgoing, partition_of, place_of
from streams.replay.records import Fault, RawRecord, record_id

DIGEST = "0123456789abcdef" * 4


def message(raw: dict[str, Any], kind: int | None = 0) -> Outgoing | None:
    return outgoing(RawRecord(7, kind, 5, raw, None), DIGEST)


def body(raw: dict[str, Any]) -> dict[str, Any]:
    sent = message(raw)
    assert sent is not None
    decoded: dict[str, Any] = codec.decode(sent.value)
    return decoded


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_hash_as_in_java(key: bytes, signed: int) -> None:
    """The vectors of Apache Kafka's UtilsTest.testMurmur2."""
    assert murmur2(key) == signed % 2**32
    assert partition_of(key, 8) == (signed & 0x7FFFFFFF) % 8


def test_a_record_without_user_has_one_fixed_partition() -> None:
    assert partition_of(b"", 8) == (murmur2(b"") & 0x7FFFFFFF) % 8


@pytest.mark.parametrize(("kind", "topic"), [(0, "clicks"), (1, "searches"), (2, "purchases")])
def test_the_event_type_chooses_the_topic(kind: int, topic: str) -> None:
    sent = message({"user_id": "u"}, kind)
    assert sent is not None
    assert sent.topic == topic


@pytest.mark.parametrize(
    ("user", "key"), [("ü", "ü".encode()), (" u ", b"u"), (17, b"17"), (None, b""), ("", b""), ([], b"")]
)
def test_the_key_is_the_user_that_cleaning_will_find(user: object, key: bytes) -> None:
    sent = message({"user_id": user})
    assert sent is not None
    assert sent.key == key


@pytest.mark.parametrize("own", [{}, {"event_id": None}, {"event_id": ""}, {"event_id": " "}])
def test_a_row_without_event_id_is_named_by_file_and_row(own: dict[str, Any]) -> None:
    assert body({"user_id": "u", **own})["event_id"] == "0123456789ab-000000007"


def test_a_row_keeps_its_own_event_id() -> None:
    assert body({"user_id": "u", "event_id": "e1"})["event_id"] == "e1"


def test_the_topic_says_the_event_type_so_the_body_does_not() -> None:
    assert "event_type" not in body({"user_id": "u", "event_type": "click"})


def test_publishing_leaves_the_row_as_it_was() -> None:
    raw = {"user_id": "u", "event_type": "click"}
    message(raw)
    assert raw == {"user_id": "u", "event_type": "click"}


@pytest.mark.parametrize("reason", ["not_json", "not_an_object"])
def test_broken_bytes_go_to_clicks_as_they_are(reason: str) -> None:
    record = RawRecord(7, None, None, b'{"a', Fault(reason, "x"))
    assert outgoing(record, DIGEST) == Outgoing("clicks", b"", b'{"a')


def test_a_row_of_unknown_type_cannot_be_routed() -> None:
    assert message({"user_id": "u"}, None) is None


def test_an_overlong_line_is_not_sent() -> None:
    assert outgoing(RawRecord(7, None, None, b"xx", Fault("oversized", "x")), DIGEST) is None


def test_a_message_that_kafka_would_refuse_is_not_sent() -> None:
    assert message({"user_id": "u", "query": "x" * MAX_MESSAGE_BYTES}) is None


def test_a_published_row_is_cleaned_to_the_event_of_the_file() -> None:
    raw = {"event_type": "purchase", "user_id": 17, "ts": "2024-05-01T10:00:00Z", "price": 2.55, "quantity": -2}
    sent = message(raw, 2)
    assert sent is not None
    where = Position("purchases", 3, 9)
    both = [
        clean(
            value, 2, position=where, record_id=record_id(DIGEST, 7), published_ms=2 * 10**12, policy=CleaningPolicy()
        )
        for value in (raw, codec.decode(sent.value))
    ]
    assert isinstance(both[0], Event)
    assert isinstance(both[1], Event)
    assert both[0].sort_key == both[1].sort_key
    assert both[0].lines == both[1].lines
    assert (both[0].named, both[1].named) == (False, True)


def test_records_without_a_user_are_spread_over_all_partitions_the_same_way_every_time() -> None:
    messages = [Outgoing("clicks", b"", b"{broken %d" % n) for n in range(200)]
    places = [place_of(message, 4) for message in messages]
    assert set(places) == set(range(4))
    assert places == [place_of(message, 4) for message in messages]
