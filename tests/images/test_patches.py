"""Patches: cut out, normalised (29), whitened (30)."""

import numpy as np
import pytest

from nsae.images.patches import (
    FLAT,
    Whitening,
    as_floats,
    cut_patches,
    fold,
    normalise_contrast,
    sample_patches,
)


@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_patches_are_cut_row_by_row(rng, shape, stride):
    image = rng.random(shape)
    expected = [image[r : r + 4, c : c + 4].ravel() for r in range(0, 4, stride) for c in range(0, 6, stride)]
    found = cut_patches(image, 4, stride)
    np.testing.assert_array_equal(found, expected)
    out = np.empty(found.shape, np.float32)
    assert cut_patches(image, 4, stride, out=out) is out
    np.testing.assert_array_equal(out, found.astype(np.float32))


def test_eq29_contrast_normalisation(rng):
    X = rng.random((5, 12))
    expected = [(x - x.mean()) / np.sqrt(x.var() + 0.1) for x in X]
    np.testing.assert_allclose(normalise_contrast(X.copy(), 0.1), expected, rtol=1e-12)
    brighter = normalise_contrast(3 * X + 0.5, 1e-12)
    np.testing.assert_allclose(brighter, normalise_contrast(X.copy(), 1e-12), rtol=1e-6)
    assert not normalise_contrast(np.full((1, 12), 0.5), 0.1).any()


def test_eq30_zca_whitening(rng):
    X = rng.normal(size=(4000, 6)) @ rng.normal(size=(6, 6)) + 2
    white = Whitening.fit(X, 1e-12)
    Z = white(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(Z.T @ Z / len(Z), np.eye(6), atol=1e-6)
    np.testing.assert_allclose(white.P, white.P.T)  # of all whitenings, the one that is symmetric
    variances, E = np.linalg.eigh(np.cov(X.T, bias=True))
    np.testing.assert_allclose(
        Whitening.fit(X, 0.3).P, E @ np.diag((variances + 0.3) ** -0.5) @ E.T, atol=1e-9
    )


def test_folded_weights_read_patches_as_the_others_read_whitened_ones(rng):
    X, W, b = rng.normal(size=(50, 6)) + 1, rng.normal(size=(4, 6)), rng.normal(size=4)
    white = Whitening.fit(X, 0.1)
    folded, bias = fold(W, b, white)
    np.testing.assert_allclose(X @ folded.T + bias, white(X) @ W.T + b, atol=1e-10)


@pytest.mark.parametrize("shape", [(5, 10, 12), (5, 10, 12, 3)])
def test_sampled_patches_are_patches_and_not_flat(rng, shape):
    images = rng.integers(0, 256, shape).astype(np.uint8)
    images[2] = 128
    X = sample_patches(images, 4, 300, 0.01, rng)
    assert X.dtype == np.float32
    assert 150 < len(X) < 300  # those of the flat image are gone
    everything = np.concatenate([cut_patches(as_floats(image), 4, 1) for image in images])
    gaps = np.abs(X[:20, None] - everything[None]).max(axis=2).min(axis=1)
    assert gaps.max() < 1e-6
    assert (np.square(normalise_contrast(X, 0.01)).mean(axis=1) > FLAT).all()
    assert len(sample_patches(images[2:3], 4, 30, 0.01, rng)) == 30
