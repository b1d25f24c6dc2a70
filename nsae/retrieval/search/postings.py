"""Postings: for each unit the rows where it is active, small and coarse, to find where to look closely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.search.brute_force import BINARY, squared_norms_of

VERSION = 3  # of what the arrays mean, where they are stored
WINDOW = 1 << 14  # rows: their scores, 64 kB, stay in a core's second cache, and a row's place fits 16 bits
LEVELS = 255  # of a value in 8 bits; 0 is not one of them
TINY = np.float32(1e-30)  # no step is smaller, so that a score is 0 only where nothing is shared


@dataclass(frozen=True, eq=False)
class Postings:
    """Lists of rows by unit, each cut into windows of 2¹⁴ rows.

    Rows that are most active in the same unit stand together, in ``order``: images of one kind fill a few
    windows, and a query for that kind finds hardly anything to add up in the others.  A search goes window by
    window, and in it unit by unit.  A unit's part in the next window follows that in this one, where memory
    is read ahead.

    A value is known by its level: it is at most ``levels · steps`` in size, and less by a step at most.
    So a sum over the units that a row shares with a query is a bound on their product, whatever the
    signs, and the few rows with a high one are looked up among the codes.

    Attributes
    ----------
    order : (n,) uint32
        The rows by their strongest unit, the first of equals: window w has ``order[w · 2¹⁴ : (w + 1) · 2¹⁴]``.
    begins : (h + 1,) int64
        Unit j owns the entries ``begins[j]:begins[j + 1]``, window after window.
    starts : (h, windows + 1) uint32
        Of them, those in window w are from ``starts[j, w]`` to ``starts[j, w + 1]``.
    rows : (nnz,) uint16
        The row of each entry, by its place in the window; the places ascend.
    levels : (nnz,) uint8
        From 1 to 255; of supports (Jaccard, Hamming) there are none, (0,).
    steps : (h, windows) float32
        What a level of the unit is worth: 1/255 of its largest value in the window, which for the
        cosine is divided by the row's norm; with a minus if a value there is negative.  (h, 0) for
        supports.
    squared_norms : (n,) float64
        ‖z‖² of each row, for supports the number of its units.
    """

    order: np.ndarray
    begins: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    levels: np.ndarray
    steps: np.ndarray
    squared_norms: np.ndarray

    @classmethod
    def of(cls, codes: Codes, metric: str, *, compiled: bool = False) -> Postings:
        """Made from codes; ``compiled`` by Numba, which gives the same arrays sooner."""
        squares = _squared_norms(codes, metric, compiled)  # (n,)
        h, windows = codes.n_units, -(-len(codes) // WINDOW)
        order = np.argsort(_strongest_units(codes, compiled), kind="stable").astype(np.uint32)  # (n,)
        begins = np.zeros(h + 1, np.int64)
        starts = np.zeros((h, windows + 1), np.uint32)
        steps = np.zeros((h, 0 if metric in BINARY else windows), np.float32)
        rows = np.empty(len(codes.units), np.uint16)  # (nnz,)
        levels = np.empty(0 if metric in BINARY else len(rows), np.uint8)
        made = cls(order, begins, starts, rows, levels, steps, squares)
        scales = np.sqrt(squares) if metric == "cosine" else np.ones(len(codes))  # (n,)
        if compiled:
            from nsae import kernels

            kernels.fill_postings(
                codes.indptr, codes.units, codes.values, scales, order, WINDOW, *made.lists()
            )
        else:
            made._fill(codes[order], scales[order])
        return made

    def lists(self) -> tuple[np.ndarray, ...]:
        """begins, starts, rows, levels, steps"""
        return self.begins, self.starts, self.rows, self.levels, self.steps

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name, flat, for a file each."""
        return {field.name: getattr(self, field.name).ravel() for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], codes: Codes, metric: str) -> Postings:
        """What ``arrays`` told, of these codes; they may be mapped from files and are not copied.

        Raises ValueError if they are not of the names, sizes and dtypes that such postings have.
        """
        windows, n_values = -(-len(codes) // WINDOW), 0 if metric in BINARY else len(codes.units)
        expected = {
            "order": ((len(codes),), np.uint32),
            "begins": ((codes.n_units + 1,), np.int64),
            "starts": ((codes.n_units, windows + 1), np.uint32),
            "rows": ((len(codes.units),), np.uint16),
            "levels": ((n_values,), np.uint8),
            "steps": ((codes.n_units, 0 if metric in BINARY else windows), np.float32),
            "squared_norms": ((len(codes),), np.float64),
        }
        if set(arrays) != set(expected):
            raise ValueError(f"Arrays {', '.join(expected)} are expected, got {', '.join(arrays)}.")
        for name, (shape, dtype) in expected.items():
            if arrays[name].dtype != dtype or arrays[name].size != np.prod(shape, dtype=np.int64):
                raise ValueError(
                    f"{name}: {shape} of {np.dtype(dtype)} are expected, got {arrays[name].shape} of "
                    f"{arrays[name].dtype}. Make the postings again from the codes."
                )
        return cls(**{name: arrays[name].reshape(shape) for name, (shape, _) in expected.items()})

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.arrays().values())

    def __len__(self) -> int:
        return len(self.squared_norms)

    def rows_of(self, unit: int) -> np.ndarray:
        """The rows where a unit is active, ascending, int64."""
        places = self.rows[self.begins[unit] : self.begins[unit + 1]].astype(np.int64)
        places += np.repeat(np.arange(self.starts.shape[1] - 1), np.diff(self.starts[unit])) * WINDOW
        return np.sort(self.order[places].astype(np.int64))

    def document_frequencies(self) -> np.ndarray:
        """(h,) int64: in how many rows each unit is active."""
        return np.diff(self.begins)

    def _fill(self, codes: Codes, scales: np.ndarray) -> None:
        """From codes and scales in ``order``."""
        by_unit = np.argsort(codes.units, kind="stable")  # (nnz,)
        units, rows = codes.units[by_unit], codes.row_of_entry()[by_unit]
        windows = rows // WINDOW  # (nnz,)
        h, n_windows = len(self.starts), self.starts.shape[1] - 1
        counts = np.bincount(units * n_windows + windows, minlength=h * n_windows)
        np.cumsum(counts.reshape(h, n_windows), axis=1, out=self.starts[:, 1:])
        np.cumsum(self.starts[:, -1], out=self.begins[1:])
        self.rows[:] = rows - windows * WINDOW
        if len(self.levels):
            sizes = np.abs(codes.values[by_unit] / scales[rows]).astype(np.float32)
            np.maximum.at(self.steps, (units, windows), sizes)
            np.maximum(self.steps / np.float32(LEVELS), TINY, out=self.steps)
            self.levels[:] = np.clip(np.ceil(sizes / self.steps[units, windows]), 1, LEVELS)
            negative = codes.values[by_unit] < 0
            self.steps[units[negative], windows[negative]] *= -1


def _squared_norms(codes: Codes, metric: str, compiled: bool) -> np.ndarray:
    if not compiled or metric in BINARY:
        return squared_norms_of(codes, metric)
    from nsae import kernels

    squares = np.empty(len(codes))  # (n,)
    kernels.squared_norms(codes.indptr, codes.values, squares)
    return squares


def _strongest_units(codes: Codes, compiled: bool) -> np.ndarray:
    """(n,) int32: the unit of each row's largest value in size, the first of equals; h if no unit is active."""
    strongest = np.full(len(codes), codes.n_units, np.int32)
    if compiled:
        from nsae import kernels

        kernels.strongest_units(codes.indptr, codes.units, codes.values, strongest)
        return strongest
    active = np.flatnonzero(codes.counts)  # rows
    if len(active):
        sizes = np.abs(codes.values)  # (nnz,)
        largest = np.maximum.reduceat(sizes, codes.indptr[active])  # (active,)
        entries = np.flatnonzero(sizes == np.repeat(largest, codes.counts[active]))
        rows, first = np.unique(codes.row_of_entry()[entries], return_index=True)
        strongest[rows] = codes.units[entries[first]]
    return strongest
