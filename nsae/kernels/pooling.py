"""Pooling of k-sparse codes as they are selected: no code of a patch is ever written."""

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL

ROUNDS = 10  # of halving: to 1/1000 of the largest value; another round costs more than it saves


@njit(**KERNEL)
def _largest(values):
    """Return the largest of some numbers ≥ 0, at least one."""
    largest = values[0]
    for l in range(1, len(values)):
        largest = values[l] if values[l] > largest else largest
    return largest


@njit(**KERNEL)
def _count_above(values, threshold):
    """Return how many of the ``values`` are above ``threshold``."""
    count = 0
    for l in range(len(values)):
        count += values[l] > threshold
    return count


@njit(**KERNEL)
def select_and_pool(Y, b, k, cells, sums, scratch):
    """Add the k-sparse codes of patches to the sums of their cells: Eq. (4), and the sum in Eq. (31).

    Twin of ``nsae.images.features.pooling.select_and_pool``, which explains ``Y``, ``b``, ``k``, ``cells``,
    ``sums`` and ``scratch``; ``tests/kernels/test_pooling.py`` holds the two together, to the same bits.
    ``Y`` is overwritten.

    Unit j is in lane j mod lanes.  If the maxima of k lanes are above a threshold, so are at least k units.
    Only those lanes are searched again, and they hardly have more than k units above the threshold.  It is
    found by halving: counting is vectorised, and, unlike a heap, hardly branches.
    """
    maxima, candidates = scratch.maxima, scratch.candidates
    h, lanes, zero, half = len(b), len(maxima), Y.dtype.type(0), Y.dtype.type(0.5)
    for p in range(Y.shape[0]):
        y = Y[p]  # (h,)
        maxima[:] = 0  # what is not positive does not count
        for start in range(0, h - h % lanes, lanes):
            run, bias = y[start : start + lanes], b[start : start + lanes]
            for l in range(lanes):
                run[l] += bias[l]  # (1)
                maxima[l] = run[l] if run[l] > maxima[l] else maxima[l]
        for j in range(h - h % lanes, h):
            y[j] += b[j]  # (1)
            if y[j] > maxima[j % lanes]:
                maxima[j % lanes] = y[j]

        low, high = zero, _largest(maxima)
        if _count_above(maxima, low) >= k:
            for _ in range(ROUNDS):
                middle = (low + high) * half
                count = _count_above(maxima, middle)
                if count >= k:
                    low = middle
                    if count <= k + 1:
                        break
                else:
                    high = middle
        n = 0
        for l in range(lanes):
            if maxima[l] > low:
                for j in range(l, h, lanes):
                    if y[j] > low:
                        candidates[n] = j
                        n += 1
        while n > k:  # the smallest goes; among equals, the highest unit
            out = 0
            for c in range(1, n):
                this, worst = candidates[c], candidates[out]
                if y[this] < y[worst] or (y[this] == y[worst] and this > worst):
                    out = c
            n -= 1
            candidates[out] = candidates[n]
        for grid in range(cells.shape[1]):
            total = sums[cells[p, grid]]  # (h,)
            for c in range(n):
                total[candidates[c]] += y[candidates[c]]  # (31)
