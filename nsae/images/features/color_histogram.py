"""The colours of an image, which contrast normalisation removes from its patches: Eq. (35)."""

from __future__ import annotations

import numpy as np

BINS = 8  # ranges of each channel
N_COLORS = BINS**3


def color_histogram(image: np.ndarray) -> np.ndarray:
    """Return χ of Eq. (35): the square root of the fraction of pixels that have each colour.

    Parameters
    ----------
    image : (H, W, 3) array
        uint8, or floats in [0, 1]; the same colours give the same bins.

    Returns
    -------
    (512,) float32
        Of norm 1.  Red, green and blue are cut into 8 ranges each.
    """
    bins = color_bins(image)  # (H, W)
    counts = np.bincount(bins.ravel(), minlength=N_COLORS)  # (512,)
    return np.sqrt(counts / bins.size).astype(np.float32)


def color_bins(image: np.ndarray) -> np.ndarray:
    """Return which of the 512 colours each pixel of an ``image`` (H, W, 3) has, as (H, W) int64."""
    if image.dtype == np.uint8:
        levels = image >> 5
    else:
        levels = np.minimum(image * BINS, BINS - 1).astype(np.uint8)
    red, green, blue = (levels[..., channel].astype(np.int64) for channel in range(3))  # (H, W) each
    return (red * BINS + green) * BINS + blue


def append_histogram(f: np.ndarray, chi: np.ndarray, weight: float, out: np.ndarray) -> None:
    """Write (f, ω χ) / √(1 + ω²) into ``out``: Eq. (35).

    The similarity of two images is then (⟨f, f′⟩ + ω² ⟨χ, χ′⟩) / (1 + ω²).

    Parameters
    ----------
    f : (cells · h,) array
        The pooled codes of an image, of norm 1.
    chi : (512,) array
        χ, from :func:`color_histogram`.
    weight : float
        ω.
    out : (cells · h + 512,) array
        Is written to.
    """
    norm = np.sqrt(1 + weight**2)
    out[: len(f)] = f / norm  # (35)
    out[len(f) :] = chi * (weight / norm)  # (35)
