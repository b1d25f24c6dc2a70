"""The search of codes that have changed a little since they were last prepared for it.

To add or to remove one row would otherwise cost the postings of all of them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.filters import Filters
from nsae.retrieval.search.searcher import Searcher
from nsae.retrieval.search.within import within


class ChangedSearcher:
    """Searches the rows that are left of some prepared codes, and those that came since; see ``Searcher``.

    The hits are those of a ``Searcher`` of the codes as they are now, ties included: the k nearest of both
    kinds of rows are found apart, and the k nearest of these are kept.

    Parameters
    ----------
    before : Searcher
        Of n₀ rows.
    added : Codes
        The rows that came since.
    source : (n,) int64, optional
        Row i of the changed codes is row ``source[i]`` of those before, followed by ``added``.  Rows of before
        are in their order.  By default the changed codes are just these two, one below the other.
    """

    def __init__(self, before: Searcher, added: Codes, source: np.ndarray | None = None):
        self.before, self.n_before = before, len(before.codes)
        self.source = np.arange(self.n_before + len(added)) if source is None else source
        old = self.source < self.n_before  # (n,)
        self._rows_added = np.flatnonzero(~old)  # (m,)
        self._row_now = np.full(self.n_before, -1)  # (n₀,): which row each of before is now, −1 for none
        self._row_now[self.source[old]] = np.flatnonzero(old)
        left = self._row_now >= 0  # (n₀,)
        self._left = None if left.all() else left
        self.added = Searcher(added[self.source[self._rows_added] - self.n_before], before.metric)

    def search(
        self, queries: Codes, k: int, filters: Filters, *, limit: float = math.inf, **execution: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the ``k`` nearest rows.

        ``queries``, ``filters``, ``limit``, ``execution`` and the result are those of ``Searcher.search``.
        """
        D, R = self.before.search(
            queries, k, self._of_before(filters), limit=limit, **execution
        )  # (q, k) each
        R[R >= 0] = self._row_now[R[R >= 0]]
        more, rows = self.added.search(queries, k, self._of_added(filters), limit=limit, **execution)
        rows[rows >= 0] = self._rows_added[rows[rows >= 0]]
        D, R = np.concatenate([D, more], axis=1), np.concatenate([R, rows], axis=1)  # (q, 2k) each
        nearest = np.lexsort((R, D), axis=1)[:, :k]  # by distance, then by row; padding is at +inf
        return np.take_along_axis(D, nearest, axis=1), np.take_along_axis(R, nearest, axis=1)

    def within(
        self, queries: Codes, radius: float, filters: Filters, **execution: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find all rows up to a ``radius``.

        ``queries``, ``filters``, ``execution`` and the result are those of ``Searcher.within``.
        """
        return within(self.search, len(self.source), queries, radius, filters, **execution)

    def warm_up(self) -> None:
        """Do what ``Searcher.warm_up`` does, for the rows of before and those that came since."""
        self.before.warm_up()
        self.added.warm_up()

    def rows_of(self, unit: int) -> np.ndarray:
        """Return the rows where ``unit`` is active, ascending."""
        rows = self._row_now[self.before.rows_of(unit)]
        return np.sort(np.concatenate([rows[rows >= 0], self._rows_added[self.added.rows_of(unit)]]))

    def _of_before(self, filters: Filters) -> Filters:
        """Return the ``filters`` by the rows as they were before."""
        allowed = self._left
        if filters.allowed is not None:
            allowed = np.zeros(self.n_before, bool)  # (n₀,)
            now = np.flatnonzero(self._row_now >= 0)
            allowed[now] = filters.allowed[self._row_now[now]]
        excluded = filters.excluded.copy()  # (q,)
        excluded[excluded >= 0] = self.source[excluded[excluded >= 0]]
        excluded[excluded >= self.n_before] = -1  # one of those that came since
        return Filters(allowed, excluded, filters.weights)

    def _of_added(self, filters: Filters) -> Filters:
        """Return the ``filters`` by the rows that came since."""
        rows = self._rows_added
        allowed = None if filters.allowed is None else filters.allowed[rows]  # (m,)
        place = np.searchsorted(rows, filters.excluded)  # (q,)
        is_added = np.isin(filters.excluded, rows)
        return Filters(allowed, np.where(is_added, place, -1), filters.weights)
