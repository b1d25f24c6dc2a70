"""SparseAutoencoder as an object: its parameters, its words, its score, its names, and its pickles."""

import copy
import inspect
import pickle
import sys

import numpy as np
import pytest

from nsae import Autoencoder, NotFittedError, SparseAutoencoder
from nsae.equations.activations import KSparse, ReLU
from nsae.equations.layers import Dense

DATA = np.random.default_rng(0).random((60, 6))


@pytest.fixture(scope="module")
def fitted():
    return SparseAutoencoder(8, k=3, epochs=2, random_state=0).fit(DATA)


def perfect(d):
    """An estimator whose reconstructions of data ≥ 0 are exact: W = V = I."""
    model = SparseAutoencoder(d, dtype="float64", epochs=1).fit(np.random.default_rng(0).random((9, d)))
    model._state.model = Autoencoder(
        Dense(np.eye(d), np.zeros(d)), Dense(np.eye(d), np.zeros(d)), ReLU(), output="linear"
    )
    return model


# ---- parameters


def test_init_stores_its_arguments_and_does_nothing_else():
    names = list(inspect.signature(SparseAutoencoder).parameters)
    marks = {name: object() for name in names}
    model = SparseAutoencoder(**marks)
    assert vars(model) == marks
    assert model.get_params() == marks
    assert list(model.get_params()) == names


def test_set_params():
    model = SparseAutoencoder(8)
    assert model.set_params(k=3, l1=0.5) is model
    assert (model.k, model.l1, model.n_units) == (3, 0.5, 8)
    assert model.set_params() is model


def test_set_params_refuses_a_name_before_it_changes_anything():
    model = SparseAutoencoder(8)
    with pytest.raises(ValueError, match=r"'units'.*n_units, activation"):
        model.set_params(k=3, units=9)
    assert model.k is None


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (SparseAutoencoder(), "SparseAutoencoder()"),
        (SparseAutoencoder(8, k=3), "SparseAutoencoder(n_units=8, k=3)"),
        (SparseAutoencoder(l1=0, dtype="float64"), "SparseAutoencoder(l1=0, dtype='float64')"),
        (SparseAutoencoder(l1=float("nan")), "SparseAutoencoder(l1=nan)"),
    ],
)
def test_repr_shows_what_is_not_default(model, shown):
    assert repr(model) == shown


# ---- fitting and using


def test_methods_before_fit():
    model = SparseAutoencoder(8)
    for use in (model.transform, model.encode, model.inverse_transform, model.score, model.save):
        with pytest.raises(NotFittedError, match=r"not fitted yet. Call fit\(X\), partial_fit\(X\) or load"):
            use(DATA)
    for use in (
        model.encoder,
        model.to_bytes,
        model.get_feature_names_out,
        lambda: model.with_k(1),
        lambda: model.with_threshold(0.1),
    ):
        with pytest.raises(NotFittedError):
            use()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fitted_attributes(dtype):
    model = SparseAutoencoder(8, epochs=3, dtype=dtype)
    assert model.fit(DATA, y="ignored") is model
    assert {name for name in dir(model) if name.endswith("_") and name[0] != "_"} == {
        "autoencoder_", "history_", "stopped_", "n_iter_", "n_features_in_", "preprocessing_",
        "backend_",
    }  # fmt: skip
    assert (model.n_features_in_, model.n_iter_, model.stopped_) == (6, 3, "epochs")
    assert {value.dtype for value in model.autoencoder_.params.values()} == {np.dtype(dtype)}


def test_fit_begins_anew():
    model = SparseAutoencoder(8, epochs=2, random_state=0)
    first = model.fit(DATA[:, :4]).fit(DATA).transform(DATA)
    np.testing.assert_array_equal(first, SparseAutoencoder(8, epochs=2, random_state=0).fit_transform(DATA))
    assert model.n_iter_ == 2


def test_numpy_numbers_are_as_good_as_pythons():
    plain = {"l1": 0.125, "weight_decay": 0.25, "learning_rate": 0.001}
    numpy = {name: np.float64(value) for name, value in plain.items()}
    a, b = (SparseAutoencoder(8, random_state=0, epochs=2, **options).fit(DATA) for options in (plain, numpy))
    assert a.transform(DATA).tobytes() == b.transform(DATA).tobytes()


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_input_is_never_written_to(learn):
    X = DATA.astype(np.float32)
    X.flags.writeable = False
    model = getattr(SparseAutoencoder(8), learn)(X)
    model.score(X)
    model.encode(X)


def test_core_for_is_what_fit_would_start_from(fitted):
    assert fitted.core_for(DATA) is fitted.autoencoder_
    model = SparseAutoencoder(8, k=3, epochs=1, learning_rate=0, random_state=0)
    start = model.core_for(DATA).params
    assert not model.__sklearn_is_fitted__()
    for name, value in model.fit(DATA).autoencoder_.params.items():
        np.testing.assert_array_equal(value, start[name])


def test_feature_names(fitted):
    names = fitted.get_feature_names_out()
    assert names.tolist() == [f"sparseautoencoder{j}" for j in range(8)]
    assert names.dtype == object


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_pickles_and_copies_go_on_as_the_original(fitted, duplicate):
    original, other = copy.deepcopy(fitted), duplicate(fitted)
    assert other.transform(DATA).tobytes() == original.transform(DATA).tobytes()
    for model in (original, other):
        model.partial_fit(DATA)
    assert other.transform(DATA).tobytes() == original.transform(DATA).tobytes()


# ---- the fitted model, used otherwise


def test_with_k_keeps_more_or_fewer_units(fitted):
    X = DATA - DATA.mean(axis=0)
    for k in (1, 5):
        other = fitted.with_k(k)
        Y = fitted.autoencoder_.encoder_layer.forward(X.astype(np.float32))
        np.testing.assert_allclose(other.transform(X), KSparse(k)(Y), rtol=1e-4, atol=1e-6)
        assert (other.k, other.encoder().header["params"]["k"]) == (k, k)
        assert other.autoencoder_.encoder_layer.W is fitted.autoencoder_.encoder_layer.W
    assert (fitted.k, fitted.autoencoder_.g.k) == (3, 3)
    with pytest.raises(ValueError, match="k=9 is more than n_units=8"):
        fitted.with_k(9)


def test_with_threshold_takes_it_off_every_activation(fitted):
    Z = fitted.transform(DATA)
    other = fitted.with_threshold(0.1)
    np.testing.assert_allclose(other.transform(DATA), np.maximum(Z - np.float32(0.1), 0), atol=1e-6)
    np.testing.assert_array_equal(fitted.transform(DATA), Z)


# ---- score


def test_score_of_a_perfect_model_is_one():
    assert perfect(5).score(DATA[:, :5]) == 1.0


@pytest.mark.parametrize("n", [2, 60, 128, 1000])
@pytest.mark.parametrize("offset", [0, 1e5])
def test_score_is_explained_variance(n, offset):
    r2_score = pytest.importorskip("sklearn.metrics").r2_score
    model = SparseAutoencoder(8, epochs=3, dtype="float64", random_state=0).fit(DATA)
    X = np.random.default_rng(1).random((n, 6)) * [1, 2, 3, 4, 5, 6] + offset
    X_hat = model.inverse_transform(model.transform(X))
    assert model.score(X) == pytest.approx(r2_score(X, X_hat, multioutput="variance_weighted"), rel=1e-8)


def test_score_of_the_mean_is_zero():
    model = perfect(3)
    X = np.random.default_rng(0).random((500, 3))
    model.autoencoder_.decoder_layer.W[...] = 0
    model.autoencoder_.decoder_layer.b[...] = X.mean(0)
    assert model.score(X) == pytest.approx(0, abs=1e-12)


def test_score_of_data_without_variance():
    model = perfect(3)
    X = np.full((500, 3), 0.1)
    assert model.score(X) == 1
    model.autoencoder_.decoder_layer.b[...] = 1
    assert model.score(X) == 0


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float16, ">f4"])
def test_score_of_any_kind_of_number(fitted, dtype):
    X = (DATA > 0.5).astype(dtype)
    assert fitted.score(X) == pytest.approx(fitted.score(X.astype(float)), rel=1e-12)


def test_the_last_epoch_of_history_is_the_score_when_nothing_moves():
    model = SparseAutoencoder(8, epochs=1, learning_rate=0, dtype="float64").fit(DATA)
    assert model.history_["explained_variance"][0] == pytest.approx(model.score(DATA), rel=1e-10)


def test_partial_fit_goes_on_with_what_set_params_has_said(rng):
    X = rng.random((60, 6))
    model = SparseAutoencoder(8, epochs=2, random_state=0).fit(X)
    model.set_params(l1=0.5, learning_rate=0.01).partial_fit(X)
    assert model.autoencoder_.l1 == 0.5
    assert model._state.optimizer.learning_rate == 0.01
    assert model.history_["l1"][-1] > 0 == model.history_["l1"][0]
    before = model.transform(X)
    with pytest.raises(ValueError, match="n_units=9"):
        model.set_params(n_units=9).partial_fit(X)
    np.testing.assert_array_equal(model.transform(X), before)


# ---- what the history says of each unit, and who took the steps


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_history_has_the_mean_activation_of_each_sigmoid_unit(rng, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    X = rng.random((50, 6))
    model = SparseAutoencoder(
        5,
        activation="sigmoid",
        kl=0.1,
        epochs=3,
        batch_size=16,
        learning_rate=1e-12,
        random_state=0,
        backend=backend,
    ).fit(X)
    assert len(model.history_["rho_hat"]) == 3
    for rho_hat in model.history_["rho_hat"]:  # such small steps change nothing
        assert rho_hat.dtype == np.float32
        np.testing.assert_allclose(rho_hat, model.transform(X).mean(axis=0), rtol=1e-5)
    assert model.backend_ == backend
    assert "rho_hat" not in SparseAutoencoder(5, k=2, epochs=1).fit(X).history_


def test_mean_activations_are_saved_and_come_back(rng, tmp_path):
    X = rng.random((50, 6))
    model = SparseAutoencoder(5, activation="sigmoid", kl=0.1, epochs=2, random_state=0).fit(X)
    model.save(tmp_path / "model.npz")
    again = SparseAutoencoder.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.history_["rho_hat"], model.history_["rho_hat"])
    assert again.backend_ == model.backend_
    again.partial_fit(X)
    assert len(again.history_["rho_hat"]) == again.n_iter_ == 3


def test_backend_says_who_took_the_steps(rng):
    X = rng.random((30, 6))
    assert SparseAutoencoder(5, epochs=1).fit(X).backend_ == "numpy"  # too little work for Numba's import
    with pytest.raises(NotFittedError):
        SparseAutoencoder(5).backend_  # noqa: B018


def test_dead_units_are_those_that_no_row_activates(rng):
    X = rng.random((300, 6))
    model = SparseAutoencoder(40, k=2, epochs=1, random_state=0).fit(X)
    model.autoencoder_.encoder_layer.b[[3, 20]] = -100
    dead = model.dead_units(X)
    np.testing.assert_array_equal(dead, np.flatnonzero((model.transform(X) == 0).all(axis=0)))
    assert {3, 20} <= set(dead)
    assert len(dead) < 40
    np.testing.assert_array_equal(model.encoder().dead_units(X), dead)
    sigmoid = SparseAutoencoder(4, activation="sigmoid", epochs=1, random_state=0).fit(X)
    sigmoid.autoencoder_.encoder_layer.b[2] = -10
    np.testing.assert_array_equal(sigmoid.dead_units(X), [2])
    with pytest.raises(ValueError, match="5 features"):
        model.dead_units(X[:, :5])


@pytest.mark.parametrize("first", ["sigmoid", "relu"])
def test_mean_activations_fit_the_epochs_whatever_the_units_were(rng, tmp_path, first):
    X = rng.random((50, 6))
    model = SparseAutoencoder(5, activation=first, epochs=3, random_state=0).fit(X)
    model.set_params(activation="relu" if first == "sigmoid" else "sigmoid").partial_fit(X)
    rho_hat = np.array(model.history_["rho_hat"])
    assert rho_hat.shape == (4, 5)
    np.testing.assert_array_equal(
        np.isnan(rho_hat).all(axis=1), np.array([first == "relu"] * 3 + [first != "relu"])
    )
    model.save(tmp_path / "model.npz")
    again = SparseAutoencoder.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.history_["rho_hat"], rho_hat)
    with pytest.raises(NotFittedError):
        SparseAutoencoder(5).history_  # noqa: B018


def test_a_notebook_shows_a_table_where_scikit_learn_is_not_loaded(monkeypatch, rng):
    monkeypatch.delitem(sys.modules, "sklearn", raising=False)
    model = SparseAutoencoder(4, k=2, epochs=1)
    assert "<caption>SparseAutoencoder, not fitted</caption>" in model._repr_html_()
    assert "<tr><td>k</td><td>2</td></tr>" in model._repr_html_()
    assert "SparseAutoencoder, fitted" in model.fit(rng.random((9, 3)))._repr_html_()
    assert "all parameters" in SparseAutoencoder()._repr_html_()
    assert "&lt;script&gt;" in SparseAutoencoder(activation="<script>")._repr_html_()
