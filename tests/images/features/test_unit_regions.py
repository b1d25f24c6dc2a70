"""Where a unit sees what excites it: the parts add up, and a pattern is found where it was put."""

import numpy as np
import pytest

from nsae.images import ImageEncoder
from nsae.images.features.unit_regions import unit_parts


def parts(encoder, image, units):
    pipeline = encoder.pipeline_
    return unit_parts(image, units, pipeline.features, pipeline.pca, pipeline.code_layer)


@pytest.fixture(
    scope="module", params=[{"grid": 3, "color_weight": 0}, {"grid": (1, 2), "color_weight": 0.7}]
)
def encoder(request):
    rng = np.random.default_rng(0)
    images = (rng.random((40, 24, 24, 3)) * rng.random((40, 1, 1, 3)) * 255).astype(np.uint8)
    model = ImageEncoder(16, k=3, patch_size=6, patch_units=24, n_components=8, stride=2, **request.param)
    return model.set_params(epochs=2, patch_epochs=1, n_patches=4000, random_state=0).fit(images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_parts_add_up_to_the_pre_activation(encoder, rng, dtype):
    image = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    image = image if dtype == np.uint8 else image / np.float32(255)
    units = [3, 0, 11]
    patches, pixels = parts(encoder, image, units)
    assert patches.shape == (3, 10, 10)
    assert pixels.shape == (3, 24, 24)
    assert pixels.any() == (encoder.color_weight > 0)
    f = encoder.pooled(image[None])[0].astype(float)  # (n_features,)
    W, A = encoder.pipeline_.code_layer.W.astype(float), encoder.pca_.A.astype(float)
    total = patches.sum(axis=(1, 2)) + pixels.sum(axis=(1, 2))
    np.testing.assert_allclose(total, W[units] @ (A @ f), rtol=1e-4, atol=1e-5)


def test_no_other_box_holds_more(encoder, rng):
    image = np.zeros((24, 24, 3), np.uint8)
    image[12:, 12:] = rng.integers(0, 256, (12, 12, 3))
    places = encoder.geometry_.places
    units = list(range(16))
    boxes = encoder.unit_regions(image, units)
    for patches, pixels, box in zip(*parts(encoder, image, units), boxes, strict=True):
        left, top, right, bottom = (round(24 * part) for part in box)
        size = right - left
        assert size == bottom - top == 10  # 0.4 of 24, in steps of the stride

        def inside(y, x, patches=patches, pixels=pixels, size=size):
            rows, columns = ((places >= a) & (places + 6 <= a + size) for a in (y, x))
            return patches[np.ix_(rows, columns)].sum() + pixels[y : y + size, x : x + size].sum()

        best = max(inside(y, x) for y in places for x in places if max(x, y) + size <= 24)
        assert inside(top, left) == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_an_image_without_contrast_has_regions_too(encoder):
    (box,) = encoder.unit_regions(np.zeros((24, 24, 3), np.uint8), [5])
    assert np.isfinite(box).all()


def test_a_grey_encoder(rng):
    images = rng.integers(0, 256, (30, 16, 16), dtype=np.uint8)
    model = ImageEncoder(8, k=2, patch_size=4, patch_units=12, grid=2, n_components=4, stride=2, epochs=2)
    model.set_params(patch_epochs=1, n_patches=2000, random_state=0).fit(images)
    patches, pixels = parts(model, images[0], [1])
    f = model.pooled(images[:1])[0]
    expected = model.model_.autoencoder_.encoder_layer.W[1] @ (model.pca_.A @ f)
    # Whitening in float32 magnifies rounding, differently from processor to processor.
    tolerance = 3e-4 * np.abs(patches).sum()
    assert patches.sum() + pixels.sum() == pytest.approx(expected, rel=0, abs=tolerance)
