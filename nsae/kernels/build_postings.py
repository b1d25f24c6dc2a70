"""Making the postings of codes: twins of what ``nsae.retrieval.search.postings`` does in NumPy."""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL

TINY = np.float32(1e-30)  # as there: no step is smaller


@njit(**KERNEL)
def squared_norms(indptr, values, squares):
    """Twin of ``nsae.retrieval.search.brute_force.squared_norms_of`` without weights."""
    for i in range(len(squares)):
        total = 0.0
        for value in values[indptr[i] : indptr[i + 1]]:
            total += np.float64(value) * np.float64(value)
        squares[i] = total


@njit(**KERNEL)
def strongest_units(indptr, units, values, strongest):
    """Twin of ``nsae.retrieval.search.postings._strongest_units``; what is there stays for rows without a unit."""
    for i in range(len(strongest)):
        most = values.dtype.type(-1)
        for e in range(indptr[i], indptr[i + 1]):
            if abs(values[e]) > most:
                most, strongest[i] = abs(values[e]), units[e]


@njit(**KERNEL)
def fill_postings(indptr, units, values, scales, order, window, begins, starts, rows, levels, steps):
    """Twin of ``nsae.retrieval.search.postings.Postings._fill``."""
    one, most = np.float32(1), np.float32(255)
    h, windows = len(starts), starts.shape[1] - 1
    for w in range(windows):
        for i in order[w * window : (w + 1) * window]:
            for unit in units[indptr[i] : indptr[i + 1]]:
                starts[unit, w + 1] += 1
    for j in range(h):
        for w in range(windows):
            starts[j, w + 1] += starts[j, w]
        begins[j + 1] = begins[j] + np.int64(starts[j, windows])
    free = begins[:h].copy()  # by unit, the place of its next entry
    step, negative = np.empty(h, np.float32), np.empty(h, np.bool_)  # in a window
    for w in range(windows):
        members = order[w * window : (w + 1) * window]
        if len(levels) > 0:
            step[:], negative[:] = 0, False
            for i in members:
                for e in range(indptr[i], indptr[i + 1]):
                    unit = units[e]
                    step[unit] = max(step[unit], np.float32(abs(np.float64(values[e]) / scales[i])))
                    negative[unit] |= values[e] < 0
            for j in range(h):
                step[j] = max(step[j] / most, TINY)
                steps[j, w] = -step[j] if negative[j] else step[j]
        for s in range(len(members)):
            i = members[s]
            for e in range(indptr[i], indptr[i + 1]):
                unit = units[e]
                place = free[unit]
                free[unit] += 1
                rows[place] = s
                if len(levels) > 0:
                    size = np.float32(abs(np.float64(values[e]) / scales[i]))
                    levels[place] = np.uint8(min(max(np.ceil(size / step[unit]), one), most))
