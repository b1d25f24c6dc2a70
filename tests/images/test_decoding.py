"""Decoding: thumbnails and pictures side by side, whole files that Pillow alone refuses, kinds by plugins."""

import os
import struct
import zlib

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from nsae.errors import ImageReadError
from nsae.images import find_images, kinds
from nsae.images.decoding import decode_image, load_image, load_thumbnail
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


# ---- whole files that were refused


def with_chunk(png, kind, data):
    """A PNG with one more chunk behind its header."""
    chunk = kind + data
    return png[:33] + struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]


LONG = b"x" * (2 << 20)  # Pillow reads texts of up to 1 MiB


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"zTXt", b"Comment\0\0" + zlib.compress(LONG)),
        (b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LONG)),
        (b"iCCP", b"profile\0\0" + zlib.compress(LONG)),
        (b"tEXt", b"Comment\0" + b"x" * (65 << 20)),
    ],
    ids=["zTXt", "iTXt", "iCCP", "tEXt"],
)
@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_png_with_long_texts_or_profiles_is_read(kind, data, at_the_end, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    png = (tmp_path / "a.png").read_bytes()
    long = with_chunk(png, kind, data)
    if at_the_end:
        chunk = long[33 : 33 + len(data) + 12]
        long = png[:-12] + chunk + png[-12:]
    (tmp_path / "long.png").write_bytes(long)
    np.testing.assert_array_equal(np.rint(load_image(tmp_path / "long.png") * 255), pixels)
    np.testing.assert_array_equal(decode_image(long, "long.png"), load_image(tmp_path / "a.png"))
    np.testing.assert_array_equal(load_thumbnail(tmp_path / "long.png", 99), pixels)


def test_a_damaged_png_with_long_texts_is_still_refused(tmp_path):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    long = with_chunk((tmp_path / "a.png").read_bytes(), b"zTXt", b"Comment\0\0" + zlib.compress(LONG))
    (tmp_path / "long.png").write_bytes(long[:-30])
    with pytest.raises(ImageReadError, match="damaged"):
        load_image(tmp_path / "long.png")


def test_a_large_jpeg_is_decoded_at_a_smaller_size(tmp_path, monkeypatch):
    ramp = np.broadcast_to(np.linspace(0, 255, 1600, dtype=np.uint8)[:, None], (1600, 1200))
    Image.fromarray(ramp).save(tmp_path / "a.jpg")
    Image.fromarray(ramp).save(tmp_path / "progressive.jpg", progressive=True)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    expected = load_image(tmp_path / "a.jpg", side=16)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)
    np.testing.assert_array_equal(load_image(tmp_path / "a.jpg", side=16), expected)
    np.testing.assert_array_equal(decode_image((tmp_path / "a.jpg").read_bytes(), "a.jpg", side=16), expected)
    assert load_thumbnail(tmp_path / "a.jpg", 40).shape == (40, 30, 3)
    for path, options in (("a.jpg", {}), ("a.png", {"side": 16}), ("progressive.jpg", {"side": 16})):
        with pytest.raises(ImageReadError, match="--max-pixels") as caught:
            load_image(tmp_path / path, **options)
        assert not caught.value.lasting


def test_max_pixels_is_an_option(tmp_path, monkeypatch, capsys):
    from nsae.cli import main

    (tmp_path / "photos").mkdir()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 450)
    for i, side in enumerate((20, 20, 31)):
        pixels = np.random.default_rng(i).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"photos/{i}.png")
    index = ["index", str(tmp_path / "photos"), "-o", str(tmp_path / "i.nsae")]
    assert main([*index, "--whole", "--units", "8", "--k", "2", "--epochs", "1"]) == 0
    assert (
        "2.png: too many pixels: Image size (961 pixels) exceeds limit of 900 pixels. If"
        in capsys.readouterr().err
    )
    assert main([*index, "--update", "--json"]) == 0  # and it is tried again
    assert "too many pixels" in capsys.readouterr().err
    assert main([*index, "--update", "--max-pixels", "1000", "--json"]) == 0
    assert '"added": ["2.png"]' in capsys.readouterr().out


# ---- kinds that need a plugin


@pytest.fixture
def no_plugins(monkeypatch):
    monkeypatch.setattr(kinds, "_pillow_reads", lambda format: False)
    kinds.register_plugins.cache_clear()
    kinds._readable.cache_clear()
    yield
    kinds.register_plugins.cache_clear()
    kinds._readable.cache_clear()


STARTS = {
    "HEIC": b"\0\0\0\x18ftypheic",
    "AVIF": b"\0\0\0\x18ftypavif",
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n",
    "TIFF": b"II*\0",
}


@pytest.mark.usefixtures("no_plugins")
@pytest.mark.parametrize(("name", "start"), STARTS.items())
def test_the_kind_of_a_file_is_known_under_any_name(name, start):
    kind = kinds.kind_of_content(start)
    assert (kind.name if kind else None) == (name if name != "TIFF" else None)


@pytest.mark.usefixtures("no_plugins")
def test_a_photo_of_a_kind_that_is_not_read_says_what_reads_it(tmp_path):
    """Phones write HEIC under the name of a JPEG."""
    (tmp_path / "a.jpg").write_bytes(STARTS["HEIC"] + bytes(100))
    with pytest.raises(ImageReadError, match=r"of the kind HEIC. pillow-heif .*pip install") as caught:
        load_image(tmp_path / "a.jpg")
    assert not caught.value.lasting


def test_kinds_in_pillow_itself_are_read(tmp_path):
    from PIL import features

    pixels = np.zeros((16, 16, 3), np.uint8)
    for name in ("webp", "avif"):
        if features.check(name):
            Image.fromarray(pixels).save(tmp_path / f"a.{name}")
            assert f".{name}" in kinds.readable_extensions()
            assert load_image(tmp_path / f"a.{name}").max() < 0.05
    found = [path.suffix for path in find_images(tmp_path)]
    assert found == sorted(f".{name}" for name in ("webp", "avif") if features.check(name))


@pytest.mark.parametrize(
    ("plugin", "suffix", "options"),
    [("pillow_heif", ".heic", {"quality": 90}), ("pillow_jxl", ".jxl", {"lossless": True})],
)
def test_plugins_that_are_installed_are_used(plugin, suffix, options, tmp_path):
    pytest.importorskip(plugin)
    kinds.register_plugins()
    pixels = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", **options)
    assert find_images(tmp_path) == [tmp_path / f"a{suffix}"]
    np.testing.assert_allclose(load_image(tmp_path / f"a{suffix}", side=8)[4, 4] * 255, pixels[0, 0], atol=6)
