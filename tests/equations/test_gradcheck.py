"""The gradients are right, and the check that says so can tell when they are not."""

import inspect
import textwrap

import numpy as np
import pytest
from combinations import legal_combinations

from nsae import SparseAutoencoder, check_gradients
from nsae.equations import activations, losses, sparsity
from nsae.equations.activations import KSparse, ReLU, Sigmoid
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.gradcheck import compare_gradients
from nsae.equations.layers import Dense


@pytest.mark.parametrize(("g", "options"), list(legal_combinations()))
def test_eq22_gradient_check(build, rng, g, options):
    check = check_gradients(build(g, **options), rng.random((6, 5)))
    assert check.max_error < 1e-8
    assert check.checked > 0.9 * (check.checked + check.skipped)
    assert set(check.errors) == {"W", "b", "V", "c"}


# (owner, function, the text of one term, the text that breaks it, the combination that has the term)
SIGMOID_SQUARED = {"output": "sigmoid", "loss": "squared"}
MUTATIONS = {
    "output gradient, sign": (losses, "output_gradient", "(X_hat - X)", "(X - X_hat)", ReLU(), {}),
    "output gradient, sum for mean": (losses, "output_gradient", " / len(X)", "", ReLU(), {}),
    "output gradient, mean over features": (losses, "output_gradient", "len(X)", "X.size", ReLU(), {}),
    "output sigmoid, missing slope": (
        losses, "output_gradient", "if sigmoid_then_squared", "if False", ReLU(), SIGMOID_SQUARED),
    "output sigmoid, slope applied where it cancels": (
        losses, "output_gradient", "if sigmoid_then_squared", "if True", ReLU(),
        {"output": "sigmoid", "loss": "cross_entropy"}),
    "dense, dW sign": (Dense, "param_grads", "dY.T @ X", "-dY.T @ X", ReLU(), {}),
    "dense, db sign": (Dense, "param_grads", "dY.sum(", "-dY.sum(", ReLU(), {}),
    "dense, db mean for sum": (Dense, "param_grads", "dY.sum(", "dY.mean(", ReLU(), {}),
    "dense, db over the wrong axis": (
        Dense, "param_grads", "dY.sum(axis=0)", "np.resize(dY.sum(axis=1), dY.shape[1])", ReLU(), {}),
    "dense, missing weight decay": (
        Dense, "param_grads", " + self.weight_decay * self.W", "", ReLU(), {"weight_decay": 0.05}),
    "dense, weight decay sign": (
        Dense, "param_grads", "+ self.weight_decay", "- self.weight_decay", ReLU(), {"weight_decay": 0.05}),
    "dense, input gradient sign": (Dense, "input_grad", "dY @ self.W", "-dY @ self.W", ReLU(), {}),
    "code gradient, missing decoder term": (
        Autoencoder, "backward", "self.decoder_layer.input_grad(dU) + ", "0 * Z + ", Sigmoid(), {"l1": 0.1}),
    "code gradient, missing penalties": (
        Autoencoder, "backward", " + self._sparsity_grad(Z)", "", Sigmoid(), {"kl": 0.2}),
    "gate, missing": (Autoencoder, "backward", "dZ * self.g.grad(Z)", "dZ", ReLU(), {}),
    "gate, missing for k-sparse": (Autoencoder, "backward", "dZ * self.g.grad(Z)", "dZ", KSparse(3), {}),
    "gate, sigmoid applied twice": (
        Autoencoder, "backward", "self.g.grad(Z)", "self.g.grad(self.g(Z))", Sigmoid(), {}),
    "sigmoid, sign": (activations.Sigmoid, "grad", "(1 - Z)", "(Z - 1)", Sigmoid(), {}),
    "relu, gate reversed": (activations.ReLU, "grad", "Z > 0", "Z <= 0", ReLU(), {}),
    "k-sparse, gate reversed": (activations.KSparse, "grad", "Z > 0", "Z <= 0", KSparse(3), {}),
    "l1, missing": (Autoencoder, "_sparsity_grad", "l1 + kl", "kl", ReLU(), {"l1": 0.1}),
    "l1, sign": (sparsity, "l1_gradient", "np.sign(Z)", "-np.sign(Z)", ReLU(), {"l1": 0.1}),
    "l1, sum for mean": (sparsity, "l1_gradient", "(lam / len(Z))", "lam", ReLU(), {"l1": 0.1}),
    "kl, missing": (Autoencoder, "_sparsity_grad", "l1 + kl", "l1", Sigmoid(), {"kl": 0.2}),
    "kl, sign of the first term": (
        sparsity, "kl_slope", "-rho / rho_hat", "rho / rho_hat", Sigmoid(), {"kl": 0.2}),
    "kl, sign of the second term": (sparsity, "kl_slope", "+ (1 - rho)", "- (1 - rho)", Sigmoid(), {"kl": 0.2}),
    "kl, sum for mean": (sparsity, "kl_gradient", "(beta / len(Z))", "beta", Sigmoid(), {"kl": 0.2}),
    "kl, mean over features": (
        sparsity, "mean_activation", "Z.mean(axis=0)", "np.resize(Z.mean(axis=1), Z.shape[1])", Sigmoid(),
        {"kl": 0.2}),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_of_backward_is_caught(build, rng, monkeypatch, name):
    owner, function, term, broken, g, options = MUTATIONS[name]
    original = getattr(owner, function)
    source = textwrap.dedent(inspect.getsource(original))
    body = source[source.rfind('"""') + 3 :] if '"""' in source else source  # not in the docstring
    assert body.count(term) == 1, f"{term!r} is expected once in {function}"
    head = source[: len(source) - len(body)]
    names = {}
    exec(head + body.replace(term, broken), original.__globals__, names)
    model, X = build(g, **options), rng.random((6, 5))
    assert check_gradients(model, X).max_error < 1e-8
    monkeypatch.setattr(owner, function, names[function])
    if owner in (losses, sparsity):  # autoencoder.py imported the function by name
        monkeypatch.setitem(Autoencoder.backward.__globals__, function, names[function])
    assert check_gradients(model, X).max_error > 1e-4


def test_j_returned_is_the_j_that_is_differentiated(build, rng):
    """Small steps against the gradients lower the returned J by what they promise, ε‖∇J‖²."""
    X = rng.random((6, 5))
    for g, options in legal_combinations():
        model = build(g, **options)
        J, grads = model.loss_and_grads(X)
        promised = sum(float(np.sum(grad**2)) for grad in grads.values())
        for name, theta in model.params.items():
            theta -= 1e-6 * grads[name]
        assert J - model.loss_and_grads(X)[0] == pytest.approx(1e-6 * promised, rel=1e-3)


def test_random_directions_agree_with_all_coordinates(build, rng):
    check = check_gradients(build(Sigmoid(), kl=0.2), rng.random((6, 5)), directions=5)
    assert check.max_error < 1e-8
    assert check.checked == 20


def test_kinks_are_skipped_and_counted():
    """At a pre-activation of 0 the difference is half a slope; it is left out, not blamed."""
    encoder, decoder = Dense(np.array([[1.0]]), np.array([-1.0])), Dense(np.array([[1.0]]), np.array([0.0]))
    check = check_gradients(Autoencoder(encoder, decoder, ReLU()), np.array([[1.0]]))
    assert check.skipped == 2  # W and b move the unit across; V and c do not
    assert check.errors["V"] < 1e-8
    # and an array of which nothing could be checked does not pass as right
    assert np.isnan(check.errors["W"])
    assert not check.max_error < 1e-8


def test_wrong_gradients_do_not_hide_behind_kinks(rng, monkeypatch):
    """So many samples that some unit is always near its kink: the step is made smaller, not given up."""
    X, model = rng.random((2000, 30)), SparseAutoencoder(64, k=8, random_state=0)
    right = check_gradients(model, X, directions=10)
    assert right.max_error < 1e-6
    assert right.checked > 30
    real = Autoencoder.backward
    monkeypatch.setattr(
        Autoencoder, "backward", lambda *a: {n: -g if n in "Wb" else g for n, g in real(*a).items()}
    )
    assert not check_gradients(model, X, directions=10).max_error < 0.1


def test_nonsense_is_refused(rng):
    model = SparseAutoencoder(4, random_state=0)
    with pytest.raises(ValueError, match="directions=0"):
        check_gradients(model, rng.random((5, 3)), directions=0)
    with pytest.raises(ValueError, match="2-D"):
        check_gradients(model, rng.random(3))


def test_compare_any_loss_and_any_parameter():
    theta = {"a": np.array([0.3, -0.7])}
    right = {"a": np.cos(theta["a"])}
    assert compare_gradients(lambda: float(np.sin(theta["a"]).sum()), theta, right).max_error < 1e-8
    wrong = {"a": -right["a"]}
    assert compare_gradients(lambda: float(np.sin(theta["a"]).sum()), theta, wrong).max_error > 1
    np.testing.assert_array_equal(theta["a"], [0.3, -0.7])  # put back


def test_estimators_can_be_checked_fitted_or_not(rng):
    X = rng.random((8, 6))
    model = SparseAutoencoder(5, k=2, random_state=0, epochs=2)
    assert check_gradients(model, X).max_error < 1e-8
    W = model.fit(X).autoencoder_.encoder_layer.W.copy()
    assert check_gradients(model, X).max_error < 1e-8
    np.testing.assert_array_equal(model.autoencoder_.encoder_layer.W, W)
    assert W.dtype == np.float32  # the check ran on a copy in float64
