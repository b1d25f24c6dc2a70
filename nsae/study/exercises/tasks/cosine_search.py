"""Exercise 13: cosine search by inverted lists, Eq. (23)."""

from __future__ import annotations

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Mistake, Task
from nsae.study.exercises.tasks.draw import sparse
from nsae.study.exercises.tasks.inverted_lists import TASK, codes_to_search, inverted_lists


def cosine_search(
    q: np.ndarray, lists: list[tuple[np.ndarray, np.ndarray]], norms: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the k rows nearest to a query, and their cosine distances, Eq. (23): two arrays (k,), nearest first.

    (23)  distance of q and z = 1 − ⟨q, z⟩ / (‖q‖ ‖z‖)

    A row that shares no unit with the query, or whose code is all zeros, is at distance 1.  If distances are
    equal, the lower row comes first.

    Parameters
    ----------
    q : (h,) array
        The code of the query.
    lists : list of h pairs (rows, values)
        From ``inverted_lists``: of each unit, the rows where it is active, and its values there.
    norms : (n,) array
        ‖z‖ of each stored code.
    k : int
        How many rows to return, at most n.

    Examples
    --------
    >>> lists = [(np.array([1]), np.array([3.0])), (np.array([0, 1]), np.array([2.0, 4.0]))]
    >>> rows, distances = cosine_search(np.array([1.0, 0.0]), lists, np.array([2.0, 5.0, 0.0]), 2)
    >>> rows.tolist(), distances.tolist()
    ([1, 0], [0.4, 1.0])
    """
    products = np.zeros(len(norms))  # (n,)
    for j in np.flatnonzero(q):
        rows, values = lists[j]
        products[rows] += q[j] * values
    lengths = norms * np.sqrt(np.sum(q**2))  # (n,)
    similarities = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)  # (n,)
    distances = 1 - similarities  # (23) (n,)
    nearest = np.argsort(distances, kind="stable")[:k]  # (k,)
    return nearest, distances[nearest]


def _search_cases() -> list[Case]:
    cases = []
    for seed, k in enumerate((3, 9, 4)):
        Z = codes_to_search(seed)
        q = Z[1] + sparse(np.random.default_rng(seed + 10), 1, Z.shape[1])[0]
        q[0] = 0  # at least one list is not to be read
        q[1] = max(q[1], 0.5)
        norms = np.sqrt(np.sum(Z**2, axis=1))
        cases.append({"q": q, "lists": inverted_lists(Z), "norms": norms, "k": k})
    return cases


LENGTHS = "norms * np.sqrt(np.sum(q**2))"
SORT = 'np.argsort(distances, kind="stable")[:k]'
SEARCH_MISTAKES = (
    Mistake(
        "similarities in place of distances",
        "return nearest, distances[nearest]",
        "return nearest, similarities[nearest]",
        "(23)",
        "The order is right, but what is returned is the similarity. The distance is 1 minus it.",
    ),
    Mistake(
        "similarities, sorted as if they were distances",
        "1 - similarities",
        "similarities",
        "(23)",
        "What is near has a large similarity: an ascending sort brings the farthest first. The distance is 1 − it.",
    ),
    Mistake(
        "the distance is 1 + similarity",
        "1 - similarities",
        "1 + similarities",
        "(23)",
        "The similarity is subtracted from 1: what is near has a small distance.",
    ),
    Mistake(
        "the farthest come first",
        SORT,
        'np.argsort(-distances, kind="stable")[:k]',
        "(23)",
        "Distances ascend: the nearest row has the smallest.",
    ),
    Mistake(
        "the norm of the query is forgotten",
        LENGTHS,
        "norms",
        "(23)",
        "The product is divided by both norms. Without ‖q‖ the order is right, but the distances are not.",
    ),
    Mistake(
        "the norms of the codes are forgotten",
        LENGTHS,
        "np.sqrt(np.sum(q**2)) + 0 * norms",
        "(23)",
        "The product is divided by both norms. Without ‖z‖, codes with large values come first.",
    ),
    Mistake(
        "both norms are forgotten",
        LENGTHS,
        "1 + 0 * norms",
        "(23)",
        "That is 1 − ⟨q, z⟩. The cosine divides by both norms.",
    ),
    Mistake(
        "the norms are squared",
        LENGTHS,
        "norms**2 * np.sum(q**2)",
        "(23)",
        "A norm is the root of the sum of squares. You divide by the sums.",
    ),
    Mistake(
        "the root is forgotten in the norm of the query",
        "np.sqrt(np.sum(q**2))",
        "np.sum(q**2)",
        "(23)",
        "A norm is the root of the sum of squares.",
    ),
    Mistake(
        "the norm of the query is a sum",
        "np.sqrt(np.sum(q**2))",
        "np.sum(np.abs(q))",
        "(23)",
        "A norm is the root of the sum of squares, not the sum of sizes.",
    ),
    Mistake(
        "brackets are missing around the two norms",
        LENGTHS,
        "norms / np.sqrt(np.sum(q**2))",
        "(23)",
        "a/b*c is read as (a/b)·c: you multiply by ‖q‖. The two norms below the line need brackets.",
    ),
    Mistake(
        "the norms are added",
        LENGTHS,
        "norms + np.sqrt(np.sum(q**2))",
        "(23)",
        "The two norms are multiplied.",
    ),
    Mistake(
        "products are not added up",
        "+=",
        "=",
        "(23)",
        "A row that shares several units adds up a term for each. Here the last one replaces the others.",
    ),
    Mistake(
        "the values of the query are forgotten",
        "q[j] * values",
        "values",
        "(23)",
        "Each term is the product of the query's value and the row's.",
    ),
    Mistake(
        "the values of the rows are forgotten",
        "q[j] * values",
        "q[j]",
        "(23)",
        "Each term is the product of the query's value and the row's.",
    ),
    Mistake(
        "shared units are counted",
        "q[j] * values",
        "1",
        "(23)",
        "The cosine multiplies the values. Counting shared units compares supports.",
    ),
    Mistake(
        "the minimum in place of the product",
        "q[j] * values",
        "np.minimum(q[j], values)",
        "(23)",
        "Each term is the product of the query's value and the row's.",
    ),
    Mistake(
        "the lists of the wrong units",
        "for j in np.flatnonzero(q):\n        rows, values = lists[j]",
        "for i, j in enumerate(np.flatnonzero(q)):\n        rows, values = lists[i]",
        "(23)",
        "The list is that of the unit's number, not of its place among the active ones.",
    ),
    Mistake(
        "a code of zeros is NaN",
        "np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)",
        "products / lengths",
        "(23)",
        "A code of zeros has norm 0, and 0/0 is no number. Its distance is 1.",
    ),
    Mistake(
        "rows that share nothing are left out",
        SORT,
        'np.argsort(distances, kind="stable")\n    nearest = nearest[products[nearest] > 0][:k]',
        "(23)",
        "A row that shares no unit with the query is at distance 1 and may be among the k.",
    ),
    Mistake("all rows are returned", "[:k]", "", "(23)", "Only the k nearest are asked for."),
    Mistake("one too few", "[:k]", "[: k - 1]", "(23)", "k − 1 rows are returned, where k are asked for."),
    Mistake(
        "the nearest is left out",
        "[:k]",
        "[1 : k + 1]",
        "(23)",
        "The nearest row is skipped. Nothing says that it is the query itself.",
    ),
    Mistake(
        "the distances are not in the order of the rows",
        "distances[nearest]",
        "distances[:k]",
        "(23)",
        "The distances are those of the rows returned. Yours are those of the first k rows.",
    ),
    Mistake(
        "the rows are not sorted by distance",
        SORT,
        'np.sort(np.argsort(distances, kind="stable")[:k])',
        "(23)",
        "The k rows are right, but the nearest comes first.",
    ),
    Mistake(
        "an ascending order is turned around",
        SORT,
        'np.argsort(similarities, kind="stable")[::-1][:k]',
        "(23)",
        "Turning the order of similarities around turns ties around too: the lower row comes first.",
    ),
    Mistake(
        "ties go to the higher row",
        SORT,
        'np.argsort(distances[::-1], kind="stable")[:k]\n    nearest = len(norms) - 1 - nearest',
        "(23)",
        "Of equal distances the lower row comes first. np.argsort keeps their order only in a stable sort.",
    ),
    Mistake(
        "the angle in place of the cosine",
        "1 - similarities",
        "np.arccos(np.clip(similarities, -1, 1))",
        "(23)",
        "The distance is 1 − cos, not the angle itself.",
    ),
    Mistake(
        "the L2 distance",
        "1 - similarities",
        "np.sqrt(np.maximum(np.sum(q**2) + norms**2 - 2 * products, 0))",
        "(24)",
        "That is Eq. (24). The cosine looks at directions alone.",
    ),
    Mistake(
        "the dot product",
        "1 - similarities",
        "-products",
        "(25)",
        "That is Eq. (25), which rewards large codes. The cosine divides by both norms.",
    ),
    Mistake(
        "rows and distances are swapped",
        "return nearest, distances[nearest]",
        "return distances[nearest], nearest",
        "(23)",
        "The rows come first, then the distances.",
    ),
)

EXERCISE = Exercise(
    13,
    "cosine_search",
    "cosine search by inverted lists",
    "(23)",
    (
        TASK,
        Task(
            cosine_search,
            _search_cases,
            ("the rows", "the distances"),
            {"q": "h", "norms": "n"},
            SEARCH_MISTAKES,
        ),
    ),
    (
        "nsae.retrieval.search.brute_force:BruteForce.distances",
        "nsae.retrieval.search.brute_force:distance_from_products",
    ),
)
