"""Which codes an index takes: what search relies on is checked once, as they come in."""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes

MAX_NORM = 1e19  # a larger norm could make a distance, which is reported in float32, infinite


def checked_codes(codes: Codes | np.ndarray, n_units: int) -> Codes:
    """A copy of the codes that is safe to search: n_units wide, float32, finite, units ascending."""
    if not isinstance(codes, Codes):
        Z = np.asarray(codes)
        if Z.ndim not in (1, 2) or Z.dtype.kind not in "fiub":
            raise ValueError(f"Codes or an array (n, h) are expected, got shape {Z.shape} of {Z.dtype}.")
        codes = Codes.from_dense(Z)
    if codes.n_units != n_units:
        raise ValueError(
            f"The codes have {codes.n_units} units, the index has {n_units}. "
            "Encode with the model that the index was made with."
        )
    if (codes.counts < 0).any():
        raise ValueError("indptr must not decrease.")
    rows, units = codes.row_of_entry(), codes.units  # (nnz,), (nnz,)
    outside = (units < 0) | (units >= n_units)
    if outside.any():
        raise ValueError(f"Units from 0 to {n_units - 1} are expected, got {units[outside][0]}.")
    disorder = (rows[1:] == rows[:-1]) & (units[1:] <= units[:-1])
    if disorder.any():
        raise ValueError(
            f"Units must ascend within a row, those of row {rows[1:][disorder][0]} do not. "
            "Codes.from_dense and encode() make them so."
        )
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused below
        values = codes.values.astype(np.float32)  # (nnz,)
    indptr, units = codes.indptr.astype(np.int64), units.astype(np.int32)
    if not values.all():  # zeros are not stored, nor what is below float32, which became 0
        stored = values != 0
        units, values = units[stored], values[stored]
        np.cumsum(np.bincount(rows[stored], minlength=len(codes)), out=indptr[1:])
    codes = Codes(indptr, units, values, n_units)
    norms = codes.norms()
    bad = np.flatnonzero(~(norms <= MAX_NORM))  # NaN is not below either
    if len(bad):
        raise ValueError(
            f"Finite codes of a norm up to {MAX_NORM:g} are expected, row {bad[0]} has norm {norms[bad[0]]}. "
            "Look for NaN or infinity in the model's input."
        )
    return codes
