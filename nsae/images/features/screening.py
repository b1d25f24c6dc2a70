"""Which units can be among the k largest of a patch: bounds from a few directions, with which the layer is tried.

The patch layer reads d numbers, and what it reads of them is smooth: whitening with a large ε leaves out what is
fine.  So its pre-activations are nearly those of r < d directions V (d, r), which take fewer multiplications:
W x = (W V)(Vᵀx) + remainder.  The remainder is not left out but bounded, by Cauchy and Schwarz: that of unit j is
at most ‖w_j − V Vᵀ w_j‖ · ‖x − V Vᵀ x‖.  A unit whose bound is below the k-th largest pre-activation is not among
the k largest.  The few others are computed from W itself, so the codes are those of W, to the bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Of patches of photos, which the directions are chosen for: neighbouring pixels, and the colours of one pixel.
PIXEL_CORRELATION = 0.95
COLOR_CORRELATION = 0.9
REMAINDER = 0.5  # the usual bound of the remainder, of the usual pre-activation: chosen by speed
FEWEST = 64  # numbers in a patch that are worth it


class Screen(NamedTuple):
    """A patch layer, its directions, and what lies beyond them.

    Attributes
    ----------
    W : (h, d) float32
    b : (h,) float32
    V : (d, r) float32
        Orthonormal columns; (d, 0) where all of W is multiplied.
    L : (r, h) float32
        (W V)ᵀ; Wᵀ (d, h) where all of W is multiplied.
    beyond : (h,) float32
        ‖w_j − V Vᵀ w_j‖ of each unit.
    rounding : float
        The relative error of sums in float32, at most.
    longest, most_bias : float
        The largest ‖w_j‖, and the largest bias without its sign.
    """

    W: np.ndarray
    b: np.ndarray
    V: np.ndarray
    L: np.ndarray
    beyond: np.ndarray
    rounding: float
    longest: float
    most_bias: float

    @classmethod
    def of(cls, W: np.ndarray, b: np.ndarray, patch_size: int) -> Screen:
        """Return the directions of a layer that reads patches.

        Parameters
        ----------
        W : (h, d) float32
        b : (h,) float32
        patch_size : int
            Side of a patch; d is patch_size² × channels.
        """
        d = W.shape[1]
        V = directions(W.astype(np.float64), patch_size).astype(np.float32)  # (d, r)
        r = V.shape[1]
        L = V.T @ W.T if r else W.T  # (r, h), or (d, h)
        rest = W - L.T @ V.T if r else np.zeros_like(W)  # (h, d)
        return cls(
            np.ascontiguousarray(W),
            np.ascontiguousarray(b),
            V,
            np.ascontiguousarray(L, np.float32),
            np.linalg.norm(rest, axis=1).astype(np.float32),
            # Each number of Vᵀx may be d roundings off, and there are r of them; other sums are off by less.
            2.0**-23 * d * (r**0.5 + 3),
            float(np.linalg.norm(W, axis=1).max()),
            float(np.abs(b).max()),
        )


def natural_covariance(patch_size: int, channels: int) -> np.ndarray:
    """Return the covariance (d, d) of patches of photos, less their mean, as far as it is the same for all photos.

    The correlation of two pixels falls by 5 % a pixel of distance (Jain 1989), and that of two colours of a pixel
    is 0.9.

    Parameters
    ----------
    patch_size : int
    channels : int
    """
    y, x = np.divmod(np.arange(patch_size**2), patch_size)  # (patch_size²,) each
    distance = np.hypot(y[:, None] - y, x[:, None] - x)
    color = COLOR_CORRELATION + (1 - COLOR_CORRELATION) * np.eye(channels)
    C = np.kron(PIXEL_CORRELATION**distance, color)  # (d, d)
    C -= C.mean(axis=0)
    return C - C.mean(axis=1, keepdims=True)


def directions(W: np.ndarray, patch_size: int) -> np.ndarray:
    """Return orthonormal directions V (d, r) that hold most of photos and most of ``W`` (h, d).

    The bound is a product of two remainders, of W and of patches; the directions make both small.  r is the
    smallest number with a small bound, and 0 if that is not far below d.

    Parameters
    ----------
    W : (h, d) float64 array
    patch_size : int
    """
    d = W.shape[1]
    if d < FEWEST:
        return np.zeros((d, 0))
    C, M = natural_covariance(patch_size, d // patch_size**2), W.T @ W  # (d, d) each
    V = np.linalg.eigh(C / np.trace(C) + M / np.trace(M))[1][:, ::-1]  # (d, d)
    of_patches, of_weights = (
        np.append(np.cumsum(np.einsum("dr,dr->r", V, A @ V)[::-1])[::-1], 0) for A in (C, M)
    )  # (d + 1,) each: the squares of what lies beyond the first r directions
    usual = np.sqrt(np.maximum(of_patches * of_weights, 0) / np.sum(C * M))  # (d + 1,)
    r = int(np.argmax(usual <= REMAINDER))
    return V[:, :r] if r <= d // 2 else V[:, :0]
