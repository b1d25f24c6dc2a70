"""The worked example of README.md, computed: each step of it as formulas with numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from nsae.equations.activations import ReLU
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense, normalise_columns
from nsae.equations.losses import output_gradient
from nsae.equations.optimizers import Adam
from nsae.equations.sparsity import l1_gradient
from readpage.readme import Example

PARAMETERS = ("W", "b", "V", "c")
ARRAYS = {"FIRST": "m1", "SECOND": "m2", "HAT1": "m1_hat", "HAT2": "m2_hat", "NEW": "new"}


class Step(NamedTuple):
    """One equation with numbers: ``formulas`` are LaTeX."""

    number: int
    formulas: tuple[str, ...]


class Card(NamedTuple):
    """One place of the picture of data and gradients.

    ``row`` is forward, backward or update; ``parts`` are (LaTeX name, symbol, array).
    """

    row: str
    numbers: tuple[int, ...]
    parts: tuple[tuple[str, str, np.ndarray | float], ...]


class Walk(NamedTuple):
    """All steps in order, the cards, the arrays by name, and B, d and h."""

    steps: tuple[Step, ...]
    cards: tuple[Card, ...]
    values: dict[str, np.ndarray | float]
    sizes: dict[str, int]


def walk(example: Example) -> Walk:
    """Run one training step on the example with nsae's own equations.

    Raises ValueError if the pieces do not give what ``Autoencoder.loss_and_grads`` and ``Adam.step`` give.
    """
    given = example.arrays
    encoder = Dense(given["W"].copy(), given["b"].copy(), example.gamma)
    decoder = Dense(given["V"].copy(), given["c"].copy(), example.gamma)
    model = Autoencoder(encoder, decoder, ReLU(), l1=example.lam)
    X = given["X"]
    v: dict[str, np.ndarray | float] = {name: array.copy() for name, array in given.items()}
    v["Y"] = encoder.forward(X)
    v["Z"], v["U"] = model.forward(X)
    v["X_hat"] = model.reconstruct(v["U"])
    loss = model.losses(X, v["Z"], v["U"])
    v.update(squared=loss.reconstruction, l1=loss.l1, decay=loss.weight_decay, J=loss.total)
    v["dU"] = output_gradient(X, v["X_hat"], sigmoid_then_squared=False)
    v["dV"], v["dc"] = decoder.param_grads(v["dU"], v["Z"])
    v["sign"] = np.sign(v["Z"])
    v["dZ"] = decoder.input_grad(v["dU"]) + l1_gradient(v["Z"], example.lam)
    v["slope"] = model.g.grad(v["Z"])
    v["dY"] = v["dZ"] * v["slope"]
    v["dW"], v["db"] = encoder.param_grads(v["dY"], X)
    grads = model.loss_and_grads(X)[1]
    optimizer = Adam(learning_rate=example.alpha)
    optimizer.step(model.params, grads)
    for name, after in model.params.items():
        m1, m2 = optimizer.m1[name], optimizer.m2[name]
        m1_hat, m2_hat = m1 / (1 - optimizer.beta1), m2 / (1 - optimizer.beta2)
        step = example.alpha * m1_hat / (np.sqrt(m2_hat) + optimizer.eps)
        if not (
            np.allclose(v[f"d{name}"], grads[name]) and np.allclose(given[name] - step, after, rtol=1e-12)
        ):
            raise ValueError(f"the steps of the example do not lead to the new {name} of Adam.step")
        found = {"m1": m1, "m2": m2, "m1_hat": m1_hat, "m2_hat": m2_hat, "new": after.copy()}
        v.update({f"{key}_{name}": array for key, array in found.items()})
    v["unit_V"] = model.params["V"].copy()
    normalise_columns(v["unit_V"])
    sizes = {"B": len(X), "d": X.shape[1], "h": len(given["W"])}
    return Walk(_steps(v, example, optimizer), _cards(v), v, sizes)


def _steps(v: dict, example: Example, adam: Adam) -> tuple[Step, ...]:
    m = {name: matrix(value) for name, value in v.items()}
    lam, gamma, alpha, B = number(example.lam), number(example.gamma), number(example.alpha), len(v["X"])
    entries = [rf"\max({number(y)}, 0) = {number(z)}" for y, z in zip(v["Y"].flat, v["Z"].flat, strict=True)]
    errors = (v["X_hat"] - v["X"]).ravel()
    squares = {name: " + ".join(f"{_factor(x)}^2" for x in v[name].flat) for name in ("W", "V")}
    off = " + ".join(f"{_factor(error)}^2" for error in errors)
    size = " + ".join(f"|{number(z)}|" for z in v["Z"].flat)
    keep1, keep2 = number(1 - adam.beta1), number(1 - adam.beta2)

    def each(form: str) -> tuple[str, ...]:
        """Return one formula for each parameter, with its name for NAME and its arrays for OLD, GRAD and others."""
        formulas = []
        for name in PARAMETERS:
            arrays = {key: m[f"{array}_{name}"] for key, array in ARRAYS.items()}
            words = {"NAME": name, "OLD": m[name], "GRAD": m[f"d{name}"]} | arrays
            formulas.append(re.sub("|".join(words), lambda found, words=words: words[found[0]], form))
        return tuple(formulas)

    return (
        Step(1, (rf"Y = X W^\top + b = {m['X']} {matrix(v['W'].T)} + ({m['b']}) = {m['Y']}",)),
        Step(2, (rf"Z = g(Y) = \max(Y, 0) = {m['Z']}",)),
        Step(4, tuple(entries)),
        Step(
            3,
            (
                rf"U = Z V^\top + c = {m['Z']} {matrix(v['V'].T)} + {m['c']} = {m['U']}",
                r"\hat X = o(U) = U",
            ),
        ),
        Step(
            5,
            (
                rf"\hat X - X = {matrix(v['X_hat'] - v['X'])}",
                rf"\frac{{1}}{{2 \cdot {B}}} \left( {off} \right) = {m['squared']}",
            ),
        ),
        Step(7, (rf"\frac{{{lam}}}{{{B}}} \left( {size} \right) = {m['l1']}",)),
        Step(
            9,
            (rf"\frac{{{gamma}}}{{2}} \left( {squares['W']} + {squares['V']} \right) = {m['decay']}",),
        ),
        Step(10, (rf"J = {m['squared']} + {m['l1']} + {m['decay']} = {m['J']}",)),
        Step(
            11,
            (
                rf"dU = \frac{{1}}{{{B}}} (\hat X - X) = \frac{{1}}{{{B}}} {matrix(v['X_hat'] - v['X'])} = {m['dU']}",
            ),
        ),
        Step(
            12,
            (
                rf"dV = dU^\top Z + \gamma V = {matrix(v['dU'].T)} {m['Z']} + {gamma} {m['V']} = {m['dV']}",
                rf"dc = \sum_i dU_i = {m['dc']}",
            ),
        ),
        Step(
            13,
            (
                rf"dZ = dU\, V + \frac{{\lambda}}{{B}} \mathrm{{sign}}\, Z = {m['dU']} {m['V']} + "
                rf"\frac{{{lam}}}{{{B}}} {m['sign']} = {m['dZ']}",
            ),
        ),
        Step(14, (rf"dY = dZ \odot g' = {m['dZ']} \odot {m['slope']} = {m['dY']}",)),
        Step(
            15,
            (
                rf"dW = dY^\top X + \gamma W = {matrix(v['dY'].T)} {m['X']} + {gamma} {m['W']} = {m['dW']}",
                rf"db = \sum_i dY_i = {m['db']}",
            ),
        ),
        Step(16, each(rf"\text{{NAME:}}\ \ m_1 = {keep1} \cdot GRAD = FIRST")),
        Step(17, each(rf"\text{{NAME:}}\ \ m_2 = {keep2} \cdot GRAD^2 = SECOND")),
        Step(18, each(r"\text{NAME:}\ \ \hat m_1 = HAT1,\ \ \hat m_2 = HAT2")),
        Step(
            19,
            each(
                rf"NAME \leftarrow OLD - {alpha} \cdot \frac{{\hat m_1}}{{\sqrt{{\hat m_2}} + \varepsilon}} = NEW"
            ),
        ),
        Step(20, (rf"V_1 \leftarrow \frac{{V_1}}{{\|V_1\|}} = {m['unit_V']}",)),
    )


def _cards(v: dict) -> tuple[Card, ...]:
    def part(latex: str, symbol: str, key: str) -> tuple[str, str, np.ndarray | float]:
        return latex, symbol, v[key]

    return (
        Card("forward", (), tuple(part(name, name, name) for name in ("X", *PARAMETERS))),
        Card("forward", (1,), (part("Y", "Y", "Y"),)),
        Card("forward", (2, 4), (part("Z", "Z", "Z"),)),
        Card("forward", (3,), (part(r"\hat X", "Xhat", "X_hat"),)),
        Card("forward", (5, 7, 9, 10), (part("J", "J", "J"),)),
        Card("backward", (11,), (part("dU", "dU", "dU"),)),
        Card("backward", (12,), (part("dV", "dV", "dV"), part("dc", "dc", "dc"))),
        Card("backward", (13,), (part("dZ", "dZ", "dZ"),)),
        Card("backward", (14,), (part("dY", "dY", "dY"),)),
        Card("backward", (15,), (part("dW", "dW", "dW"), part("db", "db", "db"))),
        Card("update", (16,), (part(r"W:\ m_1", "m1", "m1_W"), part(r"b:\ m_1", "m1", "m1_b"))),
        Card("update", (17,), (part(r"W:\ m_2", "m2", "m2_W"), part(r"b:\ m_2", "m2", "m2_b"))),
        Card(
            "update",
            (18,),
            (part(r"W:\ \hat m_1", "m1hat", "m1_hat_W"), part(r"\hat m_2", "m2hat", "m2_hat_W")),
        ),
        Card("update", (19,), tuple(part(name, name, f"new_{name}") for name in PARAMETERS)),
        Card("update", (20,), (part("V", "V", "unit_V"),)),
    )


def number(x: float) -> str:
    """Return a number in LaTeX, with at most five digits that count."""
    x = float(x)
    if x and abs(x) < 1e-3:
        digits, _, power = f"{x:.4e}".partition("e")
        return rf"{float(digits):.5g} \cdot 10^{{{int(power)}}}"
    text = f"{x:.5g}"
    return "0" if text in ("-0", "0") else text


def matrix(a: np.ndarray | float) -> str:
    """Return an array in LaTeX: one number as it is, a vector as a row."""
    a = np.asarray(a)
    if a.size == 1:
        return number(a.item())
    rows = np.atleast_2d(a)
    inside = r" \\ ".join(" & ".join(number(x) for x in row) for row in rows)
    return rf"\begin{{bmatrix}} {inside} \end{{bmatrix}}"


def _factor(x: float) -> str:
    return number(x) if x >= 0 else f"({number(x)})"
