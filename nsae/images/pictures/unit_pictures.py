"""What a unit of an index stands for, as a picture: its pattern, and the photos that have most of it.

Of an autoencoder on whole images, a unit has a pattern, which is what it adds to a reconstruction.  Of an
ImageEncoder it has none; there, the part of each photo that excites it most is framed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nsae.errors import ImageReadError, require
from nsae.images.decoding import load_image, load_thumbnail
from nsae.images.pictures.montage import at_height, in_a_row
from nsae.images.pictures.unit_regions import Regions
from nsae.models.encoder import Encoder
from nsae.retrieval import CodeIndex, unit_catalogue
from nsae.system.progress import Progress

if TYPE_CHECKING:
    from nsae.images.encoder import ImageEncoder

HEIGHT = 72  # pixels
PHOTOS = 3
SPARE = 5  # photos that may be missing before one is short
FRAME, EDGE = (255, 214, 10), (20, 20, 20)  # yellow on black shows on any photo


@dataclass(frozen=True, eq=False)
class UnitPicture:
    """A unit's picture.

    Attributes
    ----------
    image : (H, W, 3) uint8
    text : str
        What it shows, in words.
    """

    image: np.ndarray
    text: str


def unit_pictures(
    units: Iterable[int],
    *,
    index: CodeIndex,
    encoder: Encoder | ImageEncoder | None = None,
    root: Path | None = None,
    photos: int = PHOTOS,
    height: int = HEIGHT,
) -> dict[int, UnitPicture]:
    """A picture of each unit: its pattern, if it has one, and the photos of the index that have most of it.

    Parameters
    ----------
    units : iterable of int
    index : CodeIndex
        Its ids are paths below ``root``.
    encoder : Encoder or ImageEncoder, optional
        That made the codes.
    root : Path, optional
        The folder that was indexed; None if there are no files.
    photos, height : int
        How many photos side by side, and how high, in pixels.

    Returns
    -------
    dict of unit to UnitPicture
        Photos that cannot be read are left out.  A unit of which there is nothing to show has no entry.

    Raises
    ------
    ValueError
        If a unit is not one of the index.
    """
    described = unit_catalogue(index, units, top=photos + SPARE if root is not None else 0)
    tiles: dict[int, list[np.ndarray]] = {use.unit: [] for use in described}
    texts: dict[int, list[str]] = {use.unit: [] for use in described}
    for unit, pattern in _patterns(encoder, list(tiles)):
        tiles[unit].append(at_height(pattern, height))
        texts[unit].append("its pattern")
    shown = _readable(described, root, photos, 2 * height)
    frames = _frames(shown, encoder, root)
    for unit, chosen in shown.items():
        for id, photo in chosen:
            tile = at_height(photo, height)
            tiles[unit].append(_framed(tile, frames[unit, id]) if (unit, id) in frames else tile)
        if chosen:
            texts[unit].append("the photos that have most of it: " + ", ".join(str(id) for id, _ in chosen))
    return {
        unit: UnitPicture(in_a_row(tiles[unit]), f"Unit {unit}: {'; '.join(texts[unit])}")
        for unit in tiles
        if tiles[unit]
    }


def _patterns(encoder: Encoder | ImageEncoder | None, units: list[int]) -> list[tuple[int, np.ndarray]]:
    """(unit, uint8 image) of an autoencoder on whole images; grey is 0, scaled to the largest value."""
    if not isinstance(encoder, Encoder) or encoder.preprocessing is None:
        return []
    side, color = encoder.preprocessing["side"], encoder.preprocessing["color"]
    P = encoder.patterns()[units].reshape(-1, side, side, 3 if color else 1)  # (m, side, side, channels)
    limits = np.abs(P).max(axis=(1, 2, 3), keepdims=True)
    P = 127.5 + 127.5 * P / np.where(limits > 0, limits, 1)
    P = np.broadcast_to(np.rint(P).astype(np.uint8), (*P.shape[:3], 3))
    return list(zip(units, P, strict=True))


def _readable(described, root, photos, longest) -> dict[int, list[tuple[str, np.ndarray]]]:
    """For each unit, the first few of its top photos that can be read, with their ids."""
    read: dict[str, np.ndarray | None] = {}

    def photo(id: str) -> np.ndarray | None:
        if id not in read:
            try:
                read[id] = load_thumbnail(root / str(id), longest)
            except ImageReadError:  # moved or deleted since it was indexed
                read[id] = None
        return read[id]

    shown = {}
    for use in described:
        chosen = shown[use.unit] = []
        for id, _ in use.top:
            if len(chosen) < photos and photo(id) is not None:
                chosen.append((id, photo(id)))
    return shown


def _frames(shown, encoder, root) -> dict[tuple[int, str], tuple[float, float, float, float]]:
    """For (unit, id), the part that excites the unit most; each photo is taken to patches once."""
    if encoder is None or isinstance(encoder, Encoder):
        return {}
    regions, geometry = Regions(encoder), encoder.geometry_
    units_of: dict[str, list[int]] = {}
    for unit, chosen in shown.items():
        for id, _ in chosen:
            units_of.setdefault(id, []).append(unit)
    frames = {}
    with Progress("pictures of units", len(units_of), enabled=len(units_of) > 100) as progress:
        for id, units in units_of.items():
            image = load_image(root / str(id), side=geometry.image_size, color=geometry.color)
            for unit, box in zip(units, regions.strongest(image, units), strict=True):
                frames[unit, id] = box
            progress.update()
    return frames


def _framed(tile: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The tile with a line around the box: yellow between black, so that it shows on any photo."""
    Image = require("PIL.Image", "images", "pictures of units")
    ImageDraw = require("PIL.ImageDraw", "images", "pictures of units")
    h, w = tile.shape[:2]
    left, top, right, bottom = (round(share * size) for share, size in zip(box, (w, h, w, h), strict=True))
    picture = Image.fromarray(tile)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=EDGE, width=4)
    draw.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline=FRAME, width=2)
    return np.asarray(picture)
