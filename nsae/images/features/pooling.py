"""From the codes of an image's patches to one vector for the image: sums over the cells of a grid (31)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.codes import nonzero_entries
from nsae.equations.activations import KSparse
from nsae.images.features.exact_sums import exact_product

LANES = 64  # of the compiled selection, at least; see kernels.select_and_pool


class PoolingScratch(NamedTuple):
    """What the compiled ``select_and_pool`` works in: nothing is allocated inside its loop.

    Attributes
    ----------
    maxima : (lanes,) array, with k ≤ lanes ≤ h
    lanes : (lanes + 1,) int64
    candidates : (h + 1,) int64
    values : (k,) array
    units : (k,) int64
    """

    maxima: np.ndarray
    lanes: np.ndarray
    candidates: np.ndarray
    values: np.ndarray
    units: np.ndarray

    @classmethod
    def of(cls, b: np.ndarray, k: int) -> PoolingScratch:
        """Return scratch for h units with biases ``b`` (h,), of which ``k`` are active."""
        lanes = min(max(LANES, k), len(b))
        return cls(
            np.empty(lanes, b.dtype),
            np.empty(lanes + 1, np.int64),
            np.empty(len(b) + 1, np.int64),
            np.empty(k, b.dtype),
            np.empty(k, np.int64),
        )


def cells_of(m: int, grid: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """Return the cells of the grids that each patch of a square image lies in, and how many there are.

    A grid is laid over the patches, not over the pixels, so that its cells hold equally many patches, as
    nearly as possible.

    Parameters
    ----------
    m : int
        Patches along a side.
    grid : tuple of int
        Cells along a side, of each grid: (3,) is one grid of 3 × 3, (1, 2, 4) a spatial pyramid
        (Lazebnik, Schmid and Ponce 2006).

    Returns
    -------
    (m², grids) int64
        A row for each patch, row by row of the image.  Cells are numbered on from grid to grid.
    int
        The number of cells, Σ g².
    """
    grids, first = [], 0
    for g in grid:
        along = np.arange(m) * g // m  # (m,): the row, or column, of cells
        grids.append(first + (along[:, None] * g + along[None, :]).ravel())  # (m²,)
        first += g * g
    return np.stack(grids, axis=1), first


def select_and_pool(
    X: np.ndarray, W: np.ndarray, b: np.ndarray, k: int, cells: np.ndarray, sums: np.ndarray
) -> None:
    """Add the k-sparse codes of patches to the sums of their cells: Eq. (4), and the sum in Eq. (31).

    This is the definition.  ``nsae.kernels.select_and_pool`` computes the same bits in one loop.

    Parameters
    ----------
    X : (P, d) array
        Normalised patches, on their grid; see ``exact_sums``.
    W : (h, d) array
        The weights, on their grid.
    b : (h,) array
        The bias.
    k : int
        Active units a patch.
    cells : (P, grids) int64 array
        From :func:`cells_of`.
    sums : (cells, h) float64 array
        Is added to.
    """
    add_codes(KSparse(k)(exact_product(X, W) + b), cells, sums)  # (1) (30) (4) (31)


def add_codes(Z: np.ndarray, cells: np.ndarray, sums: np.ndarray) -> None:
    """Add the codes ``Z`` (P, h) of patches to the ``sums`` (cells, h) of their ``cells`` (P, grids): Eq. (31)."""
    patches, units = nonzero_entries(Z)  # in the order of patches
    h, z = Z.shape[1], Z[patches, units]
    for cells_of_grid in cells.T:  # (P,)
        np.add.at(sums.reshape(-1), cells_of_grid[patches] * h + units, z)  # (31)


def root_and_norm(sums: np.ndarray) -> np.ndarray:
    """Return the square roots of ``sums`` (n, cells · h) ≥ 0, each row at norm 1, as float32: Eq. (31).

    With the root, the dot product of two images is the Bhattacharyya coefficient of their histograms: a
    pattern that covers half of an image no longer hides the others (Arandjelović and Zisserman 2012).
    A row of zeros stays zero.
    """
    F = np.sqrt(sums)  # (31) (n, cells · h)
    # Not by einsum, which sums a single row in another order than a row among others.
    norms = np.sqrt(np.square(F).sum(axis=1, keepdims=True))  # (n, 1)
    f: np.ndarray = np.divide(F, norms, out=np.zeros_like(F), where=norms > 0).astype(np.float32)
    return f
