"""Where a unit sees what excites it: the parts add up, and a pattern is found where it was put."""

import numpy as np
import pytest

from nsae.images import ImageEncoder
from nsae.images.regions import Regions


@pytest.fixture(scope="module", params=[3, (1, 2)])
def encoder(request):
    rng = np.random.default_rng(0)
    images = (rng.random((40, 24, 24, 3)) * rng.random((40, 1, 1, 3)) * 255).astype(np.uint8)
    model = ImageEncoder(16, k=3, patch=6, patch_units=24, grid=request.param, components=8, stride=2)
    return model.set_params(epochs=2, patch_epochs=1, n_patches=4000, random_state=0).fit(images)


def test_the_parts_add_up_to_the_pre_activation(encoder, rng):
    image = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    units = [3, 0, 11]
    maps = Regions(encoder).maps(image, units)
    assert maps.shape == (3, 10, 10)
    f = encoder.pooled(image[None])[0].astype(float)  # (cells·h,)
    W, A = encoder.model_.autoencoder_.encoder.W.astype(float), encoder.components_.A.astype(float)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), W[units] @ (A @ f), rtol=1e-4, atol=1e-5)


def test_what_adds_most_lies_in_the_box(encoder, rng):
    image = np.zeros((24, 24, 3), np.uint8)  # flat: all its patches are alike, but for those in one corner
    image[12:, 12:] = rng.integers(0, 256, (12, 12, 3))
    regions = Regions(encoder)
    units = list(range(16))
    for added, (left, top, right, bottom) in zip(
        regions.maps(image, units), regions.strongest(image, units), strict=True
    ):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        places = encoder.geometry_.places
        rows = (places >= round(24 * top)) & (places + 6 <= round(24 * bottom))
        columns = (places >= round(24 * left)) & (places + 6 <= round(24 * right))
        inside = added[np.ix_(rows, columns)].sum()
        n = rows.sum()
        for i in range(len(places) - n + 1):
            for j in range(len(places) - n + 1):
                assert added[i : i + n, j : j + n].sum() <= inside + 1e-9


def test_an_image_without_contrast_has_regions_too(encoder):
    (box,) = Regions(encoder).strongest(np.zeros((24, 24, 3), np.uint8), [5])
    assert np.isfinite(box).all()
