"""Codes of photos, whichever encoder there is: one of images, or one of rows of pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nsae.codes import Codes
from nsae.images.image_blocks import check_images, image_blocks
from nsae.models.encoder import Encoder

if TYPE_CHECKING:
    from nsae.images.encoder import ImageEncoder


def encode_pixels(encoder: Encoder | ImageEncoder, images: np.ndarray) -> Codes:
    """The codes of images (n, side, side[, 3]) of the encoder's size, uint8 or floats in [0, 1]."""
    if not len(images):
        return Codes.from_dense(np.zeros((0, encoder.n_units), np.float32))
    wanted = encoder.preprocessing.get("dtype", "float32")  # as nsae index reads them: the same bits
    if images.dtype != wanted:
        images = np.rint(images * 255).astype(np.uint8) if wanted == "uint8" else images / np.float32(255)
    of_images = hasattr(encoder, "geometry_")  # an ImageEncoder; others take rows of pixels
    return encoder.encode(images if of_images else images.reshape(len(images), -1))


def encode_photos(encoder: Encoder | ImageEncoder, photos: Sequence[str | os.PathLike | np.ndarray]) -> Codes:
    """The codes of paths, or of arrays (H, W) or (H, W, 3), uint8 or floats in [0, 1], of any size.

    Raises ImageReadError for a file that cannot be read, ValueError for an array that is no image.
    """
    how, codes = encoder.preprocessing, [encode_pixels(encoder, np.empty(0))]
    for photo in photos:
        images = check_images(photo[None] if isinstance(photo, np.ndarray) else [photo])
        blocks = image_blocks(images, how["side"], how["color"], 1)
        codes += [encode_pixels(encoder, block) for block in blocks]
    return Codes.concatenate(codes)
