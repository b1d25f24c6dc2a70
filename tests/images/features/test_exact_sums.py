"""Sums that are exact: whatever the order, and beside Python's fractions."""

from fractions import Fraction

import numpy as np
import pytest

from nsae.images.features.exact_sums import exact_product, exact_weights, on_grid, patch_bits, pixel_bits


def patches(rng, n, d):
    """Patches as Eq. (29) leaves them, of length √d, the longest there are."""
    X = rng.normal(size=(n, d))
    return on_grid(
        (X * np.sqrt(d) / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32), patch_bits(d)
    )


@pytest.mark.parametrize("d", [1, 16, 108, 192, 3000])
def test_a_product_is_the_sum_of_fractions(rng, d):
    X, W = patches(rng, 3, d), exact_weights(rng.normal(size=(4, d)).astype(np.float32))
    for x, row in zip(X, exact_product(X, W), strict=True):
        for w, y in zip(W, row, strict=True):
            total = sum(
                (Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, w, strict=True)), Fraction()
            )
            assert Fraction(float(total)) == total  # float64 holds it
            assert np.float32(float(total)) == y


@pytest.mark.parametrize("d", [16, 192, 3000])
def test_no_order_of_adding_changes_a_bit(rng, d):
    X, W = patches(rng, 20, d), exact_weights(rng.normal(size=(30, d)).astype(np.float32))
    expected = exact_product(X, W)
    for _ in range(5):
        order = rng.permutation(d)
        assert exact_product(X[:, order], W[:, order]).tobytes() == expected.tobytes()
    one_by_one = np.concatenate([exact_product(x[None], W) for x in X])
    assert one_by_one.tobytes() == expected.tobytes()


def test_without_the_grids_the_order_does_matter(rng):
    """Without this, the tests above would say nothing."""
    X, w = rng.normal(size=(200, 192)), rng.normal(size=192)
    forward = np.cumsum(X * w, axis=1)[:, -1]
    assert (forward != np.cumsum((X * w)[:, ::-1], axis=1)[:, -1]).any()


def test_rounding_is_like_that_of_float32(rng):
    X = rng.normal(size=(50, 192)).astype(np.float32)
    W = (rng.normal(size=(40, 192)) * 10.0 ** rng.integers(-6, 6, (40, 1))).astype(np.float32)
    np.testing.assert_allclose(on_grid(X, patch_bits(192)), X, atol=2**-24)
    error = np.abs(exact_weights(W) - W).max(axis=1) / np.linalg.norm(W, axis=1)
    assert error.max() <= 2**-24
    assert not exact_weights(np.zeros((2, 5), np.float32)).any()


@pytest.mark.parametrize("d", [1, 16, 192, 5000])
def test_squares_of_pixels_have_an_exact_sum(rng, d):
    x = on_grid(rng.random(d).astype(np.float32), pixel_bits(d))
    x[: d // 2] = 1
    total = sum(Fraction(float(a)) ** 2 for a in x)
    assert Fraction(float(total)) == total
    assert np.einsum("d,d->", x.astype(np.float64), x.astype(np.float64)) == float(total)
