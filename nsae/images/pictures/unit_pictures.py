"""What a unit of an index stands for, as a picture: its pattern, and the photos that have most of it.

A unit of an autoencoder on whole images has a pattern: what it adds to a reconstruction.  A unit of an image
pipeline has none; there, the part of each photo that excites it most is framed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nsae.errors import ImageReadError, require
from nsae.images.decoding import load_image, load_thumbnail
from nsae.images.encode_photos import PhotoEncoder
from nsae.images.features.unit_regions import Box
from nsae.images.pictures.montage import at_height, in_a_row
from nsae.retrieval import CodeIndex, unit_catalogue
from nsae.retrieval.explain.units import UnitUse
from nsae.system.progress import Progress

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
    framed : bool
        Whether the part of a photo that excites the unit most is framed.
    """

    image: np.ndarray
    text: str
    framed: bool = False


def unit_pictures(
    units: Iterable[int],
    *,
    index: CodeIndex,
    encoder: PhotoEncoder | None = None,
    root: Path | None = None,
    photos: int = PHOTOS,
    height: int = HEIGHT,
) -> dict[int, UnitPicture]:
    """Return a picture of each unit: its pattern, if it has one, and the photos that have most of it.

    Parameters
    ----------
    units : iterable of int
    index : CodeIndex
        Its ids are paths below ``root``.
    encoder : PhotoEncoder, optional
        What made the codes.
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
    shown = _readable(described, root, photos, 2 * height)
    patterns = _patterns(encoder, [use.unit for use in described])
    frames = {} if patterns else _frames(shown, encoder, root)
    pictures = {}
    for use in described:
        tiles, texts = [], []
        if use.unit in patterns:
            tiles.append(at_height(patterns[use.unit], height))
            texts.append("its pattern")
        for id, photo in shown[use.unit]:
            tile, box = at_height(photo, height), frames.get((use.unit, id))
            tiles.append(tile if box is None else _framed(tile, box))
        if shown[use.unit]:
            texts.append("the photos that have most of it: " + ", ".join(id for id, _ in shown[use.unit]))
        if tiles:
            text = f"Unit {use.unit}: {'; '.join(texts)}"
            pictures[use.unit] = UnitPicture(in_a_row(tiles), text, bool(frames))
    return pictures


def _patterns(encoder: PhotoEncoder | None, units: list[int]) -> dict[int, np.ndarray]:
    """The patterns of units, if they have any, as uint8 images; grey is 0, scaled to the largest value."""
    patterns = None if encoder is None else encoder.unit_patterns(units)  # (m, side, side[, 3])
    if patterns is None:
        return {}
    V = patterns.reshape(*patterns.shape[:3], -1)  # (m, side, side, channels)
    limits = np.abs(V).max(axis=(1, 2, 3), keepdims=True)
    V = 127.5 + 127.5 * V / np.where(limits > 0, limits, 1)
    V = np.broadcast_to(np.rint(V).astype(np.uint8), (*V.shape[:3], 3))
    return dict(zip(units, V, strict=True))


def _readable(
    described: list[UnitUse], root: Path | None, photos: int, longest: int
) -> dict[int, list[tuple[str, np.ndarray]]]:
    """For each unit, the first few of its top photos that can be read, with their ids."""
    read: dict[str, np.ndarray | None] = {}

    def photo(id: str) -> np.ndarray | None:
        if id not in read:
            try:
                read[id] = None if root is None else load_thumbnail(root / id, longest)
            except ImageReadError:  # moved or deleted since it was indexed
                read[id] = None
        return read[id]

    shown = {}
    for use in described:
        chosen: list[tuple[str, np.ndarray]] = []
        for id, _ in use.top:
            image = photo(str(id)) if len(chosen) < photos else None
            if image is not None:
                chosen.append((str(id), image))
        shown[use.unit] = chosen
    return shown


def _frames(
    shown: dict[int, list[tuple[str, np.ndarray]]], encoder: PhotoEncoder | None, root: Path | None
) -> dict[tuple[int, str], Box]:
    """For (unit, id), the part that excites the unit most, if that is not the whole photo."""
    if encoder is None or encoder.preprocessing is None or root is None:
        return {}
    units_of: dict[str, list[int]] = {}
    for unit, chosen in shown.items():
        for id, _ in chosen:
            units_of.setdefault(id, []).append(unit)
    side, color = encoder.preprocessing["side"], encoder.preprocessing["color"]
    frames: dict[tuple[int, str], Box] = {}
    with Progress("pictures of units", len(units_of), enabled=len(units_of) > 100) as progress:
        for id, units in units_of.items():
            boxes = encoder.unit_regions(load_image(root / id, side=side, color=color), units)
            frames.update(zip([(unit, id) for unit in units], boxes or [], strict=False))
            progress.update()
    return frames


def _framed(tile: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The tile with a line around the box: yellow between black, so that it shows on any photo."""
    Image = require("PIL.Image", "images", "pictures of units")
    ImageDraw = require("PIL.ImageDraw", "images", "pictures of units")
    h, w = tile.shape[:2]
    left, top, right, bottom = (round(part * size) for part, size in zip(box, (w, h, w, h), strict=True))
    picture = Image.fromarray(tile)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=EDGE, width=4)
    draw.rectangle((left + 1, top + 1, right - 2, bottom - 2), outline=FRAME, width=2)
    return np.asarray(picture)
