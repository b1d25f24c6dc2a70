"""The colours of an image beside its patches, which contrast normalisation has taken them from: Eq. (35)."""

from __future__ import annotations

import numpy as np

BINS = 8  # a channel
N_COLORS = BINS**3


def color_histogram(image: np.ndarray) -> np.ndarray:
    """The square root of the share of each colour, (512,) float32 at norm 1: χ of Eq. (35).

    Parameters
    ----------
    image : (H, W, 3) array
        uint8, or floats in [0, 1]; the same colours give the same bins.

    Returns
    -------
    (512,) float32
        Red, green and blue are cut into 8 ranges each.
    """
    bins = color_bins(image)  # (H, W)
    counts = np.bincount(bins.ravel(), minlength=N_COLORS)
    return np.sqrt(counts / bins.size).astype(np.float32)


def color_bins(image: np.ndarray) -> np.ndarray:
    """Which of the 512 colours each pixel of an image (H, W, 3) has, (H, W) int64."""
    if image.dtype == np.uint8:
        levels = image >> 5
    else:
        levels = np.minimum(image * BINS, BINS - 1).astype(np.uint8)
    red, green, blue = (levels[..., channel].astype(np.int64) for channel in range(3))  # (H, W) each
    return (red * BINS + green) * BINS + blue


def beside(f: np.ndarray, h: np.ndarray, weight: float, out: np.ndarray) -> None:
    """(f, ω χ) / √(1 + ω²) of f (cells·h,) and χ (512,), both at norm 1, into ``out``: Eq. (35).

    The similarity of two images is then (⟨f, f′⟩ + ω² ⟨χ, χ′⟩) / (1 + ω²).
    """
    norm = np.sqrt(1 + weight**2)
    out[: len(f)] = f / norm  # (35)
    out[len(f) :] = h * (weight / norm)  # (35)
