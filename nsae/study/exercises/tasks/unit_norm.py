"""Exercise 11: the decoder with columns of norm 1, Eq. (20)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sizes


def tangent(dV: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return dV without its part along each column of V, the first half of Eq. (20).

    (20)  dV[:, j] ← dV[:, j] − V[:, j] ⟨V[:, j], dV[:, j]⟩        for each unit j, before the step

    ⟨a, b⟩ is the inner product, Σ over l of a[l] b[l].

    Parameters
    ----------
    dV, V : (d, h) arrays
        The gradient, and the weights of the decoder, whose columns have norm 1.

    Examples
    --------
    >>> V, dV = np.array([[1.0, 0.6], [0.0, 0.8]]), np.array([[3.0, 1.0], [4.0, 0.0]])
    >>> tangent(dV, V).round(2).tolist()
    [[0.0, 0.64], [4.0, -0.48]]
    """
    return dV - V * np.sum(V * dV, axis=0)  # (20) (d, h)


def normalise_columns(V: np.ndarray) -> np.ndarray:
    """Return V with each column at norm 1, the second half of Eq. (20).

    (20)  V[:, j] ← V[:, j] / ‖V[:, j]‖        for each unit j, after the step

    A column of zeros stays as it is.  Return a new array; leave V as it is.

    Parameters
    ----------
    V : (d, h) array
        The weights of the decoder.

    Examples
    --------
    >>> normalise_columns(np.array([[3.0, 0.0], [4.0, 0.0]])).tolist()
    [[0.6, 0.0], [0.8, 0.0]]
    """
    norms = np.sqrt(np.sum(V**2, axis=0))  # (h,)
    return V / np.where(norms > 0, norms, 1)  # (20) (d, h)


def _tangent_cases() -> list[Case]:
    cases = []
    for rng, _, d, h in sizes():
        V = rng.normal(size=(d, h))
        cases.append({"dV": rng.normal(size=(d, h)), "V": V / np.sqrt(np.sum(V**2, axis=0))})
    return cases


def _column_cases() -> list[Case]:
    cases = [{"V": rng.normal(size=(d, h)) * rng.uniform(0.1, 3, h)} for rng, _, d, h in sizes()]
    cases[1]["V"][:, 1] = 0
    return cases


UNIT = "A unit's pattern is a column of V, so there is one inner product, and one norm, for each column."
PART = "V * np.sum(V * dV, axis=0)"
TANGENT_MISTAKES = (
    Mistake(
        "nothing is taken away",
        f"dV - {PART}",
        "1.0 * dV",
        "(20)",
        "The part of dV along the column is left in. The normalisation undoes it, but Adam's moments keep it.",
    ),
    Mistake(
        "the sign is reversed",
        "dV - V",
        "dV + V",
        "(20)",
        "The part along the column is taken away. Here it is doubled.",
    ),
    Mistake(
        "only the part along the column is left",
        f"dV - {PART}",
        PART,
        "(20)",
        "This is the part that has to go. What is left of dV without it is asked for.",
    ),
    Mistake(
        "the inner products are of rows",
        PART,
        "V * np.sum(V * dV, axis=1, keepdims=True)",
        "(20)",
        f"{UNIT} You take one for each row.",
    ),
    Mistake(
        "the inner products are of rows, as a flat array",
        "axis=0",
        "axis=1",
        "(20)",
        f"{UNIT} You take one for each row.",
    ),
    Mistake(
        "one inner product for all of V",
        "np.sum(V * dV, axis=0)",
        "np.sum(V * dV)",
        "(20)",
        f"{UNIT} You take one for all.",
    ),
    Mistake(
        "one inner product for all of V, scaled",
        PART,
        "V * np.sum(V * dV) / np.sum(V**2)",
        "(20)",
        f"{UNIT} You take the part along V as one long vector.",
    ),
    Mistake(
        "the part along all columns is taken away",
        PART,
        "V @ (V.T @ dV)",
        "(20)",
        "Column j of dV loses its parts along every column of V. It must lose that along column j alone.",
    ),
    Mistake(
        "the inner product is subtracted as it is",
        PART,
        "np.sum(V * dV, axis=0)",
        "(20)",
        "The part along the column is a vector: the inner product times the column.",
    ),
    Mistake(
        "V and dV are swapped",
        PART,
        "dV * np.sum(V * dV, axis=0)",
        "(20)",
        "What is taken away points along the column V[:, j], not along the gradient.",
    ),
    Mistake(
        "the norm in place of the inner product",
        "np.sum(V * dV, axis=0)",
        "np.sqrt(np.sum(dV**2, axis=0))",
        "(20)",
        "How much of dV points along the column is told by their inner product.",
    ),
    Mistake(
        "the sum is forgotten",
        "np.sum(V * dV, axis=0)",
        "V * dV",
        "(20)",
        "An inner product is a sum over the features.",
    ),
    Mistake(
        "V is subtracted from V", "dV - V", "V - V", "(20)", "It is the gradient dV that loses a part, not V."
    ),
    Mistake("half of the part", PART, f"0.5 * {PART}", "(20)", "All of the part along the column goes."),
)
NORMS = "np.sqrt(np.sum(V**2, axis=0))"
COLUMN_MISTAKES = (
    Mistake(
        "the norms are of rows",
        f"{NORMS}  # (h,)",
        "np.sqrt(np.sum(V**2, axis=1, keepdims=True))",
        "(20)",
        f"{UNIT} You normalise rows.",
    ),
    Mistake(
        "the norms are of rows, as a flat array",
        "axis=0",
        "axis=1",
        "(20)",
        f"{UNIT} You take norms of rows.",
    ),
    Mistake("one norm for all of V", "axis=0", "", "(20)", f"{UNIT} You divide by the norm of all of V."),
    Mistake(
        "the root is forgotten",
        NORMS,
        "np.sum(V**2, axis=0)",
        "(20)",
        "The norm is the root of the sum of squares.",
    ),
    Mistake("the square is forgotten", "V**2", "V", "(20)", "The norm is the root of the sum of squares."),
    Mistake(
        "absolute values are summed",
        NORMS,
        "np.sum(np.abs(V), axis=0)",
        "(20)",
        "‖·‖ is the root of the sum of squares. The sum of absolute values is another norm.",
    ),
    Mistake(
        "the largest entry becomes 1",
        NORMS,
        "np.max(np.abs(V), axis=0)",
        "(20)",
        "‖·‖ is the root of the sum of squares, not the largest entry.",
    ),
    Mistake(
        "a column of zeros becomes NaN",
        "np.where(norms > 0, norms, 1)",
        "norms",
        "(20)",
        "A column of zeros has norm 0, and 0/0 is no number. Such a column stays as it is.",
    ),
    Mistake(
        "only long columns are shortened",
        "np.where(norms > 0, norms, 1)",
        "np.maximum(norms, 1)",
        "(20)",
        "Columns that are shorter than 1 are made longer, too.",
    ),
    Mistake("it multiplies", "V /", "V *", "(20)", "Dividing by its norm brings a column to norm 1."),
    Mistake(
        "the norm is a mean",
        "np.sum(V",
        "np.mean(V",
        "(20)",
        "The norm is the root of the sum of squares, not of their mean.",
    ),
    Mistake(
        "columns are centred and scaled",
        "V / ",
        "(V - V.mean(axis=0)) / ",
        "(20)",
        "No mean is subtracted: only the length changes.",
    ),
)

EXERCISE = Exercise(
    11,
    "unit_norm",
    "unit-norm decoder",
    "(20)",
    (
        Task(tangent, _tangent_cases, ("dV",), {"dV": "dh", "V": "dh"}, TANGENT_MISTAKES),
        Task(normalise_columns, _column_cases, ("V",), {"V": "dh"}, COLUMN_MISTAKES),
    ),
    ("nsae.equations.layers:tangent", "nsae.equations.layers:normalise_columns"),
)
