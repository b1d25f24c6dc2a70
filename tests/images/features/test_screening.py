"""Directions of a patch layer: few where the layer is smooth, and bounds that hold."""

import numpy as np
import pytest

from nsae.equations.layers import Dense
from nsae.images.features.exact_sums import exact_weights
from nsae.images.features.patch_features import Geometry, PatchFeatures
from nsae.images.features.screening import Screen, directions, natural_covariance
from nsae.system.threads import Threads


def smooth_layer(rng, h, patch_size, channels, fading=4):
    """Rows like those of a whitened layer that leaves fine detail out."""
    variances, E = np.linalg.eigh(natural_covariance(patch_size, channels))
    scale = np.maximum(variances, 0) / variances.max()
    W = rng.normal(size=(h, len(E))) @ (E * scale ** (1 / fading)).T
    return exact_weights(W.astype(np.float32)), (0.1 * rng.normal(size=h)).astype(np.float32)


def test_natural_patches_vary_most_where_they_are_smooth():
    C = natural_covariance(4, 3)
    np.testing.assert_allclose(C, C.T, atol=1e-12)
    np.testing.assert_allclose(C.sum(axis=0), 0, atol=1e-12)  # the mean of a patch is 0
    variances, E = np.linalg.eigh(C)
    assert variances[-12:].sum() > 0.9 * variances.sum()  # a quarter of the directions
    first, second, third, fourth = E.T[:-5:-1].reshape(4, 4, 4, 3)
    for color in (first, second):  # one colour all over the patch
        assert np.ptp(color, axis=(0, 1)).max() < 0.05 * np.abs(color).max()
    for grey in (third, fourth):  # brighter on one side
        assert np.ptp(grey, axis=2).max() < 1e-9 < 0.3 < np.ptp(grey)


def test_a_smooth_layer_has_few_directions_and_one_of_noise_or_small_patches_none(rng):
    W, _ = smooth_layer(rng, 300, 8, 3)
    V = directions(W.astype(np.float64), 8)
    assert 10 < V.shape[1] <= 96
    np.testing.assert_allclose(V.T @ V, np.eye(V.shape[1]), atol=1e-10)
    assert directions(rng.normal(size=(300, 192)) * np.linspace(3, 30, 192), 8).shape == (192, 0)
    assert directions(smooth_layer(rng, 100, 4, 1)[0].astype(np.float64), 4).shape == (16, 0)


@pytest.mark.parametrize(("patch_size", "channels"), [(8, 3), (4, 1)])
def test_bounds_hold(rng, patch_size, channels):
    W, b = smooth_layer(rng, 200, patch_size, channels)
    screen, d = Screen.of(W, b, patch_size), W.shape[1]
    assert (screen.V.shape[1] > 0) == (patch_size == 8)
    X = rng.normal(size=(50, d)).astype(np.float32)
    XV = X @ screen.V if screen.V.shape[1] else X
    rest = np.linalg.norm(X - XV @ screen.V.T, axis=1) if screen.V.shape[1] else np.zeros(50)
    exact = X.astype(np.float64) @ W.T.astype(np.float64)
    slack = screen.rounding * np.linalg.norm(X, axis=1, keepdims=True) * screen.longest
    assert (np.abs(XV @ screen.L - exact) <= np.outer(rest, screen.beyond) + slack).all()


def test_vectors_are_those_of_all_of_the_layer_with_each_backend_and_whatever_is_beside_them(rng):
    pytest.importorskip("numba")
    W, b = smooth_layer(rng, 200, 8, 3)
    geometry = Geometry(24, True, 8, 2, (1, 2), 0.1, 0.5)
    features = PatchFeatures(geometry, Dense(W, b), 3)
    assert features.screen.V.shape[1] > 0
    images = rng.integers(0, 256, (9, 24, 24, 3), dtype=np.uint8)
    images[:5] = images[:5, :1] // 2 + np.arange(24, dtype=np.uint8)[:, None, None]  # smooth downwards
    images[4] = 77
    with Threads(2) as two:
        expected = features(images, backend="numpy", threads=two)
        assert features(images, backend="numba", threads=two).tobytes() == expected.tobytes()
    with Threads(1) as one:
        assert features(images, backend="numba", threads=one).tobytes() == expected.tobytes()
        for i in (0, 4, 8):
            alone = features(images[i : i + 1], backend="numba", threads=one)
            assert alone.tobytes() == expected[i].tobytes()
        floats = images / np.float32(255)
        assert features(floats, backend="numba", threads=one).tobytes() == expected.tobytes()
