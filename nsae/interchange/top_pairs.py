"""Codes to and from pairs of arrays (n, k): the values of the top units, and which they are.

This is what ``encode`` of sparsify and of OpenAI's sparse autoencoder return: a row has k places, and the places
that it does not need have the value 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.interchange.canonical import canonical_codes, real_values
from nsae.interchange.torch_tensors import array_of, is_tensor


class TopUnits(NamedTuple):
    """The top units of n codes.

    Attributes
    ----------
    values : (n, k) float32 or float64
        Their activations, the largest first; 0 where a row has fewer than k.
    indices : (n, k) int64
        Their numbers; 0 where a row has fewer than k.
    """

    values: np.ndarray
    indices: np.ndarray


def to_top(codes: Codes, k: int | None = None) -> TopUnits:
    """Return the ``k`` largest values of each row of ``codes`` and their units.

    By default k is as large as the fullest row needs.  Of equal values, that of the lowest unit comes first.

    Raises
    ------
    ValueError
        ``k`` is below 1.
    """
    if k is not None:
        codes = codes.keep(k)
    width = int(codes.counts.max(initial=0)) if k is None else k
    rows = codes.row_of_entry()
    order = np.lexsort((codes.units, -codes.values, rows))  # by row, then from the largest, then by unit
    places = np.arange(len(order)) - codes.indptr[rows]  # (nnz,)
    values = np.zeros((len(codes), width), codes.values.dtype)  # (n, k)
    indices = np.zeros((len(codes), width), np.int64)  # (n, k)
    values[rows, places] = codes.values[order]
    indices[rows, places] = codes.units[order]
    return TopUnits(values, indices)


def from_top(values: Any, indices: Any, n_units: int) -> Codes:
    """Return the codes of top values and their units.

    Parameters
    ----------
    values : (n, k) array or torch.Tensor
        Zeros are places that are not used.
    indices : (n, k) array or torch.Tensor of integers
        In any order; a unit that is there twice gets the sum, as it does when such a pair is decoded.
    n_units : int
        h, the width of the dense code.

    Raises
    ------
    TypeError, ValueError
        The two have different shapes, an index is no unit, or a value is not finite.
    """
    values, indices = (array_of(a) if is_tensor(a) else np.asarray(a) for a in (values, indices))
    if values.shape != indices.shape or values.ndim != 2:
        raise ValueError(
            f"Values and indices of the same shape (n, k) were expected, got {values.shape} and {indices.shape}."
        )
    if indices.dtype.kind not in "iu" and indices.size:  # an array of nothing has NumPy's default, float64
        raise TypeError(f"Indices in whole numbers were expected, got {indices.dtype}.")
    indices = indices if indices.size else indices.astype(np.int64)
    used = values != 0  # (n, k)
    indptr = np.concatenate([[0], np.cumsum(used.sum(axis=1))]).astype(np.int64)
    return canonical_codes(indptr, indices[used], real_values(values[used]), (len(values), n_units))
