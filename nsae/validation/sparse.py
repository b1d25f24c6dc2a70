"""Sparse data that comes in: any matrix by rows becomes ``Codes`` that the equations can use."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from nsae.codes import Codes, without_zeros
from nsae.validation import (
    BLOCK_BYTES,
    check_data,
    check_entries,
    check_shape,
)

BLOCK_ENTRIES = BLOCK_BYTES // 8  # that are checked at once


def check_rows(
    X: object,
    *,
    owner: str = "SparseAutoencoder",
    n_features: int | None = None,
    unit_interval: bool = False,
) -> np.ndarray:
    """Return data as ``check_data`` does, or sparse data as ``Codes``: sorted, finite, without zeros.

    Arrays that are right already are not copied, and stay memory-mapped if they are.

    Parameters
    ----------
    X : array-like (n, d), Codes, or a sparse matrix by rows
        Of a sparse matrix, the arrays ``indptr``, ``indices`` and ``data`` are read.  Indices may be of any
        integer type and in any order; entries that are there twice are added.
    owner, n_features, unit_interval
        As in :func:`nsae.validation.check_data`.

    Returns
    -------
    (n, d) array, or Codes
        Values of Codes are float32 or float64; integers, bool and float16 become float32.  For type checkers it is
        an array, whose place Codes take in the equations.

    Raises
    ------
    TypeError
        A sparse matrix that is not by rows (convert it with ``X.tocsr()``), or entries that are no numbers.
    ValueError
        As in ``check_data``; or indices out of range, or an ``indptr`` that decreases.
    """
    if not is_sparse(X):
        return check_data(X, owner=owner, n_features=n_features, unit_interval=unit_interval)
    entries = codes_of_csr(X)
    check_shape(entries.shape, owner, n_features)
    codes = canonical(entries)
    for start in range(0, codes.size, BLOCK_ENTRIES):

        def place(index: tuple[int], start: int = start) -> tuple[int, int]:
            entry = start + index[0]
            return int(np.searchsorted(codes.indptr, entry, "right")) - 1, int(codes.units[entry])

        some = codes.values[start : start + BLOCK_ENTRIES]
        check_entries(some, place, unit_interval, entries.dtype.kind)
    return cast("np.ndarray", codes)


def is_sparse(X: object) -> bool:
    """Return whether ``X`` is ``Codes``, or a sparse matrix of any kind."""
    return isinstance(X, Codes) or hasattr(X, "toarray") or _has_arrays(X)


def codes_of_csr(X: Any) -> Codes:
    """Return the entries of ``X``, ``Codes`` or a sparse matrix by rows, as they are: in any order, with zeros.

    The three arrays are shared where their types allow it.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_rows`.
    """
    if isinstance(X, Codes):
        indptr, indices, data = X.indptr, X.units, X.values
    else:
        kind = getattr(X, "format", "csr")
        if kind != "csr" or not _has_arrays(X):
            raise TypeError(
                f"A sparse matrix by rows (CSR) was expected, {type(X).__name__} came. Use X.tocsr(), or X.toarray()."
            )
        indptr, indices, data = (flat(name, getattr(X, name)) for name in ("indptr", "indices", "data"))
    n, d = shape_of(X)
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.dtype.kind not in "iu":
            raise TypeError(f"{name} of a sparse matrix must be whole numbers, got {array.dtype}.")
    if data.dtype.kind == "c":
        raise ValueError("Complex data not supported: pass X.real, or the magnitude abs(X).")
    if data.dtype.kind not in "biuf":
        raise TypeError(f"Numbers were expected, got a sparse matrix of dtype {data.dtype}.")
    indptr = indptr.astype(np.int64, copy=False)
    _check_places(indptr, indices, len(data), n, d)
    nnz = int(indptr[-1])  # SciPy's arrays may be longer
    return Codes(indptr, indices[:nnz].astype(np.int32, copy=False), data[:nnz], d)


def _has_arrays(X: object) -> bool:
    return all(hasattr(X, name) for name in ("indptr", "indices", "data", "shape"))


def shape_of(X: Any) -> tuple[int, int]:
    """Return the shape (n, d) of a sparse matrix ``X``; ValueError if it is not two whole numbers from 0."""
    shape = np.asarray(X.shape)
    if shape.shape != (2,) or shape.dtype.kind not in "iu" or shape.min() < 0:
        raise ValueError(f"A sparse matrix (samples, features) was expected, got one of shape {X.shape}.")
    return int(shape[0]), int(shape[1])


def flat(name: str, array: Any) -> np.ndarray:
    """Return ``array``, the ``name`` of a sparse matrix, as it is; ValueError if it is not 1-D, or is masked."""
    if np.ma.is_masked(array):
        raise ValueError(
            f"{name} of a sparse matrix has masked entries. Give them values first: {name}.filled(0)."
        )
    array = array if isinstance(array, np.memmap) else np.asarray(array)
    if array.ndim != 1:
        raise ValueError(f"{name} of a sparse matrix must be 1-D, got shape {array.shape}.")
    return array


def _check_places(indptr: np.ndarray, indices: np.ndarray, n_data: int, n: int, d: int) -> None:
    """Check that ``indptr`` (n + 1,) cuts the entries into rows, and that columns are from 0 to d − 1."""
    if len(indptr) != n + 1 or indptr[0] != 0:
        raise ValueError(
            f"indptr of a sparse matrix of {n} rows must have {n + 1} numbers and start at 0; it has {len(indptr)}"
            f"{f' and starts at {indptr[0]}' if len(indptr) else ''}."
        )
    if (indptr[1:] < indptr[:-1]).any():
        row = int(np.flatnonzero(indptr[1:] < indptr[:-1])[0])
        raise ValueError(f"indptr of a sparse matrix must not decrease, and it does at row {row}.")
    if indptr[-1] > min(n_data, len(indices)):
        raise ValueError(
            f"indptr ends at {indptr[-1]}, and there are {len(indices)} indices and {n_data} data: the matrix is "
            "truncated."
        )
    if d > np.iinfo(np.int32).max:
        raise ValueError(f"A sparse matrix of up to {np.iinfo(np.int32).max} columns was expected, got {d}.")
    for start in range(0, int(indptr[-1]), BLOCK_ENTRIES):
        some = indices[start : min(start + BLOCK_ENTRIES, int(indptr[-1]))]
        low, high = int(some.min()), int(some.max())
        if low < 0 or high >= d:
            raise ValueError(
                f"Column numbers from 0 to {d - 1} were expected, got {low if low < 0 else high}."
            )


def canonical(codes: Codes) -> Codes:
    """Return ``codes`` with ascending columns in each row, each once, without zeros, in float32 or float64."""
    values = codes.values
    yes_or_no = values.dtype.kind == "b"
    dtype = np.float32 if values.dtype.kind in "biu" or values.dtype.itemsize <= 4 else np.float64
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(dtype)
    if not _ascending(codes.indptr, codes.units):
        rows = codes.row_of_entry()
        order = np.lexsort((codes.units, rows))  # by row, then by column
        rows, units, values = rows[order], codes.units[order], values[order]
        first = np.flatnonzero(
            np.concatenate([[True], (rows[1:] != rows[:-1]) | (units[1:] != units[:-1])])
        )  # of each pair (row, column)
        values = np.add.reduceat(values, first)  # (nonzeros,)
        if yes_or_no:
            np.minimum(values, 1, out=values)
        codes = _with_entries(rows[first], units[first], values, codes.shape)
    if values is not codes.values:
        codes = Codes(codes.indptr, codes.units, values, codes.n_units)
    return without_zeros(codes)


def _ascending(indptr: np.ndarray, units: np.ndarray) -> bool:
    """Return whether columns ascend strictly in each row."""
    for start in range(0, len(units) - 1, BLOCK_ENTRIES):
        some = units[start : start + BLOCK_ENTRIES + 1]
        falls = np.flatnonzero(some[1:] <= some[:-1]) + start + 1  # entries that are not above the one before
        at = np.searchsorted(indptr, falls)
        if (indptr[np.minimum(at, len(indptr) - 1)] != falls).any():  # and do not begin a row
            return False
    return True


def _with_entries(rows: np.ndarray, units: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> Codes:
    counts = np.bincount(rows, minlength=shape[0])  # (n,)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Codes(indptr, units, values, shape[1])
