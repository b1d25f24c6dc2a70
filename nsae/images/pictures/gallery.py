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


def write_gallery(
    target: str | os.PathLike,
    queries: Sequence[str | os.PathLike | np.ndarray],
    hits: Hits,
    *,
    index: CodeIndex,
    codes: Codes,
    encoder: PhotoEncoder | None = None,
    root: Path | None = None,
    names: Sequence[str | None] | None = None,
    keep: int | None = None,
    title: str | None = None,
    heading: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write one HTML file that shows each query, its hits, their distances, and the units that they share.

    Parameters
    ----------
    target : path of the file
    queries : q paths or arrays
        Of arrays (H, W) or (H, W, 3), floats are in [0, 1], integers in 0 to 255.
    hits : Hits
        Of these queries.
    index : CodeIndex
        That was searched.
    codes : Codes
        Of the queries, q rows.
    encoder : PhotoEncoder, optional
        That made the codes; shows what units stand for.
    root : Path, optional
        The folder that the index's ids are paths in.  Without it there are no pictures of hits.
    names : q strings or None, optional
        What queries are called; by default their ids, or the names of files that are not below ``root``.
    keep : int, optional
        As in ``index.search``, if the hits were searched so.
    title, heading : str, optional
        What stands over the page, and over the hits; by default what they are and how many.
    overwrite : bool

    Returns
    -------
    Path
        The file.  A photo that cannot be read has a grey square in its place.

    Raises
    ------
    ValueError
        If queries, hits, codes and names are not equally many.
    FileExistsError, FileNotFoundError
        If the target is taken, or its folder does not exist.
    MissingExtraError
        Without Pillow.
    """
    counts = {len(queries), len(hits), len(codes), len(queries if names is None else names)}
    if len(counts) != 1 or not len(queries):
        raise ValueError(
            f"{len(queries)} queries came with {len(hits)} rows of hits, {len(codes)} codes and "
            f"{'no' if names is None else len(names)} names. Give one of each for each query."
        )
    target = refuse_existing(target, overwrite)
    require("PIL.Image", "images", "galleries")
    root = None if root is None else Path(os.path.realpath(root))
    photos = _Photos(root)
    shown = []
    for q, query in enumerate(queries):
        photo = photos.of_query(query, q, None if names is None else names[q])
        shown.append({"photo": photo, "hits": _hits(hits, q, index, codes[q], keep, photos)})
    units = sorted({unit for query in shown for hit in query["hits"] for unit, _ in hit["shares"]})
    described = _units(units, index, encoder, root)
    data = {
        "metric": index.metric,
        "rows": len(index),
        "heading": heading,
        "framed": any(unit.pop("framed", False) for unit in described.values()),
        "photos": photos.shown,
        "units": described,
        "queries": shown,
    }
    if title is None:
        many = f"{len(queries)} photos, and what is most like each"
        title = many if len(queries) > 1 else f"{photos.shown[0]['name']}, and what is most like it"
    page = TEMPLATE.read_text(encoding="utf-8")
    for mark, text in {
        "{{title}}": html.escape(title),
        "{{distance}}": html.escape(DISTANCES[index.metric]),
        "{{data}}": _json(data),  # last: it may hold what looks like a mark
    }.items():
        page = page.replace(mark, text)
    with atomic_file(target, overwrite=overwrite) as file:
        file.write(page.encode("utf-8", "replace"))
    return target


class _Photos:
    """Each photo of the page once, whatever it is shown for."""

    def __init__(self, root: Path | None):
        self.root = root
        self.shown: list[dict[str, Any]] = []
        self._number_of: dict[object, int] = {}

    def of_query(self, query: str | os.PathLike | np.ndarray, q: int, name: str | None) -> int:
        if isinstance(query, np.ndarray):
            return self._add(object(), name or f"query {q + 1}", _small(query))
        id = id_of(query, self.root)
        return self._photo(id, Path(query), name or (Path(id).name if os.path.isabs(id) else id))

    def of_hit(self, id: int | str) -> int:
        return self._photo(id, None if self.root is None else self.root / str(id), str(id))

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


def _hits(hits: Hits, q: int, index: CodeIndex, code: Codes, keep: int | None, photos: _Photos) -> list[dict]:
    found = []
    for r in range(hits.counts[q]):
        row = index.codes[int(hits.rows[q, r])]
        pair = (code, row) if keep is None else (code.keep(keep), row.keep(keep))
        shares = explain(*pair, None, metric=index.metric)
        found.append(
            {
                "photo": photos.of_hit(hits.ids[q, r]),
                "distance": float(hits.distances[q, r]),
                "similarity": sum(share for _, share in shares),
                "shared": len(shares),
                "shares": shares[:NAMED],
            }
        )
    return found


def _units(
    units: Iterable[int], index: CodeIndex, encoder: PhotoEncoder | None, root: Path | None
) -> dict[int, dict[str, Any]]:
    pictures = unit_pictures(units, index=index, encoder=encoder, root=root)
    described = {}
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
    """An image (H, W, 3) uint8 as a JPEG inside of a ``data:`` address."""
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
