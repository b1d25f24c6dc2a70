"""Patches, contrast normalisation and whitening, each beside its definition written out."""

import numpy as np
import pytest

from nsae.images.features.patches import Whitening, cut_patches, fold, normalise_contrast, patch_places


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)])
@pytest.mark.parametrize(("patch", "stride"), [(3, 1), (3, 2), (2, 5), (7, 1)])
def test_patches_are_what_slices_give(rng, shape, patch, stride):
    image = rng.random(shape).astype(np.float32)
    expected = [
        image[top : top + patch, left : left + patch].ravel()
        for top in patch_places(7, patch, stride)
        for left in patch_places(9, patch, stride)
    ]
    got = cut_patches(image, patch, stride)
    np.testing.assert_array_equal(got, expected)
    assert got.flags.c_contiguous
    out = np.empty(got.shape, np.float64)
    assert cut_patches(image, patch, stride, out) is out
    np.testing.assert_array_equal(out, got)


def test_eq29_contrast(rng):
    X = rng.random((20, 12))
    X[0] = 0.5  # flat
    eps = 0.01
    expected = [(x - np.mean(x)) / np.sqrt(np.var(x) + eps) for x in X]
    got = X.copy()
    assert normalise_contrast(got, eps) is got
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert not got[0].any()


def test_contrast_forgets_brightness_and_contrast(rng):
    X = rng.random((5, 12))
    a, b = normalise_contrast(X.copy(), 1e-12), normalise_contrast(0.3 * X + 0.6, 1e-12)
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_eq30_whitening(rng):
    X = rng.normal(size=(4000, 5)) @ rng.normal(size=(5, 5)) + 3
    whitening = Whitening.fit(X, 0.0)
    np.testing.assert_allclose(np.cov(whitening(X).T, bias=True), np.eye(5), atol=1e-9)
    np.testing.assert_allclose(whitening.S, whitening.S.T, atol=1e-9)
    assert (np.linalg.eigvalsh(whitening.S) > 0).all()  # symmetric and positive: it is the ZCA, and unique
    # With eps, S is the inverse root of C + eps I
    C, eps = np.cov(X.T, bias=True), 0.7
    S = Whitening.fit(X, eps).S
    np.testing.assert_allclose(S @ (C + eps * np.eye(5)) @ S, np.eye(5), atol=1e-9)


def test_whitening_of_many_patches_is_that_of_one_block(rng):
    X = rng.random((40_000, 3)).astype(np.float32)  # more than a block
    C = np.cov(X.astype(np.float64).T, bias=True)
    S = Whitening.fit(X, 0.1).S
    np.testing.assert_allclose(S @ (C + 0.1 * np.eye(3)) @ S, np.eye(3), atol=1e-6)


def test_folded_weights_read_patches_as_the_others_read_whitened_ones(rng):
    X, W, b = rng.random((30, 6)), rng.normal(size=(9, 6)), rng.normal(size=9)
    whitening = Whitening.fit(X, 0.1)
    folded_W, folded_b = fold(W, b, whitening)
    np.testing.assert_allclose(X @ folded_W.T + folded_b, whitening(X) @ W.T + b, atol=1e-12)
