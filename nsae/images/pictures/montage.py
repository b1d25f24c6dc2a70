"""Several pictures as one: side by side, at one height."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsae.errors import require

WIDEST = 1.6  # width of a picture over its height, at most; a panorama is squeezed
GAP = 2  # pixels between two pictures, in a grey that is quiet on light and on dark
GREY = 128


def at_height(image: np.ndarray, height: int) -> np.ndarray:
    """Return an ``image`` (H, W, 3) uint8 at this ``height``, in its proportions unless they are extreme.

    The pixels of a smaller image stay sharp squares: it is the pattern of a unit, which has no more detail.
    """
    Image = require("PIL.Image", "images", "pictures of units")
    h, w = image.shape[:2]
    width = round(height * min(max(w / h, 1 / WIDEST), WIDEST))
    how = Image.Resampling.NEAREST if h < height else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).resize((width, height), how))


def in_a_row(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return ``images`` (H, W, 3) uint8 of one height, side by side."""
    gap = np.full((len(images[0]), GAP, 3), GREY, np.uint8)
    return np.concatenate([part for image in images for part in (image, gap)][:-1], axis=1)
