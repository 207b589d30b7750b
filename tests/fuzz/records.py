"""What the fuzzer begins with, and how it changes it: records as producers send them, and values nobody should send."""

from __future__ import annotations

import json
import random
from typing import Any, Final

SEEDS: Final[tuple[tuple[int, Any], ...]] = (
    (0, {"event_id": "e1", "user_id": "ann", "ts": "@now", "item_id": "i7", "action": "view"}),
    (
        0,
        {
            "user_id": "bob",
            "ts": "@iso",
            "item_id": "i8",
            "action": "fav",
            "category": "tea",
            "brand": "b",
            "price": 9.9,
        },
    ),
    (0, {"user_id": "ann", "ts": "@late", "action": "product_hit", "session_id": "s1", "channel": "app"}),
    (0, {"user_id": 17, "ts": "@soon", "action": "cart", "price": 0.0018, "campaign_id": "c"}),
    (0, {"user_id": "小明", "ts": "@old", "action": "分享", "category": "茶"}),
    (1, {"event_id": "e2", "user_id": "ann", "ts": "@now", "query": "green tea", "results": 12, "session_id": "s1"}),
    (1, {"user_id": "bob", "ts": "@iso", "query": "q" * 300, "category": "tea"}),
    (2, {"user_id": "ann", "ts": "@now", "order_id": "o1", "lines": [{"item_id": "i", "price": 12.5, "quantity": 2}]}),
    (
        2,
        {"user_id": "ann", "ts": "@now", "refund_of": "o1", "lines": [{"item_id": "i", "price": 12.5, "quantity": -2}]},
    ),
    (2, {"user_id": "bob", "ts": "@iso", "item_id": "i", "price": 3, "quantity": 1, "currency": "EUR", "coupon": "x"}),
    (2, {"user_id": "bob", "ts": "@late", "item_id": "i", "action": "refund", "price": 3, "quantity": 1}),
    (2, {"user_id": "eve", "ts": "@now", "lines": [{}, {"quantity": 0}, {"price": 50001.0, "category": "cups"}]}),
)
FIELDS: Final = (
    *("event_id", "user_id", "ts", "item_id", "action", "category", "brand", "price", "session_id", "query", "results"),
    *("order_id", "quantity", "refund_of", "lines", "currency", "coupon", "channel", "campaign_id", "other"),
)
INSTANTS: Final = ("@now", "@iso", "@soon", "@late", "@old", "@year")
USERS: Final = ("ann", "bob", "小明", "eve", 17)

NUMBERS: Final = (
    *(0, -0.0, 1, -1, 2, 0.5, 0.1, -0.001, 1e-9, 4.9e-324, 1e9, 1000000000.0000001, 1e15, 1e16, 1e22, 1.7e308, -1e308),
    *(2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, 50_000, 50_000.01),
    *(631_152_000_000, 631_151_999_999, 1_700_000_000, 253_402_300_799_999, 253_402_300_800_000, -62_135_596_800_000),
)
TEXTS: Final = (
    *("", " ", "\t\n", "0", "null", "NaN", "e1", "e2", "a" * 127, "a" * 129, "ab" * 150, "é", "é", "🙂" * 64, "\x00x"),
    *("\ud800", "\udfffx", "\u202eevil", "\ufeff", "a\x00b", "\x7f", "' OR 1=1 --", "../../etc/passwd", "${jndi:x}"),
    *("1970-01-01T00:00:00Z", "2024-02-29T23:59:60Z", "2023-02-29T00:00:00Z", "9999-12-31T23:59:59.999Z"),
    *("0000-01-01T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00+23:59", "2024-01-01t00:00z", "20240101T000000Z"),
    *("١٧٠٠٠٠٠٠٠٠٠٠٠", "1700000000000", "1e12", "0x10", "-1", "Infinity", "view", "cart", "cancel", "refund", "buy"),
)
ODD: Final[tuple[Any, ...]] = (
    *NUMBERS,
    *TEXTS,
    *(None, True, False, [], {}, [[]], [None], {"a": {}}, ["@now"], [{}] * 9, {"price": 1}, [{"quantity": 1}] * 40),
)
DICTIONARY: Final = (
    *sorted({f'"{word}"' for word in (*FIELDS, *INSTANTS, "ann", "e1", "view", "refund")}),
    *("1e400", "-0", "1e-400", "\\ud800", "\\u0000", "[[[[", "}}", "null", "true", "NaN", "Infinity", "\ufeff"),
)
"""Words for libFuzzer to put in."""

STEPS_MS: Final = (0, 0, 0, 1, 1, 50, 1_000, 1_000, 60_000, 299_000, 601_000, 3_600_000, 86_400_000, 7 * 86_400_000)
RARE_STEPS_MS: Final = (31 * 86_400_000, 91 * 86_400_000, 366 * 86_400_000, 731 * 86_400_000)
"""How far the Kafka timestamps move on with a record."""


def layout(kind: int, value: bytes, *, flags: int = 0, step: int = 0) -> bytes:
    """An input of the fuzzer: which topic, how time moves on, and the record's bytes.

    >>> unlayout(layout(2, b"{}", step=3))
    (2, 1, True, False, b'{}')
    """
    return bytes([kind | flags << 2, step]) + value


def unlayout(data: bytes) -> tuple[int, int, bool, bool, bytes]:
    """Topic, step in ms, whether to apply at once, whether the value is missing, and the value."""
    first, second = (data[0], data[1]) if len(data) > 1 else (0, 0)
    step = RARE_STEPS_MS[first & 3] if second == 255 else STEPS_MS[second % len(STEPS_MS)]
    return first % 4 % 3, step, first & 0x1C != 0x1C, first >= 0xF0, data[2:]


def seeds() -> list[bytes]:
    """The corpus to begin with."""
    found = [layout(kind, written(body), step=4) for kind, body in SEEDS]
    return [*found, layout(0, b""), layout(0, b"[]"), layout(0, b"{"), layout(1, b'"x"'), layout(2, b"null")]


def written(body: Any) -> bytes:
    """JSON text; lone surrogates as the escapes that a careless producer writes."""
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()


def mutated(data: bytes, choose: random.Random) -> bytes | None:
    """Another input that is as well formed as this one; None where this one is not."""
    kind, _, _, _, value = unlayout(data)
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        return None
    for _ in range(1 + int(choose.random() * 3)):
        body = _changed(body, choose)
    if choose.random() < 0.05:
        kind = int(choose.random() * 3)
    flags = int(choose.random() * 60)
    step = data[1] if len(data) > 1 and choose.random() < 0.5 else int(choose.random() * 256)
    try:
        return layout(kind, written(body), flags=flags, step=step)
    except (ValueError, RecursionError):
        return None


def _one(options: tuple[Any, ...], choose: random.Random) -> Any:
    return options[int(choose.random() * len(options))]


def _changed(body: Any, choose: random.Random) -> Any:
    if type(body) is not dict:
        return {"user_id": "ann", "ts": "@now", "x": body} if choose.random() < 0.8 else _one(ODD, choose)
    dice = choose.random()
    if dice < 0.15:
        body["ts"] = _one(INSTANTS, choose)
    elif dice < 0.3:
        body["user_id"] = _one(USERS, choose)
    elif dice < 0.4:
        body.pop(_one(FIELDS, choose), None)
    elif dice < 0.5:
        lines = body.get("lines")
        if type(lines) is list and lines and type(lines[0]) is dict:
            lines[int(choose.random() * len(lines))] = {**lines[0], _one(FIELDS, choose): _one(ODD, choose)}
        else:
            body["lines"] = [{"item_id": "i", "price": _one(NUMBERS, choose), "quantity": _one((1, 2, -1, 0), choose)}]
    elif dice < 0.6:
        body["event_id"] = f"e{int(choose.random() * 40)}"
    elif dice < 0.7:
        body["order_id"] = f"o{int(choose.random() * 4)}"
    elif dice < 0.72:
        return {"user_id": "ann", "ts": "@now", "lines": _deep(choose)}
    elif dice < 0.76:
        return json.loads(written(_one(SEEDS, choose)[1]))
    else:
        body[_one(FIELDS, choose)] = _one(ODD, choose)
    return body


def _deep(choose: random.Random) -> Any:
    value: Any = 1
    for _ in range(int(choose.random() * 60)):
        value = [value] if choose.random() < 0.5 else {"lines": value}
    return value
