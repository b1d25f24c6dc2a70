"""Exercise 3: squared error, Eq. (5), and cross-entropy from logits, Eq. (6)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sizes


def squared_error(X: np.ndarray, X_hat: np.ndarray) -> float:
    """Return the squared error, Eq. (5): one number.

    (5)  (1 / 2B) Σ over i and l of (x̂[i, l] − x[i, l])²

    It is a sum over the d features and a mean over the B samples, with a factor ½.

    Parameters
    ----------
    X, X_hat : (B, d) arrays
        Data and reconstructions.

    Examples
    --------
    >>> float(squared_error(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 3.0]])))
    1.25
    """
    return 0.5 * np.sum((X_hat - X) ** 2) / len(X)  # (5)


def cross_entropy(X: np.ndarray, U: np.ndarray) -> float:
    """Return the cross-entropy, Eq. (6), from logits u, where x̂ = sigmoid(u): one number.

    (6)  (1 / B) Σ over i and l of [ max(u, 0) − u·x + log(1 + exp(−|u|)) ]

    This is −x log x̂ − (1 − x) log(1 − x̂), written so that it is finite for every u.

    Parameters
    ----------
    X : (B, d) array
        Data in [0, 1].
    U : (B, d) array
        Pre-activations of the output, of any size, such as 800.

    Examples
    --------
    >>> float(cross_entropy(np.array([[1.0, 0.0]]), np.array([[800.0, 2.0]])).round(4))
    2.1269
    """
    return np.sum(np.maximum(U, 0) - U * X + np.log1p(np.exp(-np.abs(U)))) / len(X)  # (6)


def _squared_cases() -> list[Case]:
    return [{"X": rng.random((B, d)), "X_hat": rng.normal(size=(B, d))} for rng, B, d, _ in sizes()]


def _logit_cases() -> list[Case]:
    cases = [{"X": rng.random((B, d)), "U": rng.normal(size=(B, d)) * 2} for rng, B, d, _ in sizes()]
    cases[1]["U"][0] = 800, -800
    return cases


MEANS = "Losses sum over features and average over the batch."
SQUARED_SUM = "np.sum((X_hat - X) ** 2) / len(X)"
SQUARED_MISTAKES = (
    Mistake(
        "the ½ is forgotten",
        "0.5 * ",
        "",
        "(5)",
        "There is a factor ½ in front. It is there so that the gradient, Eq. (11), has no factor 2.",
    ),
    Mistake("a sum in place of a mean", " / len(X)", "", "(5)", f"{MEANS} You sum over the batch too."),
    Mistake(
        "a mean over features too",
        "len(X)",
        "X.size",
        "(5)",
        f"{MEANS} You divide by B·d, as many libraries do; then the weights of the penalties mean something else.",
    ),
    Mistake("divided by d in place of B", "len(X)", "X.shape[1]", "(5)", MEANS),
    Mistake(
        "divided by B twice",
        "len(X)",
        "len(X) ** 2",
        "(5)",
        f"{MEANS} A mean over the batch divides by B, once.",
    ),
    Mistake(
        "the square is forgotten",
        " ** 2",
        "",
        "(5)",
        "Errors of opposite sign cancel if they are not squared.",
    ),
    Mistake(
        "absolute values in place of squares",
        "(X_hat - X) ** 2",
        "np.abs(X_hat - X)",
        "(5)",
        "That is the absolute error, another loss.",
    ),
    Mistake(
        "the root of the sum",
        SQUARED_SUM,
        "np.sqrt(np.sum((X_hat - X) ** 2)) / len(X)",
        "(5)",
        "The norm is squared in Eq. (5): no root is taken.",
    ),
    Mistake(
        "the root of each sample's sum",
        SQUARED_SUM,
        "np.sum(np.sqrt(np.sum((X_hat - X) ** 2, axis=1))) / len(X)",
        "(5)",
        "The norm of each error is squared in Eq. (5): no root is taken.",
    ),
    Mistake(
        "one number for each sample",
        SQUARED_SUM,
        "np.sum((X_hat - X) ** 2, axis=1) / len(X)",
        "(5)",
        "You sum over the features only. The loss is one number: the sum runs over the samples too.",
    ),
    Mistake(
        "one number for each feature",
        SQUARED_SUM,
        "np.sum((X_hat - X) ** 2, axis=0) / len(X)",
        "(5)",
        "You sum over the samples only. The loss is one number: the sum runs over the features too.",
    ),
    Mistake(
        "multiplied by B",
        SQUARED_SUM,
        "np.sum((X_hat - X) ** 2) * len(X)",
        "(5)",
        "The sum is divided by 2B. 1/2*B is read as (1/2)·B: brackets are needed around 2*B.",
    ),
    Mistake(
        "the sum is squared",
        "np.sum((X_hat - X) ** 2)",
        "np.sum(X_hat - X) ** 2",
        "(5)",
        "First the square of each error, then the sum.",
    ),
    Mistake("a plus in the difference", "X_hat - X", "X_hat + X", "(5)", "The error is x̂ − x."),
)

TERMS = "np.maximum(U, 0) - U * X + np.log1p(np.exp(-np.abs(U)))"
PROBABILITIES = "1 / (1 + np.exp(-U))"
CLIPPED = f"np.clip({PROBABILITIES}, 1e-7, 1 - 1e-7)"
CROSS_MISTAKES = (
    Mistake("a sum in place of a mean", " / len(X)", "", "(6)", f"{MEANS} You sum over the batch too."),
    Mistake(
        "a mean over features too",
        "len(X)",
        "X.size",
        "(6)",
        f"{MEANS} You divide by B·d, as Keras and PyTorch do.",
    ),
    Mistake("divided by d in place of B", "len(X)", "X.shape[1]", "(6)", MEANS),
    Mistake("divided by B twice", "len(X)", "len(X) ** 2", "(6)", MEANS),
    Mistake(
        "the sign of u·x is reversed",
        "- U * X",
        "+ U * X",
        "(6)",
        "u·x is subtracted: a large u is right where x is 1.",
    ),
    Mistake(
        "the term u·x is forgotten", " - U * X", "", "(6)", "Without u·x the loss does not know the data."
    ),
    Mistake(
        "all signs are reversed",
        "return np.sum",
        "return -np.sum",
        "(6)",
        "A cross-entropy is never negative.",
    ),
    Mistake(
        "the data and the logits are swapped",
        TERMS,
        "np.maximum(X, 0) - U * X + np.log1p(np.exp(-np.abs(X)))",
        "(6)",
        "u is the pre-activation of the output, x the data in [0, 1].",
    ),
    Mistake(
        "it overflows for large u",
        TERMS,
        "np.log(1 + np.exp(U)) - U * X",
        "(6)",
        "The formula is right on paper, but exp(800) is infinite. In Eq. (6) no exponential exceeds 1.",
    ),
    Mistake(
        "the absolute value is forgotten",
        "-np.abs(U)",
        "-U",
        "(6)",
        "exp(−u) is large where u is negative. The exponent is −|u|, and max(u, 0) makes up for it.",
    ),
    Mistake(
        "the minus before |u| is forgotten",
        "-np.abs(U)",
        "np.abs(U)",
        "(6)",
        "exp(|u|) overflows. With the minus it is never above 1.",
    ),
    Mistake(
        "from probabilities",
        TERMS,
        f"-X * np.log({PROBABILITIES}) - (1 - X) * np.log(1 - {PROBABILITIES})",
        "(6)",
        "The formula is right on paper, but x̂ rounds to 0 or 1 where |u| is large, and log 0 is infinite.",
    ),
    Mistake(
        "the logits are taken for probabilities",
        TERMS,
        "-X * np.log(U) - (1 - X) * np.log(1 - U)",
        "(6)",
        "u is the pre-activation, x̂ = σ(u). The logarithm of a negative u is no number.",
    ),
    Mistake(
        "the sigmoid is applied first",
        TERMS,
        f"np.maximum({PROBABILITIES}, 0) - {PROBABILITIES} * X + np.log1p(np.exp(-np.abs({PROBABILITIES})))",
        "(6)",
        "The formula takes u as it is. The sigmoid is in it already, so it is now applied twice.",
    ),
    Mistake(
        "the term of 1 − x is forgotten",
        TERMS,
        "X * (np.maximum(-U, 0) + np.log1p(np.exp(-np.abs(U))))",
        "(6)",
        "−x log x̂ is one half of it. (1 − x) log(1 − x̂) punishes an output that should be 0.",
    ),
    Mistake(
        "from probabilities that are clipped",
        TERMS,
        f"-X * np.log({CLIPPED}) - (1 - X) * np.log(1 - {CLIPPED})",
        "(6)",
        "Clipping x̂ keeps the logarithm finite, as Keras does, but makes the loss of a very wrong output too small.",
    ),
    Mistake(
        "the logarithm has base 2",
        "np.log1p(np.exp(-np.abs(U)))",
        "np.log2(1 + np.exp(-np.abs(U)))",
        "(6)",
        "log is the natural logarithm, to the base e.",
    ),
    Mistake(
        "the whole is in bits",
        "/ len(X)",
        "/ len(X) / np.log(2)",
        "(6)",
        "With logarithms to the base 2, all is larger by 1/log 2 = 1.44. log is the natural logarithm.",
    ),
    Mistake(
        "max(u, 0) is forgotten",
        "np.maximum(U, 0) - ",
        "-",
        "(6)",
        "log(1 + exp(u)) is max(u, 0) + log(1 + exp(−|u|)): both terms are needed.",
    ),
    Mistake(
        "np.max in place of np.maximum",
        "np.maximum(U, 0)",
        "np.max(U, 0)",
        "(6)",
        "np.max(U, 0) takes the largest entry along axis 0. np.maximum compares two arrays entry by entry.",
    ),
    Mistake(
        "the minimum is taken", "np.maximum(U, 0)", "np.minimum(U, 0)", "(6)", "The first term is max(u, 0)."
    ),
    Mistake(
        "the 1 in the logarithm is forgotten",
        "np.log1p(np.exp(-np.abs(U)))",
        "np.log(np.exp(-np.abs(U)))",
        "(6)",
        "The logarithm is of 1 + exp(−|u|). Without the 1, log and exp only undo each other.",
    ),
    Mistake(
        "one number for each sample",
        f"np.sum({TERMS})",
        f"np.sum({TERMS}, axis=1)",
        "(6)",
        "You sum over the features only. The loss is one number: the sum runs over the samples too.",
    ),
)

EXERCISE = Exercise(
    3,
    "losses",
    "squared error, cross-entropy",
    "(5) (6)",
    (
        Task(squared_error, _squared_cases, ("the loss",), {"X": "Bd", "X_hat": "Bd"}, SQUARED_MISTAKES),
        Task(
            cross_entropy,
            _logit_cases,
            ("the loss",),
            {"X": "Bd", "U": "Bd"},
            CROSS_MISTAKES,
            watch_overflow=True,
        ),
    ),
    ("nsae.equations.losses:squared_error", "nsae.equations.losses:cross_entropy"),
)
