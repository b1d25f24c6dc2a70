"""Which rows a search may find, and what units weigh: options of ``CodeIndex.search``, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from nsae.codes import check_not_masked
from nsae.retrieval.ids import Id, Ids
from nsae.retrieval.options import Weights, Where
from nsae.retrieval.search.records import RowFilter
from nsae.validation import shown

ALL_ROWS = np.empty(0, bool)
SMALLEST_WEIGHT = 1e-60  # Squared norms of the smallest float32, times it, have a product in float64.
RowsOf = Callable[[int], np.ndarray]  # The rows where a unit is active.


@dataclass(frozen=True, eq=False)
class Filters:
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
        n_units: int,
        ids: Ids,
        rows_of: RowsOf,
        excluded: np.ndarray,
        *,
        where: Where | None = None,
        require: Iterable[int] = (),
        forbid: Iterable[int] = (),
        weights: Weights | None = None,
    ) -> Filters:
        """Return the filters that options of ``CodeIndex.search`` ask for.

        Parameters
        ----------
        n_units : int
            h, the number of units.
        ids : Ids
            By row.
        rows_of : function of a unit
            The rows where the unit is active.
        excluded : (q,) int64
            See :func:`excluded_rows`.
        where, require, forbid, weights
            As in ``CodeIndex.search``.

        Raises
        ------
        ValueError
            If an option does not fit the index.
        """
        required, forbidden = _units("require", require, n_units), _units("forbid", forbid, n_units)
        if where is None and not required and not forbidden:
            return cls(None, excluded, _unit_weights(weights, n_units))
        allowed = _rows_where(where, ids)  # (n,)
        for unit in required:
            has = np.zeros(len(ids), bool)  # (n,)
            has[rows_of(unit)] = True
            allowed &= has
        for unit in forbidden:
            allowed[rows_of(unit)] = False
        return cls(allowed, excluded, _unit_weights(weights, n_units))

    def of_queries(self, queries: np.ndarray) -> Filters:
        """Return the filters of some ``queries`` alone, given by their numbers."""
        return Filters(self.allowed, self.excluded[queries], self.weights)

    def row_filter(self, limit: float) -> RowFilter:
        """Return the record that the loops read; only distances below ``limit`` count."""
        return RowFilter(ALL_ROWS if self.allowed is None else self.allowed, self.excluded, limit)


def excluded_rows(exclude: Iterable[Id | None] | None, q: int, row_of: Callable[[Id], int]) -> np.ndarray:
    """Return the row that each of ``q`` queries shall not find, or −1, as (q,) int64.

    ``exclude`` has an id or None for each query, and ``row_of`` gives the row of an id.
    """
    if exclude is None:
        return np.full(q, -1)
    exclude = list(exclude)
    if len(exclude) != q:
        raise ValueError(
            f"{q} queries came with {len(exclude)} entries of exclude. Give an id or None for each."
        )
    return np.array([-1 if id is None else row_of(id) for id in exclude], np.int64)


def _rows_where(where: Where | None, ids: Ids) -> np.ndarray:
    """Return which rows ``where`` lets pass, (n,) bool; all of them without it."""
    n = len(ids)
    if where is None:
        return np.ones(n, bool)
    if callable(where):
        return np.fromiter((bool(where(id)) for id in ids), bool, n)
    check_not_masked(where)
    allowed = np.array(where)  # a copy
    if allowed.shape != (n,) or allowed.dtype != bool:
        raise ValueError(
            f"where: {n} booleans, one for each row, or a function of an id are expected, got "
            f"{allowed.shape} of {allowed.dtype}."
        )
    return allowed


def _unit_weights(weights: Weights | None, n_units: int) -> np.ndarray | None:
    """Return (h,) float64 of at least 0; in a mapping, units that are left out weigh 1."""
    if weights is None:
        return None
    expected = (
        f"weights: {n_units} finite numbers from 0 up are expected, or some of them by unit, as in {{3: 2.0}}"
    )
    given = [*weights.values()] if isinstance(weights, Mapping) else weights
    check_not_masked(given)
    try:
        made = np.array(given, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{expected}; got {shown(given)}.") from None
    if isinstance(weights, Mapping):
        some, made = made, np.ones(n_units)  # (h,)
        made[_units("weights", weights, n_units)] = some
    if made.shape != (n_units,) or not ((made >= 0) & (made < np.inf)).all():  # NaN is not above either
        raise ValueError(
            f"{expected}; got {made.shape} with {np.min(made, initial=0):g} to {np.max(made, initial=0):g}."
        )
    small = made[(made > 0) & (made < SMALLEST_WEIGHT)]
    if len(small):
        raise ValueError(
            f"weights: 0, or at least {SMALLEST_WEIGHT:g}, is expected, got {small[0]:g}, whose products would be "
            "lost. Multiply all of them by one number."
        )
    return made


def _units(name: str, units: Iterable[int], n_units: int) -> list[int]:
    units = list(units)
    for unit in units:
        if isinstance(unit, bool) or not isinstance(unit, int | np.integer) or not 0 <= unit < n_units:
            raise ValueError(f"{name}: units from 0 to {n_units - 1} are expected, got {shown(unit)}.")
    return units
