"""compare_photos: whether two photos are the same picture, alike, or different, without an index."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from nsae.errors import ImageReadError
from nsae.images.decoding import load_thumbnail, read_whole
from nsae.images.encode_photos import PhotoEncoder, encode_photos
from nsae.images.library.same_picture import is_same_picture, orientations, signature_of
from nsae.retrieval.distances import cosine

SAME_FILE, SAME_PIXELS, SAME_PICTURE, ALIKE, DIFFERENT = VERDICTS = (
    "same file",
    "same pixels",
    "same picture",
    "alike",
    "different",
)
FULL_SIZE = 1 << 20  # pixels a side, more than any image has: it is decoded as it is


@dataclass(frozen=True)
class PhotoComparison:
    """What two photos have in common.

    Attributes
    ----------
    verdict : str
        The first of these that is true.  "same file": the files have the same content.  "same pixels": they
        are decoded to the same pixels.  "same picture": one was resized or compressed anew, or, if that was
        asked for, mirrored or turned.  "alike": their codes are near to each other.  "different".
    distance : float
        The cosine distance of their codes, Eq. (23).
    """

    verdict: str
    distance: float


def compare_photos(
    first: str | os.PathLike,
    second: str | os.PathLike,
    encoder: PhotoEncoder,
    *,
    radius: float,
    invariant: bool = False,
) -> PhotoComparison:
    """Return whether two photos are the same, alike or different.

    Pixels decide whether they are the same picture, as in ``ImageLibrary.duplicates``, and codes whether they
    are alike.

    Parameters
    ----------
    first, second : str or PathLike
        Files.
    encoder : PhotoEncoder
        From ``nsae.load_encoder``, or a fitted ``ImageEncoder``.
    radius : float
        Photos are alike if their codes are within this cosine distance.
    invariant : bool
        Pictures that are mirrored, or turned by 90°, 180° or 270°, are the same, too.

    Raises
    ------
    ImageReadError
        A file cannot be read.
    ValueError
        The encoder was trained on rows of numbers, or ``radius`` is negative or not a number.
    """
    if not radius >= 0:
        raise ValueError(f"radius={radius} was given; a cosine distance of 0 or more was expected.")
    Z = encode_photos(encoder, [first, second]).to_dense()  # (2, n_units)
    distance = float(cosine(Z[0], Z[1])[0, 0])  # (23)
    if _content(first) == _content(second):
        return PhotoComparison(SAME_FILE, distance)
    one, other = signature_of(first), signature_of(second)
    if is_same_picture(one, other):
        return PhotoComparison(SAME_PIXELS if _same_pixels(first, second) else SAME_PICTURE, distance)
    if invariant and any(is_same_picture(turned, other) for turned in orientations(one)):
        return PhotoComparison(SAME_PICTURE, distance)
    return PhotoComparison(ALIKE if distance <= radius else DIFFERENT, distance)


def _content(path: str | os.PathLike) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:  # It could be read a moment ago.
        raise ImageReadError(path, str(error), lasting=False) from error


def _same_pixels(first: str | os.PathLike, second: str | os.PathLike) -> bool:
    """Whether two files hold the same upright picture, with 8 bits a channel."""
    one, other = (load_thumbnail(path, FULL_SIZE) for path in (first, second))  # (H, W, 3) each
    return np.array_equal(one, other)
