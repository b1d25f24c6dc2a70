"""Rows of (column, value) pairs as others keep them become Codes: in order, each column once, without zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.codes import Codes

MOST_UNITS = (1 << 31) - 1  # Units are numbered in int32.


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
    n, h = (int(extent) for extent in shape)
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise TypeError(
                f"{name} of shape {array.shape} and {array.dtype} came; whole numbers (m,) were expected."
            )
    if len(indptr) != n + 1 or indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(f"indptr must have {n + 1} numbers for {n} rows, start at 0, and not decrease.")
    nnz = int(indptr[-1])
    if nnz > min(len(indices), len(data)) or not 0 < h <= MOST_UNITS:
        raise ValueError(
            f"indptr ends at {nnz}, with {len(indices)} indices, {len(data)} values and {h} columns: they do not fit "
            f"each other. Columns may be from 1 to {MOST_UNITS}."
        )
    indices, data = indices[:nnz], data[:nnz]  # Arrays of SciPy may be longer.
    if nnz and not (indices.min() >= 0 and indices.max() < h):
        wrong = indices.min() if indices.min() < 0 else indices.max()
        raise ValueError(f"Columns from 0 to {h - 1} were expected, got {wrong}.")
    codes = Codes(
        indptr.astype(np.int64, copy=False), indices.astype(np.int32, copy=False), real_values(data), h
    )
    return _finite(_without_zeros(_in_order(codes)))


def real_values(data: Any) -> np.ndarray:
    """Return an array of numbers ``data`` in float32 or float64; TypeError if they are no real numbers."""
    data = np.asarray(data)
    if data.dtype.kind not in "biuf":
        raise TypeError(f"Real numbers were expected, got {data.dtype}.")
    wide = np.result_type(data.dtype, np.float32)
    return data.astype(wide if wide == np.float32 else np.float64, copy=False)


def _in_order(codes: Codes) -> Codes:
    """Sort the units of each row, and add what has the same one."""
    rows, units = codes.row_of_entry(), codes.units  # (nnz,), (nnz,)
    if not ((rows[1:] == rows[:-1]) & (units[1:] <= units[:-1])).any():
        return codes
    order = np.lexsort((units, rows))
    rows, units, values = rows[order], units[order], codes.values[order]
    new = np.concatenate([[True], (rows[1:] != rows[:-1]) | (units[1:] != units[:-1])])  # (nnz,)
    values = np.add.reduceat(values, np.flatnonzero(new))
    return _of_rows(rows[new], units[new], values, codes)


def _without_zeros(codes: Codes) -> Codes:
    stored = codes.values != 0
    if stored.all():
        return codes
    return _of_rows(codes.row_of_entry()[stored], codes.units[stored], codes.values[stored], codes)


def _of_rows(rows: np.ndarray, units: np.ndarray, values: np.ndarray, like: Codes) -> Codes:
    indptr = np.zeros(len(like) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=len(like)), out=indptr[1:])
    return Codes(indptr, units, values, like.n_units)


def _finite(codes: Codes) -> Codes:
    bad = np.flatnonzero(~np.isfinite(codes.values))
    if len(bad):
        row = int(np.searchsorted(codes.indptr, bad[0], "right")) - 1
        raise ValueError(
            f"Finite values were expected, row {row} has {codes.values[bad[0]]} in column {codes.units[bad[0]]}. "
            "Look for NaN or infinity in what made them."
        )
    return codes
