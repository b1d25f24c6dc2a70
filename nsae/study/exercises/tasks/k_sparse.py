"""Exercise 9: the k-sparse code, Eq. (4), and its gate, Eq. (14)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sizes


def k_sparse(Y: np.ndarray, k: int) -> np.ndarray:
    """Return the k-sparse code Z (B, h), Eq. (4).

    (4)  z[i, j] = y[i, j]   if it is positive and one of the k largest of row i
                   0         otherwise

    If entries are equal, the one with the lowest index comes first.  A row with fewer than k positive entries has
    fewer than k active units.

    Parameters
    ----------
    Y : (B, h) array
        Pre-activations.
    k : int
        How many units of a row may be active, at least 1 and at most h.

    Examples
    --------
    >>> k_sparse(np.array([[3.0, -5.0, 1.0, 2.0], [-1.0, 0.5, -2.0, -3.0], [1.0, 7.0, 1.0, 1.0]]), 2).tolist()
    [[3.0, 0.0, 0.0, 2.0], [0.0, 0.5, 0.0, 0.0], [1.0, 7.0, 0.0, 0.0]]
    """
    Z = np.zeros_like(Y)  # (B, h)
    for i, y in enumerate(Y):
        largest = np.argsort(-y, kind="stable")[:k]  # (k,) units, the leftmost of equals first
        Z[i, largest] = np.maximum(y[largest], 0)  # (4)
    return Z


def k_sparse_backward(dZ: np.ndarray, Y: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return dY (B, h) for the k-sparse code, Eq. (14).

    (14)  dY = dZ ⊙ g′        g′ = 1 where z > 0, else 0

    Parameters
    ----------
    dZ : (B, h) array
        From Eq. (13).
    Y, Z : (B, h) arrays
        Pre-activation and code, Z = k_sparse(Y, k).

    Examples
    --------
    >>> Y, Z = np.array([[3.0, 1.0, 2.0]]), np.array([[3.0, 0.0, 2.0]])
    >>> k_sparse_backward(np.array([[0.5, 0.25, -1.0]]), Y, Z).tolist()
    [[0.5, 0.0, -1.0]]
    """
    return dZ * (Z > 0)  # (14) (B, h)


def _forward_cases() -> list[Case]:
    cases = []
    for (rng, B, _, h), k in zip(sizes(), (2, 1, 4), strict=True):
        Y = rng.normal(size=(B, h)) + 0.3
        Y[0] = np.abs(Y[0]) + 0.1  # a row with h positive entries
        Y[1] = -Y[0]  # and one with none
        Y[2] = 0.5  # all equal
        Y[3] = np.where(np.arange(h) == h - 1, 2.0, -3.0)  # one positive, and larger ones in size
        cases.append({"Y": Y, "k": k})
    cases.append({"Y": np.random.default_rng(3).normal(size=(4, 5)), "k": 5})
    return cases


def _backward_cases() -> list[Case]:
    cases = []
    for rng, B, _, h in sizes():
        Y = rng.normal(size=(B, h)) + 1.0
        cases.append({"dZ": rng.normal(size=(B, h)), "Y": Y, "Z": k_sparse(Y, 2)})
    return cases


ORDER = 'np.argsort(-y, kind="stable")[:k]'
VALUES = "np.maximum(y[largest], 0)"
COMMENT = "  # (k,) units, the leftmost of equals first"
LOOP = f"for i, y in enumerate(Y):\n        largest = {ORDER}{COMMENT}\n        Z[i, largest] = {VALUES}"
FORWARD_MISTAKES = (
    Mistake(
        "the k smallest in place of the largest",
        "-y,",
        "y,",
        "(4)",
        "Sorting is ascending: the first k are the smallest.",
    ),
    Mistake(
        "the k largest in size",
        "-y,",
        "-np.abs(y),",
        "(4)",
        "−3 is larger than 2 in size, but it is not a larger number. Such a unit takes a place and then is cut to 0.",
    ),
    Mistake(
        "negative entries stay",
        VALUES,
        "y[largest]",
        "(4)",
        "Where fewer than k entries are positive, some of the k largest are negative. They become 0 here. (Makhzani "
        "and Frey keep them.)",
    ),
    Mistake(
        "the largest in size, and negative ones stay",
        f'-y, kind="stable")[:k]  # (k,) units, the leftmost of equals first\n        Z[i, largest] = {VALUES}',
        '-np.abs(y), kind="stable")[:k]\n        Z[i, largest] = y[largest]',
        "(4)",
        "Only positive entries may stay, the k largest of them. You take the k largest in size, of either sign.",
    ),
    Mistake(
        "absolute values stay",
        VALUES,
        "np.abs(y[largest])",
        "(4)",
        "Where fewer than k entries are positive, some of the k largest are negative. They become 0, not positive.",
    ),
    Mistake(
        "ties go to the highest index",
        ORDER,
        'np.argsort(y, kind="stable")[::-1][:k]',
        "(4)",
        "If entries are equal, the lowest index comes first. np.argsort keeps their order only in a "
        "stable sort, and turning an ascending order around turns ties around.",
    ),
    Mistake(
        "ties all stay",
        ORDER,
        "np.flatnonzero(y >= np.sort(y)[-k])",
        "(4)",
        "Where entries equal the k-th largest, more than k units stay. Exactly k may, those with the lowest index.",
    ),
    Mistake(
        "the k-th is left out",
        ORDER,
        "np.flatnonzero(y > np.sort(y)[-k])",
        "(4)",
        "Only entries above the k-th largest stay. The k-th belongs to the k largest too.",
    ),
    Mistake("one too few", "[:k]", "[: k - 1]", "(4)", "k − 1 units stay, where k may."),
    Mistake("one too many", "[:k]", "[: k + 1]", "(4)", "k + 1 units stay, where k may."),
    Mistake(
        "the k largest of each column",
        LOOP,
        f"for j, y in enumerate(Y.T):\n        largest = {ORDER}\n        Z[largest, j] = {VALUES}",
        "(4)",
        "The k largest are those of each row, that is of each sample. You take them of each column, that is of each "
        "unit over the batch.",
    ),
    Mistake(
        "the k largest of the whole batch",
        LOOP,
        'largest = np.argsort(-Y.ravel(), kind="stable")[:k]\n    Z.flat[largest] = np.maximum(Y.flat[largest], 0)',
        "(4)",
        "The k largest are those of each row, that is of each sample. You take k of the whole batch.",
    ),
    Mistake(
        "ones in place of the values",
        VALUES,
        "y[largest] > 0",
        "(4)",
        "An active unit keeps its value y. That is the gate, Eq. (14).",
    ),
    Mistake(
        "the k-th largest is subtracted",
        VALUES,
        "np.maximum(y[largest] - y[largest[-1]], 0)",
        "(4)",
        "An active unit keeps its value as it is. Subtracting a threshold is another activation, the soft threshold.",
    ),
    Mistake("k is ignored", "[:k]", "", "(4)", "All positive entries stay: that is ReLU."),
    Mistake(
        "what is kept is set to 0",
        f"Z[i, largest] = {VALUES}",
        "Z[i] = np.maximum(y, 0)\n        Z[i, largest] = 0",
        "(4)",
        "The k largest stay and the others become 0. You do it the other way round.",
    ),
)
GATE = "(Z > 0)"
BACKWARD_MISTAKES = (
    Mistake(
        "the gate is forgotten",
        f"dZ * {GATE}",
        "dZ",
        "(14)",
        "A unit that was not selected has slope 0: it passes no gradient.",
    ),
    Mistake(
        "the gate is reversed", "Z > 0", "Z <= 0", "(14)", "The gradient passes the units that stayed, z > 0."
    ),
    Mistake(
        "the gate is taken from y",
        "Z > 0",
        "Y > 0",
        "(14)",
        "A unit may have a positive y and still be off, because k others were larger. Only the code z tells that.",
    ),
    Mistake(
        "the gate has ≥ for >",
        "Z > 0",
        "Z >= 0",
        "(14)",
        "No entry of the code is negative, so z ≥ 0 is always true.",
    ),
    Mistake(
        "the gate multiplies by z",
        GATE,
        "Z",
        "(14)",
        "The slope is 1 for a unit that stayed, however large z is.",
    ),
    Mistake(
        "the gate multiplies by y",
        GATE,
        "Y * (Z > 0)",
        "(14)",
        "The slope is 1 for a unit that stayed, however large y is.",
    ),
    Mistake(
        "dZ is forgotten",
        f"dZ * {GATE}",
        f"1.0 * {GATE}",
        "(14)",
        "The gate alone is no gradient: it multiplies dZ.",
    ),
    Mistake(
        "the sign is reversed",
        "return dZ",
        "return -dZ",
        "(14)",
        "The slope is 1 for a unit that stayed, not −1.",
    ),
    Mistake(
        "the gate looks at dZ",
        "Z > 0",
        "dZ > 0",
        "(14)",
        "Whether a unit is on is told by its code, not by its gradient.",
    ),
    Mistake("the slope of the sigmoid", GATE, "Z * (1 - Z)", "(14)", "z(1 − z) is the slope of the sigmoid."),
)

EXERCISE = Exercise(
    9,
    "k_sparse",
    "k-sparse code and its gate",
    "(4) (14)",
    (
        Task(k_sparse, _forward_cases, ("Z",), {"Y": "Bh", "Z": "Bh"}, FORWARD_MISTAKES),
        Task(
            k_sparse_backward,
            _backward_cases,
            ("dY",),
            {"dZ": "Bh", "Y": "Bh", "Z": "Bh", "dY": "Bh"},
            BACKWARD_MISTAKES,
        ),
    ),
    ("nsae.equations.activations:KSparse.__call__", "nsae.equations.activations:KSparse.grad"),
)
