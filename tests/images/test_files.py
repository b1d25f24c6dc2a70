"""Reading image files: each kind that Pillow opens, and each way in which a file can be bad."""

import gc
import os
import struct
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from nsae.errors import ImageReadError
from nsae.images import find_images, iter_images, load_image, load_images

Image = pytest.importorskip("PIL.Image")

RED, GREEN, BLUE, WHITE = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)
posix = pytest.mark.skipif(os.name == "nt", reason="links, pipes and permissions as POSIX has them")


def quarters(size=16):
    """Red, green / blue, black: no two orientations of it look the same."""
    array = np.zeros((size, size, 3), np.uint8)
    half = size // 2
    array[:half, :half, 0] = array[:half, half:, 1] = array[half:, :half, 2] = 255
    return array


def saved(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def read(path, **options):
    array = load_image(path, **options)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.min() >= 0
    assert array.max() <= 1
    return array


# ---- modes


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.ppm", "a.tif", "a.PNG"])
def test_rgb_exactly(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(pixels), name)
    np.testing.assert_array_equal(read(path), pixels / np.float32(255))
    luma = pixels @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(read(path, color=False), luma / 255, atol=0.51 / 255)


def test_grey(tmp_path):
    pixels = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)
    path = saved(tmp_path, Image.fromarray(pixels), "a.png")
    np.testing.assert_array_equal(read(path, color=False), pixels / np.float32(255))
    np.testing.assert_array_equal(read(path), np.repeat(pixels[:, :, None], 3, axis=2) / np.float32(255))


def test_one_bit(tmp_path):
    pixels = np.eye(9, dtype=bool)
    for name in ("a.png", "a.tif", "a.pbm"):
        path = saved(tmp_path, Image.fromarray(pixels), name)
        np.testing.assert_array_equal(read(path, color=False), pixels)


def test_rgba_lies_over_white(tmp_path):
    pixels = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    path = saved(tmp_path, Image.fromarray(pixels), "a.png")
    np.testing.assert_allclose(read(path)[0], [RED, WHITE, (127 / 255,) * 3], atol=1e-6)


def test_la_lies_over_white(tmp_path):
    pixels = np.array([[[0, 255], [0, 0], [100, 128]]], np.uint8)
    path = saved(tmp_path, _la(pixels), "a.png")
    expected = [0, 1, (100 * 128 + 255 * 127) / 255 / 255]
    np.testing.assert_allclose(read(path, color=False)[0], expected, atol=0.6 / 255)


def _la(pixels):
    grey, alpha = (Image.fromarray(np.ascontiguousarray(pixels[:, :, i])) for i in (0, 1))
    return Image.merge("LA", (grey, alpha))


def _palette():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


def test_palette(tmp_path):
    path = saved(tmp_path, _palette(), "a.png")
    np.testing.assert_array_equal(read(path)[0], [RED, GREEN, BLUE])


@pytest.mark.parametrize(
    ("transparency", "expected"),
    [(1, [RED, WHITE, BLUE]), (bytes([255, 0, 51]), [RED, WHITE, (0.8, 0.8, 1)])],
    ids=["one index", "alpha of each index"],
)
def test_palette_with_transparency(tmp_path, transparency, expected):
    path = saved(tmp_path, _palette(), "a.png", transparency=transparency)
    np.testing.assert_allclose(read(path)[0], expected, atol=1e-6)


def test_palette_with_alpha_channel(tmp_path):
    image = _palette().convert("PA")
    image.putalpha(Image.frombytes("L", (3, 1), bytes([255, 0, 255])))
    assert image.mode == "PA"
    path = saved(tmp_path, image, "a.tif")
    np.testing.assert_array_equal(read(path)[0], [RED, WHITE, BLUE])


def test_rgb_with_a_transparent_color(tmp_path):
    path = saved(tmp_path, Image.fromarray(quarters(4)), "a.png", transparency=(0, 0, 0))
    np.testing.assert_array_equal(read(path)[3, 3], WHITE)
    np.testing.assert_array_equal(read(path)[0, 0], RED)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg"])
def test_cmyk(tmp_path, name):
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))  # cyan
    options = {"quality": 100} if name == "a.jpg" else {}
    path = saved(tmp_path, image, name, **options)
    np.testing.assert_allclose(read(path)[4, 4], (0, 1, 1), atol=0.02)
    np.testing.assert_allclose(read(path, side=3)[1, 1], (0, 1, 1), atol=0.02)
    np.testing.assert_allclose(read(path, color=False)[4, 4], 0.701, atol=0.02)
    assert read(path, color=False, side=2).shape == (2, 2)


def test_lab(tmp_path):
    path = saved(tmp_path, Image.new("LAB", (8, 8), (128, 128, 128)), "lab.tif")  # a neutral grey
    lab = read(path)[0, 0]
    assert np.ptp(lab) < 0.02
    assert 0.4 < lab[0] < 0.55
    assert read(path, color=False).shape == (8, 8)


def test_rare_modes(tmp_path, monkeypatch):
    """Modes that few or no files of ours can hold, given as if a plugin had read them."""
    from nsae.images import decoding

    red = Image.new("RGB", (2, 2), (255, 0, 0))
    half = Image.new("RGBA", (2, 2), (255, 0, 0, 51))
    grey = Image.new("LA", (2, 2), (0, 51))
    path = saved(tmp_path, red, "a.png")
    for image, expected in (
        (red.convert("HSV"), RED),
        (red.convert("YCbCr"), RED),
        (half.convert("RGBa"), (1, 0.8, 0.8)),
        (grey.convert("La"), (0.8, 0.8, 0.8)),
        (red.convert("RGBX"), RED),
    ):
        monkeypatch.setattr(decoding, "_open", lambda *args, image=image: image.copy())
        np.testing.assert_allclose(read(path)[0, 0], expected, atol=0.01)


DEEP = np.array([[0, 1, 255, 256], [1000, 32768, 65534, 65535]], np.uint16)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bit_grey_is_scaled_not_cut(tmp_path, name):
    path = tmp_path / name
    if name == "a.pgm":  # which not every Pillow writes
        path.write_bytes(b"P5 4 2 65535\n" + DEEP.astype(">u2").tobytes())
    else:
        Image.fromarray(DEEP).save(path)
    expected = DEEP / np.float32(65535)
    np.testing.assert_allclose(read(path, color=False), expected, atol=1e-7)
    np.testing.assert_allclose(read(path), np.repeat(expected[:, :, None], 3, axis=2), atol=1e-7)
    assert read(path, side=5).shape == (5, 5, 3)
    np.testing.assert_allclose(read(path, side=1, color=False), expected.mean(), atol=0.02)


def test_16_bit_big_endian(tmp_path):
    path = saved(tmp_path, Image.frombytes("I;16B", (4, 2), DEEP.astype(">u2").tobytes()), "a.tif")
    assert Image.open(path).mode == "I;16B"
    np.testing.assert_allclose(read(path, color=False), DEEP / 65535, atol=1e-7)


def test_32_bit_grey(tmp_path):
    path = saved(tmp_path, Image.fromarray(DEEP.astype(np.int32)), "a.tif")
    assert Image.open(path).mode == "I"
    np.testing.assert_allclose(read(path, color=False), DEEP / 65535, atol=1e-7)
    for values in ([[0, 65536]], [[-1, 3]]):
        path = saved(tmp_path, Image.fromarray(np.array(values, np.int32)), "b.tif")
        with pytest.raises(ImageReadError, match="0 to 65535 was expected"):
            load_image(path)


def test_float_grey(tmp_path):
    for top in (1, 255):
        values = np.linspace(0, top, 12, dtype=np.float32).reshape(3, 4)
        path = saved(tmp_path, Image.fromarray(values), "a.tif")
        np.testing.assert_allclose(read(path, color=False), values / top, atol=1e-7)
        assert read(path).shape == (3, 4, 3)
        assert read(path, side=9).max() > 0.9
    for bad in (-0.5, 255.5, np.nan, np.inf):
        path = saved(tmp_path, Image.fromarray(np.array([[0, bad]], np.float32)), "b.tif")
        with pytest.raises(ImageReadError, match="was expected"):
            load_image(path)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.tif", "a.png"])
def test_first_frame(tmp_path, name):
    red, blue = (Image.new("RGB", (8, 8), color) for color in ("red", "blue"))
    options = {"lossless": True} if name == "a.webp" else {}
    path = saved(tmp_path, red, name, save_all=True, append_images=[blue, red], **options)
    assert Image.open(path).n_frames == 3
    np.testing.assert_array_equal(read(path), np.broadcast_to(np.float32(RED), (8, 8, 3)))


# ---- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("name", "side"), [("a.jpg", None), ("a.jpg", 16), ("a.png", None), ("a.tif", None)])
def test_exif_orientation(tmp_path, orientation, name, side):
    upright = quarters(256)[:, :192]  # (256, 192, 3): taller than wide
    upright[:, 96:] = quarters(256)[:, 160:]
    # How a camera held that way would have stored it: the inverse of what the reader does.
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), name, exif=exif)
    array = read(path, side=side)
    assert array.shape == ((256, 192, 3) if side is None else (16, 16, 3))
    h, w = array.shape[:2]
    corners = [array[y, x] for y in (1, h - 2) for x in (1, w - 2)]
    np.testing.assert_allclose(corners, [RED, GREEN, BLUE, (0, 0, 0)], atol=0.05)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0nonsense",
        # orientation 3, beside a maker's name that is stored as a fraction, which Pillow cannot write again
        b"Exif\0\0"
        + struct.pack("<2sHIH", b"II", 42, 8, 2)
        + struct.pack("<HHII", 0x010F, 5, 1, 38)
        + struct.pack("<HHIHH", 0x0112, 3, 1, 3, 0)
        + struct.pack("<III", 0, 1, 2),
        # the same, and a tag whose text lies beyond the end of the block, of which Pillow warns
        b"Exif\0\0"
        + struct.pack("<2sHIH", b"II", 42, 8, 2)
        + struct.pack("<HHIHH", 0x0112, 3, 1, 3, 0)
        + struct.pack("<HHII", 0x0131, 2, 99, 999)
        + struct.pack("<I", 0),
    ],
    ids=["nonsense", "odd tag", "tag beyond the end"],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_malformed_exif_does_not_lose_the_picture(tmp_path, exif, name):
    path = saved(tmp_path, Image.fromarray(quarters(64)), name, exif=exif, quality=95)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = read(path)
    assert array.shape == (64, 64, 3)
    np.testing.assert_allclose(array[(60, 60) if b"II" in exif else (3, 3)], RED, atol=0.05)


def test_malformed_tiff_tag_gives_no_warning(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "a maker with a name"
    path = saved(tmp_path, Image.fromarray(quarters(16)), "a.tif", exif=exif)
    data = path.read_bytes()
    entry = data.index(struct.pack("<HHI", 0x010F, 2, 20)) + 4  # where the tag says how long its text is
    path.write_bytes(data[:entry] + struct.pack("<I", 10**6) + data[entry + 4 :])
    with warnings.catch_warnings(record=True) as caught, suppress(ImageReadError):  # old Pillows refuse it
        warnings.simplefilter("always")
        np.testing.assert_array_equal(read(path)[0, 0], RED)
    assert caught == []


# ---- size


def test_side_keeps_the_whole_content(tmp_path):
    wide = np.zeros((40, 400, 3), np.uint8)
    wide[:, :100] = (255, 0, 0)
    wide[:, 300:] = (0, 0, 255)
    array = read(saved(tmp_path, Image.fromarray(wide), "a.png"), side=8)
    assert array.shape == (8, 8, 3)
    np.testing.assert_allclose(array[:, 0], [RED] * 8, atol=0.01)
    np.testing.assert_allclose(array[:, 7], [BLUE] * 8, atol=0.01)


def test_side_averages_instead_of_skipping(tmp_path):
    checks = np.indices((256, 256)).sum(axis=0) % 2 * 255
    for name in ("a.png", "a.jpg"):
        path = saved(tmp_path, Image.fromarray(checks.astype(np.uint8)), name)
        np.testing.assert_allclose(read(path, side=16, color=False), 0.5, atol=0.02)


def test_side_enlarges(tmp_path):
    path = saved(tmp_path, Image.fromarray(quarters(4)), "a.png")
    array = read(path, side=32)
    np.testing.assert_array_equal([array[0, 0], array[0, 31], array[31, 0]], [RED, GREEN, BLUE])


def test_jpeg_draft_is_near_full_decoding(tmp_path):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 9, 3), dtype=np.uint8))
    big = coarse.resize((900, 1200), Image.Resampling.BICUBIC)
    jpeg, png = saved(tmp_path, big, "a.jpg", quality=95), saved(tmp_path, big, "a.png")
    for color in (True, False):
        difference = np.abs(read(jpeg, side=32, color=color) - read(png, side=32, color=color))
        assert difference.max() < 0.04


@pytest.mark.parametrize("side", [0, -3])
def test_side_must_be_positive(tmp_path, side):
    path = saved(tmp_path, Image.new("L", (2, 2)), "a.png")
    for call in (lambda: load_image(path, side=side), lambda: load_images([path], side=side)):
        with pytest.raises(ValueError, match=f"side={side}") as caught:
            call()
        assert not isinstance(caught.value, ImageReadError)


# ---- bad files


def reason(path):
    with pytest.raises(ImageReadError) as caught:
        load_image(path)
    assert caught.value.path == path
    assert str(caught.value) == f"{path}: {caught.value.reason}"
    assert "\n" not in caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.tif", "a.webp", "a.bmp"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_truncated(tmp_path, name, keep):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole))])
    assert reason(path)


def test_not_an_image(tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("Dear diary,\n")
    assert reason(path) == "not an image in a format that Pillow reads"
    path.write_bytes(b"")
    assert reason(path) == "the file is empty"


def test_missing_and_folder(tmp_path):
    assert reason(tmp_path / "gone.png") == "no such file"
    assert "a folder" in reason(tmp_path)
    assert reason(tmp_path / "nul\0byte.png")


def test_bomb(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.new("L", (100, 100)), "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)  # Pillow refuses what has twice as many
    assert "too many pixels" in reason(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)  # and warns of what has more
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(path).shape == (100, 100, 3)


def test_postscript_starts_no_program(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    path = saved(tmp_path, Image.new("L", (10, 10)), "a.eps").rename(tmp_path / "photo.jpg")
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **kw: pytest.fail("Ghostscript was run"))
    assert reason(path) == "not an image in a format that Pillow reads"


@posix
def test_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "not a regular file" in reason(tmp_path / "pipe.png")
    assert find_images(tmp_path) == []


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = saved(tmp_path, Image.new("L", (2, 2)), "a.png")
    path.chmod(0)
    assert "permission" in reason(path)


def test_any_failure_of_a_decoder_is_an_image_read_error(tmp_path, monkeypatch):
    from nsae.images import decoding

    path = saved(tmp_path, Image.new("L", (2, 2)), "a.png")
    for error in (MemoryError(), struct.error("short"), PermissionError(13, "denied"), KeyError(7)):

        def fail(*args, error=error):
            raise error

        monkeypatch.setattr(decoding, "_open", fail)
        assert reason(path)
    monkeypatch.setattr(decoding, "_open", lambda *args: (_ for _ in ()).throw(PermissionError(13, "denied")))
    assert reason(path) == "no permission to read the file"


def test_file_is_closed(tmp_path, recwarn):
    path = saved(tmp_path, Image.new("L", (2, 2)), "a.tif")
    load_image(path)
    path.write_bytes(path.read_bytes()[:20])
    reason(path)
    gc.collect()
    assert [w for w in recwarn.list if issubclass(w.category, ResourceWarning)] == []


# ---- many


def numbered(tmp_path, n):
    return [saved(tmp_path, Image.new("L", (6, 4), i), f"{i:03}.png") for i in range(n)]


@pytest.mark.parametrize("n_threads", [None, 1, 4])
def test_load_images_in_order_without_the_bad(tmp_path, n_threads):
    paths = numbered(tmp_path, 30)
    paths[3].write_text("no image")
    paths[29].unlink()
    errors = []
    images, kept = load_images(paths, side=5, color=False, on_error=errors.append, n_threads=n_threads)
    assert kept == paths[:3] + paths[4:29]
    assert images.shape == (28, 5, 5)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[:, 2, 2] * 255, [0, 1, 2, *range(4, 29)], atol=1e-4)
    assert [error.path for error in errors] == [paths[3], paths[29]]
    assert load_images(map(str, paths[:2]), side=5)[0].shape == (2, 5, 5, 3)


def test_load_images_raises_without_on_error(tmp_path):
    paths = numbered(tmp_path, 5)
    paths[2].write_text("no image")
    with pytest.raises(ImageReadError, match=r"002\.png"):
        load_images(paths, side=4)


def test_load_images_of_none():
    images, kept = load_images([], side=4)
    assert images.shape == (0, 4, 4, 3)
    assert kept == []


def test_load_images_refuses(tmp_path):
    with pytest.raises(TypeError, match="find_images"):
        load_images(str(tmp_path), side=4)
    with pytest.raises(ValueError, match="n_threads=0"):
        load_images([], side=4, n_threads=0)
    with pytest.raises(ValueError, match="side=None"):
        load_images([], side=None)


def test_iter_images_looks_ahead_by_little_and_stops(tmp_path):
    paths = numbered(tmp_path, 40)
    taken = []
    before = threading.active_count()
    images = iter_images((taken.append(path) or path for path in paths), side=None, n_threads=2)
    path, image = next(images)
    assert path == paths[0]
    assert image.shape == (4, 6, 3)
    assert len(taken) <= 6
    images.close()
    assert threading.active_count() == before
    assert len(taken) <= 6


def test_warning_filters_survive_threads(tmp_path):
    paths = numbered(tmp_path, 60)
    before = list(warnings.filters)
    load_images(paths, side=3, n_threads=8)
    assert warnings.filters == before


def test_missing_pillow_is_one_error_and_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    for call in (
        lambda: load_image(tmp_path / "a.png"),
        lambda: load_images([tmp_path / "a.png"], side=4, on_error=lambda error: None),
    ):
        with pytest.raises(ImportError, match=r"nsae\[images\]"):
            call()


# ---- finding


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(root, **options):
    return [path.relative_to(root).as_posix() for path in find_images(root, **options)]


def test_find_images(tmp_path):
    wanted = ["a.JPG", "b/c.jpeg", "b/d/e.Webp", "b.png", "z.tiff", "z1.bmp", "z2.gif", "z3.pgm"]
    touch(tmp_path, *wanted, "notes.txt", "jpg", ".hidden.jpg", ".git/x.png", "b/.trash/y.png", "b/._c.jpeg")
    (tmp_path / "folder.jpg").mkdir()
    assert found(tmp_path) == sorted(wanted, key=lambda name: Path(name).parts)


def test_find_images_of_a_file_and_of_nothing(tmp_path):
    touch(tmp_path, "photo")
    assert find_images(str(tmp_path / "photo")) == [tmp_path / "photo"]
    with pytest.raises(FileNotFoundError, match=r"gone does not exist\. Give"):
        find_images(tmp_path / "gone")


def test_find_images_in_a_hidden_root(tmp_path):
    touch(tmp_path, ".photos/a.jpg")
    assert found(tmp_path / ".photos") == ["a.jpg"]


@posix
def test_links(tmp_path):
    touch(tmp_path, "root/a.jpg", "outside/b.jpg", "c.jpg")
    root = tmp_path / "root"
    (root / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    (root / "file.jpg").symlink_to(tmp_path / "c.jpg")
    (root / "broken.jpg").symlink_to(tmp_path / "gone.jpg")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    assert found(root) == ["a.jpg", "file.jpg"]
    (tmp_path / "link").symlink_to(root)
    assert found(tmp_path / "link") == ["a.jpg", "file.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are any bytes on Linux")
def test_names_that_are_not_utf8(tmp_path):
    name = os.path.join(os.fsencode(tmp_path), b"caf\xe9.png")
    with open(name, "wb") as file:
        Image.new("L", (2, 2), 255).save(file, "PNG")
    (path,) = find_images(tmp_path)
    assert os.fsencode(path) == name
    assert load_image(path).min() == 1
    assert load_images([path], side=2)[1] == [path]


def test_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    touch(tmp_path, "a.jpg", "closed/b.jpg")
    scandir = os.scandir

    def guarded(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(ImageReadError, match=r"closed: the folder cannot be listed \(Permission denied\)"):
        find_images(tmp_path)
    errors = []
    assert found(tmp_path, on_error=errors.append) == ["a.jpg"]
    assert len(errors) == 1
