"""The first function of exercise 13: inverted lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.study.exercises.exercise import Case, Mistake, Task, UnreadableError
from nsae.study.exercises.tasks.draw import SIZES, sparse


def inverted_lists(Z: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return an inverted list for each unit: a list of h pairs (rows, values).

    The pair of unit j has the rows i where z[i, j] is not 0, ascending, and the values z[i, j] of these rows.  A
    search then reads only the lists of the units that are active in the query.

    Parameters
    ----------
    Z : (n, h) array
        The codes of n stored images.

    Examples
    --------
    >>> lists = inverted_lists(np.array([[0.0, 2.0], [3.0, 1.0], [0.0, 0.0]]))
    >>> [(rows.tolist(), values.tolist()) for rows, values in lists]
    [([1], [3.0]), ([0, 1], [2.0, 1.0])]
    """
    lists = []
    for j in range(Z.shape[1]):
        rows = np.flatnonzero(Z[:, j])  # where unit j is active
        lists.append((rows, Z[rows, j]))
    return lists


def _list_cases() -> list[Case]:
    return [{"Z": codes_to_search(seed)} for seed in range(len(SIZES))]


def codes_to_search(seed: int) -> np.ndarray:
    """Return codes, drawn with ``seed``, of 8 to 10 rows over 5 to 7 units, with special rows."""
    Z = sparse(np.random.default_rng(seed), 8 + seed, 5 + seed)
    Z[2] = 0
    Z[3, 1:], Z[3, 0] = 0, 1.5
    Z[0] = np.where(np.arange(len(Z[0])) % 2 == 0, 0.5, 3.0)  # of a large norm
    return Z


def _flat(lists: Any) -> Any:
    """Return the lengths of the lists, all rows and all values, one list after the other."""
    pairs = [lists[j] for j in range(len(lists))]  # a dict by unit will do
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise UnreadableError("the lists are no pairs")
    rows = [np.ravel(rows) for rows, _ in pairs]
    values = [np.ravel(values) for _, values in pairs]
    return [len(r) for r in rows], np.concatenate([*rows, []]), np.concatenate([*values, []])


ACTIVE = "A list has the rows where the unit is active, that is not 0."
COMMENT = "  # where unit j is active"
APPEND = "lists.append((rows, Z[rows, j]))"
LIST_MISTAKES = (
    Mistake(
        "the lists are of rows",
        f"range(Z.shape[1]):\n        rows = np.flatnonzero(Z[:, j]){COMMENT}\n        {APPEND}",
        "range(Z.shape[0]):\n        rows = np.flatnonzero(Z[j])\n        lists.append((rows, Z[j, rows]))",
        "(23)",
        "You list the units of each row. That is how codes come; inverted, the lists have the rows of each unit.",
    ),
    Mistake(
        "the lists have all rows",
        "np.flatnonzero(Z[:, j])",
        "np.arange(len(Z))",
        "(23)",
        f"{ACTIVE} With all rows, nothing is saved.",
    ),
    Mistake(
        "the lists have the rows that are off",
        "np.flatnonzero(Z[:, j])",
        "np.flatnonzero(Z[:, j] == 0)",
        "(23)",
        ACTIVE,
    ),
    Mistake(
        "all values are kept",
        "Z[rows, j]",
        "Z[:, j]",
        "(23)",
        "The values are those of the rows in the list, one for each.",
    ),
    Mistake(
        "whole rows are kept",
        "Z[rows, j]",
        "Z[rows]",
        "(23)",
        "The values are those of this unit, one for each row in the list.",
    ),
    Mistake(
        "the values are ones",
        "Z[rows, j]",
        "np.ones(len(rows))",
        "(23)",
        "The cosine needs the values. With ones, it compares supports, as Jaccard does.",
    ),
    Mistake(
        "rows and values are swapped",
        "(rows, Z[rows, j])",
        "(Z[rows, j], rows)",
        "(23)",
        "The rows come first, then the values.",
    ),
    Mistake(
        "the rows are ordered by value",
        "np.flatnonzero(Z[:, j])",
        "np.argsort(-Z[:, j], kind='stable')[: np.count_nonzero(Z[:, j])]",
        "(23)",
        "The rows of a list ascend. You have ordered them by their values.",
    ),
    Mistake(
        "the last unit is left out",
        "range(Z.shape[1])",
        "range(Z.shape[1] - 1)",
        "(23)",
        "range(h) ends at h − 1 already: each of the h units has a list.",
    ),
    Mistake(
        "rows are counted from 1",
        APPEND,
        "lists.append((rows + 1, Z[rows, j]))",
        "(23)",
        "Rows are counted from 0, as everywhere in Python.",
    ),
    Mistake(
        "the values are squared",
        APPEND,
        "lists.append((rows, Z[rows, j] ** 2))",
        "(23)",
        "The values are kept as they are.",
    ),
    Mistake("only values above 1", "np.flatnonzero(Z[:, j])", "np.flatnonzero(Z[:, j] >= 1)", "(23)", ACTIVE),
)

TASK = Task(
    inverted_lists,
    _list_cases,
    ("the lengths of the lists", "the rows", "the values"),
    {"Z": "nh"},
    LIST_MISTAKES,
    read=_flat,
)
