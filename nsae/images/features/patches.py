"""Patches of images: cut out, contrast-normalised (29) and whitened (30).

Whitening is linear, and so is the product that follows it: :func:`fold` makes one matrix of both, so
that encoding pays for a single product a patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def patch_places(side: int, patch: int, stride: int) -> np.ndarray:
    """(m,) int64: the first pixel of each patch along one side of an image."""
    return np.arange(0, side - patch + 1, stride)


def cut_patches(image: np.ndarray, patch: int, stride: int, out: np.ndarray | None = None) -> np.ndarray:
    """All patches of one image, row by row: (P, d) with d = patch² × channels.

    Parameters
    ----------
    image : (H, W) or (H, W, channels) array
    patch, stride : int
        Side of a patch, and from one patch to the next, in pixels.
    out : (P, d) array, optional
        Where the patches go; its dtype is theirs.

    Returns
    -------
    (P, d) array
        P = m_H · m_W, with m = (side − patch) // stride + 1.  A patch's pixels are in the order of
        the image: rows, columns, channels.
    """
    windows = np.lib.stride_tricks.sliding_window_view(image, (patch, patch), axis=(0, 1))
    windows = windows[::stride, ::stride]  # (m_H, m_W[, channels], patch, patch), a view
    if image.ndim == 3:
        windows = windows.transpose(0, 1, 3, 4, 2)  # (m_H, m_W, patch, patch, channels)
    n, d = windows.shape[0] * windows.shape[1], int(np.prod(windows.shape[2:]))
    if out is None:
        out = np.empty((n, d), image.dtype)
    out.reshape(windows.shape)[...] = windows  # the one copy
    return out


def normalise_contrast(X: np.ndarray, eps: float) -> np.ndarray:
    """Each patch less its mean, over its standard deviation, in place: Eq. (29).

    A patch then looks the same in light and in shadow.  ``eps`` is added to the variance: a flat patch
    stays flat instead of becoming amplified noise.  (Coates, Ng and Lee 2011, with eps = 10 for pixels
    of 0 to 255, which is 1.5e-4 for pixels of 0 to 1.)

    Parameters
    ----------
    X : (P, d) array of floats
        Is overwritten.
    eps : float
        Above 0, in squared units of X.

    Returns
    -------
    X itself.
    """
    X -= X.mean(axis=1, keepdims=True)  # (29)
    variance = np.einsum("pd,pd->p", X, X) / X.dtype.type(X.shape[1])  # (P,)
    X *= (1 / np.sqrt(variance + X.dtype.type(eps)))[:, None]  # (29)
    return X


@dataclass(frozen=True, eq=False)
class Whitening:
    """ZCA whitening x ↦ S (x − mean), Eq. (30).

    Attributes
    ----------
    mean : (d,) float64
    S : (d, d) float64
        Symmetric: the whitening that changes patches least, so that they still look like patches.
    """

    mean: np.ndarray
    S: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, eps: float) -> Whitening:
        """Learn it from patches X (n, d).

        ``eps`` is added to each variance: it keeps the directions in which patches hardly differ, noise
        for the most part, from being scaled up.  (Coates, Ng and Lee 2011, with eps = 0.1.)
        """
        mean = X.mean(axis=0, dtype=np.float64)  # (d,)
        d = X.shape[1]
        C = np.zeros((d, d))  # (d, d)
        for start in range(0, len(X), 1 << 14):  # in float64, a block at a time
            rows = X[start : start + (1 << 14)] - mean  # (rows, d)
            C += rows.T @ rows
        variances, E = np.linalg.eigh(C / len(X))  # (d,), (d, d) with eigenvectors as columns
        scale = 1 / np.sqrt(np.maximum(variances, 0) + eps)  # (d,)
        return cls(mean, (E * scale) @ E.T)  # (30)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Whitened patches (n, d), in the dtype of X (n, d)."""
        return ((X - self.mean) @ self.S).astype(X.dtype)  # (30), S is symmetric


def fold(W: np.ndarray, b: np.ndarray, whitening: Whitening) -> tuple[np.ndarray, np.ndarray]:
    """Weights (h, d) and biases (h,) that read patches as W and b read whitened ones: Eqs. (1) and (30).

    W S (x − mean) + b = (W S) x + (b − W S mean).
    """
    folded = W.astype(np.float64) @ whitening.S  # (h, d)
    return folded.astype(W.dtype), (b - folded @ whitening.mean).astype(b.dtype)
