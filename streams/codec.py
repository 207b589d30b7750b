"""JSON in and out: the only home of orjson."""

from __future__ import annotations

from typing import Any, Final

import orjson


class CodecError(ValueError):
    """Bytes that are not JSON, or a value that JSON cannot carry; the message says which and where."""


parse: Final = orjson.loads
"""As :func:`decode`, for who asks it of every record and needs no words for what is wrong: a bare ValueError."""


def encode(value: Any, *, sort_keys: bool = False, newline: bool = False) -> bytes:
    """Write a value as compact UTF-8 JSON.

    Parameters
    ----------
    value
        dicts with str keys, lists, str, int (64 bits), float, bool and None. NaN and infinity become ``null``.
    sort_keys
        Keys in code point order: equal values give equal bytes, whatever the order they were put in.
    newline
        End with a line feed, as a line of a ``.jsonl`` file.

    Raises
    ------
    CodecError
        The value holds something that JSON cannot carry.

    Examples
    --------
    >>> encode({"b": 1, "a": "ü"}, sort_keys=True)
    b'{"a":"\\xc3\\xbc","b":1}'
    """
    option = (orjson.OPT_SORT_KEYS if sort_keys else 0) | (orjson.OPT_APPEND_NEWLINE if newline else 0)
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError as error:
        raise CodecError(f"cannot be written as JSON: {error}") from error


def decode(raw: bytes | bytearray | memoryview | str) -> Any:
    """Read one JSON document.

    Parameters
    ----------
    raw
        UTF-8 bytes, or text. Numbers beyond 64 bits come back as float; of a repeated key the last one holds.

    Raises
    ------
    CodecError
        Not JSON, not UTF-8, empty, or nested too deeply.

    Examples
    --------
    >>> decode(b'{"a":[1,2.5,null]}')
    {'a': [1, 2.5, None]}
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CodecError(f"not JSON: {error}") from error
