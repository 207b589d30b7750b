"""CloudEvents 1.0 on Kafka, binary mode: what stands in the headers of an output. The same live and in a replay."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from streams.core.instants import format_instant


def cloud_event_headers(event_id: str, topic: str, source: str, time_ms: int) -> list[tuple[str, bytes]]:
    """The headers of CloudEvents 1.0's Kafka binding in binary mode.

    Parameters
    ----------
    event_id
        The output's id: a repeat carries the same.
    topic
        Catalogue name; the type is ``ebbtide.<topic>``.
    source
        URI-reference of who says so.
    time_ms
        When it holds, event time.

    >>> cloud_event_headers("a1", "churn-risk", "/ebbtide/shop/3", 0)[2]
    ('ce_type', b'ebbtide.churn-risk')
    """
    return cloud_event_headers_at(event_id, topic, source, format_instant(time_ms))


def cloud_event_headers_at(event_id: str, topic: str, source: str, time: str) -> list[tuple[str, bytes]]:
    """The same where the instant is written already, as in a body's ``as_of``."""
    return [
        _VERSION,
        ("ce_id", event_id.encode()),
        _type(topic),
        _source(source),
        ("ce_time", time.encode()),
        _JSON,
    ]


_VERSION: Final = ("ce_specversion", b"1.0")
_JSON: Final = ("content-type", b"application/json")


@lru_cache
def _type(topic: str) -> tuple[str, bytes]:
    return ("ce_type", b"ebbtide." + topic.encode())


@lru_cache
def _source(source: str) -> tuple[str, bytes]:
    return ("ce_source", source.encode())
