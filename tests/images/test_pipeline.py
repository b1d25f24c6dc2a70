"""ImagePipeline: what an ImageEncoder has learned, frozen, and its file."""

import numpy as np
import pytest
from small_images import SMALL, bars

from nsae import ImageEncoder, ModelFormatError, load_encoder
from nsae.equations.layers import Dense
from nsae.images.pipeline import ARRAYS, ImagePipeline
from nsae.models.model_file import write_model

IMAGES, _ = bars(30, color=True)


@pytest.fixture(scope="module")
def learned():
    return ImageEncoder(20, k=6, color_weight=0.5, random_state=0, **SMALL).fit(IMAGES)


def same(a, b):
    return all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("indptr", "units", "values"))


def test_the_pipeline_is_what_the_encoder_encodes_with(learned):
    pipeline = learned.encoder()
    assert same(pipeline.encode(IMAGES), learned.encode(IMAGES))
    assert same(pipeline.encode_images(IMAGES), learned.encode(IMAGES))
    assert pipeline.pooled(IMAGES).tobytes() == learned.pooled(IMAGES).tobytes()
    assert (pipeline.n_units, pipeline.header) == (20, learned.header)
    assert pipeline.preprocessing == {"side": 12, "color": True, "dtype": "uint8"}
    assert pipeline.unit_patterns([0]) is None
    assert pipeline.unit_regions(IMAGES[0], [3, 4]) == learned.unit_regions(IMAGES[0], [3, 4])
    assert pipeline.encoder() is pipeline


def test_one_file_smaller_than_the_encoder_s(learned, tmp_path):
    pipeline = learned.encoder()
    pipeline.save(tmp_path / "pipeline.npz")
    learned.save(tmp_path / "encoder.npz")
    assert (tmp_path / "pipeline.npz").stat().st_size < 0.7 * (tmp_path / "encoder.npz").stat().st_size
    for load in (load_encoder, ImagePipeline.load):
        again = load(tmp_path / "pipeline.npz")
        assert same(again.encode(IMAGES), learned.encode(IMAGES))
        assert again.header["params"] == learned.get_params()
        assert (again.geometry, again.k) == (learned.geometry_, 6)
    (tmp_path / "again.npz").write_bytes(again.to_bytes())
    assert same(load_encoder(tmp_path / "again.npz").encode(IMAGES), learned.encode(IMAGES))
    with pytest.raises(FileExistsError):
        pipeline.save(tmp_path / "pipeline.npz")
    pipeline.save(tmp_path / "pipeline.npz", overwrite=True)
    with pytest.raises(ModelFormatError, match="kind 'image_pipeline'"):
        ImageEncoder.load(tmp_path / "pipeline.npz")


@pytest.mark.parametrize("name", ARRAYS)
def test_a_file_with_a_damaged_part(learned, tmp_path, name):
    path = tmp_path / "pipeline.npz"
    learned.encoder().save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    for damaged in (arrays[name][:-1], None):
        changed = {**arrays, name: damaged}
        np.savez(path, **{n: a for n, a in changed.items() if a is not None})
        with pytest.raises(ModelFormatError, match="not a whole nsae model file"):
            load_encoder(path)


def test_fewer_units_of_the_same_pipeline(learned):
    codes = learned.encode(IMAGES)
    few = learned.encoder().with_k(2)
    assert np.array_equal(few.encode(IMAGES).units, codes.keep(2).units)  # the same, with another threshold
    for k in (0, 21):
        with pytest.raises(ValueError, match=f"k={k} is expected (to be finite and at least 1|from 1 to 20)"):
            few.with_k(k)


def test_parts_that_do_not_fit_are_refused(learned):
    pipeline = learned.encoder()
    wrong = Dense(pipeline.code_layer.W[:, 1:], pipeline.code_layer.b)
    with pytest.raises(ValueError, match="do not fit each other"):
        ImagePipeline(pipeline.features, pipeline.pca, wrong, 6, {})


@pytest.mark.parametrize("patch_k", [0, -1, True, 2.5, "4", None])
def test_a_file_with_an_impossible_k_of_patches_is_refused(learned, tmp_path, patch_k):
    """The compiled loop would write where nothing is."""
    pipeline = learned.encoder()
    header, arrays = pipeline._content(half=False)
    write_model(tmp_path / "model.npz", {**header, "patch_k": patch_k}, arrays, overwrite=False)
    with pytest.raises(ModelFormatError, match="not a whole nsae model file"):
        load_encoder(tmp_path / "model.npz")


def test_numbers_of_numpy_are_as_good_as_python_s(tmp_path):
    images, _ = bars(60)
    numbers = {"k": np.int64(5), "shrink_threshold": np.float32(0.5), "max_images": np.int64(50)}
    more = {name: np.int64(value) for name, value in SMALL.items()}
    encoder = ImageEncoder(random_state=0, **numbers, **more).fit(images)
    assert encoder.n_units_ == 50
    encoder.encoder().save(tmp_path / "pipeline.npz")
    encoder.save(tmp_path / "encoder.npz")
    for name in ("pipeline.npz", "encoder.npz"):
        assert same(load_encoder(tmp_path / name).encode(images), encoder.encode(images))


def test_the_file_has_what_was_fitted_whatever_set_params_says(tmp_path):
    images, _ = bars(60)
    encoder = ImageEncoder(20, k=5, random_state=0, **SMALL).fit(images)
    expected = encoder.encode(images)
    encoder.set_params(k=None, shrink_threshold=2).save(tmp_path / "encoder.npz")
    assert same(ImageEncoder.load(tmp_path / "encoder.npz").encode(images), expected)


def test_an_encoder_s_file_with_nan_is_refused(tmp_path):
    encoder = ImageEncoder(20, k=5, random_state=0, **SMALL).fit(bars(60)[0])
    encoder.pca_.A[0, 0] = np.nan
    encoder.save(tmp_path / "encoder.npz")
    with pytest.raises(ModelFormatError, match="pca_A holds NaN"):
        ImageEncoder.load(tmp_path / "encoder.npz")


def test_images_that_are_all_equal_are_nothing_to_learn_from():
    with pytest.raises(ValueError, match="same pooled vector"):
        ImageEncoder(20, k=5, random_state=0, **SMALL).fit(np.repeat(bars(1)[0], 30, axis=0))
