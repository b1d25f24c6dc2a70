"""What trains a model is compared with what one reads: a term dropped from a compiled loop is noticed."""

import numpy as np
import pytest
from mutations import MUTATIONS, broken_backward, with_term

from nsae import SparseAutoencoder, check_gradients
from nsae.equations.optimizers import Adam
from nsae.training import definitions

MODELS = {
    "relu": {"l1": 0.1, "weight_decay": 0.02},
    "sigmoid": {"activation": "sigmoid", "kl": 0.5, "output": "sigmoid"},
    "cross-entropy": {"output": "sigmoid", "loss": "cross_entropy"},
    "k-sparse": {"k": 3, "l1": 0.1, "weight_decay": 0.02},
    "unit norm": {"k": 3, "unit_norm": True, "weight_decay": 0.02},
    "dense unit norm": {"unit_norm": True, "l1": 0.1},
    "adam": {"l1": 0.1, "weight_decay": 0.02, "max_grad_norm": 0.01},
    "clipped": {"k": 3, "max_grad_norm": 0.01},
    "auxiliary": {"k": 2, "aux_weight": 0.2, "dead_after": 20, "resample": True},
}


@pytest.fixture
def fitted(rng):
    def fit(name, backend):
        if backend == "numba":
            pytest.importorskip("numba")
        X = rng.random((24, 6))
        options = {"epochs": 3, "batch_size": 8, "random_state": 0, "backend": backend, **MODELS[name]}
        return SparseAutoencoder(10, **options).fit(X), X

    return fit


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_the_step_of_each_backend_is_the_definitions(fitted, name, backend):
    model, X = fitted(name, backend)
    weights = model.autoencoder_.encoder_layer.W.copy()
    idle, t = model._state.idle.copy(), model._state.optimizer.t
    check = check_gradients(model, X)
    assert check.step.backend == model.backend_ == backend
    assert check.ok
    assert check.max_error < 1e-8
    assert "step right" in str(check)
    np.testing.assert_array_equal(model.autoencoder_.encoder_layer.W, weights)  # the model stays as it was
    np.testing.assert_array_equal(model._state.idle, idle)
    assert model._state.optimizer.t == t


# What is dropped from a loop, by its definition: (loop, term, what stands there instead, the model that has it).
DROPPED = [
    ("gate_sigmoid", "(dZ[lo:hi] + penalty_grad)", "dZ[lo:hi]", "sigmoid"),
    ("gate_sigmoid", " * (1 - Z[lo:hi])", "", "sigmoid"),
    ("gate_relu", "(dZ[lo:hi] + penalty_grad)", "dZ[lo:hi]", "relu"),
    ("gate_relu", " * (Z[lo:hi] > 0)", "", "relu"),
    ("gate_relu", "db += dZ[lo:hi].sum(axis=0)", "pass", "relu"),
    ("squared_output", " / len(X)", "", "relu"),
    ("squared_output", "dc += U[lo:hi].sum(axis=0)", "pass", "relu"),
    ("squared_output", "squares += np.square(error).sum(axis=0)", "pass", "relu"),
    ("sigmoid_output", "(X_hat * (1 - X_hat) if keep_slope else 1)", "1", "sigmoid"),
    ("sigmoid_output", " + L[lo:hi]", "", "cross-entropy"),
    ("bias_relu", "Y[lo:hi] + b", "Y[lo:hi]", "relu"),
    ("sigmoid_units", "total += Z.sum(axis=0)", "total += 0.9 * Z.sum(axis=0)", "sigmoid"),
    ("tangent_rows", "dV[lo:hi] = tangent(dV[lo:hi].T, V[lo:hi].T).T", "pass", "dense unit norm"),
    ("normalise_rows", "normalise_columns(V[lo:hi].T)", "pass", "dense unit norm"),
    ("decode_and_backprop", " + factors.l1", "", "k-sparse"),
    ("decode_and_backprop", "dZ * (values > 0)", "dZ * 1.01", "k-sparse"),
    ("decode_and_backprop", " + c", "", "k-sparse"),
    ("decode_and_backprop", "error * factors.scale", "error", "k-sparse"),
    ("decode_and_backprop", "grads.dc[:] += dU.sum(axis=0)", "pass", "k-sparse"),
    ("adam_units", "[(c, c + d, 0)] * (hi == h)", "[]", "relu"),
    ("adam_units", "(b + lo, b + hi, 0)", "(b + lo, b + lo, 0)", "relu"),
]


@pytest.mark.parametrize(("function", "term", "broken", "name"), DROPPED)
def test_a_term_dropped_from_a_compiled_loop_is_noticed(fitted, monkeypatch, function, term, broken, name):
    model, X = fitted(name, "numba")
    from nsae import kernels

    monkeypatch.setattr("nsae.training.small_step.MOST_WEIGHTS", 0)  # these loops are called from Python
    monkeypatch.setattr(kernels, function, getattr(definitions, function))
    assert check_gradients(model, X).ok  # the definition in the place of the loop changes nothing
    monkeypatch.setattr(kernels, function, with_term(getattr(definitions, function), term, broken))
    check = check_gradients(model, X)
    assert not check.ok
    assert check.max_error > 1e-4
    assert "WRONG  one step of the compiled loops differs" in str(check)
    assert all(finding.verdict == "right" for finding in check.findings.values())  # these are the equations'


@pytest.mark.parametrize(
    ("term", "broken"),
    [
        ("m1[some] += rates.one_minus_beta1 * (g - m1[some])", "pass"),
        ("m2[some] += rates.one_minus_beta2 * (g * g - m2[some])", "pass"),
        ("* rates.clip_factor", ""),
        (" + decay * theta[some]", ""),
        ("m2[some] * rates.correction2", "m2[some]"),
        ("np.sqrt(m2_hat) + rates.eps", "np.sqrt(m2_hat + rates.eps)"),
        (
            "(np.sqrt(m2_hat) + rates.eps)",
            "(np.sqrt(m2_hat) + rates.eps); m2[some] = 0",
        ),  # used, and not kept
        ("(np.sqrt(m2_hat) + rates.eps)", "(np.sqrt(m2_hat) + rates.eps); m1[some] = 0"),
    ],
)
def test_a_term_dropped_from_the_loop_of_adam_is_noticed(fitted, monkeypatch, term, broken):
    model, X = fitted("adam", "numba")
    from nsae import kernels

    monkeypatch.setattr("nsae.training.small_step.MOST_WEIGHTS", 0)  # the loop is called from Python
    changed = with_term(definitions.adam, term, broken)
    monkeypatch.setattr(definitions, "adam", changed)
    monkeypatch.setattr(kernels, "adam_units", definitions.adam_units)
    check = check_gradients(model, X)
    assert not check.ok
    assert "compiled loops differs" in str(check)


@pytest.mark.parametrize(
    ("term", "broken"),
    [
        ("(1 - self.beta1) * (g - m1)", "(1 - self.beta1) * (g + m1)"),
        ("(g * g - m2)", "(2 * g * g - m2)"),
        ("m1 / (1 - self.beta1**self.t)", "m1"),
        ("np.sqrt(m2_hat) + self.eps", "np.sqrt(m2_hat + self.eps)"),
        ("theta -= ", "theta += "),
    ],
)
def test_a_change_in_the_page_of_adam_is_noticed(fitted, monkeypatch, term, broken):
    model, X = fitted("relu", "numpy")
    monkeypatch.setattr(Adam, "step", with_term(Adam.step, term, broken))
    check = check_gradients(model, X)
    assert not check.ok
    assert "equations in NumPy differs" in str(check)


def test_a_sign_changed_in_the_page_of_backward_changes_training_and_is_told(fitted):
    """With the backend that the page is, it also trains otherwise: the loss rises."""
    right, X = fitted("relu", "numpy")
    assert right.history_["loss"][-1] < right.history_["loss"][0]
    with broken_backward(MUTATIONS["output gradient, sign"]):
        wrong, _ = fitted("relu", "numpy")
        assert wrong.history_["loss"][-1] > wrong.history_["loss"][0] > 0
        assert "the sign is wrong" in str(check_gradients(wrong, X))


def test_before_fit_there_is_no_step_and_after_load_there_is(rng, tmp_path):
    X = rng.random((20, 5))
    model = SparseAutoencoder(4, epochs=1, backend="numpy")
    assert check_gradients(model, X).step is None
    model.fit(X).save(tmp_path / "model.npz")
    assert check_gradients(SparseAutoencoder.load(tmp_path / "model.npz"), X).ok


def test_a_model_that_numba_trained_can_be_checked_without_numba(rng, monkeypatch):
    X = rng.random((20, 5))
    model = SparseAutoencoder(4, epochs=1, backend="numpy").fit(X)
    model._state.backend = "numba"
    from nsae.system import backends

    monkeypatch.setattr(backends, "_problem_of_numba", lambda: "is not installed")
    check = check_gradients(model, X)
    assert check.step.backend == "numpy"
    assert check.ok


def test_a_tangent_that_is_none_is_noticed_with_numpy_too(fitted, monkeypatch):
    model, X = fitted("unit norm", "numpy")
    monkeypatch.setattr("nsae.training.loop.tangent", lambda dV, V: dV)
    assert "m1 V" in str(check_gradients(model, X))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize(
    "options", [{"k": 3, "learning_rate": 1.0}, {"l1": 50.0, "unit_norm": True}], ids=str
)
def test_where_all_units_are_off_the_step_is_right(rng, backend, options):
    """What a student checks after a warning that nothing was learned: gradients are 0, and moments fade."""
    if backend == "numba":
        pytest.importorskip("numba")
    X = rng.random((300, 20))
    model = SparseAutoencoder(8, epochs=60, random_state=0, backend=backend, **options).fit(X)
    assert check_gradients(model, X[:8]).ok, str(check_gradients(model, X[:8]))


def test_steps_shorter_than_rounding_are_no_mistake(rng):
    X = rng.random((30, 6))
    model = SparseAutoencoder(5, epochs=1, learning_rate=1e-13, backend="numpy").fit(X)
    assert check_gradients(model, X).ok


def test_what_has_no_gradients_is_refused(rng):
    X = rng.random((30, 6))
    model = SparseAutoencoder(5, epochs=1).fit(X)
    for other in (model.encoder(), None):
        with pytest.raises(TypeError, match="A SparseAutoencoder or an Autoencoder was expected"):
            check_gradients(other, X)
    bits = SparseAutoencoder(5, output="sigmoid", loss="cross_entropy", epochs=1).fit(X)
    with pytest.raises(ValueError, match="5"):
        check_gradients(bits, X * 5)
