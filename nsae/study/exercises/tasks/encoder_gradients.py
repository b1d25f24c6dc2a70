"""Exercise 8: through the activation and to the encoder, Eqs. (14) and (15)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sizes


def encoder_gradients(
    dZ: np.ndarray,
    Y: np.ndarray,
    Z: np.ndarray,
    X: np.ndarray,
    W: np.ndarray,
    b: np.ndarray,
    gamma: float,
    activation: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return dW (h, d) and db (h,), the gradients of the encoder's weights and bias, Eqs. (14) and (15).

    (14)  dY = dZ ⊙ g′        g′ = z(1 − z) for the sigmoid; 1 where z > 0, else 0, for ReLU
    (15)  dW = dYᵀ X + γ W
          db = Σ over i of dY[i]

    ⊙ multiplies entry by entry.  g′ is called the gate: it says how much of the gradient passes a unit.

    Parameters
    ----------
    dZ : (B, h) array
        From Eq. (13).  It has its 1/B already.
    Y, Z : (B, h) arrays
        Pre-activation and code, Z = g(Y).
    X : (B, d) array
        The batch.
    W, b : (h, d) and (h,) arrays
        Weights and bias of the encoder.
    gamma : float
        γ, the weight decay, which acts on W.
    activation : str
        "sigmoid" or "relu".

    Examples
    --------
    One unit, which is on for the first sample and off for the second:

    >>> Y, X = np.array([[2.0], [-1.0]]), np.array([[1.0, 3.0], [5.0, 7.0]])
    >>> dZ, W, b = np.array([[0.5], [0.25]]), np.array([[1.0, 1.0]]), np.array([0.0])
    >>> dW, db = encoder_gradients(dZ, Y, np.maximum(Y, 0), X, W, b, 0.0, "relu")
    >>> dW.tolist(), db.tolist()
    ([[0.5, 1.5]], [0.5])
    """
    if activation == "sigmoid":
        slope = Z * (1 - Z)  # (14) (B, h)
    else:
        slope = (Z > 0) * 1.0  # (14) (B, h)
    dY = dZ * slope  # (14) (B, h)
    dW = dY.T @ X + gamma * W  # (15) (h, d)
    db = dY.sum(axis=0)  # (15) (h,)
    return dW, db


def _cases() -> list[Case]:
    cases = []
    for (rng, B, d, h), gamma in zip(sizes(), (0.3, 0.7, 0.05), strict=True):
        Y, dZ, X = rng.normal(size=(B, h)), rng.normal(size=(B, h)), rng.random((B, d))
        W, b = rng.normal(size=(h, d)), rng.normal(size=h)
        for activation, Z in (("relu", np.maximum(Y, 0)), ("sigmoid", 1 / (1 + np.exp(-Y)))):
            case = {"dZ": dZ, "Y": Y, "Z": Z, "X": X, "W": W, "b": b}
            cases.append({**case, "gamma": gamma, "activation": activation})
    return cases


GATE = "dZ * slope"
SIGMOID = "Z * (1 - Z)"
RELU = "(Z > 0) * 1.0"
DECAY = "The derivative of the weight decay, (γ/2)‖W‖², is γ W."
ALREADY = "1/B is in dZ already, Eq. (11). What is left is a sum over the batch."
MISTAKES = (
    Mistake(
        "the gate is forgotten",
        GATE,
        "dZ",
        "(14)",
        "dZ is the gradient at the output of the activation. To get to its input, multiply by its slope g′.",
    ),
    Mistake(
        "the gate of ReLU is forgotten",
        RELU,
        "1.0",
        "(14)",
        "A unit that is off has slope 0: it passes no gradient. The sigmoid's slope is right.",
    ),
    Mistake(
        "the gate of ReLU has ≥ for >",
        RELU,
        "(Z >= 0) * 1.0",
        "(14)",
        "A code of ReLU is never negative, so z ≥ 0 is always true and nothing is held back. A unit with z = 0 is off.",
    ),
    Mistake(
        "the slope of the sigmoid is forgotten",
        SIGMOID,
        "1.0",
        "(14)",
        "The sigmoid has the slope z(1 − z). ReLU's gate is right.",
    ),
    Mistake(
        "the two activations are swapped",
        'activation == "sigmoid"',
        'activation != "sigmoid"',
        "(14)",
        "The slope z(1 − z) is the sigmoid's, and [z > 0] is ReLU's.",
    ),
    Mistake(
        "the slope of the sigmoid for both",
        'activation == "sigmoid"',
        "True",
        "(14)",
        "ReLU has another slope: 1 where z > 0, else 0.",
    ),
    Mistake(
        "the gate of ReLU for both",
        'activation == "sigmoid"',
        "False",
        "(14)",
        "The sigmoid has another slope, z(1 − z). Its code is positive everywhere.",
    ),
    Mistake(
        "the gate of ReLU is reversed",
        RELU,
        "(Z <= 0) * 1.0",
        "(14)",
        "The gradient passes units that are on, z > 0. Here it passes those that are off.",
    ),
    Mistake(
        "the gate of ReLU multiplies by z",
        RELU,
        "Z",
        "(14)",
        "The slope of ReLU is 1 where z > 0, however large z is.",
    ),
    Mistake(
        "the sigmoid is applied twice",
        SIGMOID,
        "1 / (1 + np.exp(-Z)) * (1 - 1 / (1 + np.exp(-Z)))",
        "(14)",
        "z is the output of the sigmoid already, and its slope is z(1 − z). You take the sigmoid of z once more.",
    ),
    Mistake(
        "the slope of the sigmoid is written in y",
        SIGMOID,
        "Y * (1 - Y)",
        "(14)",
        "z(1 − z) holds for the output z of the sigmoid, not for its input y.",
    ),
    Mistake(
        "the sign of the sigmoid's slope is reversed",
        "(1 - Z)",
        "(Z - 1)",
        "(14)",
        "The sigmoid rises, so its slope is positive: 1 − z, not z − 1.",
    ),
    Mistake(
        "the slope of the sigmoid is 1 − z alone",
        SIGMOID,
        "1 - Z",
        "(14)",
        "The slope of the sigmoid has two factors, z and 1 − z.",
    ),
    Mistake("the sigmoid's slope is 1 − z²", SIGMOID, "1 - Z**2", "(14)", "1 − z² is the slope of tanh."),
    Mistake(
        "the gate is applied twice",
        GATE,
        "dZ * slope * slope",
        "(14)",
        "The chain rule brings each slope once.",
    ),
    Mistake(
        "the activation in place of its slope",
        GATE,
        "dZ * Z",
        "(14)",
        "The chain rule multiplies by the derivative of the activation, not by its value.",
    ),
    Mistake(
        "the product is the other way round",
        "dY.T @ X + gamma * W",
        "X.T @ dY + gamma * W.T",
        "(15)",
        "dW has the shape of W, (h, d), but this is (d, h): the transpose of it.",
    ),
    Mistake(
        "the product is the other way round, and W is not",
        "dY.T @ X",
        "X.T @ dY",
        "(15)",
        "dW has the shape of W, (h, d), but Xᵀ dY is (d, h), so the two cannot be added.",
    ),
    Mistake(
        "the product is the other way round, without weight decay",
        "dY.T @ X + gamma * W",
        "X.T @ dY",
        "(15)",
        "dW has the shape of W, (h, d), but this is (d, h). And the derivative of the weight decay belongs to it.",
    ),
    Mistake(
        "nothing is transposed",
        "dY.T @ X",
        "dY @ X",
        "(15)",
        "dY is (B, h) and X is (B, d). The product sums over the batch, so B must be the inner size of both.",
    ),
    Mistake(
        "dW comes from dZ",
        "dY.T @ X",
        "dZ.T @ X",
        "(15)",
        "The gate is forgotten in dW: it comes from dY, not dZ.",
    ),
    Mistake(
        "db comes from dZ",
        "dY.sum",
        "dZ.sum",
        "(15)",
        "The gate is forgotten in db: it comes from dY, not dZ.",
    ),
    Mistake("the weight decay is forgotten", " + gamma * W", "", "(15)", f"{DECAY} It belongs to dW."),
    Mistake(
        "the sign of the weight decay is reversed",
        "+ gamma",
        "- gamma",
        "(15)",
        f"{DECAY} With a minus, weights grow.",
    ),
    Mistake(
        "the weight decay is twice as large",
        "gamma * W",
        "2 * gamma * W",
        "(15)",
        f"{DECAY} The ½ takes the 2 away.",
    ),
    Mistake(
        "the weight decay is half as large",
        "gamma * W",
        "gamma / 2 * W",
        "(15)",
        f"{DECAY} The ½ is used up.",
    ),
    Mistake(
        "the weight decay is divided by B",
        "gamma * W",
        "gamma / len(X) * W",
        "(15)",
        f"{DECAY} There is no B in it.",
    ),
    Mistake(
        "the bias is decayed too",
        "dY.sum(axis=0)",
        "dY.sum(axis=0) + gamma * b",
        "(15)",
        "The weight decay, Eq. (9), acts on the weights, not on the biases.",
    ),
    Mistake(
        "the sign of dW is reversed",
        "dY.T @ X",
        "-dY.T @ X",
        "(15)",
        "∂y/∂W is x, with a plus. The step subtracts later.",
    ),
    Mistake(
        "the sign of db is reversed",
        "dY.sum",
        "-dY.sum",
        "(15)",
        "∂y/∂b is 1, with a plus. The step subtracts later.",
    ),
    Mistake(
        "dW is divided by B", "dY.T @ X", "dY.T @ X / len(X)", "(15)", f"{ALREADY} You divide by B twice."
    ),
    Mistake("a mean for a sum in db", "dY.sum(", "dY.mean(", "(15)", f"{ALREADY} A mean divides by B twice."),
    Mistake(
        "db sums over the wrong axis",
        "dY.sum(axis=0)",
        "dY.sum(axis=1)",
        "(15)",
        "b has an entry for each unit, and each sample adds to it. So the sum runs over the batch, axis 0.",
    ),
    Mistake(
        "db is the sum of all",
        "dY.sum(axis=0)",
        "dY.sum()",
        "(15)",
        "b has an entry for each unit, so db is (h,).",
    ),
)

EXERCISE = Exercise(
    8,
    "encoder_gradients",
    "encoder gradients through the activation",
    "(14) (15)",
    (
        Task(
            encoder_gradients,
            _cases,
            ("dW", "db"),
            {"dZ": "Bh", "Y": "Bh", "Z": "Bh", "X": "Bd", "W": "hd", "b": "h", "dW": "hd", "db": "h"},
            MISTAKES,
        ),
    ),
    (
        "nsae.equations.activations:Sigmoid.grad",
        "nsae.equations.activations:ReLU.grad",
        "nsae.equations.layers:Dense.param_grads",
    ),
)
