"""Which units a hit hangs on: the fewest without which the query would not find it.

A query has few units, so that one can try: what would be found without these?
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.explain.shares import explain
from nsae.retrieval.search.brute_force import squared_norms_of

if TYPE_CHECKING:
    from nsae.retrieval.index import CodeIndex

MOST_SETS = 5_000  # of one size, which are tried: 3 of 32 units, 4 of 20, 5 of 15, any number of 14
AT_ONCE = 512  # queries of one search
ROUNDING = 1e-6  # distances are reported in float32


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
    index: CodeIndex,
    code: Codes,
    row: int,
    k: int = 10,
    *,
    exclude: int | str | None = None,
    **options: Any,
) -> Counterfactual | None:
    """The smallest set of the query's units whose removal drops a row out of its top k.

    Sets of one unit are tried, then of two, and so on, as long as there are no more than 5,000 of a size:
    up to three of 32 shared units, four of 20, five of 15.  Of each size, those come first that the row owes
    most of its similarity.  Beyond, units go one by one, each time the one that brings the row nearest to
    the edge, and those that were not needed after all come back; such a set may not be the smallest.

    Parameters
    ----------
    index : CodeIndex
    code : Codes of one row
    row : int
    k : int
    exclude : str or int, optional
        An id that the query shall not find, such as its own.
    **options
        Of ``index.search``: those of the search that is to be explained.

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
    if len(code) != 1:
        raise ValueError(f"counterfactual is about one query, got {len(code)} codes: call it for each.")
    if operator.index(k) < 1:
        raise ValueError(f"k={k} is expected to be at least 1: it is the number of hits a query gets.")
    if options.get("keep") is not None:
        code = code.keep(options["keep"])  # here: else another unit would move up for each that is removed
    k = min(k, len(index))
    without = _Searches(index, code, row, k, {"exclude": exclude, **options})
    (inside,), (own,), (edge,) = without([()])
    if not inside:
        return Counterfactual([], True)
    if edge == np.inf:
        return None
    units, worth, needed = _worth(index, code, row, own, edge, options)  # (m,), (m,)
    reach = np.flatnonzero(np.cumsum(worth) >= needed)
    if not len(reach):
        return None
    size = int(reach[0]) + 1  # the best set of fewer units does not take enough
    while size <= len(units) and comb(len(units), size) <= MOST_SETS:
        sets = np.array(list(combinations(range(len(units)), size)), np.int64).reshape(
            -1, size
        )  # (sets, size)
        taken = worth[sets].sum(axis=1)  # (sets,)
        order = np.argsort(-taken, kind="stable")[: np.count_nonzero(taken >= needed)]
        for start in range(0, len(order), AT_ONCE):
            some = units[sets[order[start : start + AT_ONCE]]]  # (some, size)
            outside = np.flatnonzero(~without(some)[0])
            if len(outside):
                return Counterfactual(sorted(some[outside[0]].tolist()), True)
        size += 1
    if size > len(units):
        return None
    found = _one_by_one(without, units.tolist())
    return None if found is None else Counterfactual(sorted(found), len(found) == size)


class _Searches:
    """Searches for one row with some of the query's units removed, many at once."""

    def __init__(self, index: CodeIndex, code: Codes, row: int, k: int, options: dict[str, Any]):
        self.index, self.code, self.row, self.k = index, code, row, k
        self.exclude = options.pop("exclude")
        self.options = options

    def __call__(
        self, sets: Sequence[Sequence[int]] | np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each set of units to remove, three arrays (sets,).

        Whether the row is among the k nearest; its distance where it is; the distance of the k-th of the
        others then, +inf if there are not so many.
        """
        hits = self.index.search(
            _without(self.code, sets), self.k + 1, exclude=[self.exclude] * len(sets), **self.options
        )
        here = hits.rows == self.row  # (sets, k + 1)
        own = np.where(here, hits.distances, 0).sum(axis=1, dtype=np.float64)  # (sets,)
        return here[:, : self.k].any(axis=1), own, hits.distances[:, -1].astype(np.float64)


def _without(code: Codes, sets: Sequence[Sequence[int]] | np.ndarray) -> Codes:
    """The code once for each set, without that set's units."""
    stays = np.stack([~np.isin(code.units, units) for units in sets])  # (sets, m)
    indptr = np.concatenate([[0], np.cumsum(stays.sum(axis=1))]).astype(np.int64)
    which = np.nonzero(stays)[1]  # (nnz,): set by set, units ascending
    return Codes(indptr, code.units[which], code.values[which], code.n_units)


def _worth(
    index: CodeIndex, code: Codes, row: int, own: float, edge: float, options: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, float]:
    """The units that may matter (m,), what each is worth to the row (m,), descending, and how much must go.

    Between non-negative codes, removing a unit of the query costs each row its own term in qⱼzⱼ, and ‖q‖
    is the same for all.  So the row falls behind the k-th of the others only if its terms make up for what
    is between them, and units that the row does not have need not be tried.  Jaccard's union differs from
    row to row, and weights may be anything: there, all units and all sets are tried.
    """
    code_of_row, metric = index.codes[row], index.metric
    if options.get("keep") is not None:
        code_of_row = code_of_row.keep(options["keep"])
    shared = explain(code, code_of_row, None, metric=metric)
    units = np.array([unit for unit, _ in shared], np.int64)  # (m,)
    worth = np.array([share for _, share in shared])  # (m,)
    bounded = metric != "jaccard" and options.get("weights") is None
    if not bounded or (code.values < 0).any() or (index.codes.values < 0).any():
        units = np.concatenate([units, np.setdiff1d(code.units, units)])
        return units, np.zeros(len(units)), 0.0
    needed = edge - own
    if metric == "hamming" and shared:
        needed /= len(code.units) + len(code_of_row.units)
    elif metric == "l2" and shared:
        needed = (edge**2 - own**2) / float(squared_norms_of(code)[0] + squared_norms_of(code_of_row)[0])
    return units, worth, needed - ROUNDING * max(1.0, float(worth.sum()))


def _one_by_one(without: _Searches, units: list[int]) -> list[int] | None:
    """A set of units that does it, found in greedy steps; each of them is needed in it."""
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
