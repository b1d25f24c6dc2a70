"""The histogram of colours beside the pooled patches."""

import numpy as np
import pytest
from small_images import SMALL, bars

from nsae import load_encoder
from nsae.images import ImageEncoder
from nsae.images.features.color_histogram import N_COLORS, append_histogram, color_histogram


def test_eq35_colors_beside_patches(rng):
    images = rng.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    f = rng.random((2, 7)).astype(np.float32)
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    h = np.zeros((2, 8, 8, 8))
    for image, counts in zip(images, h, strict=True):
        for red, green, blue in image.reshape(-1, 3) // 32:
            counts[red, green, blue] += 1
    h = np.sqrt(h.reshape(2, -1) / 30)
    out = np.empty((2, 7 + N_COLORS), np.float32)
    for i in range(2):
        append_histogram(f[i], color_histogram(images[i]), 0.5, out[i])
    np.testing.assert_allclose(out, np.hstack([f, 0.5 * h]) / np.sqrt(1.25), rtol=1e-6)
    assert out[0] @ out[1] == pytest.approx((f[0] @ f[1] + 0.25 * h[0] @ h[1]) / 1.25)


def test_bytes_and_floats_fall_into_the_same_bins():
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    np.testing.assert_array_equal(color_histogram(every), color_histogram(every / 255))
    assert np.count_nonzero(color_histogram(every)) == 8


def test_an_encoder_with_colors_tells_red_from_blue_and_is_saved_with_them(tmp_path):
    grey, _ = bars(60)
    red, blue = (grey[..., None] * np.array(tint) for tint in ([1, 0.1, 0.1], [0.1, 0.1, 1]))
    images = np.concatenate([red, blue]).astype(np.uint8)
    encoder = ImageEncoder(30, k=4, color_weight=1.0, random_state=0, **SMALL).fit(images)
    F = encoder.pooled(images)
    assert F.shape[1] == 9 * 24 + N_COLORS
    np.testing.assert_allclose(np.linalg.norm(F, axis=1), 1, rtol=1e-5)
    colors = F[:, -N_COLORS:]
    assert (colors[:60] @ colors[:60].T).min() > (colors[:60] @ colors[60:].T).max()
    encoder.save(tmp_path / "model.npz")
    assert load_encoder(tmp_path / "model.npz").pooled(images).tobytes() == F.tobytes()


def test_colors_of_grey_images_are_refused():
    with pytest.raises(ValueError, match=r"color_weight=0\.5 needs color images"):
        ImageEncoder(30, k=4, color_weight=0.5, **SMALL).fit(bars(20)[0])


def test_photos_have_colors_by_default_and_small_or_grey_images_have_none():
    pytest.importorskip("PIL")  # resizes the photos
    photos, _ = bars(12, side=50, color=True)
    options = {**SMALL, "stride": 4}
    assert ImageEncoder(8, k=2, **options).fit(photos).geometry_.color_weight == 0.5
    assert ImageEncoder(8, k=2, color=False, **options).fit(photos).geometry_.color_weight == 0
    assert ImageEncoder(8, k=2, **options).fit(bars(12, color=True)[0]).geometry_.color_weight == 0
