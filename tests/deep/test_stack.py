"""The stack: forward and backward, checked for every activation and with broken backwards."""

import itertools

import numpy as np
import pytest
from mutations import with_term

from nsae import compare_gradients
from nsae.deep import Stack, softmax
from nsae.equations.activations import KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense

SIZES = {"no layer": [], "one layer": [6], "two layers": [7, 6], "three layers": [7, 6, 5]}
ACTIVATIONS = {"sigmoid": Sigmoid(), "relu": ReLU(), "k-sparse": KSparse(3)}


def build(rng, sizes, g, weight_decay=0.05, d=5, n_classes=4):
    """A stack in float64 with random weights and biases."""
    widths = [d, *sizes, n_classes]
    layers = [
        Dense(rng.standard_normal((h, n)) / np.sqrt(n) * 2, rng.standard_normal(h) * 0.3, weight_decay)
        for n, h in itertools.pairwise(widths)
    ]
    return Stack(layers[:-1], [g] * len(sizes), layers[-1])


def check(model, X, labels):
    _, grads = model.loss_and_grads(X, labels)
    return compare_gradients(
        lambda: model.loss_and_grads(X, labels)[0],
        model.params,
        grads,
        pattern=lambda: np.concatenate([(Z > 0).ravel() for Z in model.forward(X)[0]]),
    )


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("g", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_eq44_gradient_through_a_stack(rng, sizes, g):
    model = build(rng, sizes, g)
    X, labels = rng.standard_normal((8, 5)), rng.integers(4, size=8)
    result = check(model, X, labels)
    assert result.ok, result
    assert result.max_error < 1e-7
    assert result.checked > 0.9 * (result.checked + result.skipped)
    numbers = "".join(str(l + 1) for l in range(len(sizes)))
    assert set(result.errors) == {"W", "b", *(f"W{l}" for l in numbers), *(f"b{l}" for l in numbers)}


def test_different_activations_in_one_stack(rng):
    model = build(rng, [7, 6, 5], Sigmoid())
    model.g = [ReLU(), Sigmoid(), KSparse(2)]
    assert check(model, rng.standard_normal((8, 5)), rng.integers(4, size=8)).ok


def test_forward_is_the_layers_one_after_the_other(rng):
    model, X = build(rng, [7, 6], ReLU()), rng.standard_normal((3, 5))
    Z, U = model.forward(X)
    first = np.maximum(X @ model.layers[0].W.T + model.layers[0].b, 0)
    second = np.maximum(first @ model.layers[1].W.T + model.layers[1].b, 0)
    assert Z[0] is X
    np.testing.assert_allclose(Z[1], first)
    np.testing.assert_allclose(Z[2], second)
    np.testing.assert_allclose(U, second @ model.top.W.T + model.top.b)


def test_the_loss_has_the_weight_decay_of_all_layers(rng):
    model = build(rng, [7, 6], ReLU(), weight_decay=0.1)
    X, labels = rng.standard_normal((3, 5)), np.array([0, 1, 2])
    U = model.forward(X)[1]
    decay = 0.05 * sum(np.sum(layer.W**2) for layer in (*model.layers, model.top))
    own = -np.mean(np.log(softmax(U)[np.arange(3), labels]))
    assert model.loss(U, labels) == pytest.approx(own + decay)


MUTATIONS = {
    "top, gradient of the codes below": (
        "backward", "self.top.param_grads(dU, Z[-1])", "self.top.param_grads(dU, 0.5 * Z[-1])"),
    "top, sign of what is handed down": ("backward", "self.top.input_grad(dU)", "-self.top.input_grad(dU)"),
    "top, P without T": ("backward", "softmax_gradient(U, labels)", "softmax_gradient(U, 0 * labels)"),
    "top, sum for mean": ("backward", "softmax_gradient(U, labels)", "softmax_gradient(U, labels) * len(U)"),
    "gate, missing": ("backward", "dZ * g.grad(Z[l])", "dZ"),
    "gate, of the layer below": ("backward", "g = self.layers[l - 1], self.g[l - 1]",
                                 "g = self.layers[l - 1], self.g[0]"),
    "layer, input of the wrong layer": (
        "backward", "param_grads(dY, Z[l - 1])", "param_grads(dY, Z[l][:, : Z[l - 1].shape[1]])"),
    "layer, handed down without the gate": ("backward", "layer.input_grad(dY)", "layer.input_grad(dZ)"),
    "layer, sign of what is handed down": ("backward", "layer.input_grad(dY)", "-layer.input_grad(dY)"),
    "layer, nothing handed down": ("backward", "if l > 1", "if l > 2"),
    "loss, weight decay of the top alone": ("loss", "(*self.layers, self.top)", "(self.top,)"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_of_backward_is_caught(rng, monkeypatch, name):
    model = build(rng, [6, 6, 6], Sigmoid(), d=6)
    model.g = [ReLU(), Sigmoid(), Sigmoid()]
    X, labels = rng.standard_normal((8, 6)), np.arange(8) % 4
    assert check(model, X, labels).ok
    function, term, broken = MUTATIONS[name]
    monkeypatch.setattr(Stack, function, with_term(getattr(Stack, function), term, broken))
    result = check(model, X, labels)
    assert result.max_error > 1e-4
    assert not result.ok
