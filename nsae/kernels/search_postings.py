"""Exact search over postings: upper bounds for a window of rows, and an exact distance for the few that count.

The definition is ``nsae.retrieval.search.search_postings``, which has the argument names too, and behind it
``BruteForce.distances``.  ``tests/kernels/test_search_kernels.py`` compares the three, and
``tests/retrieval/search/test_searcher.py`` the hits of whole searches.
"""

from typing import NamedTuple

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.nearest_heap import enter, sort_hits
from nsae.kernels.options import INNER, KERNEL
from nsae.kernels.thresholds import (
    MAXIMA,
    allowed_part,
    first_threshold,
    next_distance,
    part_threshold,
    theta_of,
    threshold_of,
)
from nsae.kernels.upper_bounds import (
    BOUNDS_BLOCK,
    COSINE,
    DOT,
    HAMMING,
    JACCARD,
    L2,
    Part,
    count_above,
    entries_in_window,
    first_windows,
    leave_out,
    sum_bounds,
    sum_sparse,
)

BOUNDS_RUN = 16  # So many upper bounds of a block are passed over together, too.
SPARSE = 2  # A window is sparse for a query if it has more than so many rows per entry: see sum_sparse.
MANY = 1  # From so many entries per row of a window on, lists of little weight are left out,
LEFT_OUT = (
    0.3  # until, for dot, they can add this fraction of the threshold; for the cosine see allowed_part.
)
LOOK = 500  # A row that is compared exactly takes as long as so many entries of lists.
POSITIONS = 1 << 16  # So many rows can 16 bits name, should a mapped file be damaged.


class Query(NamedTuple):
    """One query in its loops.

    ``margin`` is the relative error that sums of float32 can have.  ``left_out`` is the fraction of ‖q‖² in lists
    that are not read, see ``leave_out``.
    """

    units: np.ndarray  # (m,) int32
    factors: np.ndarray  # (m,) float64
    dense: np.ndarray  # (h,) float64: the factors at their units, else 0
    squared_norm: float
    scale: float
    theta: float
    margin: float
    left_out: float


class Scratch(NamedTuple):
    """Memory of a search: all of a window, by position or not, and ``dense`` of a query, which is zeros."""

    bounds: np.ndarray  # (2¹⁶,) float32
    sums: np.ndarray  # (2¹⁶,) float32, zeros
    positions: np.ndarray  # (2¹⁶ + 1,) uint16
    maxima: np.ndarray  # (MAXIMA,) float32
    dense: np.ndarray  # (h,) float64


class Candidates(NamedTuple):
    """Rows of a window with upper bounds: the s-th is ``members[s]``, or ``members[positions[s]]`` if there are."""

    size: int
    bounds: np.ndarray  # float32; a whole number of blocks, −∞ from ``size`` on
    positions: np.ndarray  # uint16 (size,) or (0,)
    members: np.ndarray


@njit(**KERNEL)
def _distance(dot, qq, zz, metric):
    """Twin of ``nsae.retrieval.search.brute_force.distance_from_products`` for one row."""
    if metric == DOT:
        return 0.0 - dot  # (25)
    if metric == L2:
        return np.sqrt(max(qq + zz - 2.0 * dot, 0.0))  # (24)
    if metric == HAMMING:
        return max(qq + zz - 2.0 * dot, 0.0)  # (33)
    whole = qq + zz - dot if metric == JACCARD else np.sqrt(qq * zz)
    return max(1.0 - dot / whole, 0.0) if whole > 0.0 else 1.0  # (23) (32)


@njit(**KERNEL)
def _product(units, values, dense, metric):
    """Return q·z of one row, summed in ascending order of its units; adding a 0 of ``dense`` changes no bit."""
    dot = 0.0
    if metric >= JACCARD:
        for unit in units:
            dot += dense[unit]
    else:
        for e in range(len(units)):
            dot += dense[units[e]] * np.float64(values[e])
    return dot


@njit(**KERNEL)
def distances_to(rows, codes, dense, squared_norm, distances):
    """Write into ``distances (m,)`` float32 those of one query to the ``rows (m,)`` of ``codes``.

    ``dense (h,)`` float64 is the query, with factors wⱼqⱼ, and ``squared_norm`` is ‖q‖².  Twin of
    ``BruteForce.distances`` for some rows.
    """
    for r in range(len(rows)):
        i = rows[r]
        start, stop = codes.indptr[i], codes.indptr[i + 1]
        dot = _product(codes.units[start:stop], codes.values[start:stop], dense, codes.metric)
        distances[r] = np.float32(_distance(dot, squared_norm, codes.squared_norms[i], codes.metric))


@njit(**INNER)
def _block_above(block, threshold):
    """Tell whether one of the bounds of a block is above the threshold."""
    above = False
    for s in range(BOUNDS_BLOCK):
        above |= block[s] > threshold
    return above


@njit(**INNER)
def _run_above(run, threshold):
    """Tell whether one of the bounds of a run is above the threshold."""
    above = False
    for s in range(BOUNDS_RUN):
        above |= run[s] > threshold
    return above


@njit(**INNER, forceinline=True)
def look_closer(i, candidates, query, lowest, codes, row_filter, found):
    """Compare query i exactly with the candidates whose bound is above the threshold, and keep the nearest.

    The threshold is at least ``lowest``, and rises with the hits that are found.  ``candidates`` and ``query``
    are records of this file, ``codes``, ``row_filter`` and ``found`` of ``nsae.retrieval.search.records``.
    """
    size, bounds, positions, members = candidates
    indptr, units, values, zz, metric, _ = codes
    dense, qq, theta = query.dense, query.squared_norm, query.theta
    distances, rows, count = found.distances[i], found.rows[i], found.counts[i]
    k, n, allowed, excluded = len(distances), len(zz), row_filter.allowed, row_filter.excluded[i]
    worst = np.float64(distances[0]) if count == k else row_filter.limit
    # Rows do not come in order, so one that comes later may win a tie: hence the next distance above.
    higher = part_threshold(threshold_of(next_distance(worst), theta, query, metric), query.left_out)
    threshold = max(lowest, np.float32(higher))
    for begin in range(0, size, BOUNDS_BLOCK):
        block = bounds[begin : begin + BOUNDS_BLOCK]
        if not _block_above(block, threshold):
            continue
        for r in range(0, BOUNDS_BLOCK, BOUNDS_RUN):
            run = block[r : r + BOUNDS_RUN]
            if not _run_above(run, threshold):
                continue
            for s in range(BOUNDS_RUN):
                if not run[s] > threshold:
                    continue
                position = begin + r + s
                position = position if len(positions) == 0 else np.int64(positions[position])
                if position >= len(members):
                    continue  # happens only if a mapped file is damaged; so does a row of n and above
                row = np.int64(members[position])
                if row >= n or row == excluded or (len(allowed) > 0 and not allowed[row]):
                    continue
                if metric == JACCARD:  # the bound tells how many units are common
                    dot = np.rint(np.float64(run[s]) + theta * zz[row])
                elif metric == HAMMING:
                    dot = np.rint(0.5 * (np.float64(run[s]) + zz[row]))
                else:
                    start, stop = indptr[row], indptr[row + 1]
                    dot = _product(units[start:stop], values[start:stop], dense, metric)
                distance = np.float32(_distance(dot, qq, zz[row], metric))
                tie = count == k and np.float64(distance) == worst and row < rows[0]
                if np.float64(distance) < worst or tie:
                    count = enter(distances, rows, count, distance, row)
                    if count == k:
                        worst = np.float64(distances[0])
                        new_theta = theta_of(worst) if metric == JACCARD else theta
                        higher = threshold_of(next_distance(worst), new_theta, query, metric)
                        threshold = max(lowest, np.float32(part_threshold(higher, query.left_out)))
    found.counts[i] = count


# ---- where a query shares units with few rows of a window, and the others are all at one distance


@njit(**INNER)
def _take_others(i, members, sums, distance, n, row_filter, found):
    """Take in those of the rows ``members`` that share no unit with query i: all are at ``distance``."""
    distances, rows, count = found.distances[i], found.rows[i], found.counts[i]
    allowed, excluded = row_filter.allowed, row_filter.excluded[i]
    if np.float64(distance) >= row_filter.limit:
        return
    for s in range(len(members)):
        row = np.int64(members[s])
        if sums[s] != 0 or row >= n or row == excluded or (len(allowed) > 0 and not allowed[row]):
            continue
        if count == len(distances) and (
            distances[0] < distance or (distances[0] == distance and rows[0] < row)
        ):
            continue
        count = enter(distances, rows, count, distance, row)
    found.counts[i] = count


@njit(**INNER)
def _clear(m, positions, sums):
    """Make ``sums`` zeros again, after ``sum_sparse`` met the rows in the first m of ``positions``."""
    for s in range(m):
        sums[positions[s]] = 0


@njit(**INNER)
def _search_window(i, w, queries, codes, lists, row_filter, found, scratch):
    """Find what query i has near in window w; arguments are those of :func:`search_postings`."""
    indptr, all_units, all_factors, squares, scales = queries
    members, metric = lists.order[w * lists.window : (w + 1) * lists.window], codes.metric
    distances, counts, k = found.distances, found.counts, found.rows.shape[1]
    start, stop = indptr[i], indptr[i + 1]
    units, factors = all_units[start:stop], all_factors[start:stop]
    bounds, sums, positions, dense = scratch.bounds, scratch.sums, scratch.positions, scratch.dense
    full = counts[i] == k
    worst = np.float64(distances[i, 0]) if full else row_filter.limit
    theta, margin = theta_of(worst), (len(units) + 16) * 2.0**-22
    query = Query(units, factors, dense, squares[i], scales[i], theta, margin, 0.0)
    products = metric in (COSINE, DOT)
    entries = entries_in_window(units, lists.starts, w) if products else 0
    part, left_out, left, threshold = Part(0.0, False, 0.0), 0.0, np.int64(0), -1.0
    if entries > MANY * len(members):
        threshold = threshold_of(next_distance(worst), theta, query, metric)
        if 0.0 < threshold < 1.0:
            allowance = LEFT_OUT * threshold if metric == DOT else allowed_part(threshold)
            share, weight, left = leave_out(query, lists, w, allowance, entries, metric)
            left_out = 0.0 if metric == DOT else weight
            part = Part(share, False, weight - left_out)
    while True:
        sparse = products and SPARSE * (entries - left) < len(members)
        if sparse:
            m, error = sum_sparse(query, lists, w, part, metric, scratch)
        else:
            m, error = len(members), sum_bounds(query, lists, w, part, members, codes, bounds)
        near = np.float32(part_threshold(threshold, left_out))
        if left == 0 or LOOK * count_above(bounds, m, near) <= left:
            break
        # To read the other lists is faster than to compare so many rows.
        if sparse:
            _clear(m, positions, sums)
        part, left_out, left = Part(0.0 if sparse else part.share, not sparse, 0.0), 0.0, np.int64(0)
    lowest = np.float32(-np.inf)
    known = part.share == 0.0 and error < np.inf and len(row_filter.allowed) == 0
    if not full and known and k < MAXIMA <= m:
        lowest = np.float32(first_threshold(bounds, m, k, margin, error, scratch.maxima))
    for e in range(len(units)):
        dense[units[e]] = factors[e]
    candidates = Candidates(m, bounds, positions[: m if sparse else 0], members)
    query = Query(units, factors, dense, squares[i], scales[i], theta, margin, left_out)
    look_closer(i, candidates, query, lowest, codes, row_filter, found)
    for e in range(len(units)):
        dense[units[e]] = 0.0
    if sparse:
        unlike = np.float32(1.0 if metric == COSINE else 0.0)  # (23), (25) of nothing shared
        # If a list was left out, the threshold was above 0, and ``unlike`` is beyond it.
        if counts[i] < k or distances[i, 0] >= unlike:
            _take_others(i, members, sums, unlike, len(codes.squared_norms), row_filter, found)
        _clear(m, positions, sums)


@njit(**KERNEL)
def search_postings(queries, codes, lists, row_filter, found, lo, hi):
    """Find the k nearest rows of each query lo:hi; twin of ``nsae.retrieval.search.search_postings``.

    ``queries``, ``codes``, ``lists``, ``row_filter`` and ``found`` are records of
    ``nsae.retrieval.search.records``; the counts in ``found`` are 0 at the start.
    """
    scratch = Scratch(
        np.empty(POSITIONS, np.float32),
        np.zeros(POSITIONS, np.float32),
        np.empty(POSITIONS + 1, np.uint16),
        np.empty(MAXIMA, np.float32),
        np.zeros(codes.n_units, np.float64),
    )
    first, windows = first_windows(queries, lists, lo, hi), lists.starts.shape[1] - 1
    for others in (False, True):
        for w in range(windows):  # All queries go through a window while its lists are in the cache.
            for i in range(lo, hi):
                if (first[i - lo] != w) == others:
                    _search_window(i, w, queries, codes, lists, row_filter, found, scratch)
    sort_hits(found, lo, hi)
