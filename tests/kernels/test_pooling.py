"""The kernel of pooling beside its definition."""

import numpy as np
import pytest

from nsae import kernels
from nsae.images.features.exact_sums import exact_weights, on_grid, patch_bits
from nsae.images.features.pooling import PoolingScratch, cells_of, select_and_pool
from nsae.images.features.screening import Screen

H, P = 300, 36


def both(X, screen, k, lanes, error=0):
    """Sums (2, cells, H) of two images with the patches X (2 P, d): of the definition, and of the kernel.

    The kernel is given products that are off by ``error``.
    """
    cells, n = cells_of(6, (1, 3))
    W, b = screen.W, screen.b
    expected, sums = np.zeros((2, 2, n, len(W)))
    for i in range(2):
        select_and_pool(X[i * P : (i + 1) * P], W, b, k, cells, expected[i])
    scratch = PoolingScratch.of(b, k)._replace(maxima=np.empty(max(k, lanes), np.float32))
    scratch = scratch._replace(lanes=np.empty(max(k, lanes) + 1, np.int64))
    for rows in (slice(0, 50), slice(50, 2 * P)):  # the first goes over from one image to the next
        x = np.ascontiguousarray(X[rows])
        xV = x @ screen.V if screen.V.shape[1] else x
        Y = xV @ screen.L + (error[rows] if np.any(error) else 0)
        kernels.select_and_pool(x, xV, Y, screen, cells, rows.start, sums, scratch)
    return expected, sums


@pytest.mark.parametrize("k", [1, 5, 40, H])
@pytest.mark.parametrize("lanes", [5, 64, 131, H])
@pytest.mark.parametrize("r", [0, 2, 20, 60])
def test_select_and_pool_gives_the_same_bits(rng, k, lanes, r):
    """Whatever the directions are, the units are those of W."""
    d = 64
    W = exact_weights((rng.normal(size=(H, d)) * np.geomspace(1, 1e-3, d)).astype(np.float32))
    b = rng.normal(size=H).astype(np.float32)
    W[100:130] = W[7]  # equal values: the lowest units stay
    b[100:130] = b[7] = 0.5
    X = on_grid(rng.normal(size=(2 * P, d)).astype(np.float32), patch_bits(d))
    X[3] = X[40] = 0  # a flat patch: the bias alone
    V = np.eye(d, r, dtype=np.float32)
    L = np.ascontiguousarray(V.T @ W.T if r else W.T)
    beyond = np.linalg.norm(W[:, r:] if r else 0 * W, axis=1)
    longest = np.linalg.norm(W, axis=1).max()
    screen = Screen(W, b, V, L, beyond.astype(np.float32), 1e-5, float(longest), float(np.abs(b).max()))
    expected, sums = both(X, screen, k, lanes)
    np.testing.assert_array_equal(sums, expected)


@pytest.mark.parametrize("bias", [-50.0, -3.0])
def test_patches_with_fewer_active_units_than_k(rng, bias):
    W = exact_weights(rng.normal(size=(H, 16)).astype(np.float32) / 4)
    b = np.full(H, bias, np.float32)
    X = on_grid(rng.normal(size=(2 * P, 16)).astype(np.float32), patch_bits(16))
    expected, sums = both(X, Screen.of(W, b, 4), 8, 64)
    assert expected.any() == (bias == -3)
    np.testing.assert_array_equal(sums, expected)


def test_rounding_of_bounds_loses_no_unit(rng):
    """Products that are off by nearly as much as the screen allows for; so much that it shows."""
    W = exact_weights(rng.normal(size=(H, 48)).astype(np.float32) / 7)
    X = on_grid(rng.normal(size=(2 * P, 48)).astype(np.float32), patch_bits(48))
    screen = Screen.of(W, np.zeros(H, np.float32), 4)._replace(rounding=0.02)
    slack = 0.02 * screen.longest * np.linalg.norm(X, axis=1, keepdims=True)
    error = (0.99 * slack * rng.choice([-1, 1], (2 * P, H))).astype(np.float32)
    for k in (1, 3, 10):
        expected, sums = both(X, screen, k, 64, error)
        np.testing.assert_array_equal(sums, expected)
        expected, sums = both(X, screen._replace(rounding=0.0), k, 64, error)
        assert (sums != expected).any()  # the margin is what keeps them


@pytest.mark.parametrize(("k", "lanes"), [(4, 64), (100, 100), (131, 131)])
def test_scratch_has_as_many_lanes_as_k_needs(k, lanes):
    scratch = PoolingScratch.of(np.zeros(131, np.float32), k)
    assert (scratch.maxima.shape, scratch.candidates.shape) == ((lanes,), (132,))
    assert (scratch.lanes.shape, scratch.values.shape, scratch.units.shape) == ((lanes + 1,), (k,), (k,))
    assert scratch.maxima.dtype == scratch.values.dtype == np.float32
