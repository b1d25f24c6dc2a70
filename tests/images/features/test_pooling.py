"""Pooling over the cells of a grid."""

import numpy as np
import pytest

from nsae.images.features.pooling import add_codes, cells_of, root_and_norm


def test_eq31_pooling(rng):
    Z = rng.random((9, 4)) * (rng.random((9, 4)) > 0.5)  # 3 × 3 patches
    cells, n = cells_of(3, (1, 3))
    sums = np.zeros((n, 4))
    add_codes(Z, cells, sums)
    f = root_and_norm(sums.reshape(1, -1))[0]
    expected = np.sqrt(np.concatenate([Z.sum(axis=0), Z.ravel()]))  # one cell; nine cells of a patch each
    np.testing.assert_allclose(f, expected / np.linalg.norm(expected), rtol=1e-6)
    assert f.dtype == np.float32
    assert np.linalg.norm(f) == pytest.approx(1)


def test_cells_lie_as_they_should():
    cells, n = cells_of(4, (2,))
    assert n == 4
    np.testing.assert_array_equal(cells[:, 0].reshape(4, 4), np.kron([[0, 1], [2, 3]], np.ones((2, 2))))
    cells, n = cells_of(5, (1, 2, 4))
    assert (n, cells.shape) == (21, (25, 3))
    assert sorted(set(cells.ravel())) == list(range(21))  # none is empty


def test_cells_hold_equally_many_patches():
    cells, _ = cells_of(23, (3,))
    assert set(np.bincount(cells[:, 0])) <= {7 * 7, 7 * 8, 8 * 8}


def test_an_image_without_an_active_unit_stays_zero():
    assert not root_and_norm(np.zeros((2, 5))).any()


def test_a_vector_does_not_depend_on_those_beside_it(rng):
    sums = rng.random((20, 10_752)) * (rng.random((20, 10_752)) < 0.1)
    together = root_and_norm(sums)
    for i in (0, 7, 19):
        assert root_and_norm(sums[i : i + 1]).tobytes() == together[i].tobytes()
