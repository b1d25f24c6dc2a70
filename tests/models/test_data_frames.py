"""Data frames in and out: names of columns are kept, checked, and given to the codes."""

import sys
import warnings

import numpy as np
import pytest

from nsae import Encoder, MissingExtraError, SparseAutoencoder
from nsae.models import data_frames
from nsae.models.data_frames import feature_names

DATA = np.random.default_rng(0).random((30, 3))
NAMES = ["height", "width", "depth"]
CODES = [f"sparseautoencoder{j}" for j in range(5)]


@pytest.fixture
def pd():
    return pytest.importorskip("pandas")


@pytest.fixture
def frame(pd):
    return pd.DataFrame(DATA, columns=NAMES, index=[f"row {i}" for i in range(30)])


def model(**options):
    return SparseAutoencoder(5, k=2, epochs=2, random_state=0, **options)


class Frame:
    """The least that a data frame is, so that names are tested without pandas too."""

    def __init__(self, data, columns):
        self.data, self.columns, self.shape = data, columns, data.shape

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.data, dtype)


def test_names_are_kept_and_the_codes_are_those_of_the_array():
    fitted = model().fit(Frame(DATA, NAMES))
    assert fitted.feature_names_in_.tolist() == NAMES
    assert fitted.feature_names_in_.dtype == object
    np.testing.assert_array_equal(fitted.transform(Frame(DATA, NAMES)), model().fit(DATA).transform(DATA))


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_reordered_columns_are_refused_wherever_data_comes_in(learn):
    fitted = getattr(model(), learn)(Frame(DATA, NAMES))
    other = Frame(DATA[:, ::-1], NAMES[::-1])
    for use in (fitted.transform, fitted.encode, fitted.score, fitted.partial_fit, fitted.encoder().encode,
                fitted.encoder().transform):  # fmt: skip
        with pytest.raises(ValueError, match=r"same order as they were in fit.\nReorder them: X\[list\("):
            use(other)


def test_other_columns_are_named():
    fitted = model().fit(Frame(DATA, NAMES))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- weight\n.*now missing:\n- depth\n"):
        fitted.transform(Frame(DATA, ["height", "width", "weight"]))
    many = SparseAutoencoder(3, epochs=1).fit(Frame(np.ones((4, 9)), [f"a{i}" for i in range(9)]))
    with pytest.raises(ValueError, match=r"- b4\n- \.\.\.\n"):
        many.transform(Frame(np.ones((4, 9)), [f"b{i}" for i in range(9)]))


def test_names_on_one_side_alone_are_a_warning():
    fitted, without = model().fit(Frame(DATA, NAMES)), model().fit(DATA)
    with pytest.warns(
        UserWarning, match="X does not have valid feature names, but SparseAutoencoder was fitted"
    ):
        fitted.transform(DATA)
    with pytest.warns(UserWarning, match="X has feature names, but SparseAutoencoder was fitted without"):
        without.transform(Frame(DATA, NAMES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.encoder().encode(DATA)  # the frozen model is mostly given arrays
        without.transform(DATA)


def test_a_fit_on_an_array_forgets_the_names_and_one_that_fails_keeps_them():
    fitted = model().fit(Frame(DATA, NAMES))
    with pytest.raises(ValueError, match="NaN"):
        fitted.fit(Frame(np.full((3, 2), np.nan), ["a", "b"]))
    assert fitted.feature_names_in_.tolist() == NAMES
    assert not hasattr(fitted.fit(DATA), "feature_names_in_")


def test_names_are_in_the_file(tmp_path):
    path = tmp_path / "model.npz"
    model().fit(Frame(DATA, NAMES)).save(path)
    loaded, encoder = SparseAutoencoder.load(path), Encoder.load(path)
    assert loaded.feature_names_in_.tolist() == encoder.feature_names.tolist() == NAMES
    for use in (loaded.transform, encoder.transform, encoder.encode):
        with pytest.raises(ValueError, match="same order"):
            use(Frame(DATA, NAMES[::-1]))


def test_only_names_that_are_all_text_count():
    assert feature_names(DATA) is None
    assert feature_names(Frame(DATA, [0, 1, 2])) is None
    with pytest.raises(TypeError, match=r"\['int', 'str'\].*astype\(str\)"):
        model().fit(Frame(DATA, [0, "b", "c"]))


def test_names_out():
    fitted = model().fit(Frame(DATA, NAMES))
    assert fitted.get_feature_names_out().tolist() == fitted.get_feature_names_out(NAMES).tolist() == CODES
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        fitted.get_feature_names_out(NAMES[::-1])
    with pytest.raises(ValueError, match=r"number of features \(3\), got 2"):
        model().fit(DATA).get_feature_names_out(["a", "b"])


# ---- frames out


def test_set_output(pd, frame):
    plain = model().fit(frame).transform(frame)
    fitted = model().fit(frame)
    assert fitted.set_output(transform="pandas") is fitted
    Z = fitted.transform(frame)
    assert isinstance(Z, pd.DataFrame)
    assert Z.columns.tolist() == CODES
    assert Z.index.tolist() == frame.index.tolist()
    assert set(Z.dtypes) == {np.dtype("float32")}
    np.testing.assert_array_equal(Z, plain)
    pd.testing.assert_frame_equal(model().set_output(transform="pandas").fit_transform(frame), Z)
    fitted.set_output()  # changes nothing
    assert isinstance(fitted.transform(frame), pd.DataFrame)
    assert isinstance(fitted.set_output(transform="default").transform(frame), np.ndarray)
    with pytest.raises(ValueError, match="transform='xarray'"):
        fitted.set_output(transform="xarray")


def test_set_output_of_an_array(pd):
    Z = model().set_output(transform="pandas").fit_transform(DATA)
    assert Z.index.tolist() == list(range(30))


def test_polars(frame):
    pl = pytest.importorskip("polars")
    Z = model().set_output(transform="polars").fit_transform(DATA)
    assert isinstance(Z, pl.DataFrame)
    assert Z.columns == CODES


def test_a_copy_has_an_output_of_its_own(pd, frame):
    fitted = model().fit(frame)
    other = fitted.with_k(1).set_output(transform="pandas")
    assert isinstance(other.transform(frame), pd.DataFrame)
    assert isinstance(fitted.transform(frame), np.ndarray)


def test_without_pandas_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    fitted = model().fit(DATA).set_output(transform="pandas")
    with pytest.raises(MissingExtraError, match="pip install pandas"):
        fitted.transform(DATA)


# ---- inside of scikit-learn


@pytest.fixture
def sklearn(pd):
    return pytest.importorskip("sklearn", minversion="1.6")


@pytest.mark.usefixtures("sklearn")
def test_the_global_setting(pd, frame):
    from sklearn import config_context

    fitted = model().fit(frame)
    with config_context(transform_output="pandas"):
        assert isinstance(fitted.transform(frame), pd.DataFrame)
        fitted.set_output(transform="default")
        assert isinstance(fitted.transform(frame), np.ndarray)  # its own setting comes first


@pytest.mark.usefixtures("sklearn")
def test_pipeline_column_transformer_and_feature_union(pd, frame):
    from sklearn.base import clone
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    pipeline = make_pipeline(MinMaxScaler(), model()).set_output(transform="pandas")
    Z = pipeline.fit_transform(frame)
    assert (Z.columns.tolist(), Z.index.tolist()) == (CODES, frame.index.tolist())
    assert pipeline[-1].feature_names_in_.tolist() == NAMES
    assert clone(pipeline[-1])._sklearn_output_config == {"transform": "pandas"}

    columns = ColumnTransformer([("codes", model(), ["width", "depth"]), ("rest", "passthrough", ["height"])])
    Z = columns.set_output(transform="pandas").fit_transform(frame)
    assert Z.columns.tolist() == [*(f"codes__{name}" for name in CODES), "rest__height"]
    assert columns.named_transformers_["codes"].feature_names_in_.tolist() == ["width", "depth"]

    union = FeatureUnion([("codes", model()), ("scaled", MinMaxScaler())]).set_output(transform="pandas")
    Z = union.fit_transform(frame)
    assert Z.columns.tolist() == [*(f"codes__{n}" for n in CODES), *(f"scaled__{n}" for n in NAMES)]
    assert Z.index.tolist() == frame.index.tolist()


def test_nothing_of_it_is_imported():
    assert not {"pandas", "polars", "sklearn"} & set(vars(data_frames))


@pytest.mark.usefixtures("sklearn")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name",
    [
        "check_dataframe_column_names_consistency",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_global_output_transform_pandas",
    ],
)
def test_scikit_learns_own_checks(name):
    from sklearn.utils import estimator_checks

    getattr(estimator_checks, name)("SparseAutoencoder", model())
