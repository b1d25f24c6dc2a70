"""Making the postings of codes: twins of what ``nsae.retrieval.postings`` does in NumPy."""

import numpy as np
from numba import njit

from nsae.kernels.options import KERNEL

TINY = np.float32(1e-30)  # as there: no step is smaller


@njit(**KERNEL)
def squared_norms(indptr, values, squares):
    """Twin of ``nsae.retrieval.brute_force.squared_norms_of`` without weights."""
    for i in range(len(squares)):
        total = 0.0
        for value in values[indptr[i] : indptr[i + 1]]:
            total += np.float64(value) * np.float64(value)
        squares[i] = total


@njit(**KERNEL)
def fill_postings(indptr, units, values, scales, window, begins, starts, rows, levels, steps):
    """Twin of ``nsae.retrieval.postings.Postings._fill``."""
    one, most = np.float32(1), np.float32(255)
    free = np.empty(starts.shape[1], np.int64)  # by unit, the place of its next entry
    for w in range(starts.shape[0]):
        first, start = w * window, starts[w]
        last = min(first + window, len(indptr) - 1)
        for unit in units[begins[w] : begins[w + 1]]:
            start[unit + 1] += 1
        for j in range(1, len(start)):
            start[j] += start[j - 1]
        if len(levels) > 0:
            step = steps[w]
            for i in range(first, last):
                for e in range(indptr[i], indptr[i + 1]):
                    size = np.float32(abs(np.float64(values[e]) / scales[i]))
                    step[units[e]] = max(step[units[e]], size)
            for j in range(len(step)):
                step[j] = max(step[j] / most, TINY)
            for i in range(begins[w], begins[w + 1]):
                if values[i] < 0:
                    step[units[i]] = -abs(step[units[i]])
        for j in range(len(start)):
            free[j] = begins[w] + np.int64(start[j])
        for i in range(first, last):
            for e in range(indptr[i], indptr[i + 1]):
                unit = units[e]
                place = free[unit]
                free[unit] += 1
                rows[place] = i - first
                if len(levels) > 0:
                    size = np.float32(abs(np.float64(values[e]) / scales[i]))
                    level = np.ceil(size / abs(steps[w, unit]))
                    levels[place] = np.uint8(min(max(level, one), most))
