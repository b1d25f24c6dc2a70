"""Activations g of the code, Eqs. (4) and (48), with derivatives in terms of their output z, Eq. (14).

Each activation is called on Y and returns Z.  Its method ``grad`` takes Z instead of Y, so that backward
needs nothing that forward did not return.  A unit counts as active in the history when its activation is
above ``active_above``: 0 for ReLU and k-sparse, which have exact zeros, and 0.1 for the sigmoid, which has none.
"""

from __future__ import annotations

import numpy as np


class Sigmoid:
    """The sigmoid z = 1/(1 + exp(−y)), Eq. (4), with values in (0, 1)."""

    active_above = 0.1

    def __call__(self, Y: np.ndarray) -> np.ndarray:
        E = np.exp(-np.abs(Y))  # (B, h), at most 1: no overflow on either side
        return np.where(Y >= 0, 1, E) / (1 + E)  # (4) (B, h)

    def grad(self, Z: np.ndarray) -> np.ndarray:
        """Return g′ = z(1 − z), Eq. (14), in the shape (B, h) of the activations Z."""
        return Z * (1 - Z)  # (14) (B, h)


class ReLU:
    """The rectified linear unit z = max(y, 0), Eq. (4)."""

    active_above = 0.0

    def __call__(self, Y: np.ndarray) -> np.ndarray:
        return np.maximum(Y, 0)  # (4) (B, h)

    def grad(self, Z: np.ndarray) -> np.ndarray:
        """Return g′, Eq. (14), in the shape (B, h) of the activations Z: 1 where z > 0, else 0."""
        return (Z > 0).astype(Z.dtype)  # (14) (B, h)


class KSparse:
    """Keep the k largest positive entries of each row of y and set the others to 0, Eq. (4).

    Among equal entries, the one with the lowest index comes first.  A row with fewer than k positive
    entries keeps those.  (Makhzani and Frey 2013 keep the k largest entries, positive or not.)

    Parameters
    ----------
    k : int
        How many units may be active in a row.
    """

    active_above = 0.0

    def __init__(self, k: int):
        self.k = k

    def __call__(self, Y: np.ndarray) -> np.ndarray:
        h = Y.shape[1]
        Z = np.maximum(Y, 0)  # (B, h)
        if self.k >= h:
            return Z
        kth = np.partition(Y, h - self.k, axis=1)[:, h - self.k, None]  # (B, 1), the k-th largest of each row
        keep = kth <= Y  # (B, h)
        if np.count_nonzero(keep) > self.k * len(Y):
            # All entries above the k-th stay.  Of those equal to it, the leftmost fill the k places.
            above, equal = kth < Y, kth == Y  # (B, h) each
            free = self.k - above.sum(1, keepdims=True)  # (B, 1)
            keep = above | (equal & (np.cumsum(equal, axis=1) <= free))  # (B, h)
        return np.where(keep, Z, 0)  # (4) (B, h)

    def grad(self, Z: np.ndarray) -> np.ndarray:
        """Return g′, Eq. (14), in the shape (B, h) of the activations Z: 1 where z > 0, else 0."""
        return (Z > 0).astype(Z.dtype)  # (14) (B, h)


class JumpReLU:
    """Keep the entries of y that are above a threshold, Eq. (48); each unit has a threshold of its own.

    It is for encoders that are trained elsewhere.  It has no ``grad``: thresholds are not learned here.

    Parameters
    ----------
    theta : (h,) array
        The thresholds θ, at least 0.
    """

    active_above = 0.0

    def __init__(self, theta: np.ndarray):
        if not (theta >= 0).all():  # NaN is not
            raise ValueError(f"Thresholds of at least 0 are expected, got {theta[~(theta >= 0)][0]}.")
        self.theta = theta

    def __call__(self, Y: np.ndarray) -> np.ndarray:
        return np.where(Y > self.theta, Y, 0)  # (48) (B, h)


Activation = Sigmoid | ReLU | KSparse  # what can be trained
FrozenActivation = Activation | JumpReLU  # what an encoder may have
