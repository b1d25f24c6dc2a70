"""What a search may find, and what units weigh in it: the options of ``CodeIndex.search``, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nsae.retrieval.ids import Id, Ids

if TYPE_CHECKING:
    from nsae.retrieval.search.searcher import Searcher

Where = np.ndarray | Callable[[Id], bool]
Weights = np.ndarray | Sequence[float] | Mapping[int, float]


@dataclass(frozen=True, eq=False)
class Conditions:
    """Which rows may be found, and what units weigh.

    ``allowed (n,)`` bool or None, ``excluded (q,)`` int64, a row for each query or −1, and
    ``weights (h,)`` float64 or None.
    """

    allowed: np.ndarray | None
    excluded: np.ndarray
    weights: np.ndarray | None

    @classmethod
    def of(
        cls,
        searcher: Searcher,
        ids: Ids,
        excluded: np.ndarray,
        *,
        where: Where | None = None,
        require: Iterable[int] = (),
        forbid: Iterable[int] = (),
        weights: Weights | None = None,
    ) -> Conditions:
        """From the options of ``CodeIndex.search``; ValueError where one does not fit the index."""
        n_units = searcher.codes.n_units
        allowed = _allowed_rows(ids, n_units, searcher.rows_of, where, require, forbid)
        return cls(allowed, excluded, _unit_weights(weights, n_units))


def _allowed_rows(
    ids: Ids,
    n_units: int,
    rows_of: Callable[[int], np.ndarray],
    where: Where | None,
    require: Iterable[int],
    forbid: Iterable[int],
) -> np.ndarray | None:
    """(n,) bool: rows that ``where`` lets pass, with all units of ``require`` and none of ``forbid``.

    ``rows_of`` tells the rows of a unit.  None where nothing is asked.
    """
    n, require, forbid = len(ids), _units("require", require, n_units), _units("forbid", forbid, n_units)
    if where is None and not require and not forbid:
        return None
    if where is None:
        allowed = np.ones(n, bool)  # (n,)
    elif callable(where):
        allowed = np.fromiter((bool(where(id)) for id in ids), bool, n)
    else:
        allowed = np.array(where)  # a copy
        if allowed.shape != (n,) or allowed.dtype != bool:
            raise ValueError(
                f"where: {n} booleans, one for each row, or a function of an id are expected, got "
                f"{allowed.shape} of {allowed.dtype}."
            )
    for unit in require:
        has = np.zeros(n, bool)
        has[rows_of(unit)] = True
        allowed &= has
    for unit in forbid:
        allowed[rows_of(unit)] = False
    return allowed


def _unit_weights(weights: Weights | None, n_units: int) -> np.ndarray | None:
    """(h,) float64, at least 0; from a mapping of units, 1 for all others."""
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        made = np.ones(n_units)  # (h,)
        made[_units("weights", weights, n_units)] = list(weights.values())
    else:
        made = np.array(weights, np.float64)
    if made.shape != (n_units,) or not ((made >= 0) & (made < np.inf)).all():  # NaN is not above either
        raise ValueError(
            f"weights: {n_units} finite numbers from 0 up are expected, or some of them by unit, as in "
            f"{{3: 2.0}}; got {made.shape} with {made.min(initial=0):g} to {made.max(initial=0):g}."
        )
    return made


def excluded_rows(exclude: Sequence[Id | None] | None, q: int, row_of: Callable[[Id], int]) -> np.ndarray:
    """(q,) int64: the row that each query shall not find, or −1."""
    if exclude is None:
        return np.full(q, -1)
    if len(exclude) != q:
        raise ValueError(
            f"{q} queries came with {len(exclude)} entries of exclude. Give an id or None for each."
        )
    return np.array([-1 if id is None else row_of(id) for id in exclude], np.int64)


def _units(name: str, units: Iterable[int], n_units: int) -> list[int]:
    units = list(units)
    for unit in units:
        if isinstance(unit, bool) or not isinstance(unit, int | np.integer) or not 0 <= unit < n_units:
            raise ValueError(f"{name}: units from 0 to {n_units - 1} are expected, got {unit!r}.")
    return units
