"""Which units a hit depends on: the fewest without which the query would not find it.

A query has few units, so that one can try: what would be found without these?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.explain.contributions import explain
from nsae.retrieval.hits import Hits, columns
from nsae.retrieval.search.brute_force import squared_norms_of

MOST_SETS = 5_000  # Sets of one size that are tried: 3 of 32 units, 4 of 20, 5 of 15, any number of 14.
QUERIES_AT_ONCE = 512  # In one search.
ROUNDING = 1e-6  # Distances are reported in float32.


@dataclass(frozen=True)
class Counterfactual:
    """The units without which a row would not be among the query's k nearest.

    Attributes
    ----------
    units : list of int
        Ascending.  Set to 0 in the query, they take the row out of its top k.
    minimal : bool
        Whether no smaller set does the same.  False means that this is not known.
    """

    units: list[int]
    minimal: bool


def counterfactual(
    search: Callable[..., Hits],
    codes: Codes,
    query: Codes,
    row: int,
    k: int = 10,
    *,
    metric: str,
    exclude: int | str | None = None,
    **options: Any,
) -> Counterfactual | None:
    """Return the smallest set of the query's units whose removal drops a row out of its top k.

    Sets of one unit are tried, then of two, and so on, as long as there are no more than 5,000 of a size:
    up to three of 32 shared units, four of 20, five of 15.  Of each size, those that contribute most to the
    similarity come first.  Beyond that, units are removed one by one, each time the one that brings the row
    nearest to the edge of the top k.  Units that were not needed after all are then put back; such a set may
    not be the smallest.

    Parameters
    ----------
    search : function
        ``search(queries, k, exclude=…, **options)`` returns ``Hits``, as ``CodeIndex.search`` does.
    codes : Codes
        All rows that it searches.
    query : Codes of one row
    row : int
    k : int
    metric : str
        The distance that it ranks by.
    exclude : str or int, optional
        An id that the query shall not find, such as its own.
    **options
        Those of the search that is to be explained.

    Returns
    -------
    Counterfactual or None
        Without units if the row is not among the k nearest to begin with.  None if no set was found, which
        is so where no k other rows can be found.

    Raises
    ------
    ValueError
        If not one code came, or k < 1.
    """
    if len(query) != 1:
        raise ValueError(f"counterfactual is about one query, got {len(query)} codes: call it for each.")
    k = min(columns(k, len(codes)), len(codes))
    row_code, keep = codes[row], options.get("keep")
    if keep is not None:  # here: else another unit would move up for each that is removed
        query, row_code = query.keep(keep), row_code.keep(keep)
    without = _Searches(search, query, row, k, {"exclude": exclude, **options})
    (inside,), (own,), (edge,) = without([()])
    if not inside:
        return Counterfactual([], True)
    if edge == np.inf:
        return None
    # Weights may be anything, and Jaccard's union differs from row to row: no bound holds there.
    bounded = metric != "jaccard" and options.get("weights") is None
    if not bounded or (query.values < 0).any() or (codes.values < 0).any():
        return _smallest_set(without, _all_units(query, row_code, metric))
    return _smallest_set(without, _stake(query, row_code, own, edge, metric))


class _Searches:
    """Searches for one row with some of the query's units removed, many at once."""

    def __init__(self, search: Callable[..., Hits], query: Codes, row: int, k: int, options: dict[str, Any]):
        self.search, self.query, self.row, self.k = search, query, row, k
        self.exclude = options.pop("exclude")
        self.options = options

    def __call__(
        self, sets: Sequence[Sequence[int]] | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return for each set of units to remove three arrays (sets,).

        Whether the row is among the k nearest; its distance where it is; the distance of the k-th of the
        others then, +inf if there are not so many.
        """
        exclude = [self.exclude] * len(sets)
        hits = self.search(_without(self.query, sets), self.k + 1, exclude=exclude, **self.options)
        here = hits.rows == self.row  # (sets, k + 1)
        own = np.where(here, hits.distances, 0).sum(axis=1, dtype=np.float64)  # (sets,)
        return here[:, : self.k].any(axis=1), own, hits.distances[:, -1].astype(np.float64)


def _without(query: Codes, sets: Sequence[Sequence[int]] | np.ndarray) -> Codes:
    """Return the query once for each set, without that set's units."""
    stays = np.stack([~np.isin(query.units, units) for units in sets])  # (sets, m)
    indptr = np.concatenate([[0], np.cumsum(stays.sum(axis=1))]).astype(np.int64)
    which = np.nonzero(stays)[1]  # (nnz,): set by set, units ascending
    return Codes(indptr, query.units[which], query.values[which], query.n_units)


class _Stake(NamedTuple):
    """The units whose removal can matter, what each contributes (m,), descending, and how much must go."""

    units: np.ndarray
    contributions: np.ndarray
    needed: float


def _stake(query: Codes, row_code: Codes, own: float, edge: float, metric: str) -> _Stake:
    """Return what a row at distance ``own`` must lose to fall behind the one at ``edge``.

    Between non-negative codes, removing a unit of the query costs each row its own term in qⱼzⱼ, and ‖q‖
    is the same for all.  So the row falls behind the k-th of the others only if its terms make up for what
    is between them, and units that the row does not have need not be tried.
    """
    shared = explain(query, row_code, None, metric=metric)
    units = np.array([unit for unit, _ in shared], np.int64)  # (m,)
    contributions = np.array([contribution for _, contribution in shared])  # (m,)
    needed = edge - own
    if metric == "hamming" and shared:
        needed /= len(query.units) + len(row_code.units)
    elif metric == "l2" and shared:
        needed = (edge**2 - own**2) / float(squared_norms_of(query)[0] + squared_norms_of(row_code)[0])
    return _Stake(units, contributions, needed - ROUNDING * max(1.0, float(contributions.sum())))


def _all_units(query: Codes, row_code: Codes, metric: str) -> _Stake:
    """Return all units of the query, those of the row first, where nothing is known of what must go."""
    shared = np.array([unit for unit, _ in explain(query, row_code, None, metric=metric)], np.int64)  # (m,)
    units = np.concatenate([shared, np.setdiff1d(query.units, shared)])
    return _Stake(units, np.zeros(len(units)), 0.0)


def _smallest_set(without: _Searches, stake: _Stake) -> Counterfactual | None:
    """Return the first set that does it: by size, then by what it contributes."""
    units, contributions, needed = stake
    enough = np.flatnonzero(np.cumsum(contributions) >= needed)
    if not len(enough):
        return None
    size = int(enough[0]) + 1  # the best set of fewer units does not take enough
    while size <= len(units) and comb(len(units), size) <= MOST_SETS:
        sets = np.array(list(combinations(range(len(units)), size)), np.int64)
        sets = sets.reshape(-1, size)  # (sets, size)
        removed = contributions[sets].sum(axis=1)  # (sets,)
        order = np.argsort(-removed, kind="stable")[: np.count_nonzero(removed >= needed)]
        for start in range(0, len(order), QUERIES_AT_ONCE):
            some = units[sets[order[start : start + QUERIES_AT_ONCE]]]  # (some, size)
            outside = np.flatnonzero(~without(some)[0])
            if len(outside):
                return Counterfactual(sorted(some[outside[0]].tolist()), True)
        size += 1
    if size > len(units):
        return None
    found = _one_by_one(without, units.tolist())
    return None if found is None else Counterfactual(sorted(found), len(found) == size)


def _one_by_one(without: _Searches, units: list[int]) -> list[int] | None:
    """Return a set of units that does it, found in greedy steps; each of them is needed in it."""
    removed: list[int] = []
    inside = np.array([True])
    while inside.all():
        if not units:
            return None
        inside, own, edge = without([[*removed, unit] for unit in units])
        best = int(np.argmin(np.where(inside, edge - own, -np.inf)))  # the first that does it, if one does
        removed.append(units.pop(best))
    for unit in removed[:-1]:
        fewer = [other for other in removed if other != unit]
        if not without([fewer])[0].any():
            removed = fewer
    return removed
