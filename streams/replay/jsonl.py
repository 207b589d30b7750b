"""JSON lines as an event log: one object per line, plain, gzip or Zstandard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Final

from streams import codec
from streams.core.errors import InputFileError
from streams.core.fields import name_of
from streams.core.instants import parse_instant
from streams.replay.compression import decompressed, told
from streams.replay.records import (
    KINDS,
    KNOWN_COLUMNS,
    REQUIRED_COLUMNS,
    Fault,
    OrderCheck,
    RawRecord,
    RowOrder,
    unknown_type,
    with_kinds_in_order,
)
from streams.replay.spool import Spool

_made: Final = tuple.__new__
"""Makes a named tuple without looking at its arguments one by one: a third of the time."""
TRIED_LINES: Final = 20
"""If none of so many first lines is a JSON object, the file is no event log."""
TRIED_ROWS: Final = 1_000
"""If a required field is in none of so many first rows, the file has no such column."""
NAMED_EXTRAS: Final = 50


class JsonLog:
    """A log of JSON lines; use :func:`streams.replay.files.open_log`."""

    def __init__(self, path: Path, digest: str, notify: Callable[[str], None], max_record_bytes: int) -> None:
        self.path = path
        self.digest = digest
        self._notify = notify
        self._max_record_bytes = max_record_bytes
        self.rows = 0
        self.in_order = True
        self._kinds_in_order = True
        self.extra_columns: tuple[str, ...] = ()
        self._look_through()

    def records(self) -> Iterator[RawRecord]:
        """Every row by (time, kind, row); a line that is no JSON object is a row with a fault."""
        if not self.in_order:
            self._notify(f"{self.path} is not in time order: it is sorted first.")
            return self._sorted()
        return self._streamed() if self._kinds_in_order else with_kinds_in_order(self._streamed())

    def _streamed(self) -> Iterator[RawRecord]:
        for row, line in self._lines():
            yield self._record(row, line)

    def _sorted(self) -> Iterator[RawRecord]:
        order = RowOrder()
        with Spool(tuple[int, int, bytes]) as spool:
            for row, line in self._lines():
                record = self._record(row, line)
                spool.add((order.key(record.ts_ms, record.kind), row, line))
            for _, row, line in spool.entries():
                yield self._record(row, line)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """(row, line) of every line that is not blank; an overlong one is cut just beyond the limit."""
        with told(self.path), decompressed(self.path) as stream:
            longest = self._max_record_bytes + 2
            for row, line in enumerate(iter(partial(stream.readline, longest), b"")):
                if row == 0 and line.startswith(b"\xef\xbb\xbf"):
                    line = line[3:]
                if len(line) == longest and not line.endswith(b"\n"):
                    _skip_line(stream)
                elif line.isspace() or not line:
                    continue
                yield row, line

    def _record(self, row: int, line: bytes) -> RawRecord:
        if len(line) > self._max_record_bytes and len(line.rstrip(b"\r\n")) > self._max_record_bytes:
            fault = Fault("oversized", f"the line has more than {self._max_record_bytes} bytes")
            return RawRecord(row, None, None, line[: self._max_record_bytes], fault)
        try:
            raw = codec.parse(line)
        except ValueError:
            return self._unparsed(row, line)
        if type(raw) is not dict:
            fault = Fault("not_an_object", f"a record must be a JSON object, this is {name_of(raw)}")
            return RawRecord(row, None, None, line.rstrip(b"\r\n"), fault)
        event_type = raw.get("event_type")
        kind = KINDS.get(event_type) if type(event_type) is str else None
        unknown = None if kind is not None else unknown_type(event_type)
        return _made(RawRecord, (row, kind, parse_instant(raw.get("ts")), raw, unknown))

    def _unparsed(self, row: int, line: bytes) -> RawRecord:
        try:
            codec.decode(line)
        except codec.CodecError as error:
            return RawRecord(row, None, None, line.rstrip(b"\r\n"), Fault("not_json", str(error)))
        raise AssertionError("it was no JSON a moment ago")

    def _look_through(self) -> None:
        """Read the whole file once: that it can be read, is a log, is in order, and what nobody will read of it."""
        order = RowOrder()
        check = OrderCheck()
        objects = 0
        missing = set(REQUIRED_COLUMNS)
        extra: set[str] = set()
        for row, line in self._lines():
            self.rows += 1
            record = self._record(row, line)
            check.see_one(order.key(record.ts_ms, record.kind))
            if isinstance(record.raw, dict):
                objects += 1
                if missing:
                    missing -= record.raw.keys()
                    if objects >= TRIED_ROWS:
                        self._check_columns(missing)
                if not record.raw.keys() <= KNOWN_COLUMNS and len(extra) < NAMED_EXTRAS:
                    extra |= record.raw.keys() - KNOWN_COLUMNS
            elif not objects and self.rows >= TRIED_LINES:
                break
        if not self.rows:
            raise InputFileError(f"{self.path} is empty.", "An event log has at least one row.")
        if not objects:
            raise InputFileError(
                f"{self.path} is not an event log: none of its first {self.rows} lines is a JSON object.",
                "Give JSON lines (one object per line; plain, .gz or .zst) or Parquet.",
            )
        self._check_columns(missing)
        self.in_order, self._kinds_in_order = check.times, check.kinds
        self.extra_columns = tuple(sorted(extra))

    def _check_columns(self, missing: set[str]) -> None:
        if missing:
            raise InputFileError(
                f"{self.path} has no column {', '.join(sorted(missing))}.",
                f"An event log has at least {', '.join(REQUIRED_COLUMNS)}.",
            )


def _skip_line(stream: IO[bytes]) -> None:
    while True:
        more = stream.readline(1 << 20)
        if not more or more.endswith(b"\n"):
            return
