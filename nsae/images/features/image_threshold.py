"""The soft threshold of each image (36): weak units weigh less in a code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import KSparse
from nsae.equations.layers import Dense
from nsae.models.layer_codes import layer_codes


def thresholded_codes(
    layer: Dense,
    X: np.ndarray,
    k: int,
    fraction: float,
    *,
    backend: str = "auto",
    few: Callable[[np.ndarray], Codes | None] | None = None,
) -> Codes:
    """Return codes of at most k active units, less a fraction of the (k+1)-th largest activation: Eq. (36).

    Parameters
    ----------
    layer : Dense
        W (h, m) and b (h,) float32.
    X : (n, m) float32 array
        One row for each image.
    k : int
        At least 1.
    fraction : float
        φ, at least 0 and below 1.
    backend : "auto", "numpy" or "numba"
        What selects the k largest units.  Codes are the same bits with each.
    few : callable, optional
        What codes a few rows sooner, to the same bits; where it returns None, it cannot.
    """
    codes = None if few is None else few(X)
    if codes is None:
        codes = layer_codes(layer, KSparse(units_read(k, fraction)), X, backend=backend)  # (2) (4)
    return subtract_next(codes, k, fraction) if fraction else codes


def units_read(k: int, fraction: float) -> int:
    """Return of how many units the values are needed for a code of ``k`` units, less a ``fraction`` of the next."""
    return k + 1 if fraction else k


def subtract_next(codes: Codes, k: int, fraction: float) -> Codes:
    """Return the k largest values of each row, less φ times the next: Eq. (36).

    Parameters
    ----------
    codes : Codes
        With at most k + 1 active units a row.  A row with at most k has no next one, and stays as it is.
    k : int
    fraction : float
        φ, at least 0 and below 1.
    """
    largest = codes.keep(k)
    smallest = np.full(len(codes), np.inf, codes.values.dtype)  # (n,)
    np.minimum.at(smallest, codes.row_of_entry(), codes.values)
    tau = np.where(codes.counts > k, fraction * smallest, 0).astype(codes.values.dtype)  # (n,)
    values = largest.values - tau[largest.row_of_entry()]  # (36)
    return Codes(largest.indptr, largest.units, values, codes.n_units)
