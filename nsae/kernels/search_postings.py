"""Exact search over postings: upper bounds for a window of rows, and an exact distance for the few that count.

The definition is ``nsae.retrieval.search.search_postings``, which has the argument names too, and behind it
``BruteForce.distances``.  ``tests/kernels/test_search_kernels.py`` compares the three, and
``tests/retrieval/search/test_searcher.py`` the hits of whole searches.
"""

from typing import NamedTuple

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.nearest_heap import enter, sort_hits
from nsae.kernels.options import KERNEL
from nsae.kernels.upper_bounds import (
    BOUNDS_BLOCK,
    COSINE,
    DOT,
    HAMMING,
    JACCARD,
    L2,
    entries_in_window,
    leave_out,
    sum_bounds,
    sum_sparse,
)

BOUNDS_RUN = 16  # So many upper bounds of a block are passed over together, too.
MAXIMA = 1024  # Running maxima of the first look at a window: see _first_threshold.
HALVINGS = 12  # The most steps of the search there.
SPARSE = 2  # A window is sparse for a query if it has more than so many rows per entry: see sum_sparse.
MANY = 2  # From so many entries per row of a window on, long lists of little weight are left out,
LEFT_OUT = 0.3  # until their bounds add up to this fraction of the threshold: see leave_out.
POSITIONS = 1 << 16  # So many rows can 16 bits name, should a mapped file be damaged.


class Query(NamedTuple):
    """One query in its loops; ``margin`` is the relative error that sums of float32 can have."""

    units: np.ndarray  # (m,) int32
    factors: np.ndarray  # (m,) float64
    dense: np.ndarray  # (h,) float64: the factors at their units, else 0
    squared_norm: float
    scale: float
    theta: float
    margin: float


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


@njit(**KERNEL)
def _threshold(distance, theta, query, metric):
    """Return what a row's upper bound must exceed for its distance to be below ``distance``."""
    if distance <= 0.0 and metric != DOT:
        return np.inf  # nothing is nearer than 0
    if metric == L2:
        return (query.squared_norm - distance * distance) / 2.0 / query.scale - query.margin
    if metric == HAMMING:
        return query.squared_norm - np.ceil(distance)  # whole numbers, so exact
    if metric == JACCARD:
        if distance > 1.0:
            return -1.0
        qq = query.squared_norm
        return theta * qq * (1.0 - 1e-6) - 1e-6 * qq if theta > 0.0 else 0.0
    product = (1.0 - distance) if metric == COSINE else (0.0 - distance) / query.scale
    if product < 0.0:
        return -1.0  # upper bounds are not negative
    return product * (1.0 - query.margin)  # where it is 0, a bound above 0: a row that shares a unit


@njit(**KERNEL)
def _theta(distance):
    """Return θ = |A ∩ B| / (|A| + |B|) of two supports at that Jaccard distance, Eq. (32)."""
    return (1.0 - distance) / (2.0 - distance) if distance < 1.0 else 0.0


@njit(**KERNEL)
def _first_threshold(bounds, size, k, margin, error, maxima):
    """Return a threshold for a window before k hits are known: more than k rows are above it for certain.

    The one row more is for a row that is excluded.  ``maxima (MAXIMA,)`` comes to hold the largest of every
    MAXIMA-th bound.  These are bounds themselves, so what more than k of them exceed, more than k rows
    exceed.  It is found by halving, since counts vectorise.  A bound is too high by ``error`` at most.
    """
    for l in range(MAXIMA):
        maxima[l] = bounds[l]
    for begin in range(MAXIMA, size - MAXIMA + 1, MAXIMA):
        run = bounds[begin : begin + MAXIMA]
        for l in range(MAXIMA):
            maxima[l] = run[l] if run[l] > maxima[l] else maxima[l]
    low, high = bounds[0], bounds[0]
    for l in range(MAXIMA):
        low = maxima[l] if maxima[l] < low else low
        high = maxima[l] if maxima[l] > high else high
    for _ in range(HALVINGS):
        middle = low + (high - low) * np.float32(0.5)
        count = np.int32(0)
        for l in range(MAXIMA):
            count += np.int32(maxima[l] > middle)
        if count > k:
            low = middle
            if count < k + k // 8 + 2:
                break
        else:
            high = middle
    largest = np.float64(low)
    return largest - error - margin * abs(largest) - margin


@njit(**KERNEL)
def _next(distance):
    """Return the next float32: below it are all distances up to this one."""
    return np.float64(np.nextafter(np.float32(distance), np.float32(np.inf)))


@njit(**KERNEL)
def _block_above(block, threshold):
    """Tell whether one of the bounds of a block is above the threshold."""
    above = False
    for s in range(BOUNDS_BLOCK):
        above |= block[s] > threshold
    return above


@njit(**KERNEL)
def _run_above(run, threshold):
    """Tell whether one of the bounds of a run is above the threshold."""
    above = False
    for s in range(BOUNDS_RUN):
        above |= run[s] > threshold
    return above


@njit(**KERNEL, forceinline=True)
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
    threshold = max(lowest, np.float32(_threshold(_next(worst), theta, query, metric)))
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
                        new_theta = _theta(worst) if metric == JACCARD else theta
                        higher = _threshold(_next(worst), new_theta, query, metric)
                        threshold = max(lowest, np.float32(higher))
    found.counts[i] = count


# ---- where a query shares units with few rows of a window, and the others are all at one distance


@njit(**KERNEL)
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


@njit(**KERNEL)
def search_postings(queries, codes, lists, row_filter, found, lo, hi):
    """Find the k nearest rows of each query lo:hi; twin of ``nsae.retrieval.search.search_postings``.

    ``queries``, ``codes``, ``lists``, ``row_filter`` and ``found`` are records of
    ``nsae.retrieval.search.records``; the counts in ``found`` are 0 at the start.
    """
    indptr, all_units, all_factors, squares, scales = queries
    order, starts, window, metric = lists.order, lists.starts, lists.window, codes.metric
    distances, counts, limit, k = found.distances, found.counts, row_filter.limit, found.rows.shape[1]
    n, all_allowed = len(codes.squared_norms), len(row_filter.allowed) == 0
    bounds, sums, clear = np.empty(POSITIONS, np.float32), np.empty(POSITIONS, np.float32), False
    positions, maxima = np.empty(POSITIONS + 1, np.uint16), np.empty(MAXIMA, np.float32)
    dense = np.zeros(codes.n_units, np.float64)  # (h,)
    for w in range(starts.shape[1] - 1):
        members = order[w * window : (w + 1) * window]
        for i in range(lo, hi):
            start, stop = indptr[i], indptr[i + 1]
            units, factors = all_units[start:stop], all_factors[start:stop]
            full = counts[i] == k
            theta = _theta(np.float64(distances[i, 0]) if full else limit)
            margin = (len(units) + 16) * 2.0**-22
            query = Query(units, factors, dense, squares[i], scales[i], theta, margin)
            entries = entries_in_window(units, starts, w) if metric in (COSINE, DOT) else 0
            sparse = metric in (COSINE, DOT) and SPARSE * entries < len(members)
            left_out = 0.0, 0.0
            if full and entries > MANY * len(members):
                threshold = _threshold(_next(np.float64(distances[i, 0])), theta, query, metric)
                if threshold > 0.0:
                    left_out = leave_out(query, lists, w, LEFT_OUT * threshold, entries)
            if sparse and not clear:  # most searches never need it
                sums[:], clear = 0, True
            if sparse:
                m, error = sum_sparse(query, lists, w, sums, positions, bounds)
            else:
                m, error = len(members), sum_bounds(query, lists, w, left_out, members, codes, bounds)
            lowest = np.float32(-np.inf)
            if not full and error < np.inf and all_allowed and k < MAXIMA <= m:
                lowest = np.float32(_first_threshold(bounds, m, k, margin, error, maxima))
            for e in range(len(units)):
                dense[units[e]] = factors[e]
            candidates = Candidates(m, bounds, positions[: m if sparse else 0], members)
            look_closer(i, candidates, query, lowest, codes, row_filter, found)
            for e in range(len(units)):
                dense[units[e]] = 0.0
            if sparse:
                unlike = np.float32(1.0 if metric == COSINE else 0.0)  # (23), (25) of nothing shared
                if counts[i] < k or distances[i, 0] >= unlike:
                    _take_others(i, members, sums, unlike, n, row_filter, found)
                for s in range(m):
                    sums[positions[s]] = 0
    sort_hits(found, lo, hi)
