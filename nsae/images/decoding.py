"""One image file as an array.

Pillow decodes.  Settled here is what the array means, whatever the file was: the picture is upright, lies over
white where it is transparent, has values in [0, 1], and is all there.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from nsae.errors import ImageReadError, require
from nsae.images.kinds import kind_of_content, register_plugins

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

# What Pillow says of a text or profile that is too long for it: the first one up to Pillow 10.
TOO_LONG_TEXT = ("Decompressed Data Too Large", "MAX_TEXT")

_quieted = threading.Lock()


def load_image(path: str | os.PathLike, *, side: int | None = None, color: bool = True) -> np.ndarray:
    """Return one image as float32 in [0, 1]: (H, W, 3), or (H, W) for ``color=False``.

    The picture is turned upright by its EXIF orientation, and laid over white where it is transparent.
    16-bit grey is divided by 65535.  Grey in floats is taken as it is within [0, 1] and divided by 255
    within [0, 255].  Of an animation or a file of many pages, the first is read.  Colour becomes grey
    by the luma weights of ITU-R 601.  Colour profiles are not applied.

    Parameters
    ----------
    path : str or PathLike
    side : int, optional
        The result is (side, side[, 3]): the whole picture, stretched to a square.
    color : bool

    Raises
    ------
    ImageReadError
        For anything that keeps the file from being read.
    ValueError
        If ``side`` is less than 1.
    """
    check_side(side)
    Image = require("PIL.Image", "images", "reading images")
    try:
        return _pixels(Image, io.BytesIO(read_whole(path)), side, color)
    except Exception as error:  # Decoders meet damaged bytes with almost any exception.
        raise _read_error(Image, path, error) from error


def decode_image(
    data: bytes, path: str | os.PathLike, *, side: int | None = None, color: bool = True
) -> np.ndarray:
    """Return the image in the bytes of a file, as :func:`load_image` does.

    Parameters
    ----------
    data : bytes
        The whole content of the file.
    path : str or PathLike
        Its name, for errors.
    side, color
        As for :func:`load_image`, and so are the errors.
    """
    check_side(side)
    Image = require("PIL.Image", "images", "reading images")
    try:
        return _pixels(Image, io.BytesIO(data), side, color)
    except Exception as error:  # Decoders meet damaged bytes with almost any exception.
        raise _read_error(Image, path, error) from error


def read_whole(path: str | os.PathLike) -> bytes:
    """Return the content of an image file; OSError if ``path`` cannot be read, or is a pipe or the like.

    Decoders get the bytes and not the file.  A damaged header can ask for a gigabyte; Python allocates that
    before it reads a file, but of bytes it gives no more than there are.
    """
    with open(_regular(path), "rb") as file:
        return file.read()


def load_thumbnail(path: str | os.PathLike, longest: int) -> np.ndarray:
    """Return one image as uint8 (H, W, 3), upright and in its own proportions.

    Parameters
    ----------
    path : str or PathLike
    longest : int
        No side is longer than this many pixels.  Smaller images stay as they are.

    Raises
    ------
    ImageReadError, ValueError
        As :func:`load_image` does.
    """
    check_side(longest)
    Image = require("PIL.Image", "images", "reading images")
    try:
        plain = _upright_and_plain(Image, io.BytesIO(read_whole(path)), True, longest)
        if plain.mode == "F":  # grey of more than 8 bits, in [0, 1]
            plain = Image.fromarray(np.rint(np.asarray(plain) * 255).astype(np.uint8)).convert("RGB")
        plain.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(plain)  # (H, W, 3)
    except Exception as error:  # Decoders meet damaged bytes with almost any exception.
        raise _read_error(Image, path, error) from error


def check_side(side: int | None) -> None:
    """Raise ValueError if ``side`` is a number less than 1."""
    if side is not None and side < 1:
        raise ValueError(f"side={side} was given. Use the number of pixels, 1 or more.")


# ---- from a file to a picture


def _pixels(
    Image: ModuleType, source: str | os.PathLike | io.BytesIO, side: int | None, color: bool
) -> np.ndarray:
    """The array that :func:`load_image` returns."""
    plain = _upright_and_plain(Image, source, color, side)
    if side is not None:
        plain = _square(Image, plain, side)
    pixels = np.asarray(plain, dtype=np.float32)  # (H, W[, 3])
    if plain.mode == "F":
        return np.repeat(pixels[:, :, None], 3, axis=2) if color else pixels.copy()
    return np.asarray(pixels / np.float32(255))


def _regular(path: str | os.PathLike) -> str | os.PathLike:
    """``path``, unless it is a pipe or a device: opening one would wait for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode) and not os.path.isdir(path):
        raise OSError("not a regular file")
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings of Pillow: of an image that is only large, or EXIF tags that are odd.

    The filters of ``warnings`` belong to the whole process, so one thread at a time may change them.
    Only headers are read in here, and pixels are decoded outside.
    """
    with _quieted, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(Image: ModuleType, source: str | os.PathLike | io.BytesIO) -> Picture:
    """``Image.open`` for every format but the one that starts a program."""
    with _quiet():
        register_plugins()
        Image.init()
        # A file is known by its content, so one named .jpg may be PostScript, which runs Ghostscript.
        image: Picture = Image.open(source, formats=[name for name in Image.OPEN if name != "EPS"])
        if image.format == "TIFF":  # Its decoder reads the EXIF block too, and would warn later.
            with suppress(Exception):
                image.getexif()
        return image


def _upright_and_plain(
    Image: ModuleType, source: str | os.PathLike | io.BytesIO, color: bool, side: int | None
) -> Picture:
    """The file's picture, in a mode of :func:`_plain`; of no more than ``side`` pixels it stays sharp."""

    def decoded(image: Picture) -> Picture:
        with image:
            if (
                side is not None
            ):  # A JPEG can be decoded at 1/2, 1/4 or 1/8; twice what is needed stays sharp.
                image.draft("RGB" if color else "L", (2 * side, 2 * side))
            _check_pixels(Image, image)
            image.load()
            return _plain(Image, _upright(Image, image), color)

    try:
        return decoded(_open(Image, source))
    except Image.DecompressionBombError:
        return decoded(_open_large(Image, source))
    except ValueError as error:
        if not any(words in str(error) for words in TOO_LONG_TEXT):
            raise
        return decoded(_open(Image, io.BytesIO(without_text(_content(source)))))


def _check_pixels(Image: ModuleType, image: Picture) -> None:
    """Refuse a picture of more pixels than Pillow allows: a small file may hold one that fills the memory."""
    n, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
    if limit is not None and n > 2 * limit:
        raise Image.DecompressionBombError(
            f"Image size ({n} pixels) exceeds limit of {int(2 * limit)} pixels"
        )


def _open_large(Image: ModuleType, source: str | os.PathLike | io.BytesIO) -> Picture:
    """Open a JPEG that ``Image.open`` refuses for its many pixels: it can be decoded at a smaller size.

    A progressive one cannot: the decoder holds all of its coefficients.
    """
    from PIL import JpegImagePlugin

    if isinstance(source, io.BytesIO):
        source.seek(0)
    try:
        image: Picture = JpegImagePlugin.JpegImageFile(source)
    except SyntaxError:  # no JPEG
        image = _open(Image, source)  # which refuses it again
    if image.info.get("progressive"):
        _check_pixels(Image, image)
    return image


def _content(source: str | os.PathLike | io.BytesIO) -> bytes:
    return source.getvalue() if isinstance(source, io.BytesIO) else read_whole(source)


def without_text(data: bytes) -> bytes:
    """Return a PNG, whose bytes are ``data``, without its text and its colour profile.

    Pillow reads no PNG in which these are long, though the picture does not need them.
    """
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if kind not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _upright(Image: ModuleType, image: Picture) -> Picture:
    """``image``, decoded, turned as its EXIF orientation says.

    ``ImageOps.exif_transpose`` also rewrites the EXIF block, and fails where another tag is malformed.
    """
    orientation = None
    with _quiet(), suppress(Exception):  # A damaged EXIF block is no reason to lose the picture.
        orientation = image.getexif().get(0x0112)
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }.get(orientation or 0)
    return image if turn is None else image.transpose(turn)


def _plain(Image: ModuleType, image: Picture, color: bool) -> Picture:
    """``image`` in mode F in [0, 1] if it has more than 8 bits of grey, else in mode RGB, or L for grey."""
    scaled: Picture
    if image.mode.startswith("I"):  # I;16, I;16B, and I, which holds 16 bits in PNG and PGM
        # convert("L") would cut at 255 instead of scaling.
        scaled = Image.fromarray(_scaled(np.asarray(image), 65535))
        return scaled
    if image.mode == "F":
        values = np.asarray(image)  # (H, W)
        scaled = Image.fromarray(_scaled(values, 1 if values.max() <= 1 else 255))
        return scaled
    if image.has_transparency_data:
        if image.mode == "La":  # multiplied by its alpha already
            image = image.convert("LA")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != "RGB":  # Pillow would copy it.
        image = image.convert("RGB")  # the one mode that all others convert to
    return image if color else image.convert("L")


def _scaled(values: np.ndarray, top: int) -> np.ndarray:
    """``values / top`` as float32 (H, W); ValueError if any lies outside [0, top]."""
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):  # written so that NaN is refused
        raise ValueError(f"grey values from {low:g} to {high:g}, where 0 to {top} was expected")
    return np.asarray(np.divide(values, top, dtype=np.float32))


def _square(Image: ModuleType, image: Picture, side: int) -> Picture:
    """``image`` at (side, side).

    It is stretched: a centre crop would lose what is at the edges, and bars would be read as content.
    Bilinear with Pillow's antialiasing averages all pixels under each new one and, unlike bicubic or
    Lanczos, never overshoots [0, 1].  Large reductions go through a box average first, for speed.
    """
    return image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)


# ---- errors


def _read_error(Image: ModuleType, path: str | os.PathLike, error: Exception) -> ImageReadError:
    reason = _reason(Image, path, error)
    lasting = (
        not isinstance(error, (Image.DecompressionBombError, MemoryError)) and "pip install" not in reason
    )
    return ImageReadError(path, reason, lasting)


def _reason(Image: ModuleType, path: str | os.PathLike, error: Exception) -> str:
    """One line on why ``path`` could not be read."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if os.path.isdir(path):
        return "a folder, where an image file was expected; find_images lists the images in it"
    if isinstance(error, PermissionError):
        return "no permission to read the file"
    if isinstance(error, MemoryError):
        return "too large for the memory"
    if isinstance(error, Image.DecompressionBombError):
        size = _line(error).partition(", could be")[0]
        return (
            f"too many pixels: {size}. If you trust the file, raise it with --max-pixels, or in Python with "
            "PIL.Image.MAX_IMAGE_PIXELS, which is half of it"
        )
    if isinstance(error, Image.UnidentifiedImageError):
        with open(path, "rb") as file:
            start = file.read(12)
        kind = kind_of_content(start)
        if kind is not None:
            return f"of the kind {kind.name}. {kind.way_out}"
        return "not an image in a format that Pillow reads" if start else "the file is empty"
    return f"damaged, cut short, or of an unknown kind: {_line(error)}"


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
