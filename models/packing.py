"""Many numbers as text: base64 of little-endian float64. Exact, and a third of what JSON numbers take."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def pack(values: Vector) -> str:
    """Numbers as text.

    >>> pack(np.array([1.0]))
    'AAAAAAAA8D8='
    """
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode("ascii")


def unpacked(text: object, length: int) -> Vector:
    """The inverse of :func:`pack`.

    Raises
    ------
    ValueError
        It is no such text, of another length, or holds what is not finite.
    """
    try:
        values = np.frombuffer(base64.b64decode(str(text), validate=True), dtype="<f8").astype(np.float64)
    except binascii.Error as error:
        raise ValueError(f"it is not base64: {error}") from error
    if len(values) != length or not np.isfinite(values).all():
        raise ValueError(f"it must be {length} finite numbers")
    return values


def triangle_of(matrix: Vector) -> Vector:
    """The lower triangle of a symmetric matrix, row by row."""
    return matrix[_lower(len(matrix))]


@lru_cache(maxsize=16)
def _lower(size: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Rows and columns of a lower triangle: of as many sizes as there are catalogues."""
    return np.tril_indices(size)


def unpack(text: object, size: int) -> Vector:
    """A symmetric matrix from its packed lower triangle.

    Raises
    ------
    ValueError
        As :func:`unpacked`.
    """
    rows, columns = _lower(size)
    values = unpacked(text, len(rows))
    matrix = np.zeros((size, size))
    matrix[rows, columns] = values
    matrix[columns, rows] = values
    return matrix
