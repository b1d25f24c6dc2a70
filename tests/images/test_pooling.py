"""From codes of patches to a vector for the image, (31); and its principal components."""

import numpy as np
import pytest

from nsae.activations import KSparse
from nsae.images.components import principal_components
from nsae.images.pooling import cells_of, pool, root_and_norm


def test_cells_are_laid_out_evenly():
    cells, n = cells_of(4, 6, (2,))
    assert n == 4
    np.testing.assert_array_equal(cells.reshape(4, 6), [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 3, 3, 3]] * 2)
    cells, n = cells_of(5, 5, (1, 3))
    assert n == 10
    assert not cells[:, 0].any()
    assert sorted(np.unique(cells[:, 1])) == list(range(1, 10))


def test_eq31_pooled_descriptor(rng):
    Z = KSparse(2)(rng.normal(size=(24, 7)))  # of 4 × 6 patches
    cells, n = cells_of(4, 6, (1, 2))
    sums = np.zeros((n, 7))
    pool(Z, cells, sums)
    grid = Z.reshape(4, 6, 7)
    expected = [Z.sum(axis=0)]
    expected += [grid[r : r + 2, c : c + 3].sum(axis=(0, 1)) for r in (0, 2) for c in (0, 3)]
    np.testing.assert_allclose(sums, expected, rtol=1e-12)
    f = root_and_norm(sums.reshape(1, -1))
    root = np.sqrt(np.ravel(expected))
    np.testing.assert_allclose(f[0], root / np.linalg.norm(root), rtol=1e-6)
    assert not root_and_norm(np.zeros((1, 5))).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_sums_are_the_same_bits(rng, dtype):
    pytest.importorskip("numba")
    from nsae import kernels

    Y = rng.normal(size=(24, 200)).astype(dtype)
    cells, n = cells_of(4, 6, (1, 2))
    sums, compiled = np.zeros((2, n, 200))
    pool(KSparse(5)(Y), cells, sums)
    units, values, found = np.empty((24, 5), np.int32), np.empty((24, 5), dtype), np.zeros(24, np.int64)
    kernels.top_k(Y, np.zeros(200, dtype), 0, units, values, found, 0, 24)
    kernels.pool(units, values, found, cells, compiled)
    np.testing.assert_array_equal(compiled, sums)


def test_principal_components_are_those_of_the_decomposition(rng):
    F = (
        rng.normal(size=(200, 30)) * np.geomspace(1, 0.01, 30) @ np.linalg.qr(rng.normal(size=(30, 30)))[0]
        + 3
    )
    mean, E, variances = principal_components(F, 5, rng)
    D = F - F.mean(axis=0)
    _, lengths, R = np.linalg.svd(D, full_matrices=False)
    np.testing.assert_allclose(mean, F.mean(axis=0))
    np.testing.assert_allclose(variances, lengths[:5] ** 2 / 200, rtol=1e-6)
    np.testing.assert_allclose(np.abs(np.sum(E * R[:5].T, axis=0)), 1, rtol=1e-6)
    assert principal_components(F[:4], 9, rng)[1].shape == (30, 4)
