"""Thumbnails and pictures side by side: right in size, upright, and not stretched."""

import os

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae.errors import ImageReadError
from nsae.images.decoding import load_thumbnail
from nsae.images.files import id_of
from nsae.images.pictures.montage import at_height, in_a_row


@pytest.mark.parametrize(
    ("size", "expected"), [((300, 150), (80, 40)), ((50, 400), (10, 80)), ((9, 7), (9, 7))]
)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_thumbnail_keeps_proportions_and_is_not_enlarged(tmp_path, size, expected, suffix):
    Image.new("RGB", size, (200, 30, 90)).save(tmp_path / f"a.{suffix}")
    image = load_thumbnail(tmp_path / f"a.{suffix}", 80)
    assert image.shape == (expected[1], expected[0], 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image.reshape(-1, 3).mean(axis=0), (200, 30, 90), atol=3)


def test_a_thumbnail_is_upright_and_over_white(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert load_thumbnail(tmp_path / "turned.jpg", 80).shape == (40, 20, 3)
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (load_thumbnail(tmp_path / "clear.png", 80) == 255).all()


def test_16_bit_grey(tmp_path):
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    assert (load_thumbnail(tmp_path / "deep.png", 80) == 128).all()


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear all,")
    for path in (tmp_path / "letter.jpg", tmp_path / "missing.jpg", tmp_path):
        with pytest.raises(ImageReadError, match=str(path)):
            load_thumbnail(path, 80)
    with pytest.raises(ValueError, match="side=0"):
        load_thumbnail(tmp_path / "letter.jpg", 0)


def test_side_by_side_at_one_height(rng):
    images = [
        rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((40, 60, 3), (10, 10, 3), (20, 200, 3))
    ]
    scaled = [at_height(image, 20) for image in images]
    assert [image.shape[1] for image in scaled] == [30, 20, 32]  # the last one squeezed
    np.testing.assert_array_equal(scaled[1][::2, ::2], images[1])  # enlarged pixels are squares
    row = in_a_row(scaled)
    assert row.shape == (20, 30 + 2 + 20 + 2 + 32, 3)
    np.testing.assert_array_equal(row[:, 32:52], scaled[1])


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_ids_are_paths_below_the_root(tmp_path):
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root)
    assert id_of(tmp_path / "link" / "a" / "b.jpg", root) == "a/b.jpg"
    assert id_of(tmp_path / "c.jpg", root) == str(tmp_path / "c.jpg")
    assert id_of(root / "a" / "b.jpg", None) == str(root / "a" / "b.jpg")
