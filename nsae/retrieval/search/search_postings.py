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
    ``nsae.kernels.search_postings`` is the compiled twin.  It updates the k-th distance row by row instead
    of window by window, and so compares fewer rows.

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
    k, metric = found.distances.shape[1], METRICS[codes.metric]
    for i in range(lo, hi):
        distances, rows = np.empty(0, np.float32), np.empty(0, np.int64)  # (up to k,), nearest first
        for w in range(lists.starts.shape[1] - 1):
            members = lists.order[w * lists.window : (w + 1) * lists.window].astype(np.int64)  # (m,)
            products = upper_bounds(i, w, queries, codes, lists)  # (m,)
            squares = codes.squared_norms[members]  # (m,)
            bounds = distance_from_products(products, queries.squared_norms[i], squares, metric)
            bounds = bounds.astype(np.float32)  # (m,): no row of the window is nearer than its bound
            near = (bounds < row_filter.limit) & (members != row_filter.excluded[i])  # (m,)
            if len(rows) == k:
                near &= bounds <= distances[-1]  # a row at the k-th distance may come first in the index
            if len(row_filter.allowed):
                near &= row_filter.allowed[members]
            exact = exact_distances(i, members[near], queries, codes)  # (near,)
            distances, rows = np.append(distances, exact), np.append(rows, members[near])
            order = np.lexsort((rows, distances))[:k]  # by distance, then by row
            order = order[distances[order] < row_filter.limit]
            distances, rows = distances[order], rows[order]
        found.counts[i] = len(rows)
        found.distances[i, : len(rows)], found.rows[i, : len(rows)] = distances, rows


def upper_bounds(i: int, w: int, queries: QueryArrays, codes: CodeArrays, lists: InvertedLists) -> np.ndarray:
    """Return for each row of a window a number that its product with a query does not exceed.

    Parameters
    ----------
    i : int
        Which of the queries.
    w : int
        Which window.
    queries : QueryArrays
    codes : CodeArrays
    lists : InvertedLists

    Returns
    -------
    (m,) float64
        For supports (Jaccard, Hamming) the product itself, |A ∩ B|.
    """
    members = lists.order[w * lists.window : (w + 1) * lists.window]  # (m,)
    products, metric = np.zeros(len(members)), METRICS[codes.metric]
    for e in range(queries.indptr[i], queries.indptr[i + 1]):
        unit = queries.units[e]
        start, stop = lists.begins[unit] + lists.starts[unit, w : w + 2].astype(np.int64)
        here = lists.positions[start:stop]  # (entries,): each row of the window once
        if metric in BINARY:
            products[here] += 1
        else:
            step = abs(np.float64(queries.factors[e]) * lists.steps[unit, w])
            products[here] += step * lists.levels[start:stop]
    if metric in BINARY:
        return products
    if metric == "cosine":
        products *= np.sqrt(codes.squared_norms[members])  # the steps are of values divided by the norm
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
