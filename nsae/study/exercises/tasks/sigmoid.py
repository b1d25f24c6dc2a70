"""Exercise 2: the sigmoid without overflow, Eq. (4)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sizes


def sigmoid(Y: np.ndarray) -> np.ndarray:
    """Return the sigmoid of each entry of Y, Eq. (4), without an overflow.

    (4)  z = 1 / (1 + exp(−y))

    exp(800) is too large for a number of 64 bits.  NumPy then warns of an overflow and goes on with infinity.  So
    use exp only where what it is given is not positive, for entries of Y of either sign.

    Parameters
    ----------
    Y : (B, h) array
        Pre-activations of any size, such as 800 or −800.

    Examples
    --------
    >>> sigmoid(np.array([[0.0, 800.0, -800.0]])).tolist()
    [[0.5, 1.0, 0.0]]
    """
    E = np.exp(-np.abs(Y))  # at most 1: no overflow on either side
    return np.where(Y >= 0, 1, E) / (1 + E)  # (4) (B, h)


def _cases() -> list[Case]:
    cases = [{"Y": rng.normal(size=(B, h)) * 3} for rng, B, _, h in sizes()]
    for case in cases[1:]:
        case["Y"][0, :2] = 800, -800
    return cases


RETURN = "return np.where(Y >= 0, 1, E) / (1 + E)"
MISTAKES = (
    Mistake(
        "it overflows",
        RETURN,
        "return 1 / (1 + np.exp(-Y))",
        "(4)",
        "The values are right, but an exponential overflows where |y| is large: exp(800) is infinite. Which form of "
        "the fraction needs only the exponential of a negative number there?",
    ),
    Mistake(
        "both forms are computed everywhere",
        RETURN,
        "return np.where(Y >= 0, 1 / (1 + np.exp(-Y)), np.exp(Y) / (1 + np.exp(Y)))",
        "(4)",
        "The values are right. But np.where computes both of its arguments for all entries and then chooses, so "
        "each form still overflows where the other one is used. One exponential that is never above 1 will do.",
    ),
    Mistake(
        "brackets are missing around the denominator",
        RETURN,
        "return 1 / 1 + np.exp(-Y)",
        "(4)",
        "1/1 + exp(−y) is read as (1/1) + exp(−y). The whole denominator needs brackets.",
    ),
    Mistake(
        "NaN for very positive entries",
        RETURN,
        "return np.exp(Y) / (1 + np.exp(Y))",
        "(4)",
        "exp(800) is infinite, and infinity over infinity is no number.",
    ),
    Mistake(
        "the sign of y is reversed",
        "np.where(Y >= 0, 1, E)",
        "np.where(Y >= 0, E, 1)",
        "(4)",
        "This is the sigmoid of −y. It must rise from 0 to 1, not fall.",
    ),
    Mistake(
        "one form is used for both signs",
        "np.where(Y >= 0, 1, E)",
        "1",
        "(4)",
        "With exp(−|y|) the form for positive entries gives at least ½. Negative entries need the other form.",
    ),
    Mistake(
        "the form for negative entries is used for both signs",
        "np.where(Y >= 0, 1, E)",
        "E",
        "(4)",
        "With exp(−|y|) the form for negative entries gives at most ½. Positive entries need the other form.",
    ),
    Mistake(
        "the minus before |y| is forgotten",
        "np.exp(-np.abs(Y))",
        "np.exp(np.abs(Y))",
        "(4)",
        "exp(|y|) overflows on both sides. With the minus it is never above 1.",
    ),
    Mistake(
        "the absolute value is forgotten",
        "-np.abs(Y)",
        "-Y",
        "(4)",
        "exp(−y) is above 1 for negative entries, and overflows there.",
    ),
    Mistake(
        "it is tanh",
        RETURN,
        "return np.tanh(Y)",
        "(4)",
        "tanh runs from −1 to 1, the sigmoid from 0 to 1. (They are related: tanh y = 2σ(2y) − 1.)",
    ),
    Mistake(
        "the sigmoid is applied twice",
        RETURN,
        "return 1 / (1 + np.exp(-np.where(Y >= 0, 1, E) / (1 + E)))",
        "(4)",
        "The sigmoid of a sigmoid lies between 0.5 and 0.74.",
    ),
    Mistake(
        "it is the derivative",
        RETURN,
        "return E / (1 + E) ** 2",
        "(14)",
        "That is the slope of the sigmoid, which Eq. (14) is about. Here its value is asked for.",
    ),
    Mistake(
        "it is the softmax",
        RETURN,
        "E = np.exp(Y - Y.max(axis=1, keepdims=True))\n    return E / E.sum(axis=1, keepdims=True)",
        "(4)",
        "The softmax makes the units of a sample add up to 1. The sigmoid treats each entry by itself.",
    ),
    Mistake(
        "the base is 2",
        "np.exp(",
        "np.exp2(",
        "(4)",
        "The exponential has the base e = 2.718…, not 2.",
    ),
    Mistake(
        "the 1 is forgotten",
        "(1 + E)",
        "E",
        "(4)",
        "The denominator is 1 + exp(…). Without the 1 nothing keeps the result below 1.",
    ),
)

EXERCISE = Exercise(
    2,
    "sigmoid",
    "sigmoid without overflow",
    "(4)",
    (Task(sigmoid, _cases, ("Z",), {"Y": "Bh", "Z": "Bh"}, MISTAKES, watch_overflow=True),),
    ("nsae.equations.activations:Sigmoid.__call__",),
)
