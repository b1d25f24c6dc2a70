"""The kernel of pooling beside its definition."""

import numpy as np
import pytest

from nsae import kernels
from nsae.images.features.pooling import PoolingScratch, cells_of, select_and_pool


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 5, 40, 131])
@pytest.mark.parametrize("lanes", [5, 16, 131])
def test_select_and_pool_gives_the_same_bits(rng, dtype, k, lanes):
    Y, b = rng.normal(size=(36, 131)).astype(dtype), rng.normal(size=131).astype(dtype)
    Y[7] = -10  # no unit is active
    Y[8] = np.where(np.arange(131) == 50, 9, -10)  # one is
    Y[9:20] = np.round(Y[9:20]) - b  # equal values: the lowest units stay
    cells, n = cells_of(6, (1, 3))
    expected, sums = np.zeros((2, n, 131))
    scratch = PoolingScratch(np.empty(max(k, lanes), dtype), np.empty(131, np.int64))
    select_and_pool(Y, b, k, cells, expected, scratch)
    kernels.select_and_pool(Y.copy(), b, k, cells, sums, scratch)
    np.testing.assert_array_equal(sums, expected)


@pytest.mark.parametrize(("k", "lanes"), [(4, 64), (100, 100), (131, 131)])
def test_scratch_has_as_many_lanes_as_k_needs(k, lanes):
    scratch = PoolingScratch.of(np.zeros(131, np.float32), k)
    assert (scratch.maxima.shape, scratch.candidates.shape) == ((lanes,), (131,))
    assert scratch.maxima.dtype == np.float32
