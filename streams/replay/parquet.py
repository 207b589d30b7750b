"""Parquet as an event log: row groups streamed in bounded memory, instants read in bulk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streams.core.errors import InputFileError
from streams.core.instants import LAST_INSTANT, parse_instant
from streams.replay.compression import told
from streams.replay.records import (
    KINDS,
    KNOWN_COLUMNS,
    REQUIRED_COLUMNS,
    OrderCheck,
    RawRecord,
    RowOrder,
    unknown_type,
    with_kinds_in_order,
)
from streams.replay.sorted_runs import BATCH_ROWS, SortedRuns

if TYPE_CHECKING:
    import pyarrow as pa

_FIXED: Final = r"^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{3})?Z$"
"""The layout that Arrow and :func:`parse_instant` read alike; any other goes to the latter."""


class ParquetLog:
    """A log in Parquet; use :func:`streams.replay.files.open_log`."""

    def __init__(self, path: Path, digest: str, notify: Callable[[str], None]) -> None:
        self.path = path
        self.digest = digest
        self._notify = notify
        with self._opened() as file:
            schema = file.schema_arrow
            names: list[str] = schema.names
            self.rows: int = file.metadata.num_rows
        self._check(schema)
        self.extra_columns = tuple(sorted(set(names) - KNOWN_COLUMNS))
        self._columns = [name for name in names if name in KNOWN_COLUMNS]
        check = self._checked_order()
        self.in_order, self._kinds_in_order = check.times, check.kinds

    def records(self) -> Iterator[RawRecord]:
        """Every row by (time, kind, row)."""
        if not self.in_order:
            self._notify(f"{self.path} is not in time order: it is sorted first.")
            return self._sorted()
        return self._streamed() if self._kinds_in_order else with_kinds_in_order(self._streamed())

    def _streamed(self) -> Iterator[RawRecord]:
        row = 0
        for batch in self._batches(self._columns):
            yield from _records(batch, range(row, row + batch.num_rows))
            row += batch.num_rows

    def _sorted(self) -> Iterator[RawRecord]:
        with SortedRuns() as runs:
            order, row = RowOrder(), 0
            for batch in self._batches(self._columns):
                keys = [order.key(ts, kind) for ts, kind in zip(*_times_and_kinds(batch), strict=True)]
                runs.add(batch, keys, range(row, row + batch.num_rows))
                row += batch.num_rows
            yield from runs.merged(_records)

    def _checked_order(self) -> OrderCheck:
        order = RowOrder()
        check = OrderCheck()
        for batch in self._batches(["ts", "event_type"]):
            check.see([order.key(ts, kind) for ts, kind in zip(*_times_and_kinds(batch), strict=True)])
        return check

    def _batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        with self._opened() as file:
            batches = file.iter_batches(batch_size=BATCH_ROWS, columns=columns)
            while True:
                try:
                    batch = next(batches, None)
                    if batch is None:
                        return
                    plain = pa.RecordBatch.from_arrays([_plain(column) for column in batch.columns], batch.schema.names)
                except (pa.ArrowException, OSError) as error:
                    raise InputFileError(f"{self.path} is damaged: {_first_line(error)}.", "Copy it again.") from error
                if plain.num_rows:
                    yield plain

    def _opened(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with told(self.path):
            self.path.open("rb").close()  # so that a missing right is told as such
            try:
                return pq.ParquetFile(self.path)
            except (pa.ArrowException, OSError) as error:
                raise InputFileError(
                    f"{self.path} is Parquet that is cut off or damaged: {_first_line(error)}.", "Copy it again."
                ) from error

    def _check(self, schema: pa.Schema) -> None:
        missing = [name for name in REQUIRED_COLUMNS if name not in schema.names]
        if missing:
            raise InputFileError(
                f"{self.path} has no column {', '.join(missing)}.",
                f"An event log has at least {', '.join(REQUIRED_COLUMNS)}.",
            )
        if not self.rows:
            raise InputFileError(f"{self.path} is empty.", "An event log has at least one row.")
        for field in schema:
            if field.name in KNOWN_COLUMNS and not _is_readable(field.name, field.type):
                expected = "a list of structs" if field.name == "lines" else "text or a number"
                if field.name == "ts":
                    expected = "a timestamp, RFC 3339 text or epoch milliseconds"
                raise InputFileError(
                    f"{self.path} has a column {field.name} of type {field.type}.", f"It must be {expected}."
                )


def _is_readable(name: str, kind: pa.DataType) -> bool:
    import pyarrow.types as of

    if of.is_dictionary(kind):
        kind = kind.value_type
    if name == "lines":
        return bool(of.is_list(kind) or of.is_large_list(kind) or of.is_null(kind))
    if name == "ts" and (of.is_timestamp(kind) or of.is_date(kind)):
        return True
    text = of.is_string(kind) or of.is_large_string(kind) or of.is_string_view(kind) or of.is_null(kind)
    number = of.is_integer(kind) or of.is_floating(kind) or of.is_decimal(kind) or of.is_boolean(kind)
    return bool(text or number)


def _plain(column: pa.Array) -> pa.Array:
    """A column whose values are plain text, numbers or lists: instants as epoch ms, NaN as null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as of

    if of.is_dictionary(column.type):
        column = column.dictionary_decode()
    if of.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if of.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms", column.type.tz), safe=False).cast(pa.int64())
    if of.is_decimal(column.type):
        column = column.cast(pa.string()).cast(pa.float64())  # Arrow's direct cast is off by a bit
    if of.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def _times_and_kinds(batch: pa.RecordBatch) -> tuple[list[int | None], list[int | None]]:
    event_types = batch.column("event_type").to_pylist()
    return _instants(batch.column("ts")), [KINDS.get(name) for name in event_types]


def _instants(column: pa.Array) -> list[int | None]:
    """Epoch ms of each value, None where it is no instant: what :func:`parse_instant` says, in bulk where it can be."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as of

    stamps = column
    if of.is_string(column.type) or of.is_large_string(column.type):
        if not pc.all(pc.match_substring_regex(column, _FIXED)).as_py():
            return [parse_instant(value) for value in column.to_pylist()]
        try:
            stamps = column.cast(pa.timestamp("ms", "UTC")).cast(pa.int64())
        except pa.ArrowInvalid:  # a 30th of February
            return [parse_instant(value) for value in column.to_pylist()]
    elif not of.is_int64(column.type):
        return [parse_instant(value) for value in column.to_pylist()]
    bounds = pc.min_max(stamps).as_py()
    if bounds["min"] is not None and (bounds["min"] < 0 or bounds["max"] > LAST_INSTANT):
        return [parse_instant(value) for value in column.to_pylist()]
    instants: list[int | None] = stamps.to_pylist()
    return instants


def _records(batch: pa.RecordBatch, rows: range | list[int]) -> Iterator[RawRecord]:
    instants, kinds = _times_and_kinds(batch)
    raws = _dicts(batch)
    if None not in kinds:
        return map(RawRecord._make, zip(rows, kinds, instants, raws, [None] * len(raws), strict=True))
    faults = [
        None if kind is not None else unknown_type(raw.get("event_type")) for kind, raw in zip(kinds, raws, strict=True)
    ]
    return map(RawRecord._make, zip(rows, kinds, instants, raws, faults, strict=True))


def _dicts(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as dicts of what is not null: rows with the same gaps share one choice of columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names: list[str] = []
    columns: list[list[Any]] = []
    gaps: list[tuple[int, pa.Array]] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count == batch.num_rows:
            continue
        if column.null_count:
            gaps.append((len(names), column.is_valid()))
        names.append(name)
        columns.append(column.to_pylist())
    rows = zip(*columns, strict=True) if columns else iter([()] * batch.num_rows)
    if not gaps:
        return [dict(zip(names, row, strict=True)) for row in rows]
    pattern = pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows)
    for bit, (_, valid) in enumerate(gaps):
        pattern = pc.bit_wise_or(pattern, pc.shift_left(valid.cast(pa.int32()), bit))
    patterns: list[int] = pattern.to_pylist()
    choices: dict[int, tuple[list[str], list[bool]]] = {}
    for code in set(patterns):
        chosen = [True] * len(names)
        for bit, (index, _) in enumerate(gaps):
            chosen[index] = bool(code >> bit & 1)
        choices[code] = (list(compress(names, chosen)), chosen)
    dicts = []
    for code, row in zip(patterns, rows, strict=True):
        present, chosen = choices[code]
        dicts.append(dict(zip(present, compress(row, chosen), strict=True)))
    return dicts


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
