"""ImageEncoder: fit, encode, files, and what it refuses."""

import json
import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
from small_images import SMALL, bars

from nsae import Codes, ModelFormatError, NotFittedError, encode_photos, load_encoder
from nsae.images import ImageEncoder
from nsae.images.encoder_file import OLD_NAMES, arrays_of_encoder
from nsae.images.features.image_threshold import subtract_next
from nsae.images.features.patch_features import PATCHES
from nsae.models.model_file import write_model


def same(a, b):
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("indptr", "units", "values"))


@pytest.fixture(scope="module")
def fitted():
    return ImageEncoder(40, k=5, random_state=0, **SMALL).fit(bars(120)[0])


def test_shapes_and_kinds(fitted):
    images, _ = bars(7, seed=1)
    codes, F = fitted.encode(images), fitted.pooled(images)
    assert codes.shape == (7, 40)
    assert codes.counts.max() <= 5
    assert codes.counts.min() >= 1
    assert (codes.values > 0).all()
    assert (F.shape, F.dtype) == ((7, 9 * 24), np.float32)
    np.testing.assert_allclose(np.linalg.norm(F, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("phi", [0, 0.5, 0.9])
def test_eq36_each_image_has_its_own_threshold(fitted, phi):
    images, _ = bars(120, seed=1)
    pipeline = ImageEncoder.fit(
        ImageEncoder(40, k=5, random_state=0, **{**SMALL, "shrink_threshold": phi}), images
    ).encoder()
    Y = np.maximum(pipeline.components(images) @ pipeline.code_layer.W.T, 0)  # (n, 40)
    largest = np.sort(Y)[:, ::-1]  # (n, 40)
    Z = np.where(Y >= largest[:, 4:5], Y - phi * largest[:, 5:6], 0)  # (36)
    codes = pipeline.encode(images)
    np.testing.assert_allclose(codes.to_dense(), Z, atol=1e-5)
    assert 1 <= codes.counts.min() <= codes.counts.max() == 5
    # The units of a smaller k are the strongest ones; their values are higher by one number an image.
    few, kept = pipeline.with_k(2).encode(images), codes.keep(2)
    assert np.array_equal(few.units, kept.units)
    lower = np.repeat(phi * (largest[:, 2] - largest[:, 5]), 2)  # (2n,)
    np.testing.assert_allclose(kept.values - few.values, lower, atol=1e-5)


def test_eq36_without_a_next_unit_the_threshold_is_0():
    codes = Codes.from_dense(np.array([[3, 0, 2, 1], [0, 5, 0, 1], [0, 0, 0, 0], [2, 2, 2, 2]], np.float32))
    expected = [[2.5, 0, 1.5, 0], [0, 5, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]]
    np.testing.assert_array_equal(subtract_next(codes.keep(3), 2, 0.5).to_dense(), expected)


def test_eq37_rows_and_units_have_norm_1(fitted):
    images, _ = bars(30, seed=8)
    X = fitted.components(images)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(fitted.pipeline_.code_layer.W, axis=1), 1, rtol=1e-5)
    raw = fitted.pca_(fitted.pooled(images))
    half = X[:, : raw.shape[1]] * np.sqrt(2 if fitted.neighbours_ is not None else 1)
    np.testing.assert_allclose(half, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-5)


def test_codes_find_bars_of_the_same_direction_and_pixels_do_not(fitted):
    images, labels = bars(200, seed=2)

    def precision(Z):
        Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
        S = Z @ Z.T
        np.fill_diagonal(S, -1)
        return np.mean(labels[S.argmax(axis=1)] == labels)

    assert precision(fitted.encode(images).to_dense()) > 0.9


def test_an_image_has_its_code_whatever_is_beside_it(fitted):
    images, _ = bars(300, seed=3)
    F, codes = fitted.pooled(images), fitted.encode(images)
    for some in (slice(0, 1), slice(1, 130), slice(299, 300), slice(5, 9)):
        assert fitted.pooled(images[some]).tobytes() == F[some].tobytes()
        np.testing.assert_allclose(
            fitted.encode(images[some]).to_dense(), codes[some].to_dense(), rtol=1e-4, atol=1e-4
        )


def test_images_go_through_in_groups_that_change_no_bit(fitted, monkeypatch):
    from nsae.images.features import patch_features

    images, _ = bars(40, seed=6)
    expected = fitted.pooled(images)
    for size in (1, 1 << 13, 1 << 24):  # one image at a time, a few, all
        monkeypatch.setattr(patch_features, "GROUP_BYTES", size)
        assert fitted.pooled(images).tobytes() == expected.tobytes()


def test_each_backend_and_any_number_of_threads_give_the_same_bits(fitted):
    pytest.importorskip("numba")
    images, _ = bars(90, seed=4)
    expected = fitted.encode(images)
    try:
        for backend, n_threads in (("numpy", 1), ("numba", 1), ("numba", 3), ("numpy", 2)):
            fitted.set_params(backend=backend, n_threads=n_threads)
            assert same(fitted.encode(images), expected)
    finally:
        fitted.set_params(backend="auto", n_threads=None)


def test_an_image_of_many_patches_goes_through_in_several_blocks():
    images, _ = bars(20, side=30)
    encoder = ImageEncoder(8, k=2, random_state=0, **SMALL).fit(images)
    assert (30 - 4 + 1) ** 2 > PATCHES
    F = encoder.set_params(backend="numpy").pooled(images)
    # by hand: all patches of an image at once
    from nsae.images.features.patches import normalise_contrast
    from nsae.images.features.pooling import root_and_norm

    X = np.lib.stride_tricks.sliding_window_view(images[3] / 255, (4, 4)).reshape(-1, 16)
    X = encoder.whitening_(normalise_contrast(X.copy(), encoder.contrast_eps))
    Z = encoder.patch_model_.transform(X).reshape(27, 27, -1)
    f = [Z[9 * i : 9 * i + 9, 9 * j : 9 * j + 9].sum(axis=(0, 1)) for i in range(3) for j in range(3)]
    np.testing.assert_allclose(root_and_norm(np.array(f).reshape(1, -1))[0], F[3], atol=2e-3)


def test_the_same_seed_the_same_model_and_inputs_are_not_written_to():
    images, _ = bars(60, color=True)
    before = images.tobytes()
    a, b = (ImageEncoder(16, k=3, random_state=5, **SMALL).fit(images) for _ in range(2))
    assert same(a.encode(images), b.encode(images))
    assert a.geometry_.color
    assert images.tobytes() == before
    other = ImageEncoder(16, k=3, random_state=6, **SMALL).fit(images)
    assert not same(a.encode(images), other.encode(images))


def test_floats_bytes_and_lists_are_the_same_images(fitted):
    images, _ = bars(10, seed=5)
    expected = fitted.encode(images)
    assert same(fitted.encode((images / 255).astype(np.float32)), expected)
    assert same(fitted.encode(list(images)), expected)
    assert same(fitted.encode(np.asfortranarray(images)), expected)


def test_a_pyramid_and_fewer_images_than_components():
    images, _ = bars(9)
    encoder = ImageEncoder(6, k=2, random_state=0, **{**SMALL, "grid": (1, 2)}).fit(images)
    assert encoder.pooled(images).shape == (9, 5 * 24)
    assert len(encoder.pca_.a) <= 8
    assert encoder.encode(images).shape == (9, 6)


def test_at_most_so_many_images_and_patches():
    encoder = ImageEncoder(6, k=2, max_images=20, n_patches=100, random_state=0, **SMALL).fit(bars(50)[0])
    assert len(encoder.encode(bars(50)[0])) == 50


# ---- files


def test_image_files_and_bad_ones(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    paths = []
    for i, image in enumerate(bars(30, side=20, color=True)[0]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    paths[4].write_bytes(b"no image")
    told = []
    encoder = ImageEncoder(8, k=2, image_size=16, random_state=0, **SMALL).fit(paths, on_error=told.append)
    assert [error.path for error in told] == [paths[4]]  # once, although files are read several times
    codes = encoder.encode(map(str, paths), on_error=told.append)
    assert (len(codes), len(told)) == (29, 2)
    with pytest.raises(ValueError, match=r"4\.png"):
        encoder.encode(paths)
    with pytest.raises(ValueError, match="None of the files"):
        encoder.encode([paths[4]], on_error=told.append)
    assert len(encoder.pooled([paths[4]], on_error=told.append)) == 0
    with pytest.raises(ValueError, match="None of the files"):
        encoder.fit([paths[4]], on_error=told.append)
    # arrays of another size are stretched as files are
    array = np.asarray(Image.open(paths[0]))[None]
    np.testing.assert_allclose(encoder.pooled(array), encoder.pooled(paths[:1]), atol=1e-6)


def test_one_file_and_the_same_codes(fitted, tmp_path):
    images, _ = bars(40, seed=6)
    expected = fitted.encode(images)
    fitted.save(tmp_path / "model.npz")
    for load in (ImageEncoder.load, load_encoder):
        again = load(tmp_path / "model.npz")
        assert same(again.encode(images), expected)
        assert again.header["params"] == fitted.get_params()
        assert again.header["geometry"] == asdict(fitted.geometry_)
    with pytest.raises(FileExistsError):
        fitted.save(tmp_path / "model.npz")
    fitted.save(tmp_path / "model.npz", overwrite=True)


def test_a_file_with_the_names_of_before(fitted, tmp_path):
    path = tmp_path / "model.npz"
    fitted.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    header = json.loads(arrays["header"].tobytes())
    old_names = {new: old for old, new in OLD_NAMES.items()}
    for part in (header["geometry"], header["params"]):
        for new in set(part) & set(old_names) - ({"contrast_eps"} if part is header["params"] else set()):
            part[old_names[new]] = part.pop(new)
    assert {"side", "patch", "colors", "eps"} <= set(header["geometry"])
    assert {"side", "patch", "colors", "contrast_eps", "whiten", "shrink"} <= set(header["params"])
    arrays = {old_names.get(name, name): array for name, array in arrays.items()}
    assert {"zca_P", "components_A"} <= set(arrays)
    np.savez(path, **{**arrays, "header": np.frombuffer(json.dumps(header).encode(), np.uint8)})
    again = ImageEncoder.load(path)
    assert again.get_params() == fitted.get_params()
    assert again.geometry_ == fitted.geometry_


def test_encode_with_numpy_alone(fitted, tmp_path):
    images, _ = bars(30, seed=7)
    fitted.save(tmp_path / "model.npz")
    np.save(tmp_path / "x.npy", images)
    script = (
        "import sys\n"
        "for name in 'numba PIL matplotlib tqdm scipy sklearn'.split(): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from nsae import load_encoder\n"
        "codes = load_encoder('model.npz').encode(np.load('x.npy'))\n"
        "np.save('u.npy', codes.units); np.save('v.npy', codes.values)\n"
    )
    path = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True
    )
    codes = fitted.encode(images)
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), codes.units)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), codes.values)


@pytest.mark.parametrize("cut", [0, 100, 5000])
def test_a_file_cut_short(fitted, tmp_path, cut):
    path = tmp_path / "model.npz"
    fitted.save(path)
    path.write_bytes(path.read_bytes()[:cut])
    for load in (ImageEncoder.load, load_encoder):
        with pytest.raises(ModelFormatError, match=r"model\.npz"):
            load(path)


@pytest.mark.parametrize("name", ["patch_model", "code_model", "zca_S", "pca_A", "pca_a"])
def test_a_file_with_a_damaged_part(fitted, tmp_path, name):
    path = tmp_path / "model.npz"
    fitted.save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    for damaged in (arrays[name][:-1], None):
        changed = {**arrays, name: damaged}
        np.savez(path, **{n: a for n, a in changed.items() if a is not None})
        with pytest.raises(ModelFormatError, match="not a whole nsae model file"):
            ImageEncoder.load(path)


# ---- what it refuses


def test_before_fit(tmp_path):
    encoder = ImageEncoder()
    for use in (encoder.encode, encoder.pooled, encoder.save):
        with pytest.raises(NotFittedError, match="not fitted"):
            use(tmp_path / "x")


@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        ("photo.jpg", TypeError, "single path"),
        (None, TypeError, r"pixels, or a list of paths, was expected, got None"),
        (5, TypeError, r"pixels, or a list of paths, was expected, got 5"),
        ([], ValueError, "0 sample"),
        (np.zeros((0, 8, 8), np.uint8), ValueError, "0 sample"),
        (np.zeros((8, 8), np.uint8), ValueError, r"image\[None\]"),
        (np.zeros((32, 32, 3), np.uint8), ValueError, r"image\[None\]"),  # one image, and not 32 of 32 × 3
        (np.zeros((32, 40, 4), np.uint8), ValueError, r"image\[None\]"),
        (np.zeros((32, 32, 1), np.uint8), ValueError, r"image\[None, :, :, 0\]"),
        (np.zeros((5, 8, 8, 4), np.uint8), ValueError, r"\(5, 8, 8, 4\)"),
        (np.zeros((5, 8, 8), np.int32), TypeError, "int32"),
        (np.full((5, 12, 12), 255.0), ValueError, "Image 0 has the value 255"),
        (np.full((5, 12, 12), np.nan), ValueError, "Image 0 has the value nan"),
        ([np.zeros((8, 8)), np.zeros((9, 9))], ValueError, "differ in shape"),
        (np.zeros((5, 12, 12), np.uint8), ValueError, "Give images that differ"),
    ],
)
def test_images_that_cannot_be_used(images, error, match):
    with pytest.raises(error, match=match):
        ImageEncoder(8, k=2, **SMALL).fit(images)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"k": 9}, ValueError, "k=9"),
        ({"k": 2, "k_fit": 3}, ValueError, "k_fit=3"),
        ({"k_fit": 0}, ValueError, "k=0"),
        ({"patch_k": 25}, ValueError, "k=25"),
        ({"patch_size": 13}, ValueError, "patch_size=13 do not fit"),
        ({"grid": 10}, ValueError, "grid=10"),
        ({"grid": (1, 0)}, ValueError, "grid=0"),
        ({"stride": 0}, ValueError, "stride=0"),
        ({"image_size": 0.5}, TypeError, "image_size=0.5"),
        ({"zca_eps": -1}, ValueError, "zca_eps=-1"),
        ({"n_components": "many"}, TypeError, "n_components='many'"),
        ({"backend": "gpu"}, ValueError, "gpu"),
    ],
)
def test_hyperparameters_that_cannot_be_used(change, error, match):
    with pytest.raises(error, match=match):
        ImageEncoder(**{"n_units": 8, "k": 2, **SMALL, **change}).fit(bars(10)[0])


def test_a_failed_fit_leaves_the_model_as_it_was(fitted):
    images, _ = bars(10)
    before = fitted.encode(images)
    try:
        with pytest.raises(ValueError, match="k=99"):
            fitted.set_params(k=99).fit(images)
    finally:
        fitted.set_params(k=5)
    assert same(fitted.encode(images), before)


def test_one_image_is_refused_where_many_are_expected():
    images, _ = bars(20, side=32, color=True)
    encoder = ImageEncoder(8, k=2, random_state=0, **SMALL).fit(images)
    for encode in (encoder.encode, encoder.encoder().encode, lambda image: encode_photos(encoder, image)):
        with pytest.raises(ValueError, match=r"image\[None\]"):
            encode(images[0])
    with pytest.raises(ValueError, match="were expected, one a row"):
        encoder.encode_images(images[0])
    assert len(encoder.encode(images[:1])) == len(encode_photos(encoder, [images[0]])) == 1


# ---- in scikit-learn's pipelines


def test_dense_codes_for_a_pipeline():
    pipeline = pytest.importorskip("sklearn.pipeline")
    linear = pytest.importorskip("sklearn.linear_model")
    images, labels = bars(60)
    encoder = ImageEncoder(24, k=4, random_state=0, **SMALL)
    model = pipeline.make_pipeline(encoder, linear.LogisticRegression()).fit(images, labels)
    assert model.score(images, labels) > 0.9
    np.testing.assert_array_equal(model[0].transform(images), model[0].encode(images).to_dense())
    np.testing.assert_array_equal(
        ImageEncoder(24, k=4, random_state=0, **SMALL).fit_transform(images), model[0].transform(images)
    )
    assert list(model[0].get_feature_names_out())[:2] == ["imageencoder0", "imageencoder1"]
    assert len(model[0].get_feature_names_out()) == 24


def test_bytes_and_back_and_a_newer_nsae(fitted, tmp_path):
    images, _ = bars(5, seed=1)
    expected = fitted.encode(images)
    assert same(ImageEncoder.from_bytes(fitted.to_bytes()).encode(images), expected)
    pipeline = fitted.encoder()
    assert same(type(pipeline).from_bytes(pipeline.to_bytes()).encode(images), expected)
    with pytest.raises(ModelFormatError, match=r"^The content is not a whole nsae model file"):
        ImageEncoder.from_bytes(fitted.to_bytes()[:999])
    header = {**fitted.header, "nsae": "7.1.0"}
    header["params"] = {**header["params"], "sharpness": 1}
    path = tmp_path / "newer.npz"
    write_model(path, header, arrays_of_encoder(fitted._parts()))
    with pytest.raises(
        ModelFormatError, match=r"written by nsae '7.1.0', in model format 2,.*not know: 'sharpness'"
    ):
        ImageEncoder.load(path)
