"""Data to learn from: characters that are drawn here, and MNIST and Fashion-MNIST from their files.

``glyphs`` needs no download.  The others are read from :func:`data_folder`, where
:func:`nsae.download.download` puts them.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from nsae.errors import one_of, require

# Digits and capitals; I and O are left out, which look like 1 and 0 once they are turned and scaled.
CHARACTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"

# The text fonts that every matplotlib from 3.8 on ships, so that the same glyphs are drawn with each.
FONTS = (
    "DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique "
    "DejaVuSansMono DejaVuSansMono-Bold DejaVuSansMono-Oblique DejaVuSansMono-BoldOblique "
    "DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic DejaVuSerif-BoldItalic "
    "STIXGeneral STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta cmb10 cmr10 cmss10 cmtt10"
).split()

_OVER = 4  # glyphs are drawn and turned at this many times their final resolution, then averaged

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def glyphs(
    n: int = 5000,
    *,
    size: int = 28,
    characters: str = CHARACTERS,
    random_state: int | np.random.Generator | None = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``n`` characters, white on black, in many fonts, sizes, angles, places, weights and contrasts.

    Returns images (n, size, size) float32 in [0, 1] and labels (n,) of dtype ``<U1``, shuffled.  The
    classes are the ``characters``; how often they occur differs by 1 at most.  The same
    ``random_state`` gives the same images, with the same versions of the fonts and of Pillow.

    Raises ValueError if ``n`` < 1, ``size`` < 8, a character is repeated or no font draws it, and
    :class:`~nsae.errors.MissingExtraError` without Pillow or matplotlib.
    """
    if n < 1 or size < 8:
        raise ValueError(f"n={n}, size={size} was given. Use n of 1 or more, and size of 8 or more.")
    if not characters or len(set(characters)) < len(characters):
        raise ValueError(f"characters={characters!r} was given. Use one or more characters, each once.")
    Image = require("PIL.Image", "images", "drawing glyphs")
    fonts = _load_fonts(_OVER * size)
    drawn_by = [[font for font in fonts if _draws(font, c)] for c in characters]
    for c, able in zip(characters, drawn_by, strict=True):
        if not able:
            raise ValueError(f"No font of matplotlib draws the character {c!r}. Leave it out of characters.")

    rng = np.random.default_rng(random_state)
    classes = rng.permutation(np.arange(n) % len(characters))  # (n,)
    font = rng.random(n)  # (n,) in [0, 1): which of those that draw the character
    weight = rng.integers(0, 3, n)  # (n,) outline of 0, 1 or 2 pixels at the resolution of drawing
    extent = rng.uniform(0.5, 0.8, n) * size * _OVER  # (n,) height or width, whichever is larger
    angle = np.radians(rng.uniform(-15, 15, n))  # (n,)
    shift = rng.uniform(-1, 1, (n, 2)) * 0.12 * size * _OVER  # (n, 2) in x, y
    contrast = rng.uniform(0.7, 1, n) / 255  # (n,)

    ink = {}  # each (character, font, weight) is drawn once
    images = np.empty((n, size, size), np.float32)  # (n, size, size)
    for i, j in enumerate(classes):
        which = int(font[i] * len(drawn_by[j]))
        key = (j, which, weight[i])
        if key not in ink:
            ink[key] = _draw(Image, drawn_by[j][which], characters[j], int(weight[i]))
        turned = _place(Image, ink[key], size * _OVER, extent[i], angle[i], shift[i])
        images[i] = turned.reduce(_OVER)  # (size, size) mean of _OVER × _OVER pixels
        images[i] *= contrast[i]
    return images, np.array(list(characters))[classes]


def _load_fonts(pixels: int) -> list:
    """The fonts of ``FONTS`` that this matplotlib has, at a height of ``pixels``."""
    matplotlib = require("matplotlib", "plots", "drawing glyphs (with its fonts)")
    ImageFont = require("PIL.ImageFont", "images", "drawing glyphs")
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    # The basic layout is in every build of Pillow, so that all draw the same.
    return [
        ImageFont.truetype(str(folder / f"{name}.ttf"), pixels, layout_engine=ImageFont.Layout.BASIC)
        for name in FONTS
        if (folder / f"{name}.ttf").is_file()
    ]


def _draws(font, character: str) -> bool:
    """Whether ``font`` has ``character``: it leaves ink, and other than the box for unknown ones."""
    mask, unknown = font.getmask(character), font.getmask("\U0010ffff")  # never a character
    return mask.getbbox() is not None and (mask.size != unknown.size or bytes(mask) != bytes(unknown))


def _draw(Image, font, character: str, weight: int):
    """The ink of one character, cut to its edges, as an image of mode L."""
    ImageDraw = require("PIL.ImageDraw", "images", "drawing glyphs")
    left, top, right, bottom = font.getbbox(character, stroke_width=weight)
    image = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font, stroke_width=weight)
    return image.crop(image.getbbox())


def _place(Image, ink, side: int, extent: float, angle: float, shift: np.ndarray):
    """``ink`` scaled to ``extent``, turned by ``angle`` and moved by ``shift`` on a square of ``side``."""
    w, h = ink.size
    scale = extent / max(w, h)
    cos, sin = math.cos(angle), math.sin(angle)
    room = side - scale * np.array([w * cos + h * abs(sin), h * cos + w * abs(sin)])  # (2,)
    x, y = side / 2 + np.clip(shift, -room / 2, room / 2)  # where its centre goes; nothing is cut off
    # Pillow asks where each target pixel comes from: the inverse map, rotation transposed, scale divided.
    a, b = cos / scale, sin / scale
    inverse = (a, b, w / 2 - a * x - b * y, -b, a, h / 2 + b * x - a * y)
    return ink.transform((side, side), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR)


def data_folder() -> Path:
    """Where data sets are kept: ``$NSAE_DATA``, or ``nsae`` in the user's cache folder."""
    if os.environ.get("NSAE_DATA"):
        return Path(os.environ["NSAE_DATA"]).expanduser()
    cache = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "nsae"


def mnist(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits: images (n, 28, 28) uint8, labels (n,) uint8; n = 60,000, or 10,000 for "test".

    Raises FileNotFoundError if the files are not in :func:`data_folder`, ValueError if they are damaged.
    """
    return _mnist_like("mnist", split)


def fashion_mnist(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Photos of clothes, in the form of :func:`mnist`: images (n, 28, 28) uint8, labels (n,) uint8.

    Raises FileNotFoundError if the files are not in :func:`data_folder`, ValueError if they are damaged.
    """
    return _mnist_like("fashion-mnist", split)


def _mnist_like(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    prefix = "train" if one_of("split", split, ("train", "test")) == "train" else "t10k"
    paths = [data_folder() / name / f"{prefix}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist. Run `nsae download {name}`, or set NSAE_DATA to the folder that "
                f"holds {name}/{path.name}."
            )
    images, labels = map(read_idx, paths)  # (n, 28, 28), (n,)
    if images.shape != (len(labels), 28, 28) or labels.ndim != 1:
        raise ValueError(
            f"{paths[0]} holds {images.shape} and {paths[1].name} {labels.shape}; (n, 28, 28) and (n,) were "
            f"expected. Run `nsae download {name}` again."
        )
    return images, labels


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """The array in an idx file, compressed by gzip or not, in the file's shape and the machine's byte order.

    The format is that of http://yann.lecun.com/exdb/mnist: two zero bytes, a type, the number of
    dimensions, each dimension as a big-endian uint32, the values.

    Raises ValueError if the file is of another format, damaged, too short or too long.
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: its gzip compression is damaged ({error}). Fetch it again.") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_DTYPES:
        raise ValueError(
            f"{path}: not an idx file. It begins with {data[:4]!r}; expected are two zero bytes, a type "
            f"(one of {', '.join(f'0x{code:02x}' for code in _IDX_DTYPES)}) and the number of dimensions."
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"{path}: cut short in its header, {len(data)} of {start} bytes. Fetch it again.")
    shape = tuple(int(extent) for extent in np.frombuffer(data, ">u4", data[3], 4))
    dtype = np.dtype(_IDX_DTYPES[data[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(
            f"{path}: {len(data)} bytes, where its header, of shape {shape}, announces {expected}. Fetch it again."
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
