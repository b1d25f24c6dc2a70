"""What the command line searches for: photos, each alone, or several added up and taken away."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nsae.cli.inputs import NothingWorked, encode_files
from nsae.codes import Codes
from nsae.errors import UsageError
from nsae.images.decoding import load_thumbnail
from nsae.images.library.library_folder import LibraryFolder
from nsae.images.library.scan import known_id
from nsae.images.pictures.montage import at_height, in_a_row
from nsae.retrieval import Hits, compose

SIGNS = ("+", "-")


@dataclass(frozen=True)
class Query:
    """The photos that one query is made of; most often it is one."""

    plus: list[Path]
    minus: list[Path]

    @property
    def name(self) -> str:
        """The query as it could have been written on the command line."""
        added = " + ".join(map(os.fspath, self.plus))
        return " - ".join([added, *map(os.fspath, self.minus)])

    @property
    def photos(self) -> list[Path]:
        """The photos that it adds, then those that it takes away."""
        return [*self.plus, *self.minus]


def parse_queries(words: Sequence[str], plus: Sequence[str] = (), minus: Sequence[str] = ()) -> list[Query]:
    """Return the queries in words of the command line.

    ``a.jpg b.jpg + c.jpg - d.jpg`` are two queries: a, and b + c − d.

    Parameters
    ----------
    words : sequence of str
        Paths and signs.
    plus, minus : sequence of str
        Photos that are added to each query, and taken from each.

    Raises
    ------
    UsageError
        Where a sign does not stand between two photos.
    """
    queries: list[Query] = []
    sign = None
    for word in words:
        if word in SIGNS:
            if sign is not None or not queries:
                raise UsageError(
                    f"{word!r} is expected between two photos, as in: a.jpg + b.jpg - c.jpg. "
                    f"A photo of that name is ./{word}"
                )
            sign = word
        elif sign is None:
            queries.append(Query([Path(word)], []))
        else:
            (queries[-1].plus if sign == "+" else queries[-1].minus).append(Path(word))
            sign = None
    if sign is not None:
        raise UsageError(f"{sign!r} comes last, where a photo was expected, as in: a.jpg {sign} b.jpg.")
    for query in queries:
        query.plus.extend(map(Path, plus))
        query.minus.extend(map(Path, minus))
    return queries


def encode_queries(
    queries: Sequence[Query], opened: LibraryFolder, strict: bool
) -> tuple[list[Query], Codes]:
    """Return the queries whose photos could all be read, and their codes (q rows).

    Parameters
    ----------
    queries : sequence of Query
    opened : LibraryFolder
        The index that is to be searched.
    strict : bool
        Refuse photos that cannot be read.

    Raises
    ------
    ValueError
        If the index has no encoder, or one that takes no photos.
    NothingWorked
        If no query is left, or one photo could not be read under ``strict``.
    """
    encoder = opened.photo_encoder()
    paths = list(dict.fromkeys(path for query in queries for path in query.photos))
    codes, kept = encode_files(encoder, paths, strict)
    row_of = {path: row for row, path in enumerate(kept)}
    queries = [query for query in queries if all(path in row_of for path in query.photos)]
    if not queries:
        raise NothingWorked("A photo of each query could not be read, so there is nothing to search for.")

    def rows(photos: list[Path]) -> list[Codes]:
        return [codes[row_of[path]] for path in photos]

    made = [
        rows(query.plus)[0] if len(query.photos) == 1 else compose(rows(query.plus), rows(query.minus))
        for query in queries
    ]
    return queries, Codes.concatenate(made)


def search(queries: Sequence[Query], codes: Codes, opened: LibraryFolder, k: int, **options: Any) -> Hits:
    """Return the nearest photos to each query, without those that it is made of.

    Parameters
    ----------
    queries : sequence of Query
    codes : Codes
        Of the queries.
    opened : LibraryFolder
        The index that is searched.
    k : int
        How many hits each query gets.
    options
        Of ``CodeIndex.search``.
    """
    index = opened.index
    k = min(k, max(len(index), 1))
    files = opened.files or {}
    own = [{known_id(path, opened.root, files) for path in query.photos} for query in queries]
    more = max(map(len, own))
    hits = index.search(codes, k + more, **options)
    rows = np.full((len(queries), k), -1, np.int64)  # (q, k)
    distances = np.full((len(queries), k), np.inf, np.float32)  # (q, k)
    ids = np.full((len(queries), k), None, object)  # (q, k)
    for q, photos in enumerate(own):
        left = [r for r in range(hits.counts[q]) if hits.ids[q, r] not in photos][:k]
        rows[q, : len(left)] = hits.rows[q, left]
        distances[q, : len(left)] = hits.distances[q, left]
        ids[q, : len(left)] = hits.ids[q, left]
    return Hits(distances, rows, np.count_nonzero(rows >= 0, axis=1), ids)


def picture_of(query: Query, height: int) -> np.ndarray:
    """Return the photos of a ``query`` side by side, uint8 (``height``, W, 3)."""
    return in_a_row([at_height(load_thumbnail(path, 2 * height), height) for path in query.photos])
