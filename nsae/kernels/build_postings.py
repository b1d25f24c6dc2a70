"""Making the postings of codes.

The definitions are in ``nsae.retrieval.search.postings``;
``tests/retrieval/search/test_postings.py::test_compiled_postings_are_the_same_arrays`` compares them.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL

SMALLEST_STEP = np.float32(1e-30)  # as in the definition
HIGHEST_LEVEL = np.float32(255)


@njit(**KERNEL)
def squared_norms(indptr, values, squares):
    """Write ‖z‖² of each row into ``squares (n,)``; ``indptr`` and ``values`` are those of ``Codes``.

    Twin of ``nsae.retrieval.search.brute_force.squared_norms_of`` without weights.
    """
    for i in range(len(squares)):
        total = 0.0
        for value in values[indptr[i] : indptr[i + 1]]:
            total += np.float64(value) * np.float64(value)
        squares[i] = total


@njit(**KERNEL)
def strongest_units(indptr, units, values, strongest):
    """Write into ``strongest (n,)`` the unit of each row's largest value; ``indptr, units, values`` are codes.

    Twin of ``nsae.retrieval.search.postings.strongest_units``.
    """
    for i in range(len(strongest)):
        most = values.dtype.type(-1)
        for e in range(indptr[i], indptr[i + 1]):
            if abs(values[e]) > most:
                most, strongest[i] = abs(values[e]), units[e]


@njit(**KERNEL)
def fill_postings(codes, scales, lists):
    """Fill the ``lists`` of ``codes``, whose values are divided by ``scales (n,)``.

    Twin of ``nsae.retrieval.search.postings.fill_postings``.
    """
    indptr, units, values = codes.indptr, codes.units, codes.values
    begins, levels, steps, one = lists.begins, lists.levels, lists.steps, np.float32(1)
    h, windows = len(lists.starts), lists.starts.shape[1] - 1
    _count_entries(indptr, units, lists)
    next_entry = begins[:h].copy()  # (h,)
    step, negative = np.empty(h, np.float32), np.empty(h, np.bool_)  # (h,), (h,) in a window
    for w in range(windows):
        members = lists.order[w * lists.window : (w + 1) * lists.window]
        if len(levels) > 0:
            step[:], negative[:] = 0, False
            for i in members:
                for e in range(indptr[i], indptr[i + 1]):
                    unit = units[e]
                    step[unit] = max(step[unit], np.float32(abs(np.float64(values[e]) / scales[i])))
                    negative[unit] |= values[e] < 0
            for j in range(h):
                step[j] = max(step[j] / HIGHEST_LEVEL, SMALLEST_STEP)
                steps[j, w] = -step[j] if negative[j] else step[j]
        for s in range(len(members)):
            i = members[s]
            for e in range(indptr[i], indptr[i + 1]):
                unit = units[e]
                entry = next_entry[unit]
                next_entry[unit] += 1
                lists.positions[entry] = s
                if len(levels) > 0:
                    size = np.float32(abs(np.float64(values[e]) / scales[i]))
                    levels[entry] = np.uint8(min(max(np.ceil(size / step[unit]), one), HIGHEST_LEVEL))


@njit(**INNER)
def _count_entries(indptr, units, lists):
    """Fill ``lists.starts`` and ``lists.begins``: where each unit's entries begin, in each window and in all."""
    begins, starts = lists.begins, lists.starts
    h, windows = len(starts), starts.shape[1] - 1
    for w in range(windows):
        for i in lists.order[w * lists.window : (w + 1) * lists.window]:
            for unit in units[indptr[i] : indptr[i + 1]]:
                starts[unit, w + 1] += 1
    for j in range(h):
        for w in range(windows):
            starts[j, w + 1] += starts[j, w]
        begins[j + 1] = begins[j] + np.int64(starts[j, windows])
