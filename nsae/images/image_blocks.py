"""Images in blocks of one size: from an array, or decoded from files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nsae.codes import check_not_masked
from nsae.errors import ImageReadError, require
from nsae.images.files import OnError, load_images
from nsae.validation import shown

Images = np.ndarray | Sequence[str | os.PathLike]

CHANNELS = (1, 3, 4)  # numbers a pixel; grey images are wider
ROUNDING = 1e-6  # a resized image may end at 1 + 1e-7


def check_images(images: Images) -> Images:
    """Return ``images`` as an array (n, H, W[, 3]) of uint8 or floats, or as a list of paths.

    Paths may come in an array or a data frame's column too, and arrays as anything that NumPy takes for one.

    Raises
    ------
    TypeError
        A single path, sparse data, objects that are no numbers, or other integers than uint8.
    ValueError
        No images, complex numbers, or an array of another shape.
    """
    images = _as_array_or_paths(images)
    if isinstance(images, list):
        return images
    if images.dtype.kind == "c":
        raise ValueError("Complex data not supported: give pixels as uint8, or as floats in [0, 1].")
    if images.size == 0:
        what = "sample" if len(images) == 0 else "feature"
        raise ValueError(
            f"Found array with 0 {what}(s) (shape={images.shape}) while a minimum of 1 is required: give one image "
            "at least."
        )
    if images.ndim == 3 and images.shape[2] in CHANNELS and images.shape[1] > images.shape[2]:
        raise ValueError(
            f"An array (n, H, W) or (n, H, W, 3) of images was expected, and shape {images.shape} is that of one "
            "image with channels. Give image[None]; a grey one is image[None, :, :, 0]."
        )
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise ValueError(
            f"An array (n, H, W) or (n, H, W, 3) of images was expected, got shape {images.shape}. "
            "Reshape your data: one image is image[None], rows of pixels are X.reshape(-1, H, W)."
        )
    if images.dtype.kind == "O":
        try:
            images = images.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"Pixels are expected as numbers, and not all of them are: {error}.") from None
    if images.dtype != np.uint8 and images.dtype.kind not in "fb":
        raise TypeError(
            f"Pixels are expected as uint8, or as floats in [0, 1], and came as {images.dtype}. "
            "Divide by their largest possible value."
        )
    return images


def _as_array_or_paths(images: Any) -> np.ndarray | list[Path]:
    if isinstance(images, (str, bytes, os.PathLike)):
        raise TypeError(
            f"images is the single path {shown(images)}. Give a list of files, such as find_images(folder)."
        )
    if hasattr(images, "toarray"):
        raise TypeError(
            f"Sparse data ({type(images).__name__}) came; an array (n, H, W[, 3]) of pixels, or a list of paths, "
            "was expected."
        )
    if not (hasattr(images, "__array__") or hasattr(images, "__iter__")):
        raise TypeError(
            f"An array (n, H, W[, 3]) of pixels, or a list of paths, was expected, got {shown(images)}."
        )
    check_not_masked(images)
    if not isinstance(images, np.ndarray):
        images = np.asarray(images) if hasattr(images, "__array__") else list(images)
    if not isinstance(images, np.ndarray) or (images.ndim == 1 and images.dtype.kind in "OU"):
        images = list(images)
        check_not_masked(images)
        if images and all(isinstance(image, (str, os.PathLike)) for image in images):
            return [Path(image) for image in images]
        try:
            return np.array(images)
        except ValueError:
            raise ValueError(
                "The images in the list differ in shape; one array (n, H, W[, 3]) or a list of paths was "
                "expected. Resize them to one shape, or give their paths."
            ) from None
    return images


def image_blocks(
    images: Images,
    side: int,
    color: bool,
    block: int,
    *,
    on_error: OnError | None = None,
    n_threads: int | None = None,
) -> Iterator[np.ndarray]:
    """Yield images of one size in blocks, in their order.

    Parameters
    ----------
    images : array or list of paths
        As :func:`check_images` returned them.
    side : int
        Pixels, in both directions.
    color : bool
    block : int
        Images that are yielded at once, at most.
    on_error : callable, optional
        Is given an :class:`~nsae.errors.ImageReadError` for each file that cannot be read, which is left
        out then.  Without it, the error is raised.
    n_threads : int, optional
        That decode files; by default one a processor.

    Yields
    ------
    (≤ block, side, side[, 3]) array
        uint8 if an array of uint8 needed no resizing, else float32 in [0, 1].

    Raises
    ------
    ValueError
        Floats are not finite, or lie outside of [0, 1].
    MissingExtraError
        Files are to be read, or images resized, and Pillow is not installed.
    """
    for start in range(0, len(images), block):
        some = images[start : start + block]
        if isinstance(some, np.ndarray):
            yield _fitted(_in_unit_interval(some, start), side, color)
            continue
        read, _ = load_images(some, side=side, color=color, on_error=on_error, n_threads=n_threads)
        if len(read):
            yield read


def _in_unit_interval(images: np.ndarray, start: int) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    images = images.astype(np.float32)
    good = (images >= -ROUNDING) & (images <= 1 + ROUNDING)  # NaN is not
    if not good.all():
        at = tuple(np.argwhere(~good)[0])
        negative = "Negative values in data: " if images[at] < 0 else ""
        raise ValueError(
            f"{negative}Image {start + at[0]} has the value {images[at]} in row {at[1]}, column {at[2]}; floats in "
            "[0, 1] were expected. Divide by the largest possible value (8-bit pixels: by 255, or give them as uint8)."
        )
    return images


def _fitted(images: np.ndarray, side: int, color: bool) -> np.ndarray:
    """The images (n, H, W[, 3]) as (n, side, side[, 3])."""
    if images.shape[1:3] == (side, side) and (images.ndim == 4) == color:
        return images
    as_bytes = images if images.dtype == np.uint8 else np.rint(images * 255).astype(np.uint8)
    if images.shape[1:3] == (side, side) and color:
        return np.repeat(images[..., None], 3, axis=3)
    Image = require("PIL.Image", "images", "resizing images, or turning them grey,")
    fitted = np.empty((len(images), side, side, 3) if color else (len(images), side, side), np.float32)
    for i, pixels in enumerate(as_bytes):
        image = Image.fromarray(pixels).convert("RGB" if color else "L")
        fitted[i] = image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
    fitted /= np.float32(255)
    return fitted


def choose(images: Images, most: int, rng: np.random.Generator) -> Images:
    """Return at most ``most`` of the ``images``, chosen by ``rng`` and in their order."""
    if len(images) <= most:
        return images
    chosen = np.sort(rng.choice(len(images), most, replace=False))
    array: Any = images
    return [images[i] for i in chosen] if isinstance(images, list) else array[chosen]


def once(on_error: OnError | None) -> OnError | None:
    """Return ``on_error`` for several passes over the same files: each error is reported once."""
    if on_error is None:
        return None
    seen = set()

    def report(error: ImageReadError) -> None:
        if error.path not in seen:
            seen.add(error.path)
            on_error(error)

    return report
