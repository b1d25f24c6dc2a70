"""What the loops over sparse batches compute, in NumPy: as ``definitions``, with the same names and arguments.

A sparse batch is a ``SparseRows`` there, and ``Codes`` here: the text of each function is that of its dense twin.
tests/kernels/test_sparse_rows.py runs both on the same random input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.training import definitions

if TYPE_CHECKING:
    from nsae.kernels.records import ActiveUnits, BatchFactors, OutputSums, SampleGradients, SparseRows

Array = np.ndarray


def as_codes(X: SparseRows, d: int) -> Any:
    """Return the batch ``X`` as ``Codes`` of width ``d``."""
    return Codes(X.indptr, X.columns, X.values, d)


def sparse_product(X: SparseRows, W: Array, features: Array, Y: Array, lo: int, hi: int) -> None:
    """Put X Wᵀ, the product of (1), in the columns lo:hi of ``Y`` (B, h).

    ``X`` is (B, d), ``W`` (h, d); ``features`` (d, LANES) is not needed here.
    """
    Y[:, lo:hi] = as_codes(X, W.shape[1]) @ W[lo:hi].T  # (1) (B, hi − lo)


def sparse_outer(dY: Array, X: SparseRows, features: Array, dW: Array, lo: int, hi: int) -> None:
    """Put dYᵀ X, the sum of (15), in the rows lo:hi of ``dW`` (h, d).

    ``dY`` is (B, h), ``X`` (B, d); ``features`` (d, LANES) is not needed here.
    """
    dW[lo:hi] = dY[:, lo:hi].T @ as_codes(X, dW.shape[1])  # (15) (hi − lo, d)


def sparse_squared_output(
    U: Array, c: Array, X: SparseRows, dc: Array, squares: Array, lo: int, hi: int
) -> None:
    """Do what ``definitions.squared_output`` does: dU = (U + c − X)/B in place of the rows lo:hi of ``U`` (B, d).

    ``X`` is (B, d), ``c`` (d,).  Σ dU is added to ``dc`` (d,), and Σ(x̂ − x)² to ``squares`` (d,).
    """
    definitions.squared_output(U, c, as_codes(X, len(c)), dc, squares, lo, hi)


def sparse_sigmoid_output(
    U: Array, E: Array, L: Array, X: SparseRows, keep_slope: bool, sums: OutputSums, lo: int, hi: int
) -> None:
    """Do what ``definitions.sigmoid_output`` does: put dU, (3) (11), in place of the rows lo:hi of ``U`` (B, d).

    ``X`` is (B, d); ``E``, ``L``, ``keep_slope`` and ``sums`` are as there.
    """
    definitions.sigmoid_output(U, E, L, as_codes(X, U.shape[1]), keep_slope, sums, lo, hi)


def sparse_decode_and_backprop(
    code: ActiveUnits,
    V: Array,
    c: Array,
    X: SparseRows,
    factors: BatchFactors,
    grads: SampleGradients,
    lo: int,
    hi: int,
) -> None:
    """Do what ``definitions.decode_and_backprop`` does: (3), (11), (13) and (14) of the rows lo:hi.

    ``X`` is (B, d); ``code``, ``V``, ``c``, ``factors`` and ``grads`` are as there.
    """
    definitions.decode_and_backprop(code, V, c, as_codes(X, len(c)), factors, grads, lo, hi)
