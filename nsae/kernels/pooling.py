"""Pooling of k-sparse codes as they are selected: no code of a patch is ever written."""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL
from nsae.kernels.patches import dot
from nsae.kernels.select_columns import count_above

ROUNDS = 10  # of halving: to 1/1000 of the largest value; another round costs more than it saves


@njit(**INNER)
def _largest(values):
    """Return the largest of some numbers, at least one."""
    largest = values[0]
    for l in range(1, len(values)):
        largest = values[l] if values[l] > largest else largest
    return largest


@njit(**INNER)
def _bound(y, screen, x, directed):
    """Make approximate pre-activations y (h,) upper bounds, and return what rounding may have taken from them."""
    b, beyond = screen.b, screen.beyond
    squares = dot(x, x)
    rest = np.sqrt(max(squares - dot(directed, directed), 0.0) + screen.rounding * squares)
    rest = y.dtype.type(rest)  # ‖x − V Vᵀ x‖
    for j in range(len(y)):
        y[j] += b[j] + rest * beyond[j]  # (1)
    return y.dtype.type(screen.rounding * (np.sqrt(squares) * screen.longest + screen.most_bias))


@njit(**INNER)
def _lane_maxima(y, least, maxima):
    """Write the largest of each lane of y (h,) to ``maxima``, at least ``least``: unit j is in lane j mod lanes."""
    h, lanes = len(y), len(maxima)
    whole = h - h % (4 * lanes)
    maxima[:] = least
    for start in range(0, whole, 4 * lanes):  # four at a time, which the compiler vectorises
        run = y[start : start + 4 * lanes]
        first, second, third, fourth = (
            run[:lanes],
            run[lanes : 2 * lanes],
            run[2 * lanes : 3 * lanes],
            run[3 * lanes :],
        )
        for l in range(lanes):
            a = first[l] if first[l] > second[l] else second[l]
            b = third[l] if third[l] > fourth[l] else fourth[l]
            a = a if a > b else b
            maxima[l] = a if a > maxima[l] else maxima[l]
    for j in range(whole, h):
        if y[j] > maxima[j % lanes]:
            maxima[j % lanes] = y[j]


@njit(**INNER)
def _low(maxima, k, low):
    """Return a threshold, at least ``low``, with k lanes above it and hardly more; ``low`` if there are no k."""
    high, half = _largest(maxima), maxima.dtype.type(0.5)
    if count_above(maxima, low) >= k:
        for _ in range(ROUNDS):
            middle = (low + high) * half
            count = count_above(maxima, middle)
            if count >= k:
                low = middle
                if count <= k + 1:
                    break
            else:
                high = middle
    return low


@njit(**INNER)
def _enter(value, unit, values, units, n):
    """Put a unit among the ``n`` largest, at most k, in descending order; return how many these are then.

    Among equals, the lowest unit is first.
    """
    if n == len(values):
        if value < values[n - 1] or (value == values[n - 1] and unit > units[n - 1]):
            return n
        n -= 1  # the last one goes
    at = n
    while at > 0 and (values[at - 1] < value or (values[at - 1] == value and units[at - 1] > unit)):
        values[at], units[at] = values[at - 1], units[at - 1]
        at -= 1
    values[at], units[at] = value, unit
    return n + 1


@njit(**INNER)
def _between(y, maxima, least, most, scratch):
    """Write units with ``least`` < y ≤ ``most`` to ``scratch.candidates``, and return how many they are.

    Each lane and each unit is written, and the place moves on behind those that count: a branch would often be
    predicted badly.
    """
    lanes, candidates, n_lanes, n = scratch.lanes, scratch.candidates, 0, 0
    for l in range(len(maxima)):
        lanes[n_lanes] = l
        n_lanes += maxima[l] > least
    for i in range(n_lanes):
        j = lanes[i]
        while j < len(y):  # Of a range with a step, the compiler first divides to know its length.
            candidates[n] = j
            n += (y[j] > least) & (y[j] <= most)
            j += len(maxima)
    return n


@njit(**KERNEL)
def select_and_pool(X, directed, Y, screen, cells, first, sums, scratch):
    """Add the k-sparse codes of patches to the sums of their cells: Eq. (4), and the sum in Eq. (31).

    Twin of ``nsae.images.features.pooling.select_and_pool``, which explains ``X`` and ``cells``;
    ``tests/kernels/test_pooling.py`` holds the two together, to the same bits.

    Bounds (see ``nsae.images.features.screening``) say which units can be among the k largest.  If the maxima of
    k lanes are above a threshold, so are the bounds of at least k units.  The threshold is found by halving:
    counting is vectorised, and hardly branches.  The units above it are computed from W.  Then units whose bound
    is above the k-th largest of these are computed, too; there are few of them.

    Parameters
    ----------
    X : (rows, d)
        The patches first, first + 1, … of all images.
    directed : (rows, r)
        X V, or X itself where all of W was multiplied.
    Y : (rows, h)
        The product of ``directed`` with L.  Is overwritten.
    screen : Screen
    cells : (P, grids)
    first : int
    sums : (images, cells, h)
    scratch : PoolingScratch
        Its length of ``values`` is k.
    """
    maxima, candidates, values, units = scratch.maxima, scratch.candidates, scratch.values, scratch.units
    W, b, k = screen.W, screen.b, len(values)
    zero, largest = Y.dtype.type(0), Y.dtype.type(np.inf)
    for p in range(len(X)):
        x, y, n = X[p], Y[p], 0  # (d,), (h,)
        slack = _bound(y, screen, x, directed[p])
        _lane_maxima(y, -slack, maxima)  # what is not positive does not count
        low, most = _low(maxima, k, -slack), largest
        for _ in range(2):
            for c in range(_between(y, maxima, low, most, scratch)):
                j = candidates[c]
                value = y.dtype.type(dot(x, W[j])) + b[j]  # (1) (30)
                if value > 0:
                    n = _enter(value, j, values, units, n)  # (4)
            kth = values[k - 1] if n == k else zero
            if kth - slack > low or low <= -slack:
                break
            low, most = kth - 2 * slack, low  # A bound may lie below its unit by the slack.
        image, place = divmod(first + p, len(cells))
        for grid in range(cells.shape[1]):
            of_cell = sums[image, cells[place, grid]]  # (h,)
            for c in range(n):
                of_cell[units[c]] += values[c]  # (31)
