"""compress and decompress: an image to bytes, and back."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from nsae.compression.dictionary import LAMBDA, SIDE, Dictionary
from nsae.compression.pursuit import pursue
from nsae.compression.range_coder import Decoder, Encoder
from nsae.compression.stream import Plane, code_plane, empty_plane

HEADER = struct.Struct("<3sBHHHI")  # name and version, kind and quality, height, width, dictionary, checksum
MAGIC = b"ns\x01"
GREY = 128  # is added to the quality in the header
MAX_PIXELS = 1 << 26  # A damaged header must not ask for more memory than there is.
CHROMA_STEP = 0.5  # A pixel of chroma stands for four, so its error counts more.


def compress(image: np.ndarray, quality: int = 50, dictionary: Dictionary | None = None) -> bytes:
    """Return an image as bytes, which ``decompress`` makes an image of again: a similar one, not the same.

    Parameters
    ----------
    image : (height, width) or (height, width, 3) uint8
        Grey, or red, green and blue.
    quality : int
        1 (few bytes) to 100.  The step that values are rounded to is halved with each 12 more.
    dictionary : Dictionary, optional
        The patterns to write it in; by default those that come with nsae.

    Raises
    ------
    ValueError
        The image has another shape or dtype, no pixel, more than 2²⁶ pixels or a side above 65,535; or there is no
        such quality.
    """
    dictionary = Dictionary.load() if dictionary is None else dictionary
    image = np.asarray(image)
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(
            f"An image of shape {image.shape}, {image.dtype} was given. "
            "Use (height, width) or (height, width, 3), uint8."
        )
    height, width = image.shape[:2]
    _check_size(height, width)
    if not (isinstance(quality, int | np.integer) and 1 <= quality <= 100):
        raise ValueError(f"quality={quality!r} was given. Use a whole number from 1 to 100.")
    coder, step = Encoder(), step_of(quality)
    planes = [image.astype(float)] if image.ndim == 2 else to_ycc(image)
    beside = None
    for pixels, size in zip(planes, (step, CHROMA_STEP * step, CHROMA_STEP * step), strict=False):
        plane = quantise(pixels, size, dictionary)
        beside = _beside(plane, beside)
        code_plane(coder, plane, dictionary.counts, beside)
        beside = plane.counts
    data = coder.finish()
    kind = quality + (GREY if image.ndim == 2 else 0)
    fields = (MAGIC, kind, height, width, dictionary.identity)
    return HEADER.pack(*fields, zlib.crc32(data, zlib.crc32(HEADER.pack(*fields, 0)))) + data


def decompress(data: bytes, dictionary: Dictionary | None = None) -> np.ndarray:
    """Return the image that ``compress`` made these bytes of.

    The same bytes give the same pixels on every machine.

    Parameters
    ----------
    data : bytes
        From ``compress``.
    dictionary : Dictionary, optional
        The one that it was compressed with; by default that which comes with nsae.

    Returns
    -------
    (height, width) or (height, width, 3) uint8

    Raises
    ------
    ValueError
        The bytes are no compressed image, are damaged or cut short, or need another dictionary.
    """
    dictionary = Dictionary.load() if dictionary is None else dictionary
    data = bytes(data)
    if len(data) < HEADER.size or data[:3] != MAGIC:
        raise ValueError(f"{len(data)} bytes that begin with {data[:3]!r} are no image that compress wrote.")
    _, kind, height, width, identity, checksum = HEADER.unpack_from(data)
    fields, body = (MAGIC, kind, height, width, identity), data[HEADER.size :]
    if zlib.crc32(body, zlib.crc32(HEADER.pack(*fields, 0))) != checksum:
        raise ValueError(
            "The compressed image is damaged or cut short: its checksum differs. Fetch it again."
        )
    if not 1 <= kind % GREY <= 100:
        raise ValueError(f"The compressed image is damaged: its quality is {kind % GREY}, not 1 to 100.")
    _check_size(height, width)
    if identity != dictionary.identity:
        raise ValueError(
            f"The image was compressed with dictionary {identity}, and {dictionary.identity} was given. "
            "Give decompress the dictionary that compress had."
        )
    coder, step = Decoder(body), step_of(kind % GREY)
    sizes = [(height, width, step)]
    if kind < GREY:
        sizes += 2 * [((height + 1) // 2, (width + 1) // 2, CHROMA_STEP * step)]
    planes, beside = [], None
    for rows, columns, size in sizes:
        plane = empty_plane(-(-rows // SIDE), -(-columns // SIDE))
        beside = _beside(plane, beside)
        code_plane(coder, plane, dictionary.counts, beside)
        beside = plane.counts
        planes.append(dequantise(plane, size, dictionary)[:rows, :columns])
    return to_uint8(planes[0]) if kind >= GREY else to_rgb(*planes)


def step_of(quality: int) -> float:
    """Return what a value of 1 stands for at a quality: 256 at 1, halved with each 12 more; in sixteenths.

    Parameters
    ----------
    quality : int
        1 to 100.
    """
    return round(16 * 256 * 2 ** (-(quality - 1) / 12)) / 16


def quantise(pixels: np.ndarray, step: float, dictionary: Dictionary) -> Plane:
    """Return a plane's patches as whole numbers: means, and codes by matching pursuit.

    Parameters
    ----------
    pixels : (height, width) float
        The plane.  It is continued to whole patches by its last row and column.
    step : float
        What a value of 1 stands for.
    dictionary : Dictionary
        The patterns.
    """
    height, width = pixels.shape
    pixels = np.pad(pixels, ((0, -height % SIDE), (0, -width % SIDE)), mode="edge")
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    X = pixels.reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2).reshape(-1, SIDE**2)  # (B, 64)
    means = X.mean(axis=1, keepdims=True)
    Q = pursue(X - means, dictionary.patterns, step, LAMBDA * step**2, dictionary.unit_bits)
    codes: list[dict[int, int]] = [{} for _ in range(len(Q))]
    for patch, unit in zip(*np.nonzero(Q), strict=True):
        codes[patch][int(unit)] = int(Q[patch, unit])
    return Plane(np.rint(means * (SIDE / step)).astype(np.int64).reshape(rows, columns), codes)


def dequantise(plane: Plane, step: float, dictionary: Dictionary) -> np.ndarray:
    """Return the pixels (8 · rows, 8 · columns) of a plane.

    The products are sums of whole numbers over powers of 2 and below 2⁵³, so they are exact in float64.

    Parameters
    ----------
    plane : Plane
        From ``quantise``, or read from bytes.
    step : float
        As it was there.
    dictionary : Dictionary
        As it was there.
    """
    rows, columns = plane.means.shape
    X = np.repeat(plane.means.reshape(-1, 1) * (step / SIDE), SIDE**2, axis=1)  # (B, 64)
    columns_of_V = np.ascontiguousarray(dictionary.patterns.T)  # (h, 64)
    for x, code in zip(X, plane.codes, strict=True):
        if code:
            x += step * (np.array(list(code.values()), float) @ columns_of_V[list(code)])  # (3)
    return X.reshape(rows, columns, SIDE, SIDE).swapaxes(1, 2).reshape(rows * SIDE, columns * SIDE)


def to_ycc(image: np.ndarray) -> list[np.ndarray]:
    """Return brightness Y (height, width) and the colour differences Cb and Cr, each of half the height and width.

    Parameters
    ----------
    image : (height, width, 3) uint8
        Red, green and blue.
    """
    r, g, b = np.moveaxis(image.astype(float), 2, 0)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    halves = []
    for chroma in ((b - y) / 1.772, (r - y) / 1.402):
        even = np.pad(chroma, ((0, chroma.shape[0] % 2), (0, chroma.shape[1] % 2)), mode="edge")
        halves.append(even.reshape(even.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3)))
    return [y, *halves]


def to_rgb(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    """Return red, green and blue (height, width, 3) uint8 of the three planes of ``to_ycc``.

    Parameters
    ----------
    y : (height, width) float
        Brightness.
    cb, cr : (⌈height/2⌉, ⌈width/2⌉) float
        Colour differences; pixels between theirs are interpolated.
    """
    height, width = y.shape
    cb, cr = (_double(_double(c, 0), 1)[:height, :width] for c in (cb, cr))
    r, b = y + 1.402 * cr, y + 1.772 * cb
    return to_uint8(np.stack([r, (y - 0.299 * r - 0.114 * b) / 0.587, b], axis=2))


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Round to whole numbers from 0 to 255.

    Parameters
    ----------
    pixels : array
        Of any shape.
    """
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _double(c: np.ndarray, axis: int) -> np.ndarray:
    """Put two values, each a quarter of the way to the neighbour, in the place of one."""
    c = np.moveaxis(c, axis, 0)
    before, after = np.concatenate([c[:1], c[:-1]]), np.concatenate([c[1:], c[-1:]])
    both = np.stack([0.75 * c + 0.25 * before, 0.75 * c + 0.25 * after], axis=1)
    return np.moveaxis(both.reshape(-1, *c.shape[1:]), 0, axis)


def _beside(plane: Plane, before: np.ndarray | None) -> np.ndarray:
    """Return how many units the plane before has at the place of each patch: zeros for the first plane."""
    rows, columns = plane.means.shape
    if before is None:
        return np.zeros((rows, columns), np.int64)
    if before.shape == (rows, columns):
        return before
    before = np.pad(before, ((0, before.shape[0] % 2), (0, before.shape[1] % 2)))
    return before.reshape(before.shape[0] // 2, 2, -1, 2).sum(axis=(1, 3))


def _check_size(height: int, width: int) -> None:
    if not (1 <= height < 1 << 16 and 1 <= width < 1 << 16 and height * width <= MAX_PIXELS):
        raise ValueError(
            f"An image of {width} × {height} pixels. Sides of 1 to 65,535 and 2²⁶ pixels in all are allowed."
        )
