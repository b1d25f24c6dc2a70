"""Activations g of the code, Eq. (4), with derivatives in terms of their output z, Eq. (14).

Each is a callable, ``Z = g(Y)``, and ``g.grad(Z)`` is g′ written with z instead of y, so that
backward needs nothing that forward did not return.  ``active_above`` is the value beyond which a
unit counts as active in the history: zero where g has exact zeros, 0.1 for the sigmoid, which has none.
"""

from __future__ import annotations

import numpy as np


class Sigmoid:
    """z = 1 / (1 + e^−y), Eq. (4); values in (0, 1)."""

    active_above = 0.1

    def __call__(self, Y: np.ndarray) -> np.ndarray:
        E = np.exp(-np.abs(Y))  # (B, h), at most 1: no overflow on either side
        return np.where(Y >= 0, 1, E) / (1 + E)  # (4) (B, h)

    def grad(self, Z: np.ndarray) -> np.ndarray:
        return Z * (1 - Z)  # (14) (B, h)


class ReLU:
    """z = max(y, 0), Eq. (4).  At the kink, g′(0) = 0."""

    active_above = 0.0

    def __call__(self, Y: np.ndarray) -> np.ndarray:
        return np.maximum(Y, 0)  # (4) (B, h)

    def grad(self, Z: np.ndarray) -> np.ndarray:
        return (Z > 0).astype(Z.dtype)  # (14) (B, h)


class KSparse:
    """Per row, the k largest positive entries of y stay and the rest become 0, Eq. (4).

    Ties go to the lowest index.  A row with fewer than k positive entries keeps just those: the
    ReLU gate holds as well.  (Makhzani and Frey 2013 keep the k largest, positive or not.)
    """

    active_above = 0.0

    def __init__(self, k: int):
        self.k = k

    def __call__(self, Y: np.ndarray) -> np.ndarray:
        h = Y.shape[1]
        Z = np.maximum(Y, 0)  # (B, h)
        if self.k >= h:
            return Z
        kth = np.partition(Y, h - self.k, axis=1)[:, h - self.k, None]  # (B, 1) the k-th largest
        above, level = kth < Y, kth == Y  # (B, h) each
        # the places that the entries above the k-th leave free go to the level ones, from the left
        free = self.k - above.sum(1, keepdims=True)  # (B, 1)
        keep = above | (level & (np.cumsum(level, axis=1) <= free))  # (B, h)
        return np.where(keep, Z, 0)  # (4) (B, h)

    def grad(self, Z: np.ndarray) -> np.ndarray:
        return (Z > 0).astype(Z.dtype)  # (14) (B, h)


Activation = Sigmoid | ReLU | KSparse
