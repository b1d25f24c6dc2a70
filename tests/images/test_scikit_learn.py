"""ImageEncoder inside of scikit-learn: its own checks, given images; pipelines, grid searches, output, routing."""

import copy
import pickle

import numpy as np
import pytest
from small_images import SMALL, bars

from nsae.images import ImageEncoder
from nsae.images.features.neighbours import NeighbourMap

pytest.importorskip("sklearn", minversion="1.6")
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import check_estimator

TINY = {"patch_size": 3, "patch_units": 8, "patch_k": 2, "n_components": 4, "grid": 2, "epochs": 1,
        "patch_epochs": 1, "random_state": 0}  # fmt: skip

# scikit-learn's checks that ImageEncoder does not pass, each with its reason.
ROWS = "the check itself computes with rows of numbers, where these are images"
EXPECTED_TO_FAIL = {
    "check_n_features_in": "images have a height and a width, not a number of features",
    "check_n_features_in_after_fitting": "images have a height and a width, not a number of features",
    "check_estimators_dtypes": "int64 pixels are refused: what their largest value is cannot be known",
    "check_estimators_nan_inf": f"{ROWS}; NaN is tested in test_encoder.py",
    "check_estimator_sparse_tag": f"{ROWS}; sparse data is tested below",
    "check_estimator_sparse_array": f"{ROWS}; sparse data is tested below",
    "check_estimator_sparse_matrix": f"{ROWS}; sparse data is tested below",
    "check_transformer_data_not_an_array": f"{ROWS}; other arrays are tested below",
    "check_transformer_general": f"{ROWS}; fit_transform is tested below",
    "check_methods_subset_invariance": f"{ROWS}; test_encoder.py tests that an image's code is its own",
    "check_fit2d_1sample": "one image is refused, by a text that speaks of images and not of samples",
}
NEEDS_A_SETTING = {"check_array_api_input"}  # the environment variable SCIPY_ARRAY_API


class GivenRows(ImageEncoder):
    """Says that it takes rows: without that, scikit-learn runs no check at all."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def as_images(estimator, X, X_test=None, kernel=None):
    """Return an image for each row of X (n, d): what scikit-learn's checks then fit and transform."""

    def images(rows):
        patterns = np.random.default_rng(0).normal(size=(rows.shape[1], 36))
        return (1 / (1 + np.exp(-np.asarray(rows, float) @ patterns))).reshape(len(rows), 6, 6)

    return images(X) if X_test is None else (images(X), images(X_test))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_check_estimator_with_images(monkeypatch):
    monkeypatch.setattr(estimator_checks, "_enforce_estimator_tags_X", as_images)
    done = check_estimator(
        GivenRows(8, 2, **TINY), on_fail=None, on_skip=None, expected_failed_checks=EXPECTED_TO_FAIL
    )
    status = {check["check_name"]: check["status"] for check in done}
    others = {name for name, what in status.items() if what != "passed"}
    assert others - set(EXPECTED_TO_FAIL) <= NEEDS_A_SETTING, [c for c in done if c["status"] == "failed"]
    assert sum(what == "passed" for what in status.values()) >= 30
    # What passes by now is taken from the list.  One check of it is not in every release.
    assert set(EXPECTED_TO_FAIL) - others <= {"check_estimator_sparse_tag"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_check_estimator_of_the_class_itself():
    """Without rows, scikit-learn checks that it can be cloned."""
    done = check_estimator(ImageEncoder(8, 2, **TINY), on_skip=None)
    assert [check["status"] for check in done] == ["passed"] * len(done) != []


def test_tags_say_what_comes_in():
    takes = get_tags(ImageEncoder()).input_tags
    assert (takes.two_d_array, takes.three_d_array, takes.string) == (False, True, True)
    assert takes.positive_only
    assert not takes.sparse


class Wrapped:
    """An array of another library."""

    def __init__(self, images):
        self._images = images

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._images, dtype)


def test_anything_that_numpy_takes_for_an_array():
    images, _ = bars(20)
    fitted = ImageEncoder(8, 2, **TINY).fit(Wrapped(images))
    expected = fitted.transform(images)
    np.testing.assert_array_equal(fitted.transform(Wrapped(images)), expected)
    floats = images / 255
    np.testing.assert_array_equal(fitted.transform(floats.astype(object)), fitted.transform(floats))
    np.testing.assert_array_equal(fitted.fit_transform(images), expected)


def test_what_is_no_image_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    model = ImageEncoder(8, 2, **TINY)
    with pytest.raises(TypeError, match="Sparse data"):
        model.fit(sparse.csr_matrix(np.eye(6)))
    with pytest.raises(ValueError, match="Complex data not supported"):
        model.fit(np.ones((3, 6, 6), complex))
    with pytest.raises(ValueError, match=r"0 feature\(s\) \(shape=\(3, 0, 6\)\)"):
        model.fit(np.ones((3, 0, 6)))
    with pytest.raises(TypeError, match="not all of them are"):
        model.fit(np.full((3, 6, 6), {}, object))
    with pytest.raises(ValueError, match=r"^Negative values in data: Image 1 has the value -0.5"):
        model.fit(np.array([np.zeros((6, 6)), np.full((6, 6), -0.5)]))


def test_paths_in_a_column(tmp_path):
    pd = pytest.importorskip("pandas")
    Image = pytest.importorskip("PIL.Image")
    paths = [str(tmp_path / f"{i}.png") for i in range(12)]
    for path, image in zip(paths, bars(12)[0], strict=True):
        Image.fromarray(image).save(path)
    fitted = ImageEncoder(8, 2, image_size=12, color=False, **TINY).fit(paths)
    expected = fitted.transform(paths)
    for column in (pd.Series(paths), np.array(paths), np.array(paths, object)):
        np.testing.assert_array_equal(fitted.transform(column), expected)


def test_output_in_a_data_frame():
    pd = pytest.importorskip("pandas")
    images, _ = bars(20)
    fitted = ImageEncoder(8, 2, **TINY).fit(images)
    Z = fitted.transform(images)
    frame = clone(fitted).set_output(transform="pandas").fit_transform(images)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == [f"imageencoder{j}" for j in range(8)]
    np.testing.assert_array_equal(frame, Z)
    with config_context(transform_output="pandas"):
        assert isinstance(fitted.transform(images), pd.DataFrame)
    pipeline = make_pipeline(ImageEncoder(8, 2, **TINY)).set_output(transform="pandas")
    pd.testing.assert_frame_equal(pipeline.fit_transform(images), frame)
    assert pipeline.get_feature_names_out().tolist() == frame.columns.tolist()


def test_a_copy_that_was_pickled_encodes_the_same():
    images, _ = bars(20)
    fitted = ImageEncoder(8, 2, **TINY).fit(images)
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(other.transform(images), fitted.transform(images))


def test_a_grid_search_in_two_processes_finds_what_one_finds():
    images, labels = bars(80)
    pipeline = make_pipeline(ImageEncoder(24, random_state=0, **SMALL), LogisticRegression())
    grid = {"imageencoder__k": [2, 8], "logisticregression__C": [1.0, 100.0]}
    one, two = (
        GridSearchCV(pipeline, grid, cv=2, n_jobs=n, error_score="raise").fit(images, labels) for n in (1, 2)
    )
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(two.cv_results_[name], one.cv_results_[name])
    assert two.best_params_ == one.best_params_
    assert two.best_score_ > 0.8
    assert two.predict(images[:3]).shape == (3,)


def test_a_checkpoint_reaches_the_encoder_of_a_pipeline(tmp_path, monkeypatch):
    images, labels = bars(20)
    path = tmp_path / "training.npz"
    expected = ImageEncoder(8, 2, **TINY).fit(images).transform(images)

    def killed(*args):
        raise SystemExit

    with config_context(enable_metadata_routing=True):
        encoder = ImageEncoder(8, 2, **TINY).set_fit_request(checkpoint=True)
        pipeline = make_pipeline(encoder, LogisticRegression())
        with monkeypatch.context() as patch:
            patch.setattr(NeighbourMap, "fit", killed)  # after the first autoencoder, before the second
            with pytest.raises(SystemExit):
                pipeline.fit(images, labels, checkpoint=path)
        assert [file.name for file in tmp_path.iterdir()] == ["training.npz.1"]
        pipeline.fit(images, labels, checkpoint=path)
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(pipeline[0].transform(images), expected)
