"""Exercise 5: the output gradient, Eq. (11)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import between, sizes


def output_gradient(X: np.ndarray, X_hat: np.ndarray, sigmoid_then_squared: bool) -> np.ndarray:
    """Return dU (B, d), the gradient of the loss with respect to the pre-activation of the output, Eq. (11).

    (11)  dU = (X̂ − X) / B                       a linear output with (5), or a sigmoid output with (6)
          dU = (X̂ − X) ⊙ X̂ ⊙ (1 − X̂) / B         a sigmoid output with the squared error (5)

    ⊙ multiplies entry by entry.  x̂(1 − x̂) is the slope of the sigmoid; with the cross-entropy (6) it cancels.

    Parameters
    ----------
    X, X_hat : (B, d) arrays
        Data and reconstructions.
    sigmoid_then_squared : bool
        Whether the output is a sigmoid and the loss is Eq. (5), the second line.

    Examples
    --------
    >>> X, X_hat = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.5, 0.0], [0.5, 0.75]])
    >>> output_gradient(X, X_hat, False).tolist()
    [[-0.25, 0.0], [0.25, -0.125]]
    """
    dU = (X_hat - X) / len(X)  # (11) (B, d)
    if sigmoid_then_squared:
        dU = dU * X_hat * (1 - X_hat)  # (11) (B, d)
    return dU


def _cases() -> list[Case]:
    return [
        {"X": rng.random((B, d)), "X_hat": between(rng, B, d), "sigmoid_then_squared": slope}
        for rng, B, d, _ in sizes()
        for slope in (False, True)
    ]


MEAN = "The loss is a mean over the batch, so each sample's share in it, and in the gradient, is 1/B."
CONDITION = "if sigmoid_then_squared"
SLOPE = "dU = dU * X_hat * (1 - X_hat)"
MISTAKES = (
    Mistake(
        "the sign is reversed",
        "(X_hat - X)",
        "(X - X_hat)",
        "(11)",
        "The derivative of ½(x̂ − x)² is x̂ − x. With the other sign, training climbs in place of descending.",
    ),
    Mistake("1/B is forgotten: a sum for a mean", " / len(X)", "", "(11)", MEAN),
    Mistake(
        "a mean over features too",
        "len(X)",
        "X.size",
        "(11)",
        f"{MEAN} You divide by B·d, but the loss sums over the d features.",
    ),
    Mistake(
        "divided by d in place of B", "len(X)", "X.shape[1]", "(11)", f"{MEAN} d is the number of features."
    ),
    Mistake("divided by B twice", "len(X)", "len(X) ** 2", "(11)", f"{MEAN} It comes in once."),
    Mistake(
        "brackets are missing around the difference",
        "(X_hat - X) /",
        "X_hat - X /",
        "(11)",
        "x̂ − x/B divides x alone. The difference needs brackets.",
    ),
    Mistake(
        "a factor 2",
        "(X_hat - X) /",
        "2 * (X_hat - X) /",
        "(11)",
        "The derivative of the square brings a factor 2, and the ½ of Eq. (5) takes it away again.",
    ),
    Mistake(
        "the ½ is still there",
        "(X_hat - X) /",
        "0.5 * (X_hat - X) /",
        "(11)",
        "The ½ of Eq. (5) is cancelled by the factor 2 from the derivative of the square.",
    ),
    Mistake("a plus in the difference", "X_hat - X", "X_hat + X", "(11)", "The error is x̂ − x."),
    Mistake(
        "the slope of the sigmoid is missing",
        CONDITION,
        "if False",
        "(11)",
        "With the squared error, ∂x̂/∂u = x̂(1 − x̂) stays as a factor. Only with the cross-entropy does it cancel.",
    ),
    Mistake(
        "the slope is applied where it cancels",
        CONDITION,
        "if True",
        "(11)",
        "The slope of the sigmoid belongs to (sigmoid, squared error) alone. With the cross-entropy it cancels, and "
        "a linear output has none.",
    ),
    Mistake(
        "the slope is applied in the other case",
        CONDITION,
        "if not sigmoid_then_squared",
        "(11)",
        "The slope stays where sigmoid_then_squared is true, and is absent where it is false.",
    ),
    Mistake(
        "the sigmoid is applied twice",
        SLOPE,
        "S = 1 / (1 + np.exp(-X_hat))\n        dU = dU * S * (1 - S)",
        "(11)",
        "x̂ is the output of the sigmoid already. Its slope is written in x̂ as it is.",
    ),
    Mistake(
        "the sign of the slope is reversed",
        "(1 - X_hat)",
        "(X_hat - 1)",
        "(11)",
        "The sigmoid rises, so its slope is positive: 1 − x̂, not x̂ − 1.",
    ),
    Mistake(
        "the slope is x̂ alone",
        " * (1 - X_hat)",
        "",
        "(11)",
        "The slope of the sigmoid has two factors, x̂ and 1 − x̂.",
    ),
    Mistake(
        "the slope is 1 − x̂ alone",
        "dU * X_hat",
        "dU",
        "(11)",
        "The slope of the sigmoid has two factors, x̂ and 1 − x̂.",
    ),
    Mistake(
        "the slope is of x",
        SLOPE,
        "dU = dU * X * (1 - X)",
        "(11)",
        "The slope is that of the output, so it is written in x̂, not in the data x.",
    ),
    Mistake(
        "the slope of tanh",
        SLOPE,
        "dU = dU * (1 - X_hat**2)",
        "(11)",
        "1 − x̂² is the slope of tanh. That of the sigmoid is x̂(1 − x̂).",
    ),
    Mistake(
        "it is summed over the batch",
        "return dU",
        "return dU.sum(axis=0)",
        "(11)",
        "dU has a row for each sample. The sum over the batch comes in Eq. (12), where it gives dc.",
    ),
)

EXERCISE = Exercise(
    5,
    "output_gradient",
    "output gradient",
    "(11)",
    (Task(output_gradient, _cases, ("dU",), {"X": "Bd", "X_hat": "Bd", "dU": "Bd"}, MISTAKES),),
    ("nsae.equations.losses:output_gradient",),
)
