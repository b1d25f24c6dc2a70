"""What a search hands to its loops: records that NumPy and the compiled loops read by the same names.

They are named tuples, which Numba takes as arguments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class CodeArrays(NamedTuple):
    """The codes that are searched, n rows over h units, as a metric compares them.

    ``indptr (n + 1,)`` int64, ``units (nnz,)`` int32 and ``values (nnz,)`` float32 are those of ``Codes``.
    ``squared_norms (n,)`` float64 is ‖z‖² of each row, for supports the number of its units.
    ``metric`` is the number of the metric in ``METRICS``, and ``n_units`` is h.
    """

    indptr: np.ndarray
    units: np.ndarray
    values: np.ndarray
    squared_norms: np.ndarray
    metric: int
    n_units: int


class QueryArrays(NamedTuple):
    """q queries over h units.

    ``indptr (q + 1,)`` int64 and ``units (nnz,)`` int32 are those of ``Codes``.  ``factors (nnz,)`` float64 are
    wⱼqⱼ.  ``squared_norms (q,)`` float64 is ‖q‖².  Upper bounds of products with a query are divided by its
    entry in ``scales (q,)`` float64.
    """

    indptr: np.ndarray
    units: np.ndarray
    factors: np.ndarray
    squared_norms: np.ndarray
    scales: np.ndarray


class RowFilter(NamedTuple):
    """Which rows may be found.

    ``allowed (n,)`` bool, or (0,) where all are.  ``excluded (q,)`` int64: for each query a row that it shall
    not find, or −1.  Only rows at a distance below ``limit`` count, which is a float32 number, as distances are.
    """

    allowed: np.ndarray
    excluded: np.ndarray
    limit: float


class Found(NamedTuple):
    """The nearest rows that are known of each of q queries.

    ``distances (q, k)`` float32 and ``rows (q, k)`` int64, of which the first ``counts (q,)`` int64 are
    taken; the others are +inf and −1.
    """

    distances: np.ndarray
    rows: np.ndarray
    counts: np.ndarray

    @classmethod
    def nothing(cls, q: int, k: int) -> Found:
        """Return the record of ``q`` queries that have found none of ``k`` rows yet."""
        return cls(np.full((q, k), np.inf, np.float32), np.full((q, k), -1, np.int64), np.zeros(q, np.int64))


class InvertedLists(NamedTuple):
    """For each of h units the rows where it is active, in windows of rows; see ``Postings``.

    Attributes
    ----------
    order : (n,) uint32
        The rows, window after window: window w has ``order[w * window : (w + 1) * window]``.
    begins : (h + 1,) int64
        Unit j owns the entries ``begins[j]:begins[j + 1]``, window after window.
    starts : (h, windows + 1) uint32
        Of the unit's entries, those in window w are from ``starts[j, w]`` to ``starts[j, w + 1]``.
    positions : (nnz,) uint16
        Which row of its window each entry is; ascending within a window.
    levels : (nnz,) uint8
        The entry's value, as a multiple of a step: 1 to 255.  Supports (Jaccard, Hamming) have none, (0,).
    steps : (h, windows) float32
        The step of the unit in the window: 1/255 of its largest value there, which for the cosine is divided
        by the row's norm.  Negative if one of the values is.  (h, 0) for supports.
    window : int
        How many rows a window has.
    """

    order: np.ndarray
    begins: np.ndarray
    starts: np.ndarray
    positions: np.ndarray
    levels: np.ndarray
    steps: np.ndarray
    window: int

    def window_counts(self, unit: int) -> np.ndarray:
        """Return how many entries of ``unit`` are in each window, (windows,) int64.

        Raises ValueError if they are not as many as the unit has, as in a damaged file: nothing is allocated for
        them.
        """
        counts = np.diff(self.starts[unit].astype(np.int64))  # (windows,)
        if counts.sum() != self.begins[unit + 1] - self.begins[unit]:
            raise ValueError(f"the windows of unit {unit} do not hold its entries")
        return counts


class ProductBlock(NamedTuple):
    """Matrix products of some queries with a block of rows.

    ``products (some, rows)`` float32 of queries at norm 1 with the rows ``first`` and following, which are at
    norm 1 for the cosine and else divided by ``largest_norm``; supports are taken as they are.
    """

    products: np.ndarray
    first: int
    largest_norm: float
