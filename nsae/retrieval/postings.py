"""Postings: for each unit the rows where it is active, small and coarse, to find where to look closely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.brute_force import BINARY, squared_norms_of

VERSION = 1  # of what the arrays mean, where they are stored
WINDOW = 1 << 14  # rows: their scores, 64 kB, stay in a core's second cache, and a row's place fits 16 bits
LEVELS = 255  # of a value in 8 bits; 0 is not one of them
TINY = np.float32(1e-30)  # no step is smaller, so that a score is 0 only where nothing is shared


@dataclass(frozen=True, eq=False)
class Postings:
    """Lists of rows by unit, window by window: of rows w · 2¹⁴ and following, the window w.

    A value is known by its level: it is at most ``levels · steps`` in size, and less by a step at most.
    So a sum over the units that a row shares with a query is a bound on their product, whatever the
    signs, and the few rows with a high one are looked up among the codes.

    Attributes
    ----------
    begins : (windows + 1,) int64
        Window w owns the entries ``begins[w]:begins[w + 1]``.
    starts : (windows, h + 1) uint32
        In it, unit j owns those from ``starts[w, j]`` to ``starts[w, j + 1]``; its rows ascend.
    rows : (nnz,) uint16
        The row of each entry, counted from the window's first.
    levels : (nnz,) uint8
        From 1 to 255; of supports (Jaccard, Hamming) there are none, (0,).
    steps : (windows, h) float32
        What a level of the unit is worth: 1/255 of its largest value in the window, which for the
        cosine is divided by the row's norm; with a minus if a value there is negative.  (0, h) for
        supports.
    squared_norms : (n,) float64
        ‖z‖² of each row, for supports the number of its units.
    """

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
        begins = codes.indptr[np.minimum(np.arange(-(-len(codes) // WINDOW) + 1) * WINDOW, len(codes))]
        starts = np.zeros((len(begins) - 1, codes.n_units + 1), np.uint32)  # (windows, h + 1)
        steps = np.zeros((0 if metric in BINARY else len(starts), codes.n_units), np.float32)
        rows = np.empty(len(codes.units), np.uint16)  # (nnz,)
        levels = np.empty(0 if metric in BINARY else len(rows), np.uint8)
        made = cls(begins, starts, rows, levels, steps, squares)
        scales = np.sqrt(squares) if metric == "cosine" else np.ones(len(codes))  # (n,)
        if compiled:
            from nsae import kernels

            kernels.fill_postings(codes.indptr, codes.units, codes.values, scales, WINDOW, *made.lists())
        else:
            made._fill(codes, scales)
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
            "begins": ((windows + 1,), np.int64),
            "starts": ((windows, codes.n_units + 1), np.uint32),
            "rows": ((len(codes.units),), np.uint16),
            "levels": ((n_values,), np.uint8),
            "steps": ((0 if metric in BINARY else windows, codes.n_units), np.float32),
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
        parts = [np.empty(0, np.int64)]
        for w, (begin, starts) in enumerate(zip(self.begins, self.starts, strict=False)):
            entries = slice(begin + int(starts[unit]), begin + int(starts[unit + 1]))
            parts.append(self.rows[entries].astype(np.int64) + w * WINDOW)
        return np.concatenate(parts)

    def document_frequencies(self) -> np.ndarray:
        """(h,) int64: in how many rows each unit is active."""
        return (self.starts[:, 1:] - self.starts[:, :-1]).sum(axis=0, dtype=np.int64)

    def _fill(self, codes: Codes, scales: np.ndarray) -> None:
        row_of_entry = codes.row_of_entry()  # (nnz,)
        for w, begin in enumerate(self.begins[:-1]):
            entries = slice(begin, self.begins[w + 1])
            units = codes.units[entries]
            by_unit = np.argsort(units, kind="stable")
            rows = row_of_entry[entries][by_unit]
            np.cumsum(np.bincount(units, minlength=codes.n_units), out=self.starts[w, 1:])
            self.rows[entries] = rows - w * WINDOW
            if len(self.levels):
                units, sizes = units[by_unit], np.abs(codes.values[entries][by_unit] / scales[rows])
                sizes = sizes.astype(np.float32)
                np.maximum.at(self.steps[w], units, sizes)
                self.steps[w] = np.maximum(self.steps[w] / np.float32(LEVELS), TINY)
                levels = np.ceil(sizes / self.steps[w][units])
                self.levels[entries] = np.clip(levels, 1, LEVELS)
                self.steps[w, codes.units[entries][codes.values[entries] < 0]] *= -1


def _squared_norms(codes: Codes, metric: str, compiled: bool) -> np.ndarray:
    if not compiled or metric in BINARY:
        return squared_norms_of(codes, metric)
    from nsae import kernels

    squares = np.empty(len(codes))  # (n,)
    kernels.squared_norms(codes.indptr, codes.values, squares)
    return squares
