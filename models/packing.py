"""Many numbers as text: base64 of little-endian float64. Exact, and a third of what JSON numbers take."""

from __future__ import annotations

import base64
import binascii

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
    return matrix[np.tril_indices(len(matrix))]


def unpack(text: object, size: int) -> Vector:
    """A symmetric matrix from its packed lower triangle.

    Raises
    ------
    ValueError
        As :func:`unpacked`.
    """
    rows, columns = np.tril_indices(size)
    values = unpacked(text, len(rows))
    matrix = np.zeros((size, size))
    matrix[rows, columns] = values
    matrix[columns, rows] = values
    return matrix
