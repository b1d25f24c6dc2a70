"""Postings: for each unit the rows where it is active, small and coarse, to find which rows to compare exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.search.brute_force import BINARY, METRICS, squared_norms_of
from nsae.retrieval.search.records import CodeArrays, InvertedLists
from nsae.retrieval.search.row_order import sampled_rows, unit_ranks

VERSION = 3  # Of what the arrays mean, where they are stored.
WINDOW = 1 << 14  # Rows: their upper bounds, 64 kB, stay in a core's second cache, and positions fit 16 bits.
HIGHEST_LEVEL = 255  # Of a value in 8 bits; 0 is not used.
SMALLEST_STEP = np.float32(1e-30)  # So that an upper bound is 0 only where nothing is shared.
FILES = {  # The name in a stored index of each array.
    "order": "order",
    "begins": "begins",
    "starts": "starts",
    "positions": "rows",
    "levels": "levels",
    "steps": "steps",
    "squared_norms": "squared_norms",
}


@dataclass(frozen=True, eq=False)
class Postings:
    """Lists of rows by unit, each cut into windows of 2¹⁴ rows.

    Rows with the same strongest unit stand together, and beside those whose strongest unit is often active with
    it: images of one kind fill a few windows, and a query for that kind finds hardly anything to add up in the
    others.  A search goes window by window, and in each
    window unit by unit.  A unit's entries of one window follow those of the window before in memory.

    A value is known by its level, a multiple of the step of its unit and window: it is at most level · step
    in size, and smaller by a step at most.  So a sum over the units that a row shares with a query is an upper
    bound of their product, whatever the signs.  Only rows with a high bound are compared exactly.

    Attributes
    ----------
    lists : InvertedLists
        The rows are ordered by their strongest unit, the first of equals; for the order of units see
        :func:`nsae.retrieval.search.row_order.unit_ranks`.
    squared_norms : (n,) float64
        ‖z‖² of each row; for supports (Jaccard, Hamming) the number of its units.
    """

    lists: InvertedLists
    squared_norms: np.ndarray

    @classmethod
    def of(cls, codes: Codes, metric: str, *, compiled: bool = False) -> Postings:
        """Return the postings of ``codes`` for a ``metric``; ``compiled`` by Numba, which is faster."""
        squares = squared_norms(codes, metric, compiled=compiled)  # (n,)
        n, h, windows = len(codes), codes.n_units, -(-len(codes) // WINDOW)
        strongest = np.full(n, h, np.int32)  # (n,)
        lists = InvertedLists(
            order=np.empty(n, np.uint32),
            begins=np.zeros(h + 1, np.int64),
            starts=np.zeros((h, windows + 1), np.uint32),
            positions=np.empty(len(codes.units), np.uint16),
            levels=np.empty(0 if metric in BINARY else len(codes.units), np.uint8),
            steps=np.zeros((h, 0 if metric in BINARY else windows), np.float32),
            window=WINDOW,
        )
        arrays = CodeArrays(codes.indptr, codes.units, codes.values, squares, METRICS.index(metric), h)
        scales = np.sqrt(squares) if metric == "cosine" else np.ones(n)  # (n,)
        if compiled:
            from nsae import kernels

            kernels.strongest_units(codes.indptr, codes.units, codes.values, strongest)
            lists.order[:] = row_order(codes, strongest)
            kernels.fill_postings(arrays, scales, lists)
        else:
            strongest_units(codes.indptr, codes.units, codes.values, strongest)
            lists.order[:] = row_order(codes, strongest)
            fill_postings(arrays, scales, lists)
        return cls(lists, squares)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays, flat, by the name that each has in a stored index."""
        named = {**self.lists._asdict(), "squared_norms": self.squared_norms}
        return {file: named[name].ravel() for name, file in FILES.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], codes: Codes, metric: str) -> Postings:
        """Return the postings of ``codes`` for ``metric`` whose :meth:`arrays` are ``arrays``, without a copy.

        Raises ValueError if they are not of the names, sizes and dtypes that such postings have.
        """
        n, h, nnz, windows = len(codes), codes.n_units, len(codes.units), -(-len(codes) // WINDOW)
        expected = {
            "order": ((n,), np.uint32),
            "begins": ((h + 1,), np.int64),
            "starts": ((h, windows + 1), np.uint32),
            "rows": ((nnz,), np.uint16),
            "levels": ((0 if metric in BINARY else nnz,), np.uint8),
            "steps": ((h, 0 if metric in BINARY else windows), np.float32),
            "squared_norms": ((n,), np.float64),
        }
        if set(arrays) != set(expected):
            raise ValueError(f"Arrays {', '.join(expected)} are expected, got {', '.join(arrays)}.")
        for name, (shape, dtype) in expected.items():
            if arrays[name].dtype != dtype or arrays[name].size != np.prod(shape, dtype=np.int64):
                raise ValueError(
                    f"{name}: {shape} of {np.dtype(dtype)} are expected, got {arrays[name].shape} of "
                    f"{arrays[name].dtype}. Make the postings again from the codes."
                )
        shaped = {name: arrays[file].reshape(expected[file][0]) for name, file in FILES.items()}
        squares = shaped.pop("squared_norms")
        return cls(InvertedLists(**shaped, window=WINDOW), squares)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays().values())

    def __len__(self) -> int:
        return len(self.squared_norms)

    def rows_of(self, unit: int) -> np.ndarray:
        """Return the rows where ``unit`` is active, ascending, int64."""
        lists = self.lists
        positions = lists.positions[lists.begins[unit] : lists.begins[unit + 1]].astype(np.int64)
        windows = np.repeat(np.arange(lists.starts.shape[1] - 1), lists.window_counts(unit))
        return np.sort(lists.order[positions + windows * lists.window].astype(np.int64))

    def document_frequencies(self) -> np.ndarray:
        """Return in how many rows each unit is active, (h,) int64."""
        return np.diff(self.lists.begins)


def row_order(codes: Codes, strongest: np.ndarray) -> np.ndarray:
    """Return the rows of ``codes`` in the order of postings, (n,); ``strongest (n,)`` are their strongest units."""
    if len(codes) <= WINDOW:
        return np.argsort(strongest, kind="stable")  # in one window, the order of units does not matter
    some = sampled_rows(len(codes))
    return np.argsort(unit_ranks(codes[some], strongest[some])[strongest], kind="stable")


def strongest_units(indptr: np.ndarray, units: np.ndarray, values: np.ndarray, strongest: np.ndarray) -> None:
    """Write into ``strongest (n,)`` the unit of each row's largest value in size, the first of equals.

    ``indptr``, ``units`` and ``values`` are those of ``Codes``.  Rows without a unit keep what is there.
    """
    counts = np.diff(indptr)  # (n,)
    active = np.flatnonzero(counts)  # rows
    if len(active):
        sizes = np.abs(values)  # (nnz,)
        largest = np.maximum.reduceat(sizes, indptr[active])  # (active,)
        entries = np.flatnonzero(sizes == np.repeat(largest, counts[active]))
        rows, first = np.unique(np.repeat(np.arange(len(counts)), counts)[entries], return_index=True)
        strongest[rows] = units[entries[first]]


def fill_postings(codes: CodeArrays, scales: np.ndarray, lists: InvertedLists) -> None:
    """Fill the ``lists`` of ``codes``, of which ``lists.order`` is there already.

    Values are divided by their row's entry in ``scales (n,)`` before they become levels.
    """
    order = lists.order.astype(np.int64)  # (n,)
    ordered = Codes(codes.indptr, codes.units, codes.values, codes.n_units)[order]
    by_unit = np.argsort(ordered.units, kind="stable")  # (nnz,): rows stay ascending within a unit
    units, rows = ordered.units[by_unit], ordered.row_of_entry()[by_unit]  # (nnz,), (nnz,)
    windows = rows // lists.window  # (nnz,)
    h, n_windows = len(lists.starts), lists.starts.shape[1] - 1
    counts = np.bincount(units * n_windows + windows, minlength=h * n_windows)  # (h · windows,)
    np.cumsum(counts.reshape(h, n_windows), axis=1, out=lists.starts[:, 1:])
    np.cumsum(lists.starts[:, -1], out=lists.begins[1:])
    lists.positions[:] = rows - windows * lists.window
    if len(lists.levels):
        values = ordered.values[by_unit]  # (nnz,)
        sizes = np.abs(values / scales[order][rows]).astype(np.float32)  # (nnz,)
        np.maximum.at(lists.steps, (units, windows), sizes)
        np.maximum(lists.steps / np.float32(HIGHEST_LEVEL), SMALLEST_STEP, out=lists.steps)
        lists.levels[:] = np.clip(np.ceil(sizes / lists.steps[units, windows]), 1, HIGHEST_LEVEL)
        negative = values < 0  # (nnz,)
        lists.steps[units[negative], windows[negative]] *= -1


def squared_norms(codes: Codes, metric: str, *, compiled: bool) -> np.ndarray:
    """Return ‖z‖² of each row of ``codes``, (n,) float64; for a ``metric`` of supports the number of its units.

    ``compiled`` by Numba they are the same bits.
    """
    if not compiled or metric in BINARY:
        return squared_norms_of(codes, metric)
    from nsae import kernels

    squares = np.empty(len(codes))  # (n,)
    kernels.squared_norms(codes.indptr, codes.values, squares)
    return squares
