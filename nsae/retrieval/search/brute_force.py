"""Every distance, in NumPy: the definition of what a search answers.  Faster ways give the same, bit by bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nsae.codes import Codes

METRICS = ("cosine", "l2", "dot", "jaccard", "hamming")
BINARY = ("jaccard", "hamming")  # Metrics of the supports: each value counts as 1.


@dataclass(frozen=True, eq=False)
class BruteForce:
    """For each unit j, the rows where it is active: the entries ``indptr[j]:indptr[j + 1]``.

    ``indptr (h + 1,)``, ``rows (nnz,)``, ``values (nnz,)`` float64, ``squared_norms (n,)`` float64.
    """

    indptr: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    squared_norms: np.ndarray
    metric: str

    @classmethod
    def of(cls, codes: Codes, metric: str, weights: np.ndarray | None = None) -> BruteForce:
        """Return the lists of ``codes`` by unit, for a ``metric``.

        ``weights (h,)`` float64, if any, are those of the units in ‖z‖².
        """
        by_unit = np.argsort(codes.units, kind="stable")  # (nnz,): rows stay ascending within a unit
        indptr = np.zeros(codes.n_units + 1, np.int64)
        np.cumsum(np.bincount(codes.units, minlength=codes.n_units), out=indptr[1:])
        values = compared_values(codes, metric)[by_unit]  # (nnz,)
        squares = squared_norms_of(codes, metric, weights)  # (n,)
        return cls(indptr, codes.row_of_entry()[by_unit], values, squares, metric)

    def distances(self, units: np.ndarray, factors: np.ndarray, squared_norm: float) -> np.ndarray:
        """Return the distance of one query to every row, (n,) float32.

        Parameters
        ----------
        units : (m,) int
            The query's units, ascending.
        factors : (m,) float64
            wⱼqⱼ of each.
        squared_norm : float
            ‖q‖².
        """
        # Each row's sum is made in the order of the units, one term after the other, wherever the row
        # stands.  So equal codes get bit-equal distances, and a tie is a real tie.  A BLAS product
        # doesn't promise that: how it splits a sum depends on the row's place in its blocks.
        # Squared norms are summed in the same order.  So q·q equals ‖q‖² to the last bit, and a code is
        # at distance exactly 0 from itself.
        dots = np.zeros(len(self.squared_norms))  # (n,)
        for unit, factor in zip(units, factors, strict=True):
            entries = slice(self.indptr[unit], self.indptr[unit + 1])
            dots[self.rows[entries]] += factor * self.values[entries]
        return distance_from_products(dots, squared_norm, self.squared_norms, self.metric).astype(np.float32)

    def rows_of(self, unit: int) -> np.ndarray:
        """Return the rows where ``unit`` is active, ascending."""
        return self.rows[self.indptr[unit] : self.indptr[unit + 1]]


def distance_from_products(dots: np.ndarray, qq: float, zz: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances (n,) float64 of a ``metric``, Eqs. (23)–(25), (32), (33).

    ``dots (n,)`` are q·z, ``qq`` is ‖q‖² and ``zz (n,)`` are ‖z‖²; of supports |A ∩ B|, |A| and |B|.
    """
    if metric == "dot":
        return 0 - dots  # (25); not -dots, which shows −0.0 where nothing is shared
    if metric == "l2":
        # Rounding may bring a square just below 0.  It also limits what this form can tell apart: codes
        # that differ by less than about 1e-8 of their norm may show as equal.
        return np.sqrt(np.maximum(qq + zz - 2 * dots, 0))  # (24)
    if metric == "hamming":
        return np.maximum(qq + zz - 2 * dots, 0)  # (33)
    # one root of the product: √(s·s) is s exactly, which √s·√s is not
    whole = qq + zz - dots if metric == "jaccard" else np.sqrt(qq * zz)  # (n,)
    similarity = np.divide(dots, whole, out=np.zeros_like(dots), where=whole > 0)  # a zero code: 0
    return np.maximum(1 - similarity, 0)  # (23) (32)


def compared_values(codes: Codes, metric: str) -> np.ndarray:
    """Return the values of ``codes`` that a ``metric`` compares, (nnz,) float64; of supports ones."""
    return np.ones(len(codes.values)) if metric in BINARY else codes.values.astype(np.float64)


def squared_norms_of(codes: Codes, metric: str = "cosine", weights: np.ndarray | None = None) -> np.ndarray:
    """Return Σ wⱼzⱼ² of each row of ``codes``, (n,) float64; without ``weights (h,)``, wⱼ is 1.

    For a ``metric`` of supports it is the number of active units, or the sum of their wⱼ.
    """
    values = compared_values(codes, metric)  # (nnz,)
    factors = values if weights is None else weights[codes.units] * values  # (nnz,)
    return sums_of_rows(codes, factors * values)


def sums_of_rows(codes: Codes, terms: np.ndarray) -> np.ndarray:
    """Return the sum of ``terms (nnz,)``, one for each entry of ``codes``, of each row, (n,) float64."""
    # bincount adds up one entry after the other; np.sum adds in pairs, which rounds otherwise
    sums = np.bincount(codes.row_of_entry(), weights=terms, minlength=len(codes))  # (n,)
    return sums.astype(np.float64, copy=False)  # of no entries, bincount gives integers
