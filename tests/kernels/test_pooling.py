"""The kernel of pooling beside its definition."""

import numpy as np
import pytest

from nsae import kernels
from nsae.activations import KSparse
from nsae.images.pooling import cells_of, pool


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_pool_pairs_gives_the_same_bits(rng, dtype, k):
    Y, b = rng.normal(size=(36, 40)).astype(dtype), rng.normal(size=40).astype(dtype)
    Y[7] = -10  # no unit is active
    cells, n = cells_of(6, (1, 3))
    expected = np.zeros((n, 40))
    pool(KSparse(k)(Y + b), cells, expected)
    units, values = np.zeros((36, k), np.int32), np.zeros((36, k), dtype)
    found, sums = np.zeros(36, np.int64), np.zeros((n, 40))
    kernels.top_k(Y, b, 0, units, values, found, 0, 36)
    kernels.pool_pairs(units, values, found, cells, sums)
    np.testing.assert_array_equal(sums, expected)
