"""Rows of (column, value) pairs as others keep them become Codes: in order, each column once, without zeros."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.validation.sparse import canonical, codes_of_csr

MOST_UNITS = (1 << 31) - 1  # Units are numbered in int32.


class _Rows(NamedTuple):
    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray
    shape: tuple[int, int]


def canonical_codes(
    indptr: np.ndarray, indices: np.ndarray, data: np.ndarray, shape: tuple[int, int]
) -> Codes:
    """Return ``Codes`` of the three arrays of a CSR matrix.  What is right already is not copied.

    Parameters
    ----------
    indptr : (n + 1,) array of integers
    indices : (nnz,) array of integers
        In any order within a row; entries of the same column are added.
    data : (nnz,) array
        float32 and float64 stay; other numbers become the one of them that holds theirs.
    shape : (n, h)

    Raises
    ------
    ValueError, TypeError
        The arrays do not fit each other, a column is out of range, or a value is no finite number.
    """
    if not 0 < shape[1] <= MOST_UNITS:
        raise ValueError(f"{shape[1]} columns came. Columns may be from 1 to {MOST_UNITS}.")
    codes = canonical(codes_of_csr(_Rows(indptr, indices, real_values(data), shape)))
    bad = np.flatnonzero(~np.isfinite(codes.values))
    if len(bad):
        row = int(np.searchsorted(codes.indptr, bad[0], "right")) - 1
        raise ValueError(
            f"Finite values were expected, row {row} has {codes.values[bad[0]]} in column {codes.units[bad[0]]}. "
            "Look for NaN or infinity in what made them."
        )
    return codes


def real_values(data: Any) -> np.ndarray:
    """Return an array of numbers ``data`` in float32 or float64; TypeError if they are no real numbers."""
    data = np.asarray(data)
    if data.dtype.kind not in "biuf":
        raise TypeError(f"Real numbers were expected, got {data.dtype}.")
    wide = np.result_type(data.dtype, np.float32)
    return data.astype(wide if wide == np.float32 else np.float64, copy=False)
