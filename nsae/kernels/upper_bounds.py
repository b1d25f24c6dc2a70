"""Upper bounds of the products of a query with the rows of a window, from the levels in its lists.

The definition is ``nsae.retrieval.search.search_postings.upper_bounds``, which reads all lists.
``tests/kernels/test_search_kernels.py`` compares the hits.
"""

from typing import NamedTuple

import numpy as np

from nsae.kernels.build_postings import HIGHEST_LEVEL, SMALLEST_STEP
from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL

COSINE, L2, DOT, JACCARD, HAMMING = range(5)  # as in nsae.retrieval.search.brute_force.METRICS
BOUNDS_BLOCK = 128  # Upper bounds that are passed over together if none is above the threshold.


class Part(NamedTuple):
    """Which of a query's lists in a window are read: those that :func:`leave_out` keeps, or the others.

    Bounds of rows begin at ``rest``.
    """

    share: float
    is_others: bool
    rest: float


@njit(**INNER)
def _bound_of_level(factor, step, scale):
    """Return what one level of a unit adds to an upper bound; above 0, so that 0 means that nothing is shared."""
    return max(np.float32(abs(factor * step) / scale), SMALLEST_STEP)


@njit(**INNER)
def _weight(query, e, step, metric):
    """Return what counts of the e-th list of a query: for the cosine (wq)², for dot the most that it can add."""
    if metric == DOT:
        return np.float64(HIGHEST_LEVEL * _bound_of_level(query.factors[e], np.float64(step), query.scale))
    return query.factors[e] * query.factors[e] / query.squared_norm


@njit(**KERNEL)
def leave_out(query, lists, w, allowance, entries, metric):
    """Choose lists of window w that need not be read: long ones of little weight.

    For the cosine the weight is the fraction of ‖q‖² that the list's unit has; for dot, where norms of rows say
    little, it is what the list can add to a bound, its highest level (MaxScore's idea).  A list is left out if its
    weight is at most ``share`` for each of its entries.  ``allowance`` is the weight that all lists that are left out
    may have, and ``entries``, above 0, is how many entries the query's lists have.  Returns ``share``, the weight of
    the lists, and how many entries they have.  ``query`` is a ``Query`` of ``search_postings.py``, ``lists`` are
    ``InvertedLists``, and ``metric`` is COSINE or DOT.
    """
    share = 32.0 * allowance / entries
    while True:
        total, left = 0.0, np.int64(0)
        for e in range(len(query.units)):
            j = query.units[e]
            length = np.int64(lists.starts[j, w + 1]) - np.int64(lists.starts[j, w])
            weight = _weight(query, e, lists.steps[j, w], metric)
            if weight <= share * length:
                total += weight
                left += length
        if total <= allowance:
            return share, total, left
        share *= 0.5


@njit(**INNER)
def sum_bounds(query, lists, w, part, members, codes, bounds):
    """Fill ``bounds`` for the rows ``members`` of window ``w``: an upper bound of each row's product.

    Cosine: of q·z / (‖q‖‖z‖), where ``query.scale`` is ‖q‖.  Dot: of q·z / scale.  L2: of
    (q·z − ‖z‖²/2) / scale.  Jaccard: of |A ∩ B| − θ|B|.  Hamming: of 2 |A ∩ B| − |B|.  From the window's end
    on, bounds are −∞.  ``part`` is a ``Part`` of the lists; with a share of 0, all are read.  ``query`` is a
    ``Query`` of ``search_postings.py``, ``lists`` are ``InvertedLists``, ``codes`` are ``CodeArrays``.
    Returns by how much bounds may be too high if they are; ∞ where that is not known, as with negative values.
    """
    units, factors, scale, theta = query.units, query.factors, query.scale, query.theta
    _, begins, starts, all_positions, levels, steps, _ = lists
    metric, zz = codes.metric, codes.squared_norms
    error, size = np.float32(0), len(members)
    bounds[size : -(-size // BOUNDS_BLOCK) * BOUNDS_BLOCK] = -np.inf
    if metric in (COSINE, DOT):
        if not part.is_others:
            bounds[:size] = np.float32(part.rest)
    else:
        weight = 0.5 / scale if metric == L2 else (theta if metric == JACCARD else 1.0)
        for s in range(size):
            bounds[s] = np.float32(0.0 - weight * zz[min(np.int64(members[s]), len(zz) - 1)])
    for e in range(len(units)):
        j = units[e]
        start, stop = begins[j] + np.int64(starts[j, w]), begins[j] + np.int64(starts[j, w + 1])
        here = all_positions[start:stop]
        if metric >= JACCARD:
            one = np.float32(2) if metric == HAMMING else np.float32(1)
            for p in range(len(here)):
                bounds[here[p]] += one
        else:
            step = np.float64(steps[j, w])
            if (_weight(query, e, step, metric) <= part.share * len(here)) != part.is_others:
                continue
            per_level = _bound_of_level(factors[e], step, scale)
            error = np.float32(np.inf) if factors[e] < 0.0 or step < 0.0 else error + per_level
            level = levels[start:stop]
            for p in range(len(here)):
                bounds[here[p]] += per_level * np.float32(level[p])
    return np.inf if metric == JACCARD else np.float64(error)


@njit(**KERNEL)
def entries_in_window(units, starts, w):
    """Return how many entries of window ``w`` the ``units`` have; ``starts`` are those of ``InvertedLists``."""
    total = np.int64(0)
    for unit in units:
        total += np.int64(starts[unit, w + 1]) - np.int64(starts[unit, w])
    return total


@njit(**INNER)
def sum_sparse(query, lists, w, part, metric, scratch):
    """Sum bounds only of the rows of window w that are in a list that is read, for the cosine and dot.

    ``scratch.positions`` come to hold these rows, in the order in which they are met, ``scratch.bounds`` their bounds,
    and ``scratch.sums (2¹⁶,)``, which were zeros, what their lists add, by position.  The bounds are those of
    :func:`sum_bounds`, and so are ``query``, ``lists`` and ``part``, which is not the others.  ``metric`` is COSINE or
    DOT, and ``scratch`` a ``Scratch`` of ``search_postings.py``.  Returns how many rows they are, and by how much a
    bound may be too high.
    """
    units, factors, scale = query.units, query.factors, query.scale
    sums, positions, bounds = scratch.sums, scratch.positions, scratch.bounds
    _, begins, starts, all_positions, levels, steps, _ = lists
    error, n = np.float32(0), 0
    for e in range(len(units)):
        j = units[e]
        start, stop = begins[j] + np.int64(starts[j, w]), begins[j] + np.int64(starts[j, w + 1])
        here, level = all_positions[start:stop], levels[start:stop]
        step = np.float64(steps[j, w])
        if _weight(query, e, step, metric) <= part.share * len(here):
            continue
        per_level = _bound_of_level(factors[e], step, scale)
        error = np.float32(np.inf) if factors[e] < 0.0 or step < 0.0 else error + per_level
        for p in range(len(here)):
            position = here[p]
            positions[n] = position
            n += np.int64(sums[position] == 0)  # A row that was met before is overwritten by the next one.
            sums[position] += per_level * np.float32(level[p])
    for s in range(n):
        bounds[s] = sums[positions[s]] + np.float32(part.rest)
    bounds[n : -(-n // BOUNDS_BLOCK) * BOUNDS_BLOCK] = -np.inf
    return n, np.float64(error)


@njit(**KERNEL)
def count_above(bounds, size, threshold):
    """Return how many of the first ``size`` of ``bounds`` are above the ``threshold``, a float32."""
    count = np.int32(0)
    for s in range(size):
        count += np.int32(bounds[s] > threshold)
    return count


@njit(**INNER)
def first_windows(queries, lists, lo, hi):
    """Return the window that each query lo:hi searches first, (hi − lo,): there its k-th hit is likely near.

    It is that where the lists have the most weight: Σ |wⱼqⱼ| · step · entries.  ``queries`` are ``QueryArrays``,
    ``lists`` are ``InvertedLists``.
    """
    first, weights = (
        np.zeros(hi - lo, np.int64),
        np.empty(lists.starts.shape[1] - 1, np.float64),
    )  # (windows,)
    if len(weights) < 2:
        return first
    for i in range(lo, hi):
        weights[:] = 0
        for e in range(queries.indptr[i], queries.indptr[i + 1]):
            unit, size = queries.units[e], abs(queries.factors[e])
            for w in range(len(weights)):
                step = abs(np.float64(lists.steps[unit, w])) if lists.steps.shape[1] > 0 else 1.0
                entries = np.float64(lists.starts[unit, w + 1]) - np.float64(lists.starts[unit, w])
                weights[w] += size * step * entries
        first[i - lo] = np.argmax(weights)
    return first
