"""From the codes of an image's patches to one vector for the image: sums over the cells of a grid (31)."""

from __future__ import annotations

import numpy as np


def cells_of(m: int, grid: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """The cells of the grids that each patch of a square image lies in.

    Parameters
    ----------
    m : int
        Patches along a side.
    grid : tuple of int
        Cells a side of each level; (3,) is one grid of 3 × 3, (1, 2, 4) a spatial pyramid
        (Lazebnik, Schmid and Ponce 2006).

    Returns
    -------
    (m², len(grid)) int64
        Patches row by row; the numbering of cells goes on from level to level.
    int
        The number of cells, Σ g².

    A grid is laid over the patches and not over the pixels, so that its cells hold equally many patches,
    as nearly as can be.
    """
    levels, first = [], 0
    for g in grid:
        along = np.arange(m) * g // m  # (m,): which row, or column, of cells
        levels.append(first + (along[:, None] * g + along[None, :]).ravel())  # (m²,)
        first += g * g
    return np.stack(levels, axis=1), first


def pool(Z: np.ndarray, cells: np.ndarray, sums: np.ndarray) -> None:
    """Add the codes of patches to the sums of their cells: the sum in Eq. (31).

    Parameters
    ----------
    Z : (P, h) array
        Codes, mostly zeros.
    cells : (P, levels) int array
        From :func:`cells_of`.
    sums : (cells, h) float64 array
        Is added to.
    """
    patches, units = np.nonzero(Z)  # patch by patch
    h, z = Z.shape[1], Z[patches, units]
    for level in cells.T:  # (P,)
        np.add.at(sums.reshape(-1), level[patches] * h + units, z)  # (31), in the order of patches


def root_and_norm(sums: np.ndarray) -> np.ndarray:
    """The square root of sums (n, cells·h) ≥ 0, each row at norm 1, as float32: Eq. (31).

    The root makes the dot product of two images the Bhattacharyya coefficient of their histograms: a
    pattern that covers half of an image no longer drowns the others (Arandjelović and Zisserman 2012).
    A row of zeros stays zero.
    """
    F = np.sqrt(sums)  # (31) (n, cells·h)
    norms = np.sqrt(
        np.square(F).sum(axis=1, keepdims=True)
    )  # (n, 1); not by einsum, which sums one row otherwise
    return np.divide(F, norms, out=np.zeros_like(F), where=norms > 0).astype(np.float32)
