"""Exercise 1: forward, Eqs. (1)–(3)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sizes


def forward(
    X: np.ndarray, W: np.ndarray, b: np.ndarray, V: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the code Z (B, h) and the pre-activation U (B, d) of the output, Eqs. (1)–(3), with ReLU units.

    (1)  Y = X Wᵀ + b       y[i, j] = Σ over l of W[j, l] x[i, l], and b[j] added
    (2)  Z = g(Y)           here g is ReLU: z = max(y, 0), entry by entry
    (3)  U = Z Vᵀ + c

    Parameters
    ----------
    X : (B, d) array
        The batch: each row is a sample.
    W, b : (h, d) and (h,) arrays
        Weights and bias of the encoder.
    V, c : (d, h) and (d,) arrays
        Weights and bias of the decoder.

    Examples
    --------
    Two samples with two features, one unit:

    >>> X = np.array([[1.0, 1.0], [0.0, 0.5]])
    >>> Z, U = forward(X, np.array([[1.0, 0.5]]), np.array([-0.5]), np.array([[1.0], [1.0]]), np.array([0.25, 0.0]))
    >>> Z.tolist()
    [[1.0], [0.0]]
    >>> U.tolist()
    [[1.25, 1.0], [0.25, 0.0]]
    """
    Y = X @ W.T + b  # (1) (B, h)
    Z = np.maximum(Y, 0)  # (2) (4) (B, h)
    U = Z @ V.T + c  # (3) (B, d)
    return Z, U


def _cases() -> list[Case]:
    return [
        {
            "X": rng.normal(size=(B, d)),
            "W": rng.normal(size=(h, d)),
            "b": rng.normal(size=h),
            "V": rng.normal(size=(d, h)),
            "c": rng.normal(size=d),
        }
        for rng, B, d, h in sizes()
    ]


SAMPLES = "A batch has a sample in each row, and the result must have one in each row too."
MISTAKES = (
    Mistake(
        "W is not transposed",
        "X @ W.T",
        "X @ W",
        "(1)",
        "X is (B, d) and W is (h, d). The product sums over the d features, so d must be the inner size of both.",
    ),
    Mistake(
        "the product is the other way round",
        "X @ W.T",
        "W @ X.T",
        "(1)",
        f"W Xᵀ is (h, B): a sample is a column of it. {SAMPLES}",
    ),
    Mistake(
        "V is not transposed",
        "Z @ V.T",
        "Z @ V",
        "(3)",
        "Z is (B, h) and V is (d, h). The product sums over the h units, so h must be the inner size of both.",
    ),
    Mistake(
        "the decoder uses W",
        "Z @ V.T",
        "Z @ W",
        "(3)",
        "The decoder has weights of its own, V. Using W again is called tied weights, another model.",
    ),
    Mistake("the bias b is forgotten", " + b", "", "(1)", "Each unit has a bias, which is added to its sum."),
    Mistake(
        "the bias c is forgotten", " + c", "", "(3)", "Each output has a bias, which is added to its sum."
    ),
    Mistake(
        "the bias b is subtracted",
        " + b",
        " - b",
        "(1)",
        "b is added. (A threshold would be subtracted: it is −b.)",
    ),
    Mistake("the bias c is subtracted", " + c", " - c", "(3)", "c is added."),
    Mistake(
        "the activation is forgotten",
        "np.maximum(Y, 0)",
        "Y",
        "(2)",
        "The code is g(Y), not Y. Without g, two layers are no more than one.",
    ),
    Mistake(
        "the activation keeps the wrong side",
        "np.maximum(Y, 0)",
        "np.minimum(Y, 0)",
        "(4)",
        "ReLU keeps what is positive and sets the rest to 0. Here it keeps what is negative.",
    ),
    Mistake(
        "np.max in place of np.maximum",
        "np.maximum(Y, 0)",
        "np.max(Y, 0)",
        "(4)",
        "np.max(Y, 0) takes the largest entry along axis 0. np.maximum compares two arrays entry by entry.",
    ),
    Mistake(
        "the absolute value is taken",
        "np.maximum(Y, 0)",
        "np.abs(Y)",
        "(4)",
        "ReLU sets negative entries to 0. It does not turn them around.",
    ),
    Mistake(
        "the activation gives 0 and 1",
        "np.maximum(Y, 0)",
        "(Y > 0) * 1.0",
        "(4)",
        "That is the derivative of ReLU, Eq. (14). ReLU itself keeps the value of what is positive.",
    ),
    Mistake(
        "tanh is used",
        "np.maximum(Y, 0)",
        "np.tanh(Y)",
        "(4)",
        "This exercise asks for ReLU units, max(y, 0).",
    ),
    Mistake(
        "the sigmoid is used",
        "np.maximum(Y, 0)",
        "1 / (1 + np.exp(-Y))",
        "(4)",
        "This exercise asks for ReLU units.",
    ),
    Mistake(
        "the bias comes after the activation",
        "b  # (1) (B, h)\n    Z = np.maximum(Y, 0)",
        "0\n    Z = np.maximum(Y, 0) + b",
        "(1)",
        "The bias belongs into Y, before g. It decides from where on a unit is active.",
    ),
    Mistake(
        "Y is returned in place of Z",
        "return Z,",
        "return Y,",
        "(2)",
        "What is returned first is the code, after the activation.",
    ),
    Mistake(
        "the decoder gets Y in place of Z",
        "Z @ V.T",
        "Y @ V.T",
        "(3)",
        "The decoder sees nothing but the code. So a unit that is off adds nothing.",
    ),
    Mistake(
        "the activation is applied to the output too",
        "return Z, U",
        "return Z, np.maximum(U, 0)",
        "(3)",
        "U is the pre-activation of the output, so no activation is applied to it. g belongs to the code.",
    ),
    Mistake(
        "the sigmoid is applied to the output",
        "return Z, U",
        "return Z, 1 / (1 + np.exp(-U))",
        "(3)",
        "U is the pre-activation of the output. What becomes of it, o(U), is not asked for here.",
    ),
    Mistake(
        "the results are in the wrong order", "return Z, U", "return U, Z", "(3)", "Z comes first, then U."
    ),
)

EXERCISE = Exercise(
    1,
    "forward",
    "forward",
    "(1) (2) (3)",
    (
        Task(
            forward,
            _cases,
            ("Z", "U"),
            {"X": "Bd", "W": "hd", "b": "h", "V": "dh", "c": "d", "Z": "Bh", "U": "Bd"},
            MISTAKES,
        ),
    ),
    ("nsae.equations.autoencoder:Autoencoder.forward", "nsae.equations.layers:Dense.forward"),
)
