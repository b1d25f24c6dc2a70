"""Hits: the k nearest rows for each query, and how they are chosen."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nsae.retrieval.ids import Ids
from nsae.tables import counted, first_rows, html_table
from nsae.validation import shown

SHOWN_QUERIES, SHOWN_HITS, SHOWN_ID = 3, 4, 24  # in a prompt: queries, hits of each, characters of an id
PADDED = 1000  # Up to so many columns, hits have as many as were asked for, whatever the number of rows.


@dataclass(frozen=True, eq=False)
class Hits:
    """For each of q queries, its k nearest rows, nearest first; ties are in insertion order.

    A k above 1,000 that is also above n + 1, where n is the number of rows, counts as the larger of the two:
    more columns would only hold padding.

    Attributes
    ----------
    distances : (q, k) float32
        Ascending.  Where a query has fewer than k hits, its row ends in +inf.
    rows : (q, k) int64
        Which row of the index each hit is; padded with −1.
    counts : (q,) int64
        How many hits each query has; the rest of its row is padding.
    ids : (q, k) object
        The hits' ids; padded with None.
    """

    distances: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    ids: np.ndarray

    @classmethod
    def of(cls, distances: np.ndarray, rows: np.ndarray, ids: Ids) -> Hits:
        """Return the hits at ``distances (q, k)`` in ``rows (q, k)``, padded; ``ids`` are those of all rows."""
        return cls(distances, rows, np.count_nonzero(rows >= 0, axis=1), ids.at(rows))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        rows = [
            f"query {i}: {', '.join(self._nearest(i, SHOWN_HITS)) or 'no hit'}"
            for i in range(min(SHOWN_QUERIES, len(self)))
        ]
        return "\n".join([self._summary(), *first_rows(rows, len(self), "queries")])

    def _repr_html_(self) -> str:
        """Return a table of the first queries and their nearest hits, for notebooks."""
        across = min(2 * SHOWN_HITS, self.rows.shape[1])
        cells = [(i, *self._nearest(i, across)) for i in range(min(2 * SHOWN_QUERIES, len(self)))]
        return html_table(self._summary(), ("query", *range(1, across + 1)), cells)

    def _summary(self) -> str:
        q, k = self.rows.shape
        found = f"{int(self.counts.sum()) / max(q, 1):.4g} hits a query"
        return f"Hits: {counted(q, 'query', 'queries')}, {counted(k, 'column')}, {found}; ids (and distances)"

    def _nearest(self, i: int, n: int) -> list[str]:
        """Return the first ``n`` hits of query i as text, and a sign if there are more."""
        found = int(self.counts[i])
        pairs = zip(self.ids[i, : min(n, found)], self.distances[i], strict=False)
        return [f"{_short(id)} ({distance:.4g})" for id, distance in pairs] + ["…"] * (found > n)


def _short(id: object) -> str:
    """Return an id as text, cut from the left: the end of a path says more."""
    text = str(id) if str(id).isprintable() else repr(id)
    return text if len(text) <= SHOWN_ID else f"…{text[1 - SHOWN_ID :]}"


def nearest(distances: np.ndarray, k: int) -> np.ndarray:
    """Return the rows of the ``k`` smallest finite ``distances (n,)``, ascending, ties by lowest row."""
    k = min(k, int(np.count_nonzero(distances < np.inf)))
    if k == 0:
        return np.empty(0, np.int64)
    # A partition alone may leave out any of the rows tied at rank k.  So all of them are taken, rows
    # ascending; the stable sort keeps that order, and the cut keeps the first.
    bound = np.partition(distances, k - 1)[k - 1]
    rows = np.flatnonzero(distances <= bound)
    return rows[np.argsort(distances[rows], kind="stable")[:k]]


def columns(k: int, n: int) -> int:
    """Return how many columns the hits of ``k`` rows among ``n`` have: k, or what ``Hits`` says for a large k.

    Raises ValueError if k < 1, and TypeError if it is not an integer.
    """
    k = int(operator.index(k))
    if k < 1:
        raise ValueError(f"k={shown(k)} is expected to be at least 1: it is the number of hits a query gets.")
    return min(k, max(n + 1, PADDED))


def collect(distances: Iterable[np.ndarray], ids: Sequence[int | str], q: int, k: int) -> Hits:
    """Return the ``k`` nearest rows of each of ``q`` queries, from all their distances.

    ``distances`` has one (n,) float32 array for each query; +inf marks a row to leave out.  ``ids`` are those
    of the rows.  What is ranked are the float32 that are reported, so that equal reported distances are ties.
    """
    k = columns(k, len(ids))
    D = np.full((q, k), np.inf, np.float32)  # (q, k)
    R = np.full((q, k), -1, np.int64)  # (q, k)
    for i, row in enumerate(distances):
        found = nearest(row, k)
        R[i, : len(found)] = found
        D[i, : len(found)] = row[found]
    names = np.array([*ids, None], dtype=object)  # (n + 1,): row −1, the padding, is None
    return Hits(D, R, np.count_nonzero(R >= 0, axis=1), names[R])
