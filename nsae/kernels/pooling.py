"""Pooling of k-sparse codes as they are selected: no code of a patch is ever written."""

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL

ROUNDS = 10  # of halving: closer than 1/1000 of the largest, another costs more than it saves


@njit(**KERNEL)
def _largest(values):
    """The largest of some numbers ≥ 0, at least one."""
    largest = values[0]
    for l in range(1, len(values)):
        largest = values[l] if values[l] > largest else largest
    return largest


@njit(**KERNEL)
def _count_above(values, level):
    """How many of the values are above ``level``."""
    count = 0
    for l in range(len(values)):
        count += values[l] > level
    return count


@njit(**KERNEL)
def select_and_pool(Y, b, k, cells, sums, maxima, candidates):
    """Twin of k-sparse selection (4) and ``nsae.images.features.pooling.pool`` (31), at once.

    ``Y`` (P, h) comes without the bias ``b`` (h,), and is overwritten; ``cells`` (P, levels) int64 says where
    each patch goes in ``sums`` (cells, h) float64.  ``maxima`` (lanes,), k to h of them, and ``candidates``
    (h,) int64 are scratch.

    Unit j is in lane j mod lanes.  A level that k lanes' maxima are above, k units are above: only those
    lanes are looked at again, and what they have above it is hardly more than k units.  The level is found
    by halving, since counts vectorise and, unlike a heap, branch only a few times.
    """
    h, lanes, zero, half = len(b), len(maxima), Y.dtype.type(0), Y.dtype.type(0.5)
    for p in range(Y.shape[0]):
        y = Y[p]
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
        while n > k:  # the smallest goes; of equals, the highest unit
            out = 0
            for c in range(1, n):
                this, worst = candidates[c], candidates[out]
                if y[this] < y[worst] or (y[this] == y[worst] and this > worst):
                    out = c
            n -= 1
            candidates[out] = candidates[n]
        for at in range(cells.shape[1]):
            total = sums[cells[p, at]]
            for c in range(n):
                total[candidates[c]] += y[candidates[c]]  # (31)
