"""Matrices made small enough to be kept and drawn: means over square blocks."""

from __future__ import annotations

import numpy as np


def block_edge(size: int, most: int) -> int:
    """How many coordinates share a row of a matrix of `size` once it has at most `most`."""
    return -(-size // most)


def block_means(values: np.ndarray, most: int) -> np.ndarray:
    """Means over square blocks, so that `[..., n, m]` gets at most `most` rows and columns; the
    last blocks may be smaller.

    Args:
        values: `[..., n, m]`; what is not finite makes its block so.
        most: rows and columns at the most.
    """
    for axis in (-2, -1):
        size = values.shape[axis]
        edge = block_edge(size, most)
        if edge > 1:
            starts = np.arange(0, size, edge)
            counts = np.diff(np.append(starts, size)).astype(np.float64)
            sums = np.add.reduceat(values, starts, axis=axis, dtype=np.float64)
            values = sums / (counts[:, None] if axis == -2 else counts)
    return values
