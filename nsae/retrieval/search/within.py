"""All rows within a radius, by a search that finds the k nearest: k grows until it is large enough."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.filters import Filters
from nsae.retrieval.search.records import Found
from nsae.validation import shown

FIRST_WITHIN = 64  # Rows that are looked for first.
FAR = 1e39  # Beyond float32.

Search = Callable[..., tuple[np.ndarray, np.ndarray]]  # As ``Searcher.search``.


def checked_radius(radius: object) -> float:
    """Return the ``radius`` of a search as a float.

    Raises TypeError if it is not a number, ValueError if it is NaN.
    """
    if isinstance(radius, np.ndarray | np.generic) and not np.ma.isMaskedArray(radius) and radius.ndim == 0:
        radius = radius.item()
    if not isinstance(radius, numbers.Real):
        raise TypeError(
            f"radius={shown(radius)} is of type {type(radius).__name__}; a number was expected: the largest distance "
            "to be found."
        )
    number: Any = radius  # numbers.Real has no < for mypy.
    if number != number:
        raise ValueError("radius=nan is expected to be a number: the largest distance to be found.")
    if abs(number) > FAR:  # A whole number may be too large for a float.
        return math.inf if number > 0 else -math.inf
    return float(number)


def within(
    search: Search, n: int, queries: Codes, radius: float, filters: Filters, **execution: object
) -> tuple[np.ndarray, np.ndarray]:
    """Find all of ``n`` rows at a distance up to ``radius`` of each of the ``queries``.

    Parameters
    ----------
    search : function
        It finds the k nearest rows, as :meth:`nsae.retrieval.search.searcher.Searcher.search` does.
    n : int
        How many rows it searches.
    queries : Codes
        q of them.
    radius : float
        Rounded to float32, as distances are.
    filters : Filters
    **execution
        Passed on to ``search``.

    Returns
    -------
    distances : (q, m) float32
        m is the length of the longest list; padded with +inf.
    rows : (q, m) int64
        Padded with −1.
    """
    with np.errstate(over="ignore"):  # What float32 cannot hold becomes infinite: then all rows are within.
        limit = float(np.nextafter(np.float32(radius), np.float32(np.inf)))
    k = min(n, FIRST_WITHIN)
    unfinished = np.arange(len(queries))  # queries that may have more than k
    nothing = np.empty(0, np.float32), np.empty(0, np.int64)
    found = [nothing] * len(queries)
    while len(unfinished):
        some, some_filters = queries[unfinished], filters.of_queries(unfinished)
        distances, rows = search(some, max(k, 1), some_filters, limit=limit, **execution)
        counts = np.count_nonzero(rows >= 0, axis=1)
        for i, query in enumerate(unfinished):
            found[query] = distances[i, : counts[i]], rows[i, : counts[i]]
        unfinished = unfinished[counts == k] if k < n else unfinished[:0]
        k = min(n, 16 * k)
    longest = max((len(rows) for _, rows in found), default=0)
    padded = Found.nothing(len(queries), longest)
    for i, (d, r) in enumerate(found):
        padded.distances[i, : len(d)], padded.rows[i, : len(r)] = d, r
    return padded.distances, padded.rows
