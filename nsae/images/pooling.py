"""From the codes of an image's patches to one vector for the image: sums over the cells of a grid (31)."""

from __future__ import annotations

import numpy as np


def cells_of(rows: int, columns: int, grid: tuple[int, ...]) -> tuple[np.ndarray, int]:
    """The cells of the grids that each patch of an image lies in.

    Parameters
    ----------
    rows, columns : int
        Of patches.
    grid : tuple of int
        Cells a side of each level; (4,) is one grid of 4 × 4, (1, 2, 4) a spatial pyramid
        (Lazebnik, Schmid and Ponce 2006).

    Returns
    -------
    (rows·columns, len(grid)) int64
        Patches row by row; the numbering of cells goes on from level to level.
    int
        The number of cells, Σ g².
    """
    levels, first = [], 0
    for g in grid:
        down, across = np.arange(rows) * g // rows, np.arange(columns) * g // columns
        levels.append(first + (down[:, None] * g + across).ravel())  # (rows·columns,)
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
    norms = np.sqrt(np.einsum("nf,nf->n", F, F))[:, None]  # (n, 1)
    return np.divide(F, norms, out=np.zeros_like(F), where=norms > 0).astype(np.float32)
