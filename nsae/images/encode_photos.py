"""encode_photos: the one route from photos to their codes, whichever encoder there is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from nsae.codes import Codes
from nsae.images.files import OnError
from nsae.images.image_blocks import Images, check_images, image_blocks

BLOCK = 64  # photos that a library reads, and encodes, at once, unless it is told another number


class PhotoEncoder(Protocol):
    """What encoders of photos have in common: ``Encoder`` of whole images, and image encoders of patches.

    Attributes
    ----------
    n_units : int
    header : dict
        What the encoder's file says about it.
    preprocessing : dict or None
        How photos become its input: {"side": pixels, "color": bool}, and {"dtype": "uint8"} if pixels are
        0 to 255.  None for an encoder of rows of numbers, which takes no photos.
    block_size : int
        Images that it encodes at once.
    """

    n_units: int

    @property
    def header(self) -> dict[str, Any]:
        """What the encoder's file says about it."""

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """How photos become its input."""

    @property
    def block_size(self) -> int:
        """Images that it encodes at once."""

    def encode_images(self, images: np.ndarray) -> Codes:
        """Return the codes of ``images`` (n, side, side[, 3]) of its own size, uint8 or floats in [0, 1]."""

    def unit_patterns(self, units: Sequence[int]) -> np.ndarray | None:
        """Return what each of m ``units`` adds to an image, (m, side, side[, 3]); None if that is unknown."""

    def unit_regions(
        self, image: np.ndarray, units: Sequence[int]
    ) -> list[tuple[float, float, float, float]] | None:
        """Return the part of an ``image`` that excites each of the ``units`` most; None if it is all of it."""

    def encoder(self) -> PhotoEncoder:
        """Return the frozen encoder."""

    def to_bytes(self) -> bytes:
        """Return the content of the encoder's file."""


def encode_photos(
    encoder: PhotoEncoder,
    photos: np.ndarray | Sequence[str | os.PathLike | np.ndarray],
    *,
    on_error: OnError | None = None,
) -> Codes:
    """Return the codes of photos of any size: a row for each that could be read, in their order.

    Memory is bounded by a block of photos and the result.  The code of a photo does not depend on those
    beside it, with one exception: OpenBLAS's float32 kernel for AVX2 adds up in an order that depends on
    the place of a photo in its block.  There, codes agree to rounding: values differ by about 1e-6 of the
    largest, and of two units that are nearly equal, either may be the k-th.

    Parameters
    ----------
    encoder : PhotoEncoder
        From ``nsae.load_encoder``, or a fitted ``ImageEncoder``.
    photos : array (n, H, W[, 3]), or sequence of paths and of arrays (H, W[, 3])
        Arrays are uint8, or floats in [0, 1].  Those in a sequence may differ in size.
    on_error : callable, optional
        Is given an :class:`~nsae.errors.ImageReadError` for each file that cannot be read, which has no row
        then.  Without it, the error is raised.

    Raises
    ------
    ImageReadError
        A file cannot be read, and there is no ``on_error``.
    ValueError, TypeError
        An array is no image, or the encoder was trained on rows of numbers.
    """
    how = encoder.preprocessing
    if how is None:
        raise ValueError(
            "The encoder was trained on rows of numbers and does not say how photos become such rows. "
            "Use an ImageEncoder, or set preprocessing_ before the model is saved."
        )
    codes = [Codes.from_dense(np.zeros((0, encoder.n_units), np.float32))]
    side, color, size = how["side"], how["color"], encoder.block_size
    for some in _of_a_kind(photos, size):
        for block in image_blocks(check_images(some), side, color, size, on_error=on_error):
            if how.get("dtype") == "uint8" and block.dtype != np.uint8:
                block = np.rint(block * 255).astype(np.uint8)  # (rows, side, side[, 3])
            codes.append(encoder.encode_images(block))
    return Codes.concatenate(codes)


def _of_a_kind(photos: np.ndarray | Sequence[str | os.PathLike | np.ndarray], size: int) -> Iterator[Images]:
    """Runs of photos that can be read together: up to ``size`` paths, or arrays of one shape."""
    if isinstance(photos, np.ndarray):
        if len(photos):
            yield photos
        return
    paths: list[str | os.PathLike] = []
    for photo in photos:
        if paths and (isinstance(photo, np.ndarray) or len(paths) == size):
            yield paths
            paths = []
        if isinstance(photo, np.ndarray):
            yield photo[None]
        else:
            paths.append(photo)
    if paths:
        yield paths
