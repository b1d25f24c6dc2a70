"""The kernel that cuts and normalises patches beside its definition."""

import numpy as np
import pytest

from nsae import kernels
from nsae.images.features.exact_sums import patch_bits
from nsae.images.features.patch_features import Geometry


@pytest.mark.parametrize("color", [False, True])
@pytest.mark.parametrize(("patch_size", "stride"), [(3, 1), (8, 2), (5, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_cut_patches_gives_the_same_bits(rng, color, patch_size, stride, dtype):
    geometry = Geometry(17, color, patch_size, stride, (1,), 0.1)
    images = rng.random((3, *geometry.shape)).astype(dtype)
    if dtype == np.uint8:
        images = rng.integers(0, 256, images.shape, dtype=np.uint8)
    images[1] = 200 if dtype == np.uint8 else 0.7  # flat
    P, d = len(geometry.places) ** 2, geometry.n_pixels
    expected = geometry.patches(images, np.empty((3, P, d), np.float32)).reshape(-1, d)
    assert not expected[P : 2 * P].any()
    pixels = geometry.pixels(images).reshape(3, 17, -1)
    how = 3 if color else 1, patch_size, stride, 0.1, np.float32(2.0 ** patch_bits(d))
    for first in (0, P - 2, 2 * P):  # the second range goes over from one image to the next
        X = np.empty((min(7, P), d), np.float32)
        kernels.cut_patches(pixels, *how, first, X)
        np.testing.assert_array_equal(X, expected[first : first + len(X)])
