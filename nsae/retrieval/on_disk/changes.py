"""A few changes of many rows, as they are saved beside the files of the rows: see ``index_folder.py``."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.codes import Codes


class Changes(NamedTuple):
    """What makes the rows of an index from n₀ rows that were saved before.

    Attributes
    ----------
    added : Codes
        m rows that came since.
    rows : (m,) int64
        Which row each of them is now, ascending.
    removed : (r,) int64
        Which of the n₀ rows are gone, ascending.  Those that are left keep their order.
    """

    added: Codes
    rows: np.ndarray
    removed: np.ndarray

    @classmethod
    def of(cls, n_before: int, added: Codes, source: np.ndarray) -> Changes:
        """Return the changes by which row i is row ``source[i]`` of ``n_before`` rows and, below them, ``added``.

        Parameters
        ----------
        n_before : int
            n₀.
        added : Codes
            Not all of its rows need to be left.
        source : (n,) int64
            The rows of before that are left are in their order.
        """
        rows = np.flatnonzero(source >= n_before)  # (m,)
        gone = np.ones(n_before, bool)  # (n₀,)
        gone[source[source < n_before]] = False
        return cls(added[source[rows] - n_before], rows, np.flatnonzero(gone))

    def source(self, n_before: int) -> np.ndarray:
        """Return ``source`` (n,) int64, as ``of`` takes it, for these ``added``.

        Raises
        ------
        ValueError
            If these are not changes of ``n_before`` rows.
        """
        return self.source_of(0, self.n_rows(n_before), n_before)

    def n_rows(self, n_before: int) -> int:
        """Return n, how many rows these changes make of ``n_before``; ValueError if they are none of so many."""
        m, n = len(self.added), n_before - len(self.removed) + len(self.added)
        if len(self.rows) != m or not _are_rows(self.rows, n) or not _are_rows(self.removed, n_before):
            raise ValueError(f"the changes are not those of {n_before} rows")
        return n

    def source_of(self, start: int, stop: int, n_before: int) -> np.ndarray:
        """Return ``source(n_before)[start:stop]``, int64, in the memory of these rows and of the changes."""
        first, last = np.searchsorted(self.rows, [start, stop])
        come = np.zeros(stop - start, bool)
        come[self.rows[first:last] - start] = True
        left = np.arange(start - first, stop - last)  # among the rows of before that are left
        # Before the row of before that is left as number i, as many are gone as have at most i left before them.
        gone = np.searchsorted(self.removed - np.arange(len(self.removed)), left, side="right")
        source = np.empty(stop - start, np.int64)
        source[~come], source[come] = left + gone, n_before + np.arange(first, last)
        return source


def _are_rows(rows: np.ndarray, n: int) -> bool:
    """Tell whether these are rows of n, ascending, each of them once."""
    return not len(rows) or bool(0 <= rows[0] and rows[-1] < n and (rows[1:] > rows[:-1]).all())
