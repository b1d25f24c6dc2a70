"""encode_photos: one route from photos to codes, for each kind of encoder."""

import numpy as np
import pytest
from blas_order import blas_sums_by_place
from small_images import SMALL, bars

from nsae import (
    Codes,
    Encoder,
    ImageReadError,
    ModelFormatError,
    SparseAutoencoder,
    encode_photos,
    load_encoder,
)
from nsae.images import ImageEncoder, load_images

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Paths of 20 photos of several sizes, and of a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for i, image in enumerate(bars(20, side=20, color=True)[0]):
        paths.append(folder / f"{i:02}.png")
        Image.fromarray(image).resize((20 + i, 30)).save(paths[-1])
    paths.insert(7, folder / "broken.png")
    paths[7].write_bytes(b"nothing")
    return paths


@pytest.fixture(scope="module", params=["patches", "whole"])
def encoder(request, photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.npz"
    good = [photo for photo in photos if photo.name != "broken.png"]
    if request.param == "patches":
        ImageEncoder(12, k=3, image_size=16, random_state=0, **SMALL).fit(good).save(path)
    else:
        X = load_images(good, side=16)[0].reshape(20, -1)
        model = SparseAutoencoder(12, k=3, epochs=2, random_state=0).fit(X)
        model.preprocessing_ = {"side": 16, "color": True}
        model.save(path)
    return load_encoder(path)


def same(a, b):
    return all((getattr(a, n) == getattr(b, n)).all() for n in ("indptr", "units", "values"))


def test_photos_have_the_codes_of_their_pixels(encoder, photos):
    told = []
    codes = encode_photos(encoder, photos, on_error=told.append)
    assert [error.path for error in told] == [photos[7]]
    images, kept = load_images(photos, side=16, on_error=lambda error: None)
    assert len(codes) == len(kept) == 20
    if encoder.preprocessing.get("dtype") == "uint8":
        images = np.rint(images * 255).astype(np.uint8)
    assert same(codes, encoder.encode_images(images))


def test_arrays_of_any_size_among_paths(encoder, photos):
    arrays = [np.asarray(Image.open(path)) for path in photos[:3]]
    codes = encode_photos(encoder, [arrays[0], *photos[1:3], arrays[1] / 255, arrays[2]])
    one = encode_photos(encoder, photos[:3])
    assert same(codes, one[[0, 1, 2, 1, 2]])
    assert same(encode_photos(encoder, np.stack([arrays[1]] * 2)), one[[1, 1]])


def test_a_photo_alone_has_the_code_that_it_has_beside_others(encoder, photos):
    good = [photo for photo in photos if photo.name != "broken.png"]
    together = encode_photos(encoder, good)
    alone = Codes.concatenate([encode_photos(encoder, [photo]) for photo in good])
    if blas_sums_by_place():
        a, b = alone.to_dense(), together.to_dense()
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * b.max())
    else:
        assert same(alone, together)


def test_no_photos_have_no_codes(encoder, photos):
    assert same(encode_photos(encoder, []), Codes.from_dense(np.zeros((0, 12), np.float32)))
    assert len(encode_photos(encoder, [photos[7]], on_error=lambda error: None)) == 0
    with pytest.raises(ImageReadError, match="not an image"):
        encode_photos(encoder, photos)


def test_rows_of_numbers_are_no_photos(photos):
    encoder = SparseAutoencoder(4, epochs=1).fit(np.eye(5)).encoder()
    with pytest.raises(ValueError, match="trained on rows of numbers"):
        encode_photos(encoder, photos)
    with pytest.raises(ValueError, match="trained on rows of numbers"):
        encoder.encode_images(np.zeros((1, 2, 2)))
    assert encoder.unit_patterns([0]) is None


def test_images_of_another_size_are_sent_elsewhere(encoder):
    with pytest.raises(ValueError, match="encode_photos"):
        encoder.encode_images(np.zeros((2, 17, 16, 3), np.uint8))


def test_encoders_of_images_are_read_by_load_encoder(tmp_path):
    ImageEncoder(8, k=2, random_state=0, **SMALL).fit(bars(10)[0]).save(tmp_path / "images.npz")
    for load in (Encoder.load, SparseAutoencoder.load):
        with pytest.raises(ModelFormatError, match=r"nsae\.load_encoder"):
            load(tmp_path / "images.npz")
    assert load_encoder(tmp_path / "images.npz").preprocessing["side"] == 12
    model = SparseAutoencoder(4, k=2, epochs=1, random_state=0).fit(np.eye(5))
    model.save(tmp_path / "rows.npz")
    assert same(load_encoder(tmp_path / "rows.npz").encode(np.eye(5)), model.encode(np.eye(5)))
    (tmp_path / "again.npz").write_bytes(model.encoder().to_bytes())
    assert same(load_encoder(tmp_path / "again.npz").encode(np.eye(5)), model.encode(np.eye(5)))
    with pytest.raises(ModelFormatError, match="no model file"):
        load_encoder(tmp_path / "none.npz")
