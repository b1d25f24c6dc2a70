"""Patches of images: cut out, contrast-normalised (29) and whitened (30).

Whitening is linear, and so is the product with the weights that follows it.  :func:`fold` makes one matrix
of both, so that encoding pays for a single product a patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PATCHES = 512  # that are normalised, or multiplied, at once: with 512 units, their pre-activations take 1 MB


def patch_places(image_size: int, patch_size: int, stride: int) -> np.ndarray:
    """Return the first pixel of each patch along one side of an image, as (m,) int64.

    Parameters
    ----------
    image_size, patch_size : int
        Sides of the image and of a patch, in pixels.
    stride : int
        Pixels from one patch to the next.
    """
    return np.arange(0, image_size - patch_size + 1, stride)


def cut_patches(image: np.ndarray, patch_size: int, stride: int, out: np.ndarray | None = None) -> np.ndarray:
    """Return all patches of one image, row by row: (P, d) with d = patch_size² × channels.

    Parameters
    ----------
    image : (H, W) or (H, W, channels) array
    patch_size, stride : int
        Side of a patch, and from one patch to the next, in pixels.
    out : (P, d) array, optional
        Where the patches are written, in its dtype.

    Returns
    -------
    (P, d) array
        P = m_H · m_W, with m = (side − patch_size) // stride + 1.  The pixels of a patch are in the order of
        the image: rows, columns, channels.
    """
    windows = np.lib.stride_tricks.sliding_window_view(image, (patch_size, patch_size), axis=(0, 1))
    windows = windows[::stride, ::stride]  # (m_H, m_W[, channels], patch_size, patch_size), a view
    if image.ndim == 3:
        windows = windows.transpose(0, 1, 3, 4, 2)  # (m_H, m_W, patch_size, patch_size, channels)
    n, d = windows.shape[0] * windows.shape[1], int(np.prod(windows.shape[2:]))
    if out is None:
        out = np.empty((n, d), image.dtype)
    out.reshape(windows.shape)[...] = windows  # the only copy
    return out


def normalise_contrast(X: np.ndarray, eps: float) -> np.ndarray:
    """Subtract the mean of each patch and divide by its standard deviation, in place: Eq. (29).

    A patch then looks the same in light and in shadow.  ``eps`` is added to the variance, so that the noise
    of a flat patch is not amplified.  (Coates, Ng and Lee 2011, with eps = 10 for pixels of 0 to 255, which
    is 1.5e-4 for pixels of 0 to 1.)

    Parameters
    ----------
    X : (P, d) array of floats
        Is overwritten.
    eps : float
        Above 0, in squared units of X.

    Returns
    -------
    (P, d) array
        X itself.
    """
    for start in range(0, len(X), PATCHES):
        x = X[start : start + PATCHES].astype(np.float64)  # (rows, d)
        mean = x.mean(axis=1, keepdims=True)  # (rows, 1)
        squares = np.einsum("pd,pd->p", x, x)[:, None] / x.shape[1]  # (rows, 1)
        variance = np.maximum(squares - mean * mean, 0)  # (rows, 1)
        X[start : start + PATCHES] = (x - mean) * (1 / np.sqrt(variance + eps))  # (29)
    return X


@dataclass(frozen=True, eq=False)
class Whitening:
    """ZCA whitening x ↦ S (x − mean), Eq. (30).

    Attributes
    ----------
    mean : (d,) float64
    S : (d, d) float64
        Symmetric.  Of all matrices that whiten, it changes patches least, so they still look like patches.
    """

    mean: np.ndarray
    S: np.ndarray

    @classmethod
    def fit(cls, X: np.ndarray, eps: float) -> Whitening:
        """Learn mean and S from patches ``X`` (n, d).

        ``eps`` is added to the variance of each direction.  Patches hardly differ along some directions,
        which are mostly noise; ``eps`` keeps these from being amplified.  (Coates, Ng and Lee 2011, with
        eps = 0.1.)
        """
        mean = X.mean(axis=0, dtype=np.float64)  # (d,)
        d = X.shape[1]
        C = np.zeros((d, d))  # (d, d)
        for start in range(0, len(X), 1 << 14):  # a block of rows at a time, in float64
            rows = X[start : start + (1 << 14)] - mean  # (rows, d)
            C += rows.T @ rows
        variances, E = np.linalg.eigh(C / len(X))  # (d,), (d, d) with eigenvectors as columns
        scale = 1 / np.sqrt(np.maximum(variances, 0) + eps)  # (d,)
        return cls(mean, (E * scale) @ E.T)  # (30)

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return whitened patches (n, d), in the dtype of ``X`` (n, d)."""
        whitened: np.ndarray = ((X - self.mean) @ self.S).astype(X.dtype)  # (30), S is symmetric
        return whitened


def fold(W: np.ndarray, b: np.ndarray, whitening: Whitening) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and biases that read patches as W and b read whitened ones: Eqs. (1) and (30).

    W S (x − mean) + b = (W S) x + (b − W S mean).

    Parameters
    ----------
    W : (h, d) array
    b : (h,) array
    whitening : Whitening

    Returns
    -------
    (h, d) array, (h,) array
        W S and b − W S mean.
    """
    folded = W.astype(np.float64) @ whitening.S  # (h, d)
    return folded.astype(W.dtype), (b - folded @ whitening.mean).astype(b.dtype)
