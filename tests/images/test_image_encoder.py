"""ImageEncoder: from images to codes, alone or together, from arrays or files, and from its own file."""

import os
import subprocess
import sys

import numpy as np
import pytest

from nsae import CodeIndex, Encoder, ImageEncoder, ModelFormatError, NotFittedError, evaluate
from nsae.datasets import glyphs

pytest.importorskip("matplotlib")  # its fonts draw the glyphs

SMALL = {
    "n_units": 64,
    "k": 8,
    "patch_units": 48,
    "grid": (1, 2),
    "components": 16,
    "n_patches": 4000,
    "patch_epochs": 2,
    "epochs": 8,
    "random_state": 0,
}


def equal(a, b):
    return all(getattr(a, n).tobytes() == getattr(b, n).tobytes() for n in ("indptr", "units", "values"))


@pytest.fixture(scope="module")
def images():
    return glyphs(600, characters="ABCDE", random_state=0)


@pytest.fixture(scope="module")
def encoder(images):
    return ImageEncoder(**SMALL).fit(images[0])


def color(images):
    """(n, 28, 28, 3) uint8: each image in a tint of its own."""
    tint = np.random.default_rng(1).random((len(images), 1, 1, 3))
    return np.round(255 * images[..., None] * tint).astype(np.uint8)


def test_codes_and_pooled_vectors(images, encoder):
    codes = encoder.encode(images[0])
    assert codes.shape == (600, 64)
    assert codes.counts.max() <= 8
    assert codes.values.dtype == np.float32
    F = encoder.pooled(images[0][:5])
    assert (F.shape, F.dtype) == ((5, 48 * 5), np.float32)
    np.testing.assert_allclose(np.linalg.norm(F, axis=1), 1, rtol=1e-6)
    assert encoder.shape_ == (28, 28)
    assert encoder.preprocessing == {"side": 28, "color": False}


def test_codes_rank_better_than_pixels(images):
    images, labels = glyphs(1500, characters="ABCDEFGH", random_state=1)
    encoder = ImageEncoder(256, n_patches=20_000, epochs=15, random_state=0).fit(images[200:])
    found = {}
    for name, codes in (("codes", encoder.encode(images)), ("pixels", None)):
        if codes is None:
            from nsae.retrieval import rank_dense

            X = images.reshape(len(images), -1)
            hits = rank_dense(X[:200], X[200:], "cosine", 20)
        else:
            index = CodeIndex(codes.n_units)
            index.add(codes[200:])
            hits = index.search(codes[:200], k=20)
        found[name] = evaluate(hits, labels[200:], query_labels=labels[:200], k=(1, 20))
    assert found["codes"]["precision@20"] > found["pixels"]["precision@20"] + 0.05


def test_an_image_does_not_see_the_others(images, encoder):
    whole = encoder.encode(images[0][:300])
    for first, n in ((0, 1), (127, 3), (299, 1)):
        part = encoder.encode(images[0][first : first + n])
        np.testing.assert_array_equal(part.units, whole[slice(first, first + n)].units)
        np.testing.assert_allclose(part.values, whole[slice(first, first + n)].values, rtol=1e-4, atol=1e-6)


def test_the_same_seed_the_same_codes(images, encoder):
    again = ImageEncoder(**SMALL).fit(images[0])
    assert equal(again.encode(images[0][:50]), encoder.encode(images[0][:50]))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_backends_give_the_same_pooled_vectors(images, encoder, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    other = ImageEncoder.__new__(ImageEncoder)
    other.__dict__.update(encoder.__dict__, backend=backend)
    np.testing.assert_allclose(other.pooled(images[0][:20]), encoder.pooled(images[0][:20]), atol=1e-6)


def test_rows_uint8_and_floats_are_the_same_images(images, encoder):
    pixels = np.round(images[0][:40] * 255).astype(np.uint8)
    codes = encoder.encode(pixels)
    assert equal(encoder.encode(pixels / np.float32(255)), codes) or np.allclose(
        encoder.encode(pixels / np.float32(255)).to_dense(), codes.to_dense(), atol=1e-3
    )
    assert equal(encoder.encode(pixels.reshape(40, -1)), codes)


def test_color_and_images_that_are_not_square(images):
    wide = color(images[0])[:, 4:24]  # (n, 20, 28, 3)
    encoder = ImageEncoder(**{**SMALL, "stride": 2}).fit(wide)
    assert encoder.encode(wide[:10]).shape == (10, 64)
    assert encoder.shape_ == (20, 28, 3)


# ---- files


def test_saved_and_loaded(images, encoder, tmp_path):
    encoder.save(tmp_path / "model.npz")
    with pytest.raises(FileExistsError):
        encoder.save(tmp_path / "model.npz")
    codes = encoder.encode(images[0][:50])
    for loaded in (ImageEncoder.load(tmp_path / "model.npz"), Encoder.load(tmp_path / "model.npz")):
        assert equal(loaded.encode(images[0][:50]), codes)
        assert loaded.get_params() == encoder.get_params()
        assert loaded.preprocessing == encoder.preprocessing
        assert loaded.to_bytes() == encoder.to_bytes()


def test_numpy_alone_reads_and_uses_it(images, encoder, tmp_path):
    encoder.save(tmp_path / "model.npz")
    np.save(tmp_path / "images.npy", images[0][:30])
    code = """
import sys
for name in ("numba", "PIL", "matplotlib", "tqdm", "scipy", "threadpoolctl"):
    sys.modules[name] = None
import numpy as np
from nsae import Encoder
codes = Encoder.load("model.npz").encode(np.load("images.npy"))
np.savez("codes.npz", indptr=codes.indptr, units=codes.units, values=codes.values)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    found, expected = np.load(tmp_path / "codes.npz"), encoder.encode(images[0][:30])
    np.testing.assert_array_equal(found["units"], expected.units)
    np.testing.assert_allclose(found["values"], expected.values, rtol=1e-4, atol=1e-6)


@pytest.fixture
def folder(images, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    for i, pixels in enumerate(color(images[0][:40])):
        Image.fromarray(pixels).resize((40, 30)).save(tmp_path / f"{i:02}.png")
    (tmp_path / "07.png").write_bytes(b"no image")
    return sorted(tmp_path.glob("*.png"))


def test_files_one_of_them_bad(folder):
    bad = []
    encoder = ImageEncoder(**SMALL, side=24).fit(folder, on_error=bad.append)
    assert encoder.shape_ == (24, 24, 3)
    assert [error.path.name for error in bad] == ["07.png"]
    bad.clear()
    codes, kept = encoder.encode_files(folder, on_error=bad.append)
    assert len(codes) == len(kept) == 39
    assert len(bad) == 1
    grey = ImageEncoder(**SMALL, side=24, color=False).fit(folder, on_error=bad.append)
    assert grey.shape_ == (24, 24)


# ---- what cannot be done


def test_bad_images_are_refused(images, encoder):
    for wrong, message in (
        (np.zeros((3, 20, 20)), r"Images of \(20, 20\) came, and this encoder reads \(28, 28\)"),
        (np.zeros((3, 28, 28, 4)), r"An array of shape \(3, 28, 28, 4\) came"),
        (np.full((3, 28, 28), 2.0), r"Pixels from 2 to 2 came"),
        (np.full((3, 28, 28), np.nan), r"Pixels from nan to nan came"),
        (np.zeros((3, 28, 28), int), r"Pixels of int64 came"),
    ):
        with pytest.raises(ValueError, match=message):
            encoder.encode(wrong)
    with pytest.raises(NotFittedError):
        ImageEncoder().encode(images[0])
    with pytest.raises(ValueError, match="too small for patch=30"):
        ImageEncoder(patch=30).fit(images[0])
    with pytest.raises(TypeError, match="A single path"):
        ImageEncoder().fit("photos")
    with pytest.raises(ValueError, match="the list is empty"):
        ImageEncoder().fit([])


def test_a_damaged_file_is_refused(encoder, tmp_path):
    content = encoder.to_bytes()
    (tmp_path / "model.npz").write_bytes(content[: len(content) // 2])
    for reader in (ImageEncoder, Encoder):
        with pytest.raises(ModelFormatError):
            reader.load(tmp_path / "model.npz")
