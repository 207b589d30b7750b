"""CloudEvents 1.0 on Kafka, binary mode: what stands in the headers of an output. The same live and in a replay."""

from __future__ import annotations

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
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", event_id.encode()),
        ("ce_type", b"ebbtide." + topic.encode()),
        ("ce_source", source.encode()),
        ("ce_time", format_instant(time_ms).encode()),
        ("content-type", b"application/json"),
    ]
