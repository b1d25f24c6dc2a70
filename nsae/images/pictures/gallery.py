"""A gallery: queries, what was found for each, and why, as one HTML file that needs nothing else.

The page is ``gallery.html`` beside this file; here its data are put together.  Photos are in it as small
JPEGs, so that it can be mailed, opened without a network, and kept.  Of a photo, nothing else but its id
goes into the page: no place, no date.
"""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.errors import ImageReadError, require
from nsae.images.decoding import load_thumbnail
from nsae.images.encode_photos import PhotoEncoder
from nsae.images.files import id_of
from nsae.images.pictures.unit_pictures import unit_pictures
from nsae.retrieval import CodeIndex, Hits, unit_catalogue
from nsae.retrieval.explain.contributions import explain
from nsae.system.storage import atomic_file, refuse_existing

Photo = str | os.PathLike | np.ndarray

TEMPLATE = Path(__file__).with_name("gallery.html")
THUMBNAIL = 160  # pixels, the longer side; the page shows them no larger on an ordinary screen
QUALITY = 80  # of JPEG
NAMED = 5  # shared units of a hit that are shown; the others are added up
DISTANCES = {
    "cosine": "0 means the same code, 1 means that the two photos share nothing.",
    "l2": "0 means the same code; the larger, the less the two codes have in common.",
    "dot": "it is the negative of what the two codes have in common, so the lowest number is the best.",
    "jaccard": "0 means the same active units, 1 means that not a single one is shared.",
    "hamming": "it counts the units that are active in only one of the two photos; 0 means the same units.",
}


@dataclass(frozen=True, eq=False)
class GalleryQuery:
    """One query of a gallery: a photo, or several that are added up and subtracted.

    Attributes
    ----------
    plus : sequence of paths or arrays
        The photos that the query is made of, one or more.  Of arrays (H, W) or (H, W, 3), floats are in
        [0, 1], integers in 0 to 255.
    code : Codes
        Of the query, one row.
    minus : sequence of paths or arrays
        The photos that are subtracted.
    name : str, optional
        What the query is called; by default the ids of its photos, or the names of files that are not below
        the folder that was indexed.
    """

    plus: Sequence[Photo]
    code: Codes
    minus: Sequence[Photo] = ()
    name: str | None = None


@dataclass(frozen=True)
class GalleryOptions:
    """What a gallery says, and what it counts.

    Attributes
    ----------
    title, heading : str, optional
        What stands over the page, and over the hits; by default what they are and how many.
    keep : int, optional
        As in ``index.search``, if the hits were searched so.
    """

    title: str | None = None
    heading: str | None = None
    keep: int | None = None


PLAIN = GalleryOptions()


def write_gallery(
    target: str | os.PathLike,
    queries: Sequence[GalleryQuery],
    hits: Hits,
    *,
    index: CodeIndex,
    encoder: PhotoEncoder | None = None,
    root: Path | None = None,
    options: GalleryOptions = PLAIN,
    overwrite: bool = False,
) -> Path:
    """Write one HTML file that shows each query, its hits, their distances, and the units that they share.

    Parameters
    ----------
    target : str or PathLike
        The file.
    queries : sequence of GalleryQuery
    hits : Hits
        Of these queries.
    index : CodeIndex
        The one that was searched.
    encoder : PhotoEncoder, optional
        What made the codes; it shows what units stand for.
    root : Path, optional
        The folder that the index's ids are paths in.  Without it there are no pictures of hits.
    options : GalleryOptions
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    Path
        The file.  A photo that cannot be read has a grey square in its place.

    Raises
    ------
    ValueError
        There are no queries, or not as many rows of hits; a query has no photo, or not one code.
    FileExistsError, FileNotFoundError
        The target is taken, or its folder does not exist.
    MissingExtraError
        Pillow is not installed.
    """
    _check_queries(queries, hits)
    target = refuse_existing(target, overwrite)
    require("PIL.Image", "images", "galleries")
    root = None if root is None else Path(os.path.realpath(root))
    photos = _Photos(root)
    shown = [
        {**photos.of_query(query, q), "hits": _hits(hits, q, index, query.code, options.keep, photos)}
        for q, query in enumerate(queries)
    ]
    units = sorted({unit for query in shown for hit in query["hits"] for unit, _ in hit["contributions"]})
    described = _units(units, index, encoder, root)
    data = {
        "metric": index.metric,
        "rows": len(index),
        "heading": options.heading,
        "framed": any(unit.pop("framed", False) for unit in described.values()),
        "photos": photos.shown,
        "units": described,
        "queries": shown,
    }
    single = all(len(query["parts"]) == 1 for query in shown)
    title = f"{len(queries)} {'photos' if single else 'queries'}, and what is most like each"
    if len(queries) == 1:
        title = f"{shown[0]['name']}, and what is most like it"
    page = TEMPLATE.read_text(encoding="utf-8")
    for mark, text in {
        "{{title}}": html.escape(title if options.title is None else options.title),
        "{{distance}}": html.escape(DISTANCES[index.metric]),
        "{{data}}": _json(data),  # last: it may hold what looks like a mark
    }.items():
        page = page.replace(mark, text)
    with atomic_file(target, overwrite=overwrite) as file:
        file.write(page.encode("utf-8", "replace"))
    return target


def _check_queries(queries: Sequence[GalleryQuery], hits: Hits) -> None:
    """Raise ValueError if there is not a row of hits, a photo and a code for each query."""
    if not queries or len(queries) != len(hits):
        raise ValueError(
            f"{len(queries)} queries came with {len(hits)} rows of hits. Give one of each for each query."
        )
    for query in queries:
        if not query.plus or len(query.code) != 1:
            raise ValueError(
                f"A query came with {len(query.plus)} photos and {len(query.code)} codes. Give it one photo or "
                "more, and one code."
            )


class _Photos:
    """Each photo of the page once, whatever it is shown for."""

    def __init__(self, root: Path | None):
        self.root = root
        self.shown: list[dict[str, Any]] = []
        self._number_of: dict[object, int] = {}

    def of_query(self, query: GalleryQuery, q: int) -> dict[str, Any]:
        """The name of a query and its photos; what it subtracts is marked."""
        single = len(query.plus) == 1 and not query.minus
        parts: list[dict[str, Any]] = []
        for photo, is_minus in [*((p, False) for p in query.plus), *((p, True) for p in query.minus)]:
            name = query.name if single and query.name else None
            spare = f"query {q + 1}" if single else f"query {q + 1}, photo {len(parts) + 1}"
            parts.append({"photo": self._of(photo, name, spare), "minus": is_minus})
        signed = [(" - " if part["minus"] else " + ") + self.shown[part["photo"]]["name"] for part in parts]
        return {"name": query.name or "".join(signed)[3:], "parts": parts}

    def of_hit(self, id: int | str) -> int:
        """The number of the photo with this id."""
        return self._photo(id, None if self.root is None else self.root / str(id), str(id))

    def _of(self, photo: Photo, name: str | None, spare: str) -> int:
        if isinstance(photo, np.ndarray):
            return self._add(object(), name or spare, _small(photo))
        id = id_of(photo, self.root)
        return self._photo(id, Path(photo), name or (Path(id).name if os.path.isabs(id) else id))

    def _photo(self, id: int | str, path: Path | None, name: str) -> int:
        if id in self._number_of:
            return self._number_of[id]
        try:
            image = None if path is None else load_thumbnail(path, THUMBNAIL)
        except ImageReadError:  # moved or deleted since it was indexed: still a hit
            image = None
        return self._add(id, name, image)

    def _add(self, key: object, name: str, image: np.ndarray | None) -> int:
        self._number_of[key] = len(self.shown)
        self.shown.append({"name": name, "src": None if image is None else data_uri(image)})
        return len(self.shown) - 1


def _hits(
    hits: Hits, q: int, index: CodeIndex, code: Codes, keep: int | None, photos: _Photos
) -> list[dict[str, Any]]:
    """The hits of one query, with what they share with it."""
    found = []
    for r in range(hits.counts[q]):
        row = index.codes[int(hits.rows[q, r])]
        pair = (code, row) if keep is None else (code.keep(keep), row.keep(keep))
        contributions = explain(*pair, None, metric=index.metric)
        found.append(
            {
                "photo": photos.of_hit(hits.ids[q, r]),
                "distance": float(hits.distances[q, r]),
                "similarity": sum(contribution for _, contribution in contributions),
                "shared": len(contributions),
                "contributions": contributions[:NAMED],
            }
        )
    return found


def _units(
    units: Iterable[int], index: CodeIndex, encoder: PhotoEncoder | None, root: Path | None
) -> dict[int, dict[str, Any]]:
    """In how many photos each unit is active, and its picture if there is one."""
    pictures = unit_pictures(units, index=index, encoder=encoder, root=root)
    described: dict[int, dict[str, Any]] = {}
    for use in unit_catalogue(index, units, top=0):
        described[use.unit] = {"rows": use.rows}
        if use.unit in pictures:
            picture = pictures[use.unit]
            described[use.unit] |= {
                "src": data_uri(picture.image),
                "text": picture.text,
                "framed": picture.framed,
            }
    return described


def data_uri(image: np.ndarray) -> str:
    """Return an ``image`` (H, W, 3) uint8 as a JPEG inside of a ``data:`` address."""
    Image = require("PIL.Image", "images", "galleries")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _small(image: np.ndarray) -> np.ndarray:
    """An array (H, W) or (H, W, 3) as uint8 (h, w, 3), its longer side the thumbnails'."""
    Image = require("PIL.Image", "images", "galleries")
    if image.dtype.kind == "f":
        image = np.rint(np.clip(image, 0, 1) * 255)
    picture = Image.fromarray(image.astype(np.uint8)).convert("RGB")
    scale = THUMBNAIL / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def _json(data: object) -> str:
    r"""JSON that no HTML parser can end early or read as a comment: ``<`` is written ``\u003c``."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
