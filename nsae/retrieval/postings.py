"""Postings: for each unit the rows where it is active, and the distances computed through them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nsae.codes import Codes


@dataclass(frozen=True)
class Postings:
    """For each unit j, the rows where it is active: the entries ``indptr[j]:indptr[j + 1]``.

    ``indptr (h + 1,)``, ``rows (nnz,)``, ``values (nnz,)`` float64, ``squared_norms (n,)`` float64.
    """

    indptr: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    squared_norms: np.ndarray

    @classmethod
    def of(cls, codes: Codes) -> Postings:
        by_unit = np.argsort(codes.units, kind="stable")  # (nnz,): rows stay ascending within a unit
        indptr = np.zeros(codes.n_units + 1, np.int64)
        np.cumsum(np.bincount(codes.units, minlength=codes.n_units), out=indptr[1:])
        values = codes.values[by_unit].astype(np.float64)  # (nnz,)
        return cls(indptr, codes.row_of_entry()[by_unit], values, squared_norms_of(codes))

    def distances(
        self, units: np.ndarray, values: np.ndarray, squared_norm: float, metric: str
    ) -> np.ndarray:
        """From the query with these (units, values) and ‖q‖² to every row, (n,) float64."""
        # Each row's sum is made in the order of the units, one term after the other, wherever the row
        # stands.  So equal codes get bit-equal distances, and a tie is a real tie.  A BLAS product
        # doesn't promise that: how it splits a sum depends on the row's place in its blocks.
        # Squared norms are summed in the same order.  So q·q equals ‖q‖² to the last bit, and a code is
        # at distance exactly 0 from itself.
        dots = np.zeros(len(self.squared_norms))  # (n,)
        for unit, value in zip(units, values.astype(np.float64), strict=True):
            entries = slice(self.indptr[unit], self.indptr[unit + 1])
            dots[self.rows[entries]] += value * self.values[entries]
        if metric == "dot":
            return 0 - dots  # (25); not -dots, which shows −0.0 where nothing is shared
        if metric == "l2":
            # Rounding may bring a square just below 0.  It also limits what this form can tell apart: codes
            # that differ by less than about 1e-8 of their norm may show as equal.
            return np.sqrt(np.maximum(squared_norm + self.squared_norms - 2 * dots, 0))  # (24)
        # one root of the product: √(s·s) is s exactly, which √s·√s is not
        norms = np.sqrt(squared_norm * self.squared_norms)  # (n,)
        similarity = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)  # a zero code: 0
        return np.maximum(1 - similarity, 0)  # (23)


def squared_norms_of(codes: Codes) -> np.ndarray:
    """‖z‖² of each row, (n,) float64."""
    squares = codes.values.astype(np.float64) ** 2  # (nnz,)
    # bincount adds up one entry after the other; np.sum adds in pairs, which rounds otherwise
    return np.bincount(codes.row_of_entry(), weights=squares, minlength=len(codes))
