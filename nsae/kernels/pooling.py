"""Pooling of k-sparse codes on (unit, value) pairs: no dense code of a patch is ever made."""

from numba import njit

from nsae.kernels.options import KERNEL


@njit(**KERNEL)
def pool_pairs(units, values, found, cells, sums):
    """Twin of ``nsae.images.pooling.pool`` (31) for codes as pairs, in any order within a patch.

    ``units`` (P, k) int32 and ``values`` (P, k) hold the ``found`` (P,) first active units of each patch;
    ``cells`` (P, levels) int64 says where they go in ``sums`` (cells, h) float64.
    """
    for p in range(units.shape[0]):
        unit, value = units[p], values[p]
        for level in range(cells.shape[1]):
            total = sums[cells[p, level]]
            for place in range(found[p]):
                total[unit[place]] += value[place]  # (31)
