"""Exercise 4: the KL penalty, Eq. (8), and its gradient, the last term of Eq. (13)."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import between, sizes


def kl_penalty(Z: np.ndarray, beta: float, rho: float) -> float:
    """Return the KL penalty, Eq. (8): one number.

    (8)  ρ̂[j] = mean over the batch of z[i, j]                           (h,), one for each unit
         KL(ρ ‖ ρ̂) = ρ log(ρ / ρ̂) + (1 − ρ) log((1 − ρ) / (1 − ρ̂))
         the penalty is β Σ over the units j of KL(ρ ‖ ρ̂[j])

    Parameters
    ----------
    Z : (B, h) array
        Activations of a sigmoid, between 0 and 1.
    beta : float
        β, the weight.
    rho : float
        ρ, the mean activation that each unit should have.

    Examples
    --------
    The first unit is on average as active as it should be, the second one three times as much:

    >>> float(kl_penalty(np.array([[0.1, 0.5], [0.3, 0.7]]), 2.0, 0.2).round(4))
    0.6696
    """
    rho_hat = Z.mean(axis=0)  # (8) (h,)
    on, off = np.log(rho / rho_hat), np.log((1 - rho) / (1 - rho_hat))  # (h,), (h,)
    return beta * np.sum(rho * on + (1 - rho) * off)  # (8)


def kl_gradient(Z: np.ndarray, beta: float, rho: float) -> np.ndarray:
    """Return the gradient of the KL penalty, the last term of Eq. (13): an array (h,).

    (13)  ∂/∂z[i, j] = (β / B) (−ρ / ρ̂[j] + (1 − ρ) / (1 − ρ̂[j]))

    It is the same number for all samples i of a unit j, so one row is enough.

    Parameters
    ----------
    Z : (B, h) array
        Activations of a sigmoid, between 0 and 1.
    beta, rho : float
        β and ρ of Eq. (8).

    Examples
    --------
    >>> kl_gradient(np.array([[0.1, 0.5], [0.3, 0.7]]), 2.0, 0.2).round(4).tolist()
    [0.0, 1.6667]
    """
    rho_hat = Z.mean(axis=0)  # (8) (h,)
    return beta / len(Z) * (-rho / rho_hat + (1 - rho) / (1 - rho_hat))  # (13) (h,)


def _cases() -> list[Case]:
    weights = (0.5, 3.0, 0.7), (0.05, 0.2, 0.1)
    return [
        {"Z": between(rng, B, h), "beta": beta, "rho": rho}
        for (rng, B, _, h), beta, rho in zip(sizes(), *weights, strict=True)
    ]


def _one_row(value: Any) -> Any:
    """Return the row of a gradient that was returned with a row for each sample, if they are equal."""
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.ndim == 2 and len(array) and np.allclose(array, array[:1]):
        return array[0]
    return value


RHO_HAT = "ρ̂ is one number for each unit: its mean over the samples of the batch."
MEAN = "Z.mean(axis=0)"
PENALTY_MISTAKES = (
    Mistake(
        "brackets are missing in the second logarithm",
        "np.log((1 - rho) / (1 - rho_hat))",
        "np.log(1 - rho / 1 - rho_hat)",
        "(8)",
        "1 − ρ/1 − ρ̂ is read as 1 − (ρ/1) − ρ̂. Both 1 − ρ and 1 − ρ̂ need brackets.",
    ),
    Mistake(
        "ρ̂ over the wrong axis", MEAN, "Z.mean(axis=1)", "(8)", f"{RHO_HAT} Yours is a mean for each sample."
    ),
    Mistake(
        "one ρ̂ for all units",
        MEAN,
        "Z.mean()",
        "(8)",
        f"{RHO_HAT} Yours is the mean of all entries, so units that are too active hide those that sleep.",
    ),
    Mistake(
        "a sum in place of the mean",
        MEAN,
        "Z.sum(axis=0)",
        "(8)",
        f"{RHO_HAT} Yours is a sum, which may be above 1.",
    ),
    Mistake(
        "the divergence comes before the mean",
        MEAN,
        "Z",
        "(8)",
        "First comes the mean over the batch, then the divergence. You take the divergence of each activation.",
    ),
    Mistake(
        "the arguments are swapped, KL(ρ̂ ‖ ρ)",
        "beta * np.sum(rho * on + (1 - rho) * off)",
        "-beta * np.sum(rho_hat * on + (1 - rho_hat) * off)",
        "(8)",
        "KL(ρ ‖ ρ̂) weighs the logarithms by ρ. The divergence is not symmetric: KL(ρ̂ ‖ ρ) is another number.",
    ),
    Mistake(
        "the logarithms are upside down",
        "on, off = np.log(rho / rho_hat), np.log((1 - rho) / (1 - rho_hat))",
        "on, off = np.log(rho_hat / rho), np.log((1 - rho_hat) / (1 - rho))",
        "(8)",
        "This is −KL, which is never positive: the penalty would reward what it should punish.",
    ),
    Mistake(
        "the second term is forgotten",
        " + (1 - rho) * off",
        "",
        "(8)",
        "A coin shows heads with ρ and tails with 1 − ρ, and both count. With the first term alone the penalty "
        "has no minimum at ρ̂ = ρ.",
    ),
    Mistake(
        "the first term is forgotten", "rho * on + ", "", "(8)", "Both sides of the coin count, ρ and 1 − ρ."
    ),
    Mistake(
        "the sign of the second term is reversed",
        "on + (1 - rho)",
        "on - (1 - rho)",
        "(8)",
        "The two terms are added. Then the divergence is 0 at ρ̂ = ρ and positive elsewhere.",
    ),
    Mistake(
        "the logarithm has base 2",
        "np.sum(rho * on + (1 - rho) * off)",
        "np.sum(rho * on + (1 - rho) * off) / np.log(2)",
        "(8)",
        "log is the natural logarithm, to the base e. With base 2, all is 1.44 times as large.",
    ),
    Mistake("β is forgotten", "beta * ", "", "(8)", "The sum of the divergences is weighed by β."),
    Mistake(
        "a mean over units in place of a sum",
        "np.sum(rho",
        "np.mean(rho",
        "(8)",
        "The penalty sums over the units. Only ρ̂ is a mean, over the batch.",
    ),
    Mistake(
        "divided by the batch size",
        "beta * np.sum",
        "beta / len(Z) * np.sum",
        "(8)",
        "The mean over the batch is in ρ̂ already. After it there is no B.",
    ),
    Mistake(
        "one number for each unit",
        "np.sum(rho * on + (1 - rho) * off)",
        "(rho * on + (1 - rho) * off)",
        "(8)",
        "The penalty is one number: the sum over the units.",
    ),
    Mistake(
        "the entropy of ρ is left out",
        "on, off = np.log(rho / rho_hat), np.log((1 - rho) / (1 - rho_hat))",
        "on, off = -np.log(rho_hat), -np.log(1 - rho_hat)",
        "(8)",
        "This is the cross-entropy. It has the same gradient, but is not 0 at ρ̂ = ρ: the part of ρ alone is missing.",
    ),
)

SLOPE = "(-rho / rho_hat + (1 - rho) / (1 - rho_hat))"
GRADIENT_MISTAKES = (
    Mistake(
        "brackets are missing in the second term",
        "(1 - rho) / (1 - rho_hat)",
        "(1 - rho) / 1 - rho_hat",
        "(13)",
        "(1 − ρ)/1 − ρ̂ is read as (1 − ρ) − ρ̂. The denominator 1 − ρ̂ needs brackets.",
    ),
    Mistake(
        "ρ̂ over the wrong axis", MEAN, "Z.mean(axis=1)", "(8)", f"{RHO_HAT} Yours is a mean for each sample."
    ),
    Mistake(
        "ρ̂ over the wrong axis, as a column",
        MEAN,
        "Z.mean(axis=1, keepdims=True)",
        "(8)",
        f"{RHO_HAT} Yours is a mean for each sample.",
    ),
    Mistake(
        "one ρ̂ for all units",
        MEAN,
        "Z.mean() + np.zeros(Z.shape[1])",
        "(8)",
        f"{RHO_HAT} Yours is of all units.",
    ),
    Mistake(
        "a sum in place of the mean",
        MEAN,
        "Z.sum(axis=0)",
        "(8)",
        f"{RHO_HAT} Yours is a sum, which may be above 1.",
    ),
    Mistake(
        "ρ̂ over the wrong axis, and cut to length",
        MEAN,
        "np.resize(Z.mean(axis=1), Z.shape[1])",
        "(8)",
        f"{RHO_HAT} Yours is a mean for each sample.",
    ),
    Mistake(
        "z in place of ρ̂",
        MEAN,
        "Z",
        "(13)",
        "The divergence is of ρ̂, the mean over the batch, and so is its slope. You take the slope at each activation.",
    ),
    Mistake(
        "1/B is forgotten",
        "beta / len(Z)",
        "beta",
        "(13)",
        "ρ̂ is a mean of B numbers, so one activation moves it by 1/B: ∂ρ̂/∂z = 1/B. This is the inner derivative.",
    ),
    Mistake("divided by B twice", "len(Z)", "len(Z) ** 2", "(13)", "∂ρ̂/∂z is 1/B, once."),
    Mistake(
        "divided by h in place of B",
        "len(Z)",
        "Z.shape[1]",
        "(13)",
        "ρ̂ is a mean over the B samples: ∂ρ̂/∂z = 1/B.",
    ),
    Mistake("divided by h too", "len(Z)", "Z.size", "(13)", "ρ̂ is a mean over the B samples: ∂ρ̂/∂z = 1/B."),
    Mistake(
        "β is forgotten",
        "beta / len(Z)",
        "1 / len(Z)",
        "(13)",
        "The penalty has the weight β, and so has its gradient.",
    ),
    Mistake(
        "the sign of the first term is reversed",
        "(-rho",
        "(rho",
        "(13)",
        "The derivative of −ρ log ρ̂ is −ρ/ρ̂. Below ρ the gradient must be negative, so that a step raises ρ̂.",
    ),
    Mistake(
        "the sign of the second term is reversed",
        "+ (1 - rho)",
        "- (1 - rho)",
        "(13)",
        "The derivative of −(1 − ρ) log(1 − ρ̂) is +(1 − ρ)/(1 − ρ̂): the inner derivative of 1 − ρ̂ is −1.",
    ),
    Mistake(
        "all signs are reversed",
        SLOPE,
        "(rho / rho_hat - (1 - rho) / (1 - rho_hat))",
        "(13)",
        "This gradient leads away from ρ. Where ρ̂ < ρ it must be negative, so that a step against it raises ρ̂.",
    ),
    Mistake(
        "the first term is forgotten",
        "-rho / rho_hat + ",
        "",
        "(13)",
        "Both terms of the divergence have a derivative.",
    ),
    Mistake(
        "the second term is forgotten",
        " + (1 - rho) / (1 - rho_hat)",
        "",
        "(13)",
        "Both terms of the divergence have a derivative.",
    ),
    Mistake(
        "ρ and ρ̂ are swapped",
        SLOPE,
        "(-rho_hat / rho + (1 - rho_hat) / (1 - rho))",
        "(13)",
        "ρ̂ is what changes: it is the logarithm of ρ̂ that is differentiated, and so ρ̂ comes below the line.",
    ),
    Mistake(
        "the slope of KL(ρ̂ ‖ ρ)",
        SLOPE,
        "(np.log(rho_hat / rho) - np.log((1 - rho_hat) / (1 - rho)))",
        "(13)",
        "This is the derivative of the other divergence, KL(ρ̂ ‖ ρ). Eq. (8) has KL(ρ ‖ ρ̂).",
    ),
    Mistake(
        "the slope of the sigmoid is in it",
        f"* {SLOPE}",
        f"* {SLOPE} * rho_hat * (1 - rho_hat)",
        "(14)",
        "That step comes later: Eq. (14) multiplies all of dZ by the slope of the activation.",
    ),
)

EXERCISE = Exercise(
    4,
    "kl",
    "KL penalty and its gradient",
    "(8) (13)",
    (
        Task(kl_penalty, _cases, ("the penalty",), {"Z": "Bh"}, PENALTY_MISTAKES),
        Task(
            kl_gradient,
            _cases,
            ("the gradient",),
            {"Z": "Bh", "the gradient": "h"},
            GRADIENT_MISTAKES,
            read=_one_row,
        ),
    ),
    (
        "nsae.equations.sparsity:kl_penalty",
        "nsae.equations.sparsity:kl_gradient",
        "nsae.equations.sparsity:kl_slope",
    ),
)
