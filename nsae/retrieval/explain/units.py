"""What the units of an index are used for: how many rows have each, and which have most of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from nsae.retrieval.stored_codes import StoredCodes
from nsae.validation import shown

COMMON = 0.25  # A unit in more than this fraction of the rows tells little about any of them.


@dataclass(frozen=True)
class UnitUse:
    """One unit of an index.

    Attributes
    ----------
    unit : int
    rows : int
        How many rows have it (its document frequency).
    fraction : float
        The same divided by the number of all rows.
    mean : float
        Its mean value where it is active; 0 if it never is.
    top : list of (id, value)
        The rows that have most of it, largest value first, ties in insertion order.
    dead : bool
        No row has it.
    common : bool
        More rows have it than the fraction that was set.
    """

    unit: int
    rows: int
    fraction: float
    mean: float
    top: list[tuple[int | str, float]]
    dead: bool
    common: bool


def unit_catalogue(
    index: StoredCodes, units: Iterable[int] | None = None, *, top: int = 5, common: float = COMMON
) -> list[UnitUse]:
    """Describe how the units of an index are used.

    Parameters
    ----------
    index : CodeIndex
    units : iterable of int, optional
        Those to describe, in this order; by default all, ascending.
    top : int
        Rows to name for each.
    common : float
        A unit in more than this fraction of the rows is flagged.

    Returns
    -------
    list of UnitUse

    Raises
    ------
    ValueError
        If a unit is not one of the index, top < 0, or common is not within [0, 1].
    """
    if top < 0:
        raise ValueError(f"top={shown(top)} is expected to be 0 or more: it is the number of rows to name.")
    if not 0 <= common <= 1:
        raise ValueError(f"common={shown(common)} is expected to be a fraction of the rows, from 0 to 1.")
    wanted = range(index.n_units) if units is None else list(units)
    for unit in wanted:
        if not 0 <= unit < index.n_units:
            raise ValueError(f"Units from 0 to {index.n_units - 1} are expected, got {shown(unit)}.")
    codes, ids = index.codes_and_ids()
    n = len(codes)
    by_unit = np.argsort(codes.units, kind="stable")  # (nnz,): rows stay ascending within a unit
    rows, values = codes.row_of_entry()[by_unit], codes.values[by_unit]  # (nnz,), (nnz,)
    counts = np.bincount(codes.units, minlength=index.n_units)  # (h,)
    ends = np.cumsum(counts)  # (h,)
    described = []
    for unit in wanted:
        count = int(counts[unit])
        own = slice(ends[unit] - count, ends[unit])
        most = np.argsort(-values[own], kind="stable")[:top]
        found = zip(rows[own][most].tolist(), values[own][most].tolist(), strict=True)
        described.append(
            UnitUse(
                unit=int(unit),
                rows=count,
                fraction=count / n if n else 0.0,
                mean=float(values[own].mean(dtype=np.float64)) if count else 0.0,
                top=[(ids[row], value) for row, value in found],
                dead=count == 0,
                common=count > common * n,
            )
        )
    return described
