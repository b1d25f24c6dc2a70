"""Pooling of k-sparse codes as they are selected: no code of a patch is ever written."""

import numpy as np
from numba import njit

from nsae.kernels.options import KERNEL


@njit(**KERNEL)
def select_and_pool(Y, b, k, cells, sums, maxima, candidates):
    """Twin of k-sparse selection (4) and ``nsae.images.pooling.pool`` (31), at once.

    ``Y`` (P, h) comes without the bias ``b`` (h,), and is overwritten; ``cells`` (P, levels) int64 says where
    each patch goes in ``sums`` (cells, h) float64.  ``maxima`` (lanes,), k to h of them, and ``candidates``
    (h,) int64 are scratch.

    Unit j is in lane j mod lanes.  The k-th largest of the lanes' maxima cannot be above the k-th largest
    unit, as k lanes have a unit that large: only those lanes are looked at again, and what they have that
    is as large is hardly more than k units.
    """
    h, lanes, zero = len(b), len(maxima), Y.dtype.type(0)
    best = np.empty(k, Y.dtype)  # the k largest maxima, descending
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

        best[:] = 0
        for l in range(lanes):
            value = maxima[l]
            if value > best[k - 1]:
                place = k - 1
                while place > 0 and best[place - 1] < value:
                    best[place] = best[place - 1]
                    place -= 1
                best[place] = value
        level, n = best[k - 1], 0
        for l in range(lanes):
            if maxima[l] > zero and maxima[l] >= level:
                for j in range(l, h, lanes):
                    if y[j] > zero and y[j] >= level:
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
