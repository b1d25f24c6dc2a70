"""Ten losses of a whole model, each penalty on, against PyTorch's automatic differentiation.

One gradient right at one point may be luck; ten steps of Adam in a row are not.  The losses below were
printed by ``torch_curve`` with PyTorch 2.13; where PyTorch is installed they are computed again.
"""

import numpy as np
import pytest

from nsae.equations.activations import KSparse, ReLU, Sigmoid
from nsae.equations.optimizers import Adam

SIGMOID = {
    "output": "sigmoid",
    "loss": "cross_entropy",
    "l1": 0.02,
    "kl": 0.1,
    "rho": 0.1,
    "weight_decay": 0.01,
}
RELU = {"output": "sigmoid", "loss": "squared", "l1": 0.02, "weight_decay": 0.01}
KSPARSE = {"output": "linear", "loss": "squared", "weight_decay": 0.01}
CURVES = {
    "sigmoid": (
        Sigmoid(),
        SIGMOID,
        [
            5.467108203108995,
            5.016437818814523,
            4.664671126875566,
            4.406727604542591,
            4.221149317788639,
            4.085414061643241,
            3.9832595702747278,
            3.904937222542696,
            3.844701566449971,
            3.7985744036444515,
        ],
    ),
    "relu": (
        ReLU(),
        RELU,
        [
            0.7498542020368373,
            0.6411500599551623,
            0.5584533148199757,
            0.5005956901151869,
            0.4553902872234082,
            0.4233258098462033,
            0.4019719749518128,
            0.38614391310316687,
            0.37284702795764024,
            0.3614272423172007,
        ],
    ),
    "k-sparse": (
        KSparse(2),
        KSPARSE,
        [
            6.481045191380424,
            3.8969373143464137,
            2.436150145961438,
            1.5398484077489096,
            1.0868384440547634,
            0.9177676921728146,
            0.9030943506273422,
            0.9150991022858055,
            0.9687574932023081,
            1.0319259483867753,
        ],
    ),
}


def our_curve(build, g, options):
    model, optimizer = build(g, **options), Adam(0.05)
    X = np.random.default_rng(1).random((8, 5))  # (B, d)
    for _ in range(10):
        J, grads = model.loss_and_grads(X)
        optimizer.step(model.params, grads)
        yield J


def torch_curve(build, g, options):
    """The same in PyTorch, from the formulas in equations/README.md and none of nsae's code but the start."""
    torch = pytest.importorskip("torch")
    start = build(g, **options)
    W, b, V, c = (torch.tensor(p, requires_grad=True) for p in start.params.values())
    optimizer = torch.optim.Adam([W, b, V, c], 0.05)
    X = torch.tensor(np.random.default_rng(1).random((8, 5)))
    rho = options.get("rho", 0.1)
    for _ in range(10):
        Y = X @ W.T + b
        if isinstance(g, Sigmoid):
            Z = torch.sigmoid(Y)
        elif isinstance(g, ReLU):
            Z = torch.relu(Y)
        else:
            top = torch.topk(Y, g.k)
            Z = torch.zeros_like(Y).scatter(1, top.indices, torch.relu(top.values))
        U = Z @ V.T + c
        if options["loss"] == "cross_entropy":
            J = torch.nn.functional.binary_cross_entropy_with_logits(U, X, reduction="sum") / 8
        else:
            J = ((torch.sigmoid(U) if options["output"] == "sigmoid" else U) - X).square().sum() / 16
        mean = Z.mean(0)
        J = J + options.get("l1", 0) * Z.abs().sum() / 8
        if "kl" in options:
            kl = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
            J = J + options["kl"] * kl.sum()
        J = J + options["weight_decay"] / 2 * (W.square().sum() + V.square().sum())
        optimizer.zero_grad()
        J.backward()
        optimizer.step()
        yield J.item()


@pytest.mark.parametrize("name", CURVES)
def test_ten_losses_equal_pytorchs(build, name):
    g, options, expected = CURVES[name]
    np.testing.assert_allclose(list(our_curve(build, g, options)), expected, rtol=1e-12)


@pytest.mark.parametrize("name", CURVES)
def test_the_losses_above_are_pytorchs(build, name):
    g, options, expected = CURVES[name]
    np.testing.assert_allclose(list(torch_curve(build, g, options)), expected, rtol=1e-12)
