"""Characters drawn with the fonts that matplotlib ships: data to learn from that needs no download."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from nsae.errors import require

# Digits and capitals.  I and O are left out, because they look like 1 and 0 when they are turned and scaled.
CHARACTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"

# The text fonts of every matplotlib since 3.8, so that each version draws the same glyphs.
FONTS = (
    "DejaVuSans DejaVuSans-Bold DejaVuSans-Oblique DejaVuSans-BoldOblique "
    "DejaVuSansMono DejaVuSansMono-Bold DejaVuSansMono-Oblique DejaVuSansMono-BoldOblique "
    "DejaVuSerif DejaVuSerif-Bold DejaVuSerif-Italic DejaVuSerif-BoldItalic "
    "STIXGeneral STIXGeneralBol STIXGeneralItalic STIXGeneralBolIta cmb10 cmr10 cmss10 cmtt10"
).split()

_OVER = 4  # glyphs are drawn and turned at this many times their final resolution, then averaged


def glyphs(
    n: int = 5000,
    *,
    size: int = 28,
    characters: str = CHARACTERS,
    random_state: int | np.random.Generator | None = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``n`` characters, white on black, in many fonts, sizes, angles, places, weights and contrasts.

    Parameters
    ----------
    n : int
        How many images, in random order.
    size : int
        Pixels a side, 8 or more.
    characters : str
        The classes.  Each occurs equally often, up to a difference of 1.
    random_state : int, Generator or None
        The same number gives the same images, with the same versions of matplotlib's fonts and of Pillow.

    Returns
    -------
    images : (n, size, size) float32
        In [0, 1].
    labels : (n,) array of dtype ``<U1``
        The character of each image.

    Raises
    ------
    ValueError
        If ``n`` < 1, ``size`` < 8, a character is repeated, or no font draws it.
    MissingExtraError
        If Pillow or matplotlib is not installed.
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


def _load_fonts(pixels: int) -> list[Any]:
    """Return the fonts of ``FONTS`` that this matplotlib has, at a height of ``pixels``."""
    matplotlib = require("matplotlib", "plots", "drawing glyphs (with its fonts)")
    ImageFont = require("PIL.ImageFont", "images", "drawing glyphs")
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    # The basic layout is in every build of Pillow, so that all draw the same.
    return [
        ImageFont.truetype(str(folder / f"{name}.ttf"), pixels, layout_engine=ImageFont.Layout.BASIC)
        for name in FONTS
        if (folder / f"{name}.ttf").is_file()
    ]


def _draws(font: Any, character: str) -> bool:
    """Tell whether ``font`` has ``character``: its ink is not empty, and not the box for unknown characters."""
    mask, unknown = font.getmask(character), font.getmask("\U0010ffff")  # never a character
    return mask.getbbox() is not None and (mask.size != unknown.size or bytes(mask) != bytes(unknown))


def _draw(Image: ModuleType, font: Any, character: str, weight: int) -> Any:
    """Return the ink of one character, cut to its edges, as an image of mode L."""
    ImageDraw = require("PIL.ImageDraw", "images", "drawing glyphs")
    left, top, right, bottom = font.getbbox(character, stroke_width=weight)
    image = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(image).text((-left, -top), character, fill=255, font=font, stroke_width=weight)
    return image.crop(image.getbbox())


def _place(Image: ModuleType, ink: Any, side: int, extent: float, angle: float, shift: np.ndarray) -> Any:
    """Return ``ink`` on a square of ``side`` pixels: scaled to ``extent``, turned by ``angle``, moved by ``shift``."""
    w, h = ink.size
    scale = extent / max(w, h)
    cos, sin = math.cos(angle), math.sin(angle)
    room = side - scale * np.array([w * cos + h * abs(sin), h * cos + w * abs(sin)])  # (2,)
    x, y = side / 2 + np.clip(shift, -room / 2, room / 2)  # where its centre goes; nothing is cut off
    # Pillow asks where each target pixel comes from: the inverse map, rotation transposed, scale divided.
    a, b = cos / scale, sin / scale
    inverse = (a, b, w / 2 - a * x - b * y, -b, a, h / 2 + b * x - a * y)
    return ink.transform((side, side), Image.Transform.AFFINE, inverse, Image.Resampling.BILINEAR)
