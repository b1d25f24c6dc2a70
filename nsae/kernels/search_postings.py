"""Exact search over postings: bounds on the scores of a window of rows, and a close look at the few that count.

Metrics come as their place in ``nsae.retrieval.search.brute_force.METRICS``.
"""

import numpy as np

from nsae.kernels.build_postings import TINY
from nsae.kernels.compile import njit
from nsae.kernels.nearest_heap import enter
from nsae.kernels.options import KERNEL

COSINE, L2, DOT, JACCARD, HAMMING = range(5)
BLOCK = 128  # scores that are passed over at once if none of them is above the bar
RUN = 16  # and within such a block
LANES = 1024  # of the first look at a window, see _first_bar
ROUNDS = 12  # of halving there
FEW = 2  # entries times this below a window's rows: see _accumulate_few


@njit(**KERNEL)
def _distance(dot, qq, zz, metric):
    """Twin of ``nsae.retrieval.search.brute_force._distance`` for one row."""
    if metric == DOT:
        return 0.0 - dot  # (25)
    if metric == L2:
        return np.sqrt(max(qq + zz - 2.0 * dot, 0.0))  # (24)
    if metric == HAMMING:
        return max(qq + zz - 2.0 * dot, 0.0)  # (33)
    whole = qq + zz - dot if metric == JACCARD else np.sqrt(qq * zz)
    return max(1.0 - dot / whole, 0.0) if whole > 0.0 else 1.0  # (23) (32)


@njit(**KERNEL)
def _product(units, values, query, metric):
    """q·z of one row, in ascending order of its units, with ``query`` (h,) dense: a 0 changes no bit."""
    dot = 0.0
    if metric >= JACCARD:
        for unit in units:
            dot += query[unit]
    else:
        for e in range(len(units)):
            dot += query[units[e]] * np.float64(values[e])
    return dot


@njit(**KERNEL)
def distances_to(rows, codes, squares, query, qq, metric, distances):
    """Twin of ``BruteForce.distances`` for some rows: from one query, dense (h,) float64, to each of them."""
    indptr, units, values = codes
    for r in range(len(rows)):
        i = rows[r]
        start, stop = indptr[i], indptr[i + 1]
        dot = _product(units[start:stop], values[start:stop], query, metric)
        distances[r] = np.float32(_distance(dot, qq, squares[i], metric))


@njit(**KERNEL)
def _bar(worst, qq, scale, share, slack, metric):
    """What a row's score must be above for its distance to be below ``worst``: see :func:`_accumulate`.

    Scores are sums of float32, in error by ``slack`` of their size at most.
    """
    if worst <= 0.0 and metric != DOT:
        return np.inf  # nothing is nearer than 0
    if metric == L2:
        return (qq - worst * worst) / 2.0 / scale - slack
    if metric == HAMMING:
        return qq - np.ceil(worst)  # whole numbers, so exact
    if metric == JACCARD:
        if worst > 1.0:
            return -1.0
        return share * qq * (1.0 - 1e-6) - 1e-6 * qq if share > 0.0 else 0.0
    score = (1.0 - worst) if metric == COSINE else (0.0 - worst) / scale
    if score < 0.0:
        return -1.0  # scores are not negative
    return score * (1.0 - slack)  # where it is 0, a score above 0: a row that shares a unit


@njit(**KERNEL)
def _share(worst):
    """|A ∩ B| / (|A| + |B|) of two supports at that Jaccard distance (32)."""
    return (1.0 - worst) / (2.0 - worst) if worst < 1.0 else 0.0


@njit(**KERNEL)
def _worth(factor, step, scale):
    """What a level of a unit adds to a score; never nothing, so that a score is 0 only where nothing is shared."""
    return max(np.float32(abs(factor * step) / scale), TINY)


@njit(**KERNEL)
def _accumulate(query, lists, w, members, squares, scale, share, metric, scores):
    """Scores of a window's rows, its ``members``: not below what each row's product with the query is worth.

    Cosine: q·z / (‖q‖‖z‖), where ``scale`` is ‖q‖.  Dot: q·z / ``scale``.  L2: (q·z − ‖z‖²/2) / ``scale``.
    Supports: |A ∩ B| − ``share`` |B|, and 2 |A ∩ B| − |B|.  Scores past the window's end are −∞.

    Returns by how much they may be too high; ∞ where that is not known, as with negative values.
    """
    units, factors = query
    begins, starts, rows, levels, steps = lists
    error, size = np.float32(0), len(members)
    padded = -(-size // BLOCK) * BLOCK
    scores[size:padded] = -np.inf
    if metric in (COSINE, DOT):
        scores[:size] = 0
    else:
        weight = 0.5 / scale if metric == L2 else (share if metric == JACCARD else 1.0)
        for s in range(size):
            scores[s] = np.float32(0.0 - weight * squares[min(np.int64(members[s]), len(squares) - 1)])
    for e in range(len(units)):
        j = units[e]
        start, stop = begins[j] + np.int64(starts[j, w]), begins[j] + np.int64(starts[j, w + 1])
        here = rows[start:stop]
        if metric >= JACCARD:
            one = np.float32(2) if metric == HAMMING else np.float32(1)
            for p in range(len(here)):
                scores[here[p]] += one
        else:
            step = np.float64(steps[j, w])
            worth = _worth(factors[e], step, scale)
            error = np.float32(np.inf) if factors[e] < 0.0 or step < 0.0 else error + worth
            level = levels[start:stop]
            for p in range(len(here)):
                scores[here[p]] += worth * np.float32(level[p])
    return np.inf if metric == JACCARD else np.float64(error)


@njit(**KERNEL)
def _first_bar(size, scores, k, slack, error, lanes):
    """A bar for a window before k hits are known: k rows are above it for certain, and one to be excluded.

    ``lanes`` (LANES,) comes to hold the maximum of every LANES-th score.  They are scores themselves, so a
    level that more than k of them exceed, more than k rows exceed.  It is found by halving, since counts
    vectorise.  A score is too high by ``error`` at most.
    """
    lanes[:] = scores[:LANES]
    for begin in range(LANES, size - LANES + 1, LANES):
        run = scores[begin : begin + LANES]
        for l in range(LANES):
            lanes[l] = run[l] if run[l] > lanes[l] else lanes[l]
    low, high = scores[0], scores[0]
    for l in range(LANES):
        low = lanes[l] if lanes[l] < low else low
        high = lanes[l] if lanes[l] > high else high
    for _ in range(ROUNDS):
        middle = low + (high - low) * np.float32(0.5)
        count = np.int32(0)
        for l in range(LANES):
            count += np.int32(lanes[l] > middle)
        if count > k:
            low = middle
            if count < k + k // 8 + 2:
                break
        else:
            high = middle
    largest = np.float64(low)
    return largest - error - slack * abs(largest) - slack


@njit(**KERNEL)
def _look_closer(size, scores, places, members, query, qq, codes, squares, bounds, metric, conditions, hits):
    """Take in the rows of a window whose score is above the bar, if they are near enough indeed.

    The s-th score is of row ``members[s]``, or ``members[places[s]]`` if there are ``places``.
    """
    indptr, units, values = codes
    scale, share, slack, lowest = bounds
    allowed, excluded = conditions
    distances, rows, count, limit = hits
    k, n = len(distances), len(squares)
    worst = np.float64(distances[0]) if count == k else limit
    reach = _next(worst)  # rows do not come in order, so one that comes later may win a tie
    bar = max(lowest, np.float32(_bar(reach, qq, scale, share, slack, metric)))
    for begin in range(0, size, BLOCK):
        block = scores[begin : begin + BLOCK]
        above = False
        for s in range(BLOCK):
            above |= block[s] > bar
        if not above:
            continue
        for r in range(0, BLOCK, RUN):
            run = block[r : r + RUN]
            above = False
            for s in range(RUN):
                above |= run[s] > bar
            if not above:
                continue
            for s in range(RUN):
                if not run[s] > bar:
                    continue
                place = begin + r + s
                place = place if len(places) == 0 else np.int64(places[place])
                if place >= len(members):
                    continue  # as no place is, unless a mapped file is damaged; nor is a row n or above
                i = np.int64(members[place])
                if i >= n or i == excluded or (len(allowed) > 0 and not allowed[i]):
                    continue
                if metric >= JACCARD:  # the score tells how many units are common
                    whole = np.float64(run[s]) + (share if metric == JACCARD else 1.0) * squares[i]
                    dot = np.rint(whole if metric == JACCARD else 0.5 * whole)
                else:
                    start, stop = indptr[i], indptr[i + 1]
                    dot = _product(units[start:stop], values[start:stop], query, metric)
                distance = np.float32(_distance(dot, qq, squares[i], metric))
                tie = count == k and np.float64(distance) == worst and i < rows[0]
                if np.float64(distance) < worst or tie:
                    count = enter(distances, rows, count, distance, i)
                    if count == k:
                        worst = np.float64(distances[0])
                        reach = _next(worst)
                        new_share = _share(worst) if metric == JACCARD else share
                        bar = max(lowest, np.float32(_bar(reach, qq, scale, new_share, slack, metric)))
    return count


@njit(**KERNEL)
def _next(distance):
    """The next float32: below it are all distances up to this one."""
    return np.float64(np.nextafter(np.float32(distance), np.float32(np.inf)))


# ---- where a query shares units with few rows of a window, and the others are all at one distance


@njit(**KERNEL)
def _entries(units, starts, w):
    """How many entries of a window the units have."""
    total = np.int64(0)
    for unit in units:
        total += np.int64(starts[unit, w + 1]) - np.int64(starts[unit, w])
    return total


@njit(**KERNEL)
def _accumulate_few(query, lists, w, scale, sums, places, scores):
    """The scores of those rows of a window that share a unit with the query, for the cosine and dot.

    ``places`` come to hold them, in the order in which they are met, ``scores`` their scores as those of
    :func:`_accumulate`, and so do ``sums`` by row, which were zeros.  Returns how many they are, and by how
    much scores may be too high.
    """
    units, factors = query
    begins, starts, rows, levels, steps = lists
    error, n = np.float32(0), 0
    for e in range(len(units)):
        j = units[e]
        start, stop = begins[j] + np.int64(starts[j, w]), begins[j] + np.int64(starts[j, w + 1])
        here, level = rows[start:stop], levels[start:stop]
        step = np.float64(steps[j, w])
        worth = _worth(factors[e], step, scale)
        error = np.float32(np.inf) if factors[e] < 0.0 or step < 0.0 else error + worth
        for p in range(len(here)):
            place = here[p]
            places[n] = place
            n += np.int64(sums[place] == 0)  # else it is there, and this place is free for the next
            sums[place] += worth * np.float32(level[p])
    for s in range(n):
        scores[s] = sums[places[s]]
    scores[n : -(-n // BLOCK) * BLOCK] = -np.inf
    return n, np.float64(error)


@njit(**KERNEL)
def _take_others(members, n, sums, distance, conditions, hits):
    """Take in the rows of a window that share no unit with the query, all at this distance, of n rows in all."""
    allowed, excluded = conditions
    distances, rows, count, limit = hits
    if np.float64(distance) >= limit:
        return count
    for s in range(len(members)):
        i = np.int64(members[s])
        if sums[s] != 0 or i >= n or i == excluded or (len(allowed) > 0 and not allowed[i]):
            continue
        if count == len(distances) and (
            distances[0] < distance or (distances[0] == distance and rows[0] < i)
        ):
            continue
        count = enter(distances, rows, count, distance, i)
    return count


@njit(**KERNEL)
def search_postings(
    queries, scales, codes, squares, order, lists, window, metric, conditions, limit, hits, scratch, lo, hi
):
    """The k nearest rows of each query lo:hi, as ``nsae.retrieval.search.searcher`` finds them by ``BruteForce``.

    ``order`` and ``lists`` are those of ``nsae.retrieval.search.postings``.  ``queries`` are (indptr, units, factors,
    ‖q‖²), ``scales`` (q,) see :func:`_accumulate`, ``conditions`` (allowed (n,) bool or (0,), excluded (q,) row
    or −1); only rows at distances below ``limit`` count.  ``hits``: distances (q, k) float32, rows (q, k) int64
    and counts (q,) int64, which are 0 at the start; they are in no order: see :func:`sort_hits`.  ``scratch``:
    scores (2¹⁶,) float32; sums (2¹⁶,) float32 and a query (h,) float64, zeros, which they are again at the end;
    places (2¹⁶ + 1,) uint16.
    """
    q_indptr, q_units, q_factors, q_squares = queries
    allowed, excluded = conditions
    distances, found, counts = hits
    scores, sums, query, places = scratch
    n, k = len(squares), distances.shape[1]
    lanes = np.empty(LANES, np.float32)
    for w in range(lists[1].shape[1] - 1):
        members = order[w * window : (w + 1) * window]
        for i in range(lo, hi):
            start, stop = q_indptr[i], q_indptr[i + 1]
            units, factors, qq = q_units[start:stop], q_factors[start:stop], q_squares[i]
            full = counts[i] == k
            share = _share(np.float64(distances[i, 0]) if full else limit)
            slack = (len(units) + 16) * 2.0**-22
            few = metric in (COSINE, DOT) and FEW * _entries(units, lists[1], w) < len(members)
            if few:
                m, error = _accumulate_few((units, factors), lists, w, scales[i], sums, places, scores)
            else:
                m = len(members)
                error = _accumulate(
                    (units, factors), lists, w, members, squares, scales[i], share, metric, scores
                )
            lowest = np.float32(-np.inf)
            if not full and error < np.inf and len(allowed) == 0 and k < LANES <= m:
                lowest = np.float32(_first_bar(m, scores, k, slack, error, lanes))
            for e in range(len(units)):
                query[units[e]] = factors[e]
            counts[i] = _look_closer(
                m,
                scores,
                places[: m if few else 0],
                members,
                query,
                qq,
                codes,
                squares,
                (scales[i], share, slack, lowest),
                metric,
                (allowed, excluded[i]),
                (distances[i], found[i], counts[i], limit),
            )
            for e in range(len(units)):
                query[units[e]] = 0.0
            if few:
                other = np.float32(1.0 if metric == COSINE else 0.0)  # (23), (25) of nothing shared
                if counts[i] < k or distances[i, 0] >= other:
                    counts[i] = _take_others(
                        members,
                        n,
                        sums,
                        other,
                        (allowed, excluded[i]),
                        (distances[i], found[i], counts[i], limit),
                    )
                for s in range(m):
                    sums[places[s]] = 0
