"""Several pictures as one: side by side, at one height."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsae.errors import require

WIDEST = 1.6  # times its height; a panorama is squeezed
GAP = 2  # pixels between two pictures, in a grey that is quiet on light and on dark
GREY = 128


def at_height(image: np.ndarray, height: int) -> np.ndarray:
    """An image (H, W, 3) uint8 at this height, in its proportions unless they are extreme.

    Pixels of a smaller one stay sharp squares: it is a unit's pattern, and they are all there is of it.
    """
    Image = require("PIL.Image", "images", "pictures of units")
    h, w = image.shape[:2]
    width = round(height * min(max(w / h, 1 / WIDEST), WIDEST))
    how = Image.Resampling.NEAREST if h < height else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).resize((width, height), how))


def in_a_row(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images (H, W, 3) uint8 of one height, side by side."""
    gap = np.full((len(images[0]), GAP, 3), GREY, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)
