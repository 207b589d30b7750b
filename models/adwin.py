"""A window of River's ADWIN: what it was cut to, and all of it as numbers, exact to the bit.

River 0.26 keeps the window in Rust and gives it out only as bytes made for pickle; it panics on bytes that do not fit,
which no ``except Exception`` catches. So the bytes are read here into numbers, and made from checked numbers only.
Their layout is River's own affair: what is read must give the same bytes again, or it is refused, and a contract test
holds it against the installed River, and what is made here against :class:`river.drift.ADWIN`. That class only wraps
this window, and its package takes scikit-learn and SciPy along: seconds at every start.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from river._river_rust.drift import AdaptiveWindowing

from models.packing import Vector, pack, unpacked

_HEAD: Final = struct.Struct("<diQdddddd4iQ")
"""delta, clock, buckets a row, least subwindow, grace; total, variance, width, sum of widths; four counts; rows."""
_ROW: Final = struct.Struct("<QQQ")
"""Buckets a row, those in use, length of the list of totals; that of variances follows it."""
_LENGTH: Final = struct.Struct("<Q")
_TAIL: Final = struct.Struct("<diQii")
"""What the detector was made with."""
_MOST_ROWS: Final = 48
"""Each row holds buckets of twice the size: more than any log."""
_SCALARS: Final = 7
_LEAST_SUBWINDOW: Final = 5
_GRACE: Final = 10
"""As River's own defaults."""


class Change(NamedTuple):
    """Where a window was cut."""

    before: float
    """Mean of what was let go."""
    after: float
    """Mean of what was kept."""
    let_go: int
    kept: int


class Window:
    """A window that is cut where two parts of it differ by more than chance.

    River starts a window anew after a cut; so does who holds this one, by making another.

    Parameters
    ----------
    delta, clock, max_buckets
        As of :class:`river.drift.ADWIN`: the chance of a false cut each time it looks, values between two looks, and
        buckets of one size.

    Examples
    --------
    >>> window = Window(0.002, 32, 5)
    >>> changes = [change for value in [0.0] * 512 + [1.0] * 64 if (change := window.put(value))]
    >>> changes[0].before, changes[0].after > 0.5, changes[0].let_go + changes[0].kept
    (0.0, True, 544)
    """

    def __init__(self, delta: float, clock: int, max_buckets: int) -> None:
        self._made = (delta, clock, max_buckets)
        self._rows_known = 0
        """So many rows of River's bytes were found to be what they are taken for."""
        make: Callable[..., Any] = AdaptiveWindowing
        self._rust: Any = make(
            delta=delta,
            clock=clock,
            max_buckets=max_buckets,
            min_window_length=_LEAST_SUBWINDOW,
            grace_period=_GRACE,
        )

    def put(self, value: float) -> Change | None:
        """Add a value; what the window was cut to, if it was."""
        rust = self._rust
        width, total = rust.get_width(), rust.get_total()
        if not rust.update(value):
            return None
        kept = rust.get_width()
        let_go = width + 1 - kept
        return Change((total + value - rust.get_total()) / let_go, rust.get_total() / kept, int(let_go), int(kept))

    def numbers(self) -> dict[str, Any]:
        """Everything, JSON-ready: ``rows`` (buckets in use, smallest first) and packed ``numbers``.

        Raises
        ------
        ValueError
            If this River keeps a window otherwise than the one this was written for.
        """
        state: bytes = self._rust.__getstate__()
        counts: list[int] = []
        values: list[float] = []
        try:
            _, _, _, _, _, total, variance, _, widths, *whole, rows = _HEAD.unpack_from(state)
            at = _HEAD.size
            for _ in range(rows):
                _, used, length = _ROW.unpack_from(state, at)
                at += _ROW.size
                values += struct.unpack_from(f"<{used}d", state, at)
                at += 8 * length + _LENGTH.size
                values += struct.unpack_from(f"<{used}d", state, at)
                at += 8 * length
                counts.append(used)
        except struct.error as error:
            raise _unknown_layout() from error
        numbers = np.array([total, variance, widths, *whole, *values], dtype=np.float64)
        # Each row is like the others: a layout that fits once is asked about again only when the window has grown one.
        if rows > self._rows_known:
            if state != self._bytes(counts, numbers):
                raise _unknown_layout()
            self._rows_known = rows
        return {"rows": counts, "numbers": pack(numbers)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Be the window that :meth:`numbers` was taken of, to the bit, if it was made with the same parameters.

        Raises
        ------
        ValueError, KeyError, TypeError
            On numbers that are not those of a window; nothing was changed.
        """
        counts = [int(count) for count in state["rows"]]
        most = self._made[2]
        if not 1 <= len(counts) <= _MOST_ROWS or any(not 0 <= count <= most for count in counts):
            raise ValueError(f"a window has 1 to {_MOST_ROWS} rows of at most {most} buckets, not {counts}")
        if counts[-1] == 0 and len(counts) > 1:
            raise ValueError("the last row of a window is not empty")
        numbers = unpacked(state["numbers"], _SCALARS + 2 * sum(counts))
        if any(number != int(number) or not -(2**31) <= number < 2**31 for number in numbers[3:_SCALARS].tolist()):
            raise ValueError("the counts of a window are whole numbers of 32 bits")
        self._rust.__setstate__(self._bytes(counts, numbers))

    def _bytes(self, counts: Sequence[int], numbers: Vector) -> bytes:
        """As River writes a window."""
        delta, clock, most = self._made
        total, variance, widths, *whole = numbers[:_SCALARS].tolist()
        width = float(sum(count << row for row, count in enumerate(counts)))
        sums = (total, variance, width, widths)
        parts = [_HEAD.pack(delta, clock, most, _LEAST_SUBWINDOW, _GRACE, *sums, *map(int, whole), len(counts))]
        at = _SCALARS
        for count in counts:
            unused = bytes(8 * (most + 1 - count))
            totals, variances = numbers[at : at + count], numbers[at + count : at + 2 * count]
            parts += [_ROW.pack(most, count, most + 1), totals.astype("<f8").tobytes(), unused]
            parts += [_LENGTH.pack(most + 1), variances.astype("<f8").tobytes(), unused]
            at += 2 * count
        parts.append(_TAIL.pack(delta, clock, most, _LEAST_SUBWINDOW, _GRACE))
        return b"".join(parts)


def _unknown_layout() -> ValueError:
    return ValueError("this River keeps ADWIN's window in another way than River 0.26: pin river to 0.26")
