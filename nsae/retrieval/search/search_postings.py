"""Search over postings, in NumPy: the definition of the compiled loop, to be read beside it.

The idea: what the levels of a row add up to is never below q·z.  The distance of a larger product is a smaller
distance.  So the coarse lists give each row a distance that it cannot be nearer than, and a row for which that
is above the k-th distance so far needs no exact comparison.
"""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.search.brute_force import BINARY, METRICS, distance_from_products, sums_of_rows
from nsae.retrieval.search.records import CodeArrays, Found, InvertedLists, QueryArrays, RowFilter

ROUNDING = 1e-5  # Levels and steps are float32, and so is what they are made from.


def search_postings(
    queries: QueryArrays,
    codes: CodeArrays,
    lists: InvertedLists,
    row_filter: RowFilter,
    found: Found,
    lo: int,
    hi: int,
) -> None:
    """Find the k nearest rows of each query lo:hi, and write them into ``found``.

    The hits are those of ``BruteForce``, bit by bit: ascending in the float32 distance, ties by row.
    ``nsae.kernels.search_postings`` is the compiled twin.  It goes window by window, whose bounds stay in a
    cache, and learns the k-th distance on the way instead of from the k rows with the best bounds.

    Parameters
    ----------
    queries : QueryArrays
        All q queries.
    codes : CodeArrays
        The n rows that are searched.
    lists : InvertedLists
        The postings of these rows.
    row_filter : RowFilter
        Which rows may be found.
    found : Found
        Of all q queries; nothing is found yet of those from lo to hi.
    lo, hi : int
        The queries to answer.
    """
    members, k = lists.order.astype(np.int64), found.distances.shape[1]  # (n,)
    for i in range(lo, hi):
        products = upper_bounds(i, queries, codes, lists)  # (n,), in the order of ``members``
        squares, metric = codes.squared_norms[members], METRICS[codes.metric]  # (n,)
        distances = distance_from_products(products, queries.squared_norms[i], squares, metric)
        distances = distances.astype(
            np.float32
        )  # (n,): no row is nearer, and one that shares no unit is there
        possible = (distances < row_filter.limit) & (members != row_filter.excluded[i])  # (n,)
        if len(row_filter.allowed):
            possible &= row_filter.allowed[members]
        near = np.flatnonzero(possible)
        if len(near) > k:
            first = near[np.argpartition(distances[near], k - 1)[:k]]
            farthest = exact_distances(i, members[first], queries, codes).max()
            near = near[distances[near] <= farthest]  # a row at that distance may come first in the index
        shared = near[products[near] > 0]
        for some in np.array_split(shared, -(-len(shared) // lists.window) or 1):
            distances[some] = exact_distances(i, members[some], queries, codes)
        rows, distances = members[near], distances[near]  # (near,)
        order = np.lexsort((rows, distances))[:k]  # by distance, then by row
        order = order[distances[order] < row_filter.limit]
        found.counts[i] = len(order)
        found.distances[i, : len(order)], found.rows[i, : len(order)] = distances[order], rows[order]


def upper_bounds(i: int, queries: QueryArrays, codes: CodeArrays, lists: InvertedLists) -> np.ndarray:
    """Return for each row a number that its product with a query does not exceed.

    Parameters
    ----------
    i : int
        Which of the queries.
    queries : QueryArrays
    codes : CodeArrays
    lists : InvertedLists

    Returns
    -------
    (n,) float64
        In the order of ``lists.order``.  It is 0 where no unit is shared, and for supports (Jaccard, Hamming)
        the product itself, |A ∩ B|.
    """
    products, metric = np.zeros(len(lists.order)), METRICS[codes.metric]  # (n,)
    windows = np.arange(lists.starts.shape[1] - 1)
    for e in range(queries.indptr[i], queries.indptr[i + 1]):
        unit = queries.units[e]
        entries = slice(lists.begins[unit], lists.begins[unit + 1])
        counts = lists.window_counts(unit)  # (windows,)
        here = lists.positions[entries] + np.repeat(windows * lists.window, counts)  # each row once
        if metric in BINARY:
            products[here] += 1
        else:
            steps = np.abs(np.float64(queries.factors[e]) * lists.steps[unit])  # (windows,)
            products[here] += np.repeat(steps, counts) * lists.levels[entries]
    if metric in BINARY:
        return products
    if metric == "cosine":
        products *= np.sqrt(codes.squared_norms[lists.order])  # the steps are of values divided by the norm
    return products * (1 + ROUNDING)


def exact_distances(i: int, rows: np.ndarray, queries: QueryArrays, codes: CodeArrays) -> np.ndarray:
    """Return the distance (m,) float32 of query ``i`` of ``queries`` to these ``rows (m,)`` of ``codes``."""
    entries = slice(queries.indptr[i], queries.indptr[i + 1])
    dense = np.zeros(codes.n_units)  # (h,)
    dense[queries.units[entries]] = queries.factors[entries]
    chosen = Codes(codes.indptr, codes.units, codes.values, codes.n_units)[rows]  # (m, h)
    values = 1.0 if METRICS[codes.metric] in BINARY else chosen.values.astype(np.float64)  # (nnz,)
    dots = sums_of_rows(chosen, dense[chosen.units] * values)  # (m,), in ascending order of the units
    squares = codes.squared_norms[rows]  # (m,)
    qq = queries.squared_norms[i]
    return distance_from_products(dots, qq, squares, METRICS[codes.metric]).astype(np.float32)
