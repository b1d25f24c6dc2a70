"""Backward, broken term by term: the text of one term, and the text that breaks it."""

import inspect
import textwrap
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from nsae.equations import activations, losses, sparsity
from nsae.equations.activations import KSparse, ReLU, Sigmoid
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense


class Mutation(NamedTuple):
    """One term of ``owner.function`` that is replaced, and the units and options of a model that has the term."""

    owner: Any
    function: str
    term: str
    broken: str
    g: Any
    options: dict


SIGMOID_SQUARED = {"output": "sigmoid", "loss": "squared"}
MUTATIONS = {
    name: Mutation(*what)
    for name, what in {
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
}.items()
}  # fmt: skip


@contextmanager
def broken_backward(mutation):
    """Put the broken function in its place, for as long as the block lasts."""
    owner, function, term, broken = mutation[:4]
    changed = with_term(getattr(owner, function), term, broken)
    with ExitStack() as stack:
        stack.enter_context(patch.object(owner, function, changed))
        if owner in (losses, sparsity):  # autoencoder.py imported the function by name
            stack.enter_context(patch.dict(Autoencoder.backward.__globals__, {function: changed}))
        yield


def with_term(original, term, broken):
    """The function with one term of its source replaced; the docstring does not count."""
    source = textwrap.dedent(inspect.getsource(original))
    body = source[source.rfind('"""') + 3 :] if '"""' in source else source
    assert body.count(term) == 1, f"{term!r} is expected once in {original.__name__}"
    head = source[: len(source) - len(body)]
    names = {}
    exec(
        "from __future__ import annotations\n" + head + body.replace(term, broken),
        original.__globals__,
        names,
    )
    return names[original.__name__]
