"""The search behind ``CodeIndex``: the same hits, in the same order, as ``BruteForce`` gives, sooner.

``brute_force.py`` is the definition and, without Numba, also the way.  With it, there are three others:

- Over postings, for few hits among many rows.  Coarse lists give upper bounds for a window of rows at a time,
  and only rows whose bound could bring them among the k nearest are compared exactly.
- Over matrix products, for many queries whose codes are hardly sparse.  Products are upper bounds, too.
- Row by row over the codes, where most rows have to be compared anyway: for many hits, or few rows.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from nsae.codes import Codes
from nsae.errors import ModelFormatError
from nsae.retrieval.filters import Filters
from nsae.retrieval.hits import nearest
from nsae.retrieval.search.brute_force import (
    BINARY,
    METRICS,
    BruteForce,
    compared_values,
    squared_norms_of,
    sums_of_rows,
)
from nsae.retrieval.search.postings import Postings
from nsae.retrieval.search.records import CodeArrays, Found, ProductBlock, QueryArrays
from nsae.retrieval.search.search_postings import search_postings
from nsae.retrieval.search.within import within
from nsae.system.backends import resolve_backend
from nsae.system.locks import Lock
from nsae.system.threads import Threads
from nsae.validation import check_n_threads

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from typing import Unpack
    else:
        from typing_extensions import Unpack

    from nsae.retrieval.options import Execution

QUERY_BLOCK = 1024  # Queries that go through the postings together; between blocks, Ctrl-C is heard.
FEW = 1 << 12  # Comparisons of a query with a row that take less time than making the postings.
CROWDED = 1 / 6  # If more of the units are active in a row, products are faster than lists,
PRODUCT_QUERIES = 128  # from so many queries on, which share the work of making rows dense.
PRODUCT_BLOCKS = 32  # A dense block of rows has at most so many of the blocks that bounds are read in,
PRODUCT_BYTES = 1 << 24  # and takes so many bytes at most, or is one such block.
LARGEST_SQUARE = 1.5e38  # Of a code under weights: a distance, twice that at most, is finite in float32.
NUMPY_WORK = 8  # What one row costs one query without Numba, in multiplications: see nsae.system.backends.

Loop = Callable[[int, int], None]  # Answers the queries lo:hi.


@contextmanager
def whole_arrays() -> Iterator[None]:
    """Turn an array that leads out of another into a ModelFormatError: a mapped index is opened without reading it."""
    try:
        yield
    except (IndexError, ValueError) as error:
        raise ModelFormatError(
            f"The stored arrays of this index are damaged: {error}. CodeIndex.verify(path) says which; restore the "
            "folder, or index again."
        ) from error


class Searcher:
    """Searches codes that don't change, in any number of threads.

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
        self._code_arrays: CodeArrays | None = None
        self._largest_square: float | None = None
        self._stored = False  # Whether the postings were there before anything was asked.
        self._compared = 0  # Queries times rows, of all searches so far.
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Searcher], tuple[Codes, str, Postings | None]]:
        return Searcher, (self.codes, self.metric, self._postings)

    @classmethod
    def stored(cls, codes: Codes, metric: str, arrays: Mapping[str, np.ndarray]) -> Searcher:
        """Return a searcher of ``codes`` by ``metric`` with the postings that ``arrays`` hold.

        If these are not of such codes, the postings are made when they are needed.
        """
        try:
            searcher = cls(codes, metric, Postings.from_arrays(arrays, codes, metric))
        except ValueError:
            return cls(codes, metric)
        searcher._stored = True
        return searcher

    def prepare(self) -> Postings:
        """Return the postings; make them if that was not done yet."""
        if self._postings is None:
            with self._lock:
                if self._postings is None:
                    compiled = resolve_backend("auto", self._work(1)) == "numba"
                    self._postings = Postings.of(self.codes, self.metric, compiled=compiled)
        return self._postings

    def warm_up(self) -> None:
        """Make and load what the first searches would wait for: postings, and compiled loops where Numba is."""
        if resolve_backend("auto") == "numpy":
            if not self._stored:
                self.brute_force(None)
            return
        self.prepare()
        if len(self.codes):
            query = self.codes[:1]
            search = _Search(self, query, Filters(None, np.full(1, -1), None), math.inf, Found.nothing(1, 1))
            search.over_postings(0, 1)
            search.row_by_row(0, 1)

    def has_postings(self) -> bool:
        """Tell whether the postings are there already."""
        return self._postings is not None

    def is_prepared(self) -> bool:
        """Tell whether something is there already that took time to make."""
        return self._postings is not None or self._brute_force is not None

    def search(
        self,
        queries: Codes,
        k: int,
        filters: Filters,
        *,
        limit: float = math.inf,
        n_threads: int | None = 1,
        backend: str = "auto",
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the ``k`` nearest rows of each of the ``queries`` that pass the ``filters``.

        Only distances below ``limit`` count.  ``n_threads`` and ``backend`` are those of ``CodeIndex.search``.

        Returns
        -------
        distances : (q, k) float32
            Padded with +inf.
        rows : (q, k) int64
            Padded with −1.
        """
        backend, n_threads = resolve_backend(backend, self._work(len(queries))), check_n_threads(n_threads)
        found = Found.nothing(len(queries), k)
        if len(queries) == 0 or len(self.codes) == 0:
            return found.distances, found.rows
        if filters.weights is not None:
            self._check_weights(filters.weights, queries)
        search = _Search(self, queries, filters, limit, found)
        if backend == "numpy":
            self._compared += len(queries) * len(self.codes)
            # Stored postings are there already; the lists of the definition are faster once they are made.
            few = self._brute_force is None and self._stored and 8 * k <= len(self.codes)
            numpy_loop = (
                search.over_postings_in_numpy if few and filters.weights is None else search.by_definition
            )
            with whole_arrays():
                numpy_loop(0, len(queries))
            return found.distances, found.rows
        loop = self._fastest(search, filters)
        self._compared += len(queries) * len(self.codes)
        if loop != search.over_products and (n_threads == 1 or len(queries) == 1):
            loop(0, len(queries))
            return found.distances, found.rows
        self.prepare()  # before the threads start
        with Threads(n_threads) as threads:
            threads.parallel_for(len(queries), lambda _, lo, hi: loop(lo, hi), always=True)
        return found.distances, found.rows

    def within(
        self, queries: Codes, radius: float, filters: Filters, **execution: Unpack[Execution]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find all rows at a distance up to ``radius`` of each of the ``queries``, as :meth:`search` does.

        ``radius`` is rounded to float32, as distances are.  ``filters`` and ``execution`` are those of ``search``.
        """
        return within(self.search, len(self.codes), queries, radius, filters, **execution)

    def rows_of(self, unit: int) -> np.ndarray:
        """Return the rows where ``unit`` is active, ascending."""
        if self._postings is None and self._brute_force is not None:
            return self._brute_force.rows_of(unit)
        with whole_arrays():
            rows = self.prepare().rows_of(unit)
            if len(rows) and rows[-1] >= len(self.codes):
                raise IndexError(f"row {rows[-1]} of {len(self.codes)}")
            return rows

    def brute_force(self, weights: np.ndarray | None) -> BruteForce:
        """Return the definition over these codes with ``weights``; it is kept if there are none."""
        if weights is not None:
            return BruteForce.of(self.codes, self.metric, weights)
        if self._brute_force is None:
            with self._lock:
                if self._brute_force is None:
                    self._brute_force = BruteForce.of(self.codes, self.metric)
        return self._brute_force

    def code_arrays(self, weights: np.ndarray | None) -> CodeArrays:
        """Return the codes as the compiled loops read them, with squared norms under ``weights``, if any."""
        if weights is None and self._code_arrays is not None:
            return self._code_arrays
        codes, metric = self.codes, METRICS.index(self.metric)
        if weights is None and self._postings is not None:
            squares = self._postings.squared_norms  # (n,)
        else:
            squares = squared_norms_of(codes, self.metric, weights)  # (n,)
        arrays = CodeArrays(codes.indptr, codes.units, codes.values, squares, metric, codes.n_units)
        if weights is None:
            self._code_arrays = arrays
        return arrays

    def largest_square(self) -> float:
        """Return the largest ‖z‖²."""
        if self._largest_square is None:
            known = self._postings
            squares = squared_norms_of(self.codes, self.metric) if known is None else known.squared_norms
            self._largest_square = float(squares.max(initial=0))
        return self._largest_square

    def _check_weights(self, weights: np.ndarray, queries: Codes) -> None:
        """Raise ValueError if distances under ``weights (h,)`` could be infinite in float32, which no hit is at."""
        with whole_arrays():
            largest = self.largest_square()
        largest = max(largest, squared_norms_of(queries, self.metric).max(initial=0), 1)
        if weights.max(initial=0) > LARGEST_SQUARE / largest:
            raise ValueError(
                f"weights: up to {LARGEST_SQUARE / largest:.4g} is expected, got {weights.max():g}: a distance in "
                "float32 could be infinite. Divide all of them by one number."
            )

    def _fastest(self, search: _Search, filters: Filters) -> Loop:
        """Return the loop of ``search`` that answers its queries soonest."""
        n, h = self.codes.shape
        q, k = search.found.rows.shape
        n_allowed = n if filters.allowed is None else np.count_nonzero(filters.allowed)
        few = (
            self._postings is None and self._compared + q * n <= FEW
        )  # making the postings would take longer
        if filters.weights is not None or 8 * k > n or 64 * n_allowed < n or few:
            return search.row_by_row
        if q >= PRODUCT_QUERIES and len(self.codes.units) > CROWDED * n * h:
            return search.over_products
        return search.over_postings

    def _work(self, q: int) -> float:
        """Return how much compiled loops could save; once they are loaded, they cost nothing more."""
        if "nsae.kernels" in sys.modules:
            return math.inf
        return NUMPY_WORK * (self._compared + q * len(self.codes))


class _Search:
    """One search: its queries made ready, and the loops that can answer the queries lo:hi."""

    def __init__(self, searcher: Searcher, queries: Codes, filters: Filters, limit: float, found: Found):
        metric, weights = searcher.metric, filters.weights
        self.searcher, self.queries, self.filters, self.found = searcher, queries, filters, found
        self.row_filter = filters.row_filter(limit)
        values = compared_values(queries, metric)  # (nnz,)
        self.factors = values if weights is None else weights[queries.units] * values  # (nnz,)
        self.squares = sums_of_rows(queries, self.factors * values)  # (q,)

    def by_definition(self, lo: int, hi: int) -> None:
        brute_force = self.searcher.brute_force(self.filters.weights)
        for i in range(lo, hi):
            distances = brute_force.distances(*self._query(i), self.squares[i])  # (n,)
            if self.filters.allowed is not None:
                distances[~self.filters.allowed] = np.inf
            self._keep_nearest(i, distances, None)

    def row_by_row(self, lo: int, hi: int) -> None:
        from nsae import kernels

        codes, allowed = self.searcher.code_arrays(self.filters.weights), self.filters.allowed
        rows = np.arange(len(codes.squared_norms)) if allowed is None else np.flatnonzero(allowed)  # (m,)
        dense = np.zeros(codes.n_units)  # (h,)
        distances = np.empty(len(rows), np.float32)  # (m,)
        for i in range(lo, hi):
            units, factors = self._query(i)
            dense[units] = factors
            kernels.distances_to(rows, codes, dense, self.squares[i], distances)
            dense[units] = 0
            self._keep_nearest(i, distances, None if allowed is None else rows)

    def over_postings(self, lo: int, hi: int) -> None:
        from nsae import kernels

        codes, lists = self.searcher.code_arrays(None), self.searcher.prepare().lists
        queries = self._query_arrays()
        for start in range(lo, hi, QUERY_BLOCK):
            stop = min(start + QUERY_BLOCK, hi)
            kernels.search_postings(queries, codes, lists, self.row_filter, self.found, start, stop)

    def over_postings_in_numpy(self, lo: int, hi: int) -> None:
        codes, lists = self.searcher.code_arrays(None), self.searcher.prepare().lists
        search_postings(self._query_arrays(), codes, lists, self.row_filter, self.found, lo, hi)

    def over_products(self, lo: int, hi: int) -> None:
        from nsae import kernels

        codes, queries, n = self.searcher.code_arrays(None), self._query_arrays(), len(self.searcher.codes)
        largest_norm, h = math.sqrt(self.searcher.largest_square()), codes.n_units
        cosine, supports = self.searcher.metric == "cosine", self.searcher.metric in BINARY
        norms = np.sqrt(codes.squared_norms) if cosine else np.full(n, largest_norm)  # (n,)
        query_norms, dense = np.sqrt(self.squares), np.zeros(h)  # (q,), (h,)
        blocks = min(PRODUCT_BLOCKS, max(1, PRODUCT_BYTES // (4 * h * kernels.BOUNDS_BLOCK)))
        Z = np.empty((blocks * kernels.BOUNDS_BLOCK, h), np.float32)  # (rows, h)
        for start in range(lo, hi, QUERY_BLOCK):
            Q = np.empty((min(QUERY_BLOCK, hi - start), h), np.float32)  # (some, h)
            kernels.fill_rows(queries.indptr, queries.units, self.factors, start, query_norms, supports, Q)
            for first in range(0, n, len(Z)):
                kernels.fill_rows(codes.indptr, codes.units, codes.values, first, norms, supports, Z)
                block = ProductBlock(Q @ Z.T, first, largest_norm)  # (some, rows)
                kernels.search_products(block, queries, codes, self.row_filter, self.found, dense, start)
        kernels.sort_hits(self.found, lo, hi)

    def _query_arrays(self) -> QueryArrays:
        """Return the queries as the compiled loops read them."""
        queries = self.queries
        return QueryArrays(queries.indptr, queries.units, self.factors, self.squares, self._scales())

    def _scales(self) -> np.ndarray:
        """Return by what products with each query are divided, (q,), so that they are from −1 to 1."""
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
        """Return the units and the factors wⱼqⱼ of query i."""
        entries = slice(self.queries.indptr[i], self.queries.indptr[i + 1])
        return self.queries.units[entries], self.factors[entries]

    def _keep_nearest(self, i: int, distances: np.ndarray, rows: np.ndarray | None) -> None:
        """Write the hits of query i, from its ``distances (m,)`` to ``rows (m,)``, or to all rows."""
        excluded, limit = self.filters.excluded[i], self.row_filter.limit
        if excluded >= 0:
            distances[excluded if rows is None else rows == excluded] = np.inf
        if limit < math.inf:
            distances[distances >= limit] = np.inf
        best = nearest(distances, self.found.rows.shape[1])
        self.found.distances[i, : len(best)] = distances[best]
        self.found.rows[i, : len(best)] = best if rows is None else rows[best]
