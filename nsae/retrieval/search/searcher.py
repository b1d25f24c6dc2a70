"""The search behind ``CodeIndex``: the same hits, in the same order, as ``BruteForce`` gives, sooner.

``brute_force.py`` is the definition and, without Numba, also the way.  With it, there are three others:

- Over postings, for few hits among many rows.  A window of rows at a time gets bounds on its scores from
  coarse lists, and only rows whose bound could bring them among the k nearest are compared exactly.
- Over matrix products, for many queries whose codes are hardly sparse.  Products are bounds just as well.
- Row by row over the codes, where most rows have to be compared anyway: for many hits, or few rows.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.filters import Conditions
from nsae.retrieval.hits import nearest
from nsae.retrieval.search.brute_force import BINARY, METRICS, BruteForce, factors_of, squared_norms_of
from nsae.retrieval.search.postings import WINDOW, Postings
from nsae.system.backends import resolve_backend
from nsae.system.threads import Threads

FEW = 64  # rows that are looked for first within a radius
QUERIES = 1024  # that go through the postings together; between blocks, Ctrl-C is heard
CROWDED = 1 / 6  # of the units are active in a row: from here, products are sooner than lists, but they need
MANY = 128  # queries, which share the work of making rows dense
PRODUCT_BLOCKS = 32  # times BLOCK: rows of a dense block at most,
PRODUCT_BYTES = 1 << 24  # which takes so many bytes at most, or has BLOCK rows
NUMPY_WORK = 8  # what one row costs one query without Numba, in multiplications (see nsae.system.backends)


class Searcher:
    """Searches codes that don't change.

    Parameters
    ----------
    codes : Codes
        n rows, float32.
    metric : str
        One of ``METRICS``.
    postings : Postings, optional
        Of these codes for this metric; made when first needed, if not given.
    """

    def __init__(self, codes: Codes, metric: str, postings: Postings | None = None):
        self.codes, self.metric = codes, metric
        self._postings = postings
        self._brute_force: BruteForce | None = None
        self._largest: float | None = None
        self._done = 0  # queries times rows that were compared without Numba

    @classmethod
    def stored(cls, codes: Codes, metric: str, arrays: Mapping[str, np.ndarray]) -> Searcher:
        """With postings from ``Postings.arrays``, or, where these are not of such codes, without."""
        try:
            return cls(codes, metric, Postings.from_arrays(arrays, codes, metric))
        except ValueError:  # they can be made again
            return cls(codes, metric)

    @property
    def postings(self) -> Postings:
        """The lists by unit, coarse."""
        if self._postings is None:
            compiled = resolve_backend("auto", self._work(1)) == "numba"
            self._postings = Postings.of(self.codes, self.metric, compiled=compiled)
        return self._postings

    def search(
        self,
        queries: Codes,
        k: int,
        conditions: Conditions,
        *,
        limit: float = math.inf,
        n_threads: int | None = 1,
        backend: str = "auto",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distances (q, k) float32 and rows (q, k) int64 of the k nearest rows; padded with +inf and −1.

        Only distances below ``limit`` count.
        """
        backend = resolve_backend(backend, self._work(len(queries)))
        distances = np.full((len(queries), k), np.inf, np.float32)  # (q, k)
        rows = np.full((len(queries), k), -1, np.int64)  # (q, k)
        if len(queries) == 0 or len(self.codes) == 0:
            return distances, rows
        loop = _Loop(self, queries, conditions, limit, distances, rows)
        if backend == "numpy":
            self._done += len(queries) * len(self.codes)
            loop.by_definition(0, len(queries))
            return distances, rows
        part = getattr(loop, self._way(len(queries), k, conditions))
        if loop.over_products != part and (n_threads == 1 or len(queries) == 1):
            part(0, len(queries))
            return distances, rows
        self.postings  # noqa: B018  made before the threads start
        with Threads(n_threads) as threads:
            threads.parallel_for(len(queries), lambda _, lo, hi: part(lo, hi), always=True)
        return distances, rows

    def within(
        self, queries: Codes, radius: float, conditions: Conditions, **options: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """As ``search``: all rows at a distance up to ``radius``, rounded to float32 as distances are."""
        limit = float(np.nextafter(np.float32(radius), np.float32(np.inf)))
        n, k = len(self.codes), min(len(self.codes), FEW)
        open_ = np.arange(len(queries))  # queries that may have more than k
        found: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0, np.float32), np.empty(0, np.int64))] * len(
            queries
        )
        while len(open_):
            some = Conditions(conditions.allowed, conditions.excluded[open_], conditions.weights)
            distances, rows = self.search(queries[open_], max(k, 1), some, limit=limit, **options)
            counts = np.count_nonzero(rows >= 0, axis=1)
            for i, query in enumerate(open_):
                found[query] = distances[i, : counts[i]], rows[i, : counts[i]]
            open_ = open_[counts == k] if k < n else open_[:0]
            k = min(n, 16 * k)
        longest = max((len(rows) for _, rows in found), default=0)
        distances = np.full((len(queries), longest), np.inf, np.float32)  # (q, longest)
        rows = np.full((len(queries), longest), -1, np.int64)  # (q, longest)
        for i, (d, r) in enumerate(found):
            distances[i, : len(d)], rows[i, : len(r)] = d, r
        return distances, rows

    def rows_of(self, unit: int) -> np.ndarray:
        """The rows where a unit is active, ascending."""
        if self._postings is None and self._brute_force is not None:
            return self._brute_force.rows_of(unit)
        return self.postings.rows_of(unit)

    def brute_force(self, weights: np.ndarray | None) -> BruteForce:
        """The definition over these codes; kept if there are no weights."""
        if weights is not None:
            return BruteForce.of(self.codes, self.metric, weights)
        if self._brute_force is None:
            self._brute_force = BruteForce.of(self.codes, self.metric)
        return self._brute_force

    def largest_square(self) -> float:
        """The largest ‖z‖²."""
        if self._largest is None:
            self._largest = float(self.postings.squared_norms.max(initial=0))
        return self._largest

    def _way(self, q: int, k: int, conditions: Conditions) -> str:
        """Which of the ways of ``_Loop`` is the soonest for q queries."""
        n, h = self.codes.shape
        left = n if conditions.allowed is None else np.count_nonzero(conditions.allowed)
        if conditions.weights is not None or 8 * k > n or 64 * left < n:
            return "row_by_row"
        crowded = len(self.codes.units) > CROWDED * n * h
        return "over_products" if crowded and q >= MANY else "over_postings"

    def _work(self, q: int) -> float:
        """What compiled loops could save; once they are loaded, they cost nothing more."""
        if "nsae.kernels" in sys.modules:
            return math.inf
        return NUMPY_WORK * (self._done + q * len(self.codes))


class _Loop:
    """One search: its queries made ready, and the ways to answer some of them, lo:hi."""

    def __init__(
        self,
        searcher: Searcher,
        queries: Codes,
        conditions: Conditions,
        limit: float,
        distances: np.ndarray,
        rows: np.ndarray,
    ):
        self.searcher, self.queries, self.conditions, self.limit = searcher, queries, conditions, limit
        self.distances, self.rows = distances, rows
        self.factors = factors_of(queries, searcher.metric, conditions.weights)  # (nnz,)
        self.squares = squared_norms_of(queries, searcher.metric, conditions.weights)  # (q,)

    def by_definition(self, lo: int, hi: int) -> None:
        brute_force = self.searcher.brute_force(self.conditions.weights)
        for i in range(lo, hi):
            found = brute_force.distances(*self._query(i), self.squares[i])  # (n,)
            if self.conditions.allowed is not None:
                found[~self.conditions.allowed] = np.inf
            self._take(i, found, None)

    def row_by_row(self, lo: int, hi: int) -> None:
        from nsae import kernels

        codes, metric = self.searcher.codes, self.searcher.metric
        weights, allowed = self.conditions.weights, self.conditions.allowed
        if weights is None:
            squares = self.searcher.postings.squared_norms  # (n,)
        else:
            squares = squared_norms_of(codes, metric, weights)
        rows = np.arange(len(codes)) if allowed is None else np.flatnonzero(allowed)  # (m,)
        query = np.zeros(codes.n_units)  # (h,)
        found = np.empty(len(rows), np.float32)  # (m,)
        arrays = codes.indptr, codes.units, codes.values
        for i in range(lo, hi):
            units, factors = self._query(i)
            query[units] = factors
            kernels.distances_to(rows, arrays, squares, query, self.squares[i], METRICS.index(metric), found)
            query[units] = 0
            self._take(i, found, None if allowed is None else rows)

    def over_postings(self, lo: int, hi: int) -> None:
        from nsae import kernels

        codes, postings = self.searcher.codes, self.searcher.postings
        metric = METRICS.index(self.searcher.metric)
        named = 1 << 16  # as many rows as 16 bits can name, should a mapped file be damaged
        scores, sums = np.empty(named, np.float32), np.zeros(named, np.float32)
        places = np.empty(named + 1, np.uint16)
        query = np.zeros(codes.n_units)  # (h,)
        counts = np.zeros(len(self.queries), np.int64)  # (q,)
        for start in range(lo, hi, QUERIES):
            stop = min(start + QUERIES, hi)
            kernels.search_postings(
                (self.queries.indptr, self.queries.units, self.factors, self.squares),
                self._scales(),
                (codes.indptr, codes.units, codes.values),
                postings.squared_norms,
                postings.order,
                postings.lists(),
                WINDOW,
                metric,
                self._allowed(),
                self.limit,
                (self.distances, self.rows, counts),
                (scores, sums, query, places),
                start,
                stop,
            )
        kernels.sort_hits(self.distances, self.rows, counts, lo, hi)

    def over_products(self, lo: int, hi: int) -> None:
        from nsae import kernels

        codes, queries, squares = self.searcher.codes, self.queries, self.searcher.postings.squared_norms
        metric, largest = METRICS.index(self.searcher.metric), math.sqrt(self.searcher.largest_square())
        arrays, h = (codes.indptr, codes.units, codes.values), codes.n_units
        norms = np.sqrt(squares) if self.searcher.metric == "cosine" else np.full(len(codes), largest)  # (n,)
        supports, scales = self.searcher.metric in BINARY, self._scales()
        counts = np.zeros(len(queries), np.int64)  # (q,)
        blocks = min(PRODUCT_BLOCKS, max(1, PRODUCT_BYTES // (4 * h * kernels.BLOCK)))
        Z = np.empty((blocks * kernels.BLOCK, h), np.float32)  # (rows, h)
        for start in range(lo, hi, QUERIES):
            Q = np.empty((min(QUERIES, hi - start), h), np.float32)  # (some, h)
            asked = queries.indptr, queries.units, self.factors
            kernels.fill_rows(asked, start, np.sqrt(self.squares), supports, Q)
            for first in range(0, len(codes), len(Z)):
                kernels.fill_rows(arrays, first, norms, supports, Z)
                kernels.search_products(
                    Q @ Z.T,  # (some, rows)
                    first,
                    (*asked, self.squares),
                    scales,
                    arrays,
                    squares,
                    largest,
                    metric,
                    self._allowed(),
                    self.limit,
                    (self.distances, self.rows, counts),
                    np.zeros(h),
                    start,
                )
        kernels.sort_hits(self.distances, self.rows, counts, lo, hi)

    def _allowed(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) bool or, where all are, (0,); (q,) excluded rows."""
        allowed = self.conditions.allowed
        return np.empty(0, bool) if allowed is None else allowed, self.conditions.excluded

    def _scales(self) -> np.ndarray:
        """(q,) by which products with a query are divided, so that they are from −1 to 1."""
        metric, squares = self.searcher.metric, self.squares
        if metric == "cosine":
            scales = np.sqrt(squares)  # those of the rows are in the postings
        elif metric == "dot":
            scales = np.sqrt(squares * self.searcher.largest_square())
        elif metric == "l2":
            scales = np.maximum(squares, self.searcher.largest_square())
        else:
            return np.ones(len(squares))
        return np.where(scales > 0, scales, 1)

    def _query(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Units and factors wⱼqⱼ of query i."""
        entries = slice(self.queries.indptr[i], self.queries.indptr[i + 1])
        return self.queries.units[entries], self.factors[entries]

    def _take(self, i: int, found: np.ndarray, rows: np.ndarray | None) -> None:
        """The hits of query i from distances (m,) of some rows, or of all, and no excluded one."""
        excluded = self.conditions.excluded[i]
        if excluded >= 0:
            found[excluded if rows is None else rows == excluded] = np.inf
        if self.limit < math.inf:
            found[found >= self.limit] = np.inf
        places = nearest(found, self.rows.shape[1])
        self.distances[i, : len(places)] = found[places]
        self.rows[i, : len(places)] = places if rows is None else rows[places]
