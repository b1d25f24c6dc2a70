"""Sums of products that are exact, so that any order of adding gives the same bits.

A sum in floating point depends on the order of its terms, and each matrix product has its own: it changes with the
library, the processor and the shape.  Here numbers are first rounded to multiples of a power of two, so small that
the rounding is like that of float32, and so large that float64 holds each product and each sum of them without
rounding.  Then it does not matter what adds them up: a product of NumPy, of one row or of many, or a compiled loop.

How many bits there are: the sum of products of two vectors is at most the product of their lengths, and so is any
part of it.  With multiples of 2^−a and 2^−c and lengths of 2^l in all, it needs l + a + c bits.
"""

from __future__ import annotations

import math

import numpy as np

BITS = 52  # float64 has 53; one is left for lengths that rounding makes larger
WEIGHT_BITS = 24  # below the length of a row of weights: as many as float32 has


def on_grid(X: np.ndarray, bits: int | np.ndarray) -> np.ndarray:
    """Return ``X`` rounded to multiples of 2^−bits, in its dtype.

    Parameters
    ----------
    X : array of floats
    bits : int, or array of int that goes with X
    """
    scale = np.exp2(bits).astype(X.dtype)
    rounded: np.ndarray = np.rint(X * scale) / scale  # A power of two: only rint rounds.
    return rounded


def pixel_bits(d: int) -> int:
    """Return a such that the squares of ``d`` pixels in [0, 1] have an exact sum, at multiples of 2^−a."""
    return (BITS - math.ceil(math.log2(d))) // 2


def patch_bits(d: int) -> int:
    """Return a for patches of ``d`` numbers after Eq. (29), of length √d at most, beside :func:`exact_weights`."""
    return BITS - WEIGHT_BITS - math.ceil(math.log2(d) / 2)


def exact_weights(W: np.ndarray) -> np.ndarray:
    """Return ``W`` (h, d) with each row at multiples of 2^−24 of its length, rounded up to a power of two."""
    _, exponents = np.frexp(np.linalg.norm(W.astype(np.float64), axis=1, keepdims=True))  # (h, 1)
    return on_grid(W, WEIGHT_BITS - exponents)


def exact_product(X: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return X Wᵀ (P, h) in the dtype of ``X`` (P, d), rounded once, for ``W`` (h, d): both on their grids."""
    Y: np.ndarray = (X.astype(np.float64) @ W.T.astype(np.float64)).astype(X.dtype)
    return Y
