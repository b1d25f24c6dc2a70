"""Matching pursuit on learned patterns that weighs rate and distortion together."""

from __future__ import annotations

import numpy as np

BLOCK = 500  # Patches at a time, so that the arrays of all units stay in the processor's cache.
MAX_CHANGES = 300  # Of a patch's code.  Each lowers the cost, so there is an end; here it is at the latest.
MAX_UNITS = 60  # Units of a patch; the stream counts them with an alphabet of 61.


def pursue(
    X: np.ndarray, V: np.ndarray, step: float, weight: float, unit_bits: np.ndarray, level_bits: float = 1.6
) -> np.ndarray:
    """Return whole numbers Q (B, h), so that X ≈ Q V^T step with few bits, Eqs. (45) and (46).

    It begins with empty codes.  In each round, every patch makes the one change of one unit that lowers
    distortion + weight · bits most: a unit comes in, changes its value, or leaves.  A patch is done when no change
    lowers it.  Values are whole numbers from the beginning, so that later units make up for the rounding of earlier
    ones.  As in a k-sparse code with ReLU, no value is negative.

    Parameters
    ----------
    X : (B, d) float
        Patches, or those of their pixels that are known.
    V : (d, h) float
        A pattern in each column, at the same pixels.
    step : float
        What a value of 1 stands for, in the unit of X.
    weight : float
        λ: how much squared error one bit is worth.
    unit_bits : (h,) float
        What it costs that a unit is active, beside its value.
    level_bits : float
        What each further level of a value costs; the estimate is linear.

    Returns
    -------
    (B, h) int16
    """
    V, unit_bits = np.asarray(V, np.float32), np.asarray(unit_bits, np.float32)
    gram = V.T @ V  # (h, h)
    blocks = [
        _pursue_block(np.asarray(X[i : i + BLOCK], np.float32), V, gram, step, weight, unit_bits, level_bits)
        for i in range(0, len(X), BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros((0, V.shape[1]), np.int16)


def _pursue_block(
    X: np.ndarray,
    V: np.ndarray,
    gram: np.ndarray,
    step: float,
    weight: float,
    unit_bits: np.ndarray,
    level_bits: float,
) -> np.ndarray:
    size = np.maximum(np.diag(gram), np.float32(1e-6))  # (h,) squared lengths of the patterns
    Q = np.zeros((len(X), V.shape[1]), np.float32)  # (B, h)
    C = X @ V  # (B, h) products of the patterns with what is left of each patch
    going = np.arange(len(X))
    for _ in range(MAX_CHANGES):
        old, c = Q[going], C[going]  # (b, h)
        bits_of_old = _bits(old, unit_bits, level_bits)
        nearest = np.maximum(
            np.rint(old + c / (np.float32(step) * size)), 0
        )  # the value with the least error
        best, gain = old, np.zeros_like(c)
        for new in (nearest, np.maximum(nearest - 1, 0), np.zeros_like(old)):
            move = (new - old) * np.float32(step)
            change = move * (move * size - 2 * c)  # (45)
            change += np.float32(weight) * (_bits(new, unit_bits, level_bits) - bits_of_old)  # (46)
            best, gain = np.where(change < gain, new, best), np.minimum(change, gain)
        unit = gain.argmin(axis=1)  # (b,)
        rows = np.arange(len(going))
        value = best[rows, unit]
        grows = (value > 0) & (old[rows, unit] == 0) & ((old > 0).sum(axis=1) >= MAX_UNITS)
        lowers = (gain[rows, unit] < np.float32(-1e-3 * weight)) & ~grows
        going, unit, value = going[lowers], unit[lowers], value[lowers]
        if not len(going):
            break
        move = (value - Q[going, unit]) * np.float32(step)
        Q[going, unit] = value
        C[going] -= move[:, None] * gram[unit]  # (45)
    return Q.astype(np.int16)


def _bits(Q: np.ndarray, unit_bits: np.ndarray, level_bits: float) -> np.ndarray:
    return (Q > 0) * unit_bits + np.float32(level_bits) * Q
