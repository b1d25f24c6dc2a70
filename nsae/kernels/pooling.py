"""From the k active units of each patch to the sums of the image's cells."""

from numba import njit

from nsae.kernels.options import KERNEL


@njit(**KERNEL)
def pool(units, values, found, cells, sums):
    """Twin of ``images.pooling.pool``, the sum in (31), on (unit, value) pairs in any order.

    ``units`` and ``values`` (P, k), ``found`` (P,) pairs of them in each row; ``cells`` (P, levels) and
    ``sums`` (cells, h) float64 are as there.
    """
    for p in range(len(found)):
        for level in range(cells.shape[1]):
            sum_of_cell = sums[cells[p, level]]
            for place in range(found[p]):
                sum_of_cell[units[p, place]] += values[p, place]
