"""What the command line draws of an index: hits, reasons, units, and the page with all three."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nsae import plots
from nsae.cli.outputs import printable
from nsae.cli.queries import Query, picture_of
from nsae.codes import Codes
from nsae.errors import ImageReadError
from nsae.images import load_image
from nsae.images.library.library_folder import LibraryFolder
from nsae.images.pictures.gallery import GalleryOptions, GalleryQuery, write_gallery
from nsae.images.pictures.montage import in_a_row
from nsae.images.pictures.unit_pictures import unit_pictures
from nsae.retrieval import Hits, unit_catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Item = TypeVar("Item")

MAX_DRAWN = 20  # hits a query, and queries, in one picture


def write_page(
    page: Path,
    queries: list[Query],
    codes: Codes,
    hits: Hits,
    opened: LibraryFolder,
    *,
    overwrite: bool = False,
    **options: Any,
) -> None:
    """Write a gallery of queries and their hits.

    Parameters
    ----------
    page : Path
        The HTML file.
    queries : list of Query
    codes : Codes
        Of the queries.
    hits : Hits
    opened : LibraryFolder
        The index that was searched.
    overwrite : bool
        Replace a file that exists.
    options
        Of ``GalleryOptions``.
    """
    shown = [
        GalleryQuery(query.plus, codes[q], query.minus, None if len(query.photos) == 1 else query.name)
        for q, query in enumerate(queries)
    ]
    write_gallery(
        page,
        shown,
        hits,
        index=opened.index,
        encoder=opened.encoder,
        root=opened.root,
        options=GalleryOptions(**options),
        overwrite=overwrite,
    )


def _few(items: list[Item], what: str) -> list[Item]:
    """As many as fit into a picture."""
    if len(items) > MAX_DRAWN:
        print(f"nsae: the picture shows {MAX_DRAWN} {what} of {len(items)}", file=sys.stderr)
    return items[:MAX_DRAWN]


def draw_units(numbers: list[int], opened: LibraryFolder) -> Figure:
    """Draw what units stand for, a row for each.

    Parameters
    ----------
    numbers : list of int
        The units.
    opened : LibraryFolder

    Raises
    ------
    ValueError
        If there is nothing to show.
    """
    index, encoder, root = opened.index, opened.encoder, opened.root
    few = _few(numbers, "units")
    pictures = unit_pictures(few, index=index, encoder=encoder, root=root, photos=8, height=144)
    rows = {use.unit: use.rows for use in unit_catalogue(index, few, top=0)}
    shown = [(f"unit {u}, in {rows[u]} of {len(index)}", pictures[u].image) for u in few if u in pictures]
    if not shown:
        raise ValueError(
            "There is nothing to draw: no unit has a pattern, and no photo of theirs can be read."
        )
    return plots.strips(shown, title="What units stand for: the photos that have most of each")


def draw_reasons(
    query: Query,
    id: int | str,
    distance: float,
    similarity: float,
    contributions: list[tuple[int, float]],
    opened: LibraryFolder,
) -> Figure:
    """Draw the query beside a hit, and the units that they share.

    Parameters
    ----------
    query : Query
    id : int or str
        The hit's.
    distance, similarity : float
        Of the two codes.
    contributions : list of (unit, contribution)
        What each unit adds to the similarity.
    opened : LibraryFolder
    """
    index, encoder, root = opened.index, opened.encoder, opened.root
    pair = in_a_row([_thumbnail(query.plus[0], 144), _thumbnail(opened.path_of(id), 144)])
    rows = [(f"the query and the hit: {index.metric} distance {distance:.4f}", pair)]
    few = _few(contributions, "units")
    units = [unit for unit, _ in few]
    pictures = unit_pictures(units, index=index, encoder=encoder, root=root, photos=6, height=144)
    rows += [
        (f"unit {unit}: {contribution / similarity:.1%} of what they share", pictures[unit].image)
        for unit, contribution in few
        if unit in pictures
    ]
    return plots.strips(rows)


def draw_hits(queries: list[Query], hits: Hits, opened: LibraryFolder) -> Figure:
    """Draw a row for each of the ``queries``: its photos, then its ``hits`` in the index ``opened``, with distances."""
    few = _few(queries, "queries")
    counts = np.minimum(hits.counts, MAX_DRAWN)  # (q,)
    if hits.counts.max() > MAX_DRAWN:
        print(f"nsae: the picture shows {MAX_DRAWN} hits a query", file=sys.stderr)
    found = [hits.ids[q, : counts[q]] for q in range(len(few))]
    return plots.search_results(
        [_thumbnail(q.plus[0], 160) if len(q.photos) == 1 else picture_of(q, 160) for q in few],
        [[_thumbnail(opened.path_of(id), 160) for id in ids] for ids in found],
        [hits.distances[q, : counts[q]].tolist() for q in range(len(few))],
        names=[[printable(Path(str(id)).name) for id in ids] for ids in found],
        row_titles=[printable(q.plus[0].name if len(q.photos) == 1 else q.name) for q in few],
        title="Each query and its nearest photos by sparse code, with their distances",
    )


def _thumbnail(path: Path | None, side: int) -> np.ndarray:
    """A photo as uint8 (side, side, 3); a grey square if it was moved or deleted since it was indexed."""
    try:
        if path is not None:
            return np.asarray(np.rint(load_image(path, side=side) * 255), np.uint8)
    except ImageReadError:
        pass
    return np.full((side, side, 3), 204, np.uint8)
