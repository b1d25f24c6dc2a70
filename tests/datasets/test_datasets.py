"""Glyphs, and reading idx files."""

import gzip
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nsae import datasets
from nsae.datasets import data_folder, fashion_mnist, glyphs, mnist, read_idx
from nsae.datasets.download import SHA256, _content_sha256

drawing = sys.modules["nsae.datasets.glyphs"]  # the package has a function of that name
needs_fonts = pytest.mark.usefixtures("drawn")  # skipped with it, without Pillow or matplotlib
real_data = pytest.mark.skipif(not os.environ.get("NSAE_DATA"), reason="NSAE_DATA is not set")


@pytest.fixture(scope="module")
def drawn():
    pytest.importorskip("PIL")
    pytest.importorskip("matplotlib")
    return glyphs(1000)


def test_glyphs_shapes_and_range(drawn):
    images, labels = drawn
    assert images.shape == (1000, 28, 28)
    assert images.dtype == np.float32
    assert images.flags.c_contiguous
    assert labels.shape == (1000,)
    assert labels.dtype == np.dtype("<U1")
    assert images.min() == 0
    assert images.max() <= 1
    assert (images.max(axis=(1, 2)) > 0.3).all()  # each shows something


def test_glyphs_are_balanced_and_shuffled(drawn):
    labels = drawn[1]
    counts = Counter(labels.tolist())
    assert set(counts) == set(datasets.CHARACTERS)
    assert max(counts.values()) - min(counts.values()) == 1  # 1000 is no multiple of 34
    assert len(set(labels[:34].tolist())) < 34


def test_glyphs_depend_on_random_state_alone(drawn):
    again = glyphs(1000)
    np.testing.assert_array_equal(again[0], drawn[0])
    np.testing.assert_array_equal(again[1], drawn[1])
    other = glyphs(1000, random_state=1)
    assert not np.array_equal(other[0], drawn[0])
    generator = np.random.default_rng(0)
    np.testing.assert_array_equal(glyphs(5, random_state=generator)[0], glyphs(5)[0])


def test_glyphs_are_whole(drawn):
    """Nothing is cut off: what touches the border is the blur of an edge at most, for whole rows of it."""
    images = drawn[0]
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    assert (border.mean(axis=1) > 0.1).mean() < 0.01


def test_glyphs_vary_in_size_place_and_contrast(drawn):
    images, labels = drawn
    on = images > 0.25
    heights = on.any(axis=2).sum(axis=1)
    tall = heights[np.isin(labels, list("1L"))]  # the height of these is their larger side
    assert tall.min() < 17
    assert tall.max() > 20
    centres = np.array([np.argwhere(picture).mean(axis=0) for picture in on])
    assert (centres.std(axis=0) > 0.8).all()
    assert (np.abs(centres.mean(axis=0) - 13.5) < 1).all()
    peaks = images.max(axis=(1, 2))
    assert peaks.min() < 0.75
    assert peaks.max() > 0.95


def test_glyphs_classes_can_be_told_apart(drawn):
    """The nearest of 1000 drawings has the same label far more often than the 1 in 34 of chance."""
    images, labels = drawn
    unseen, answers = glyphs(200, random_state=7)
    a, b = images.reshape(1000, -1), unseen.reshape(200, -1)
    similarity = (b @ a.T) / np.linalg.norm(a, axis=1)
    assert (labels[similarity.argmax(axis=1)] == answers).mean() > 0.5


@needs_fonts
def test_glyphs_stand_upright():
    """L has its bar below, and on the right of its stem: neither mirrored nor turned over."""
    images, _ = glyphs(40, characters="L")
    on = images.mean(axis=0)  # (28, 28)
    assert on[14:].sum() > 1.2 * on[:14].sum()
    assert on[20:, 14:].sum() > 1.5 * on[:8, 14:].sum()


@needs_fonts
def test_glyphs_vary_in_weight(monkeypatch):
    draw, ink = drawing._draw, {}

    def spied(Image, font, character, weight):
        picture = draw(Image, font, character, weight)
        ink[weight] = np.asarray(picture).sum(dtype=float)
        return picture

    monkeypatch.setattr(drawing, "FONTS", ["DejaVuSans"])
    monkeypatch.setattr(drawing, "_draw", spied)
    glyphs(30, characters="A")
    assert sorted(ink) == [0, 1, 2]
    assert ink[0] < 0.9 * ink[1] < 0.8 * ink[2]


@needs_fonts
def test_glyphs_are_turned_both_ways(monkeypatch):
    monkeypatch.setattr(drawing, "FONTS", ["DejaVuSans"])
    images, _ = glyphs(60, size=64, characters="L", random_state=3)
    slopes = []
    for on in images > 0.2:
        rows = np.flatnonzero(on.any(axis=1))
        top, bottom = rows[0] + len(rows) // 4, rows[0] + len(rows) * 5 // 8  # both on the stem
        slopes.append((on[top].argmax() - on[bottom].argmax()) / (bottom - top))
    assert -np.tan(np.radians(20)) < min(slopes) < -np.tan(np.radians(8))
    assert np.tan(np.radians(8)) < max(slopes) < np.tan(np.radians(20))


@needs_fonts
@pytest.mark.parametrize("size", [8, 64])
def test_glyphs_of_other_sizes(size):
    images, labels = glyphs(7, size=size, characters="AB")
    assert images.shape == (7, size, size)
    assert sorted(Counter(labels.tolist()).values()) == [3, 4]
    assert 0.03 < images.mean() < 0.4


@needs_fonts
def test_every_font_draws_every_default_character():
    fonts = drawing._load_fonts(56)
    assert len(fonts) == len(drawing.FONTS)
    for font in fonts:
        masks = {bytes(font.getmask(c)) for c in datasets.CHARACTERS if drawing._draws(font, c)}
        assert len(masks) == len(datasets.CHARACTERS), font.getname()


@needs_fonts
def test_fonts_without_the_character_are_left_out():
    images, labels = glyphs(30, characters="ЖΩ")  # Cyrillic, Greek: not in the cm fonts
    assert set(labels.tolist()) == {"Ж", "Ω"}
    assert (images.max(axis=(1, 2)) > 0.3).all()
    cm = [font for font in drawing._load_fonts(40) if font.getname()[0] == "cmr10"]
    assert not drawing._draws(cm[0], "Ж")
    assert drawing._draws(cm[0], "A")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n=0"),
        ({"size": 7}, "size=7"),
        ({"characters": ""}, "one or more"),
        ({"characters": "ABA"}, "each once"),
    ],
)
def test_glyphs_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        glyphs(**{"n": 4, **arguments})


@needs_fonts
@pytest.mark.parametrize(("characters", "message"), [("A ", "No font .* ' '"), ("\U0010fffe", "No font")])
def test_glyphs_refuse_what_no_font_draws(characters, message):
    with pytest.raises(ValueError, match=message):
        glyphs(4, characters=characters)


def test_import_is_light():
    code = "import sys, nsae.datasets, nsae.images; print({'PIL', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# ---- idx files


def idx(array, code, *, dims=None):
    shape = array.shape if dims is None else dims
    return bytes([0, 0, code, len(shape)]) + np.array(shape, ">u4").tobytes() + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("code", "dtype"), [(8, ">u1"), (9, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")]
)
def test_read_idx(tmp_path, code, dtype, pack):
    array = np.arange(-3, 21).reshape(2, 3, 4).astype(dtype)
    path = tmp_path / "some.idx"
    path.write_bytes(pack(idx(array, code)))
    read = read_idx(path)
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.dtype(dtype).newbyteorder("=")
    read[0] = 0  # may be written to


GOOD = idx(np.zeros((2, 3), ">u1"), 8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG\r\n", "not an idx file.*PNG"),
        (b"\0\0\x07\x01\0\0\0\0", "not an idx file"),
        (GOOD[:7], "in its header, 7 of 12 bytes"),
        (GOOD[:-1], r"17 bytes.*\(2, 3\).*18"),
        (GOOD + b"x", r"19 bytes.*\(2, 3\).*18"),
        (idx(np.zeros(1, ">u1"), 8, dims=(2**32 - 1,) * 4), "announces"),
        (gzip.compress(GOOD, mtime=0)[:-4], "gzip compression is damaged"),
        (gzip.compress(GOOD, mtime=0)[:-8] + b"\0" * 8, "gzip compression is damaged"),
        (b"\x1f\x8b" + b"\xff" * 30, "gzip compression is damaged"),
        (gzip.compress(GOOD, mtime=0)[:10] + b"\xff" * 30, "gzip compression is damaged"),
    ],
)
def test_read_idx_refuses(tmp_path, data, message):
    path = tmp_path / "bad.idx"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


# ---- MNIST and Fashion-MNIST


@pytest.mark.parametrize(("load", "name"), [(mnist, "mnist"), (fashion_mnist, "fashion-mnist")])
def test_mnist_reads_its_files(tmp_path, monkeypatch, load, name):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    (tmp_path / name).mkdir()
    for prefix, n in (("train", 3), ("t10k", 2)):
        images = np.arange(n * 784).reshape(n, 28, 28).astype(">u1")
        for part, array in (("images-idx3", images), ("labels-idx1", np.arange(n).astype(">u1"))):
            (tmp_path / name / f"{prefix}-{part}-ubyte.gz").write_bytes(gzip.compress(idx(array, 8), mtime=0))
    for split, n in (("train", 3), ("test", 2)):
        images, labels = load(split)
        assert images.shape == (n, 28, 28)
        assert images.dtype == labels.dtype == np.uint8
        assert images[1, 0, 3] == (784 + 3) % 256
        assert labels.tolist() == list(range(n))
    with pytest.raises(ValueError, match="split='validation'"):
        load("validation")
    labels = tmp_path / name / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx(np.zeros(9, ">u1"), 8)))
    with pytest.raises(ValueError, match=r"\(3, 28, 28\).*\(9,\)"):
        load("train")


@pytest.mark.parametrize(("load", "name"), [(mnist, "mnist"), (fashion_mnist, "fashion-mnist")])
def test_missing_files_tell_the_way_out(tmp_path, monkeypatch, load, name):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"nsae download {name}.*NSAE_DATA"):
        load()


def test_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path / "here"))
    assert data_folder() == tmp_path / "here"
    monkeypatch.delenv("NSAE_DATA")
    monkeypatch.setenv("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", str(tmp_path))
    assert data_folder() == tmp_path / "nsae"
    if os.name != "nt":
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        assert data_folder() == Path.home() / ".cache" / "nsae"


@real_data
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_real_data(name):
    if not (data_folder() / name).is_dir():
        pytest.skip(f"NSAE_DATA has no {name}")
    for file, sha256 in SHA256[name].items():
        assert _content_sha256(data_folder() / name / file) == sha256
    images, labels = {"mnist": mnist, "fashion-mnist": fashion_mnist}[name]("test")
    assert images.shape == (10_000, 28, 28)
    assert len(np.bincount(labels)) == 10
