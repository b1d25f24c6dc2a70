"""What stands in the exported files of image encoders, too.  These functions are copied, so they need NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nsae.export.exported import one_blas_thread
from nsae.images.features.color_histogram import append_histogram, color_histogram
from nsae.images.features.exact_sums import on_grid, patch_bits, pixel_bits
from nsae.images.features.neighbours import unit_rows
from nsae.images.features.patches import PATCHES, cut_patches, normalise_contrast, patch_places
from nsae.images.features.pca import BLOCK_ROWS
from nsae.images.features.pooling import cells_of, root_and_norm, select_and_pool


class PatchLayer(NamedTuple):
    """From an image to its pooled vector.

    Attributes
    ----------
    W, b : (h, d) and (h,) array
        Weights of the patch autoencoder, with the whitening of Eq. (30) folded in, on the grid of exact sums.
    k : int
        Active units a patch.
    patch_size, stride : int
        Side of a patch, and from one patch to the next, in pixels.
    grid : tuple of int
        Cells a side, of each grid.
    contrast_eps : float
        ε of Eq. (29).
    color_weight : float
        ω of Eq. (35); 0 is for patches alone.
    """

    W: np.ndarray
    b: np.ndarray
    k: int
    patch_size: int
    stride: int
    grid: tuple[int, ...]
    contrast_eps: float
    color_weight: float


def pooled(image: np.ndarray, layer: PatchLayer) -> np.ndarray:
    """Return the pooled vector (f,) of an ``image`` (side, side[, 3]), by the patch ``layer``: Eqs. (29) to (35)."""
    cells, n_cells = cells_of(len(patch_places(len(image), layer.patch_size, layer.stride)), layer.grid)
    pixels = image / np.float32(255) if image.dtype == np.uint8 else image
    d = layer.W.shape[1]
    X = cut_patches(on_grid(pixels, pixel_bits(d)), layer.patch_size, layer.stride)  # (P, d)
    X = on_grid(normalise_contrast(X, layer.contrast_eps), patch_bits(d))  # (29)
    sums = np.zeros((n_cells, len(layer.b)))  # (cells, h)
    for start in range(0, len(X), PATCHES):
        rows = slice(start, start + PATCHES)
        select_and_pool(X[rows], layer.W, layer.b, layer.k, cells[rows], sums)  # (1) (30) (4) (31)
    f = root_and_norm(sums.reshape(1, -1))[0]  # (31) (cells · h,)
    if not layer.color_weight:
        return f
    chi = color_histogram(image)  # (512,)
    both = np.empty(len(f) + len(chi), np.float32)
    append_histogram(f, chi, layer.color_weight, both)  # (35)
    return both


def components(images: np.ndarray, layer: PatchLayer, A: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Return the components A f + a (n, m), at norm 1 (37), of the pooled vectors f of ``images``, by the ``layer``.

    A (m, f) and a (m,) hold the principal components.
    """
    T = np.empty((len(images), len(a)), np.float32)  # (n, m)
    block = np.zeros((BLOCK_ROWS, A.shape[1]), np.float32)  # (128, f)
    for start in range(0, len(images), BLOCK_ROWS):
        some = images[start : start + BLOCK_ROWS]
        block[len(some) :] = 0
        for i, image in enumerate(some):
            block[i] = pooled(image, layer)
        with one_blas_thread():
            T[start : start + len(some)] = (A @ block.T).T[: len(some)] + a
    return unit_rows(T)


def beside_predictions(
    X: np.ndarray, hidden_W: np.ndarray, hidden_b: np.ndarray, output_W: np.ndarray, output_b: np.ndarray
) -> np.ndarray:
    """Return the rows [x; ŝ(x)]/√2 (n, 2m) of ``X`` (n, m): what each row predicts of its neighbours, Eq. (38).

    Ψ and ψ are ``hidden_W`` (1000, m) and ``hidden_b``, M and −s̄ ``output_W`` (m, 1000 + m) and ``output_b``.
    """
    n, m = X.shape
    out = np.empty((n, 2 * m), np.float32)  # (n, 2m)
    block = np.zeros((BLOCK_ROWS, m), np.float32)  # (128, m)
    for start in range(0, n, BLOCK_ROWS):
        rows = X[start : start + BLOCK_ROWS]
        block[: len(rows)], block[len(rows) :] = rows, 0
        with one_blas_thread():
            hidden = np.concatenate([np.maximum(block @ hidden_W.T + hidden_b, 0), block], axis=1)
            P = (hidden @ output_W.T + output_b)[: len(rows)]  # (38) (rows, m)
        both = out[start : start + len(rows)]
        both[:, :m], both[:, m:] = rows, unit_rows(P)
    return out * np.float32(np.sqrt(0.5))


def thresholded(blocks: Iterator[np.ndarray], k: int, phi: float) -> Iterator[np.ndarray]:
    """Yield the codes Z (rows, h) in ``blocks``, with ``k`` active units less ``phi`` times the next one: Eq. (36)."""
    for Z in blocks:
        active = np.count_nonzero(Z, axis=1)  # (rows,)
        for i in np.flatnonzero(active > k):
            units = np.flatnonzero(Z[i])  # (k + 1,)
            values = Z[i, units]  # (k + 1,)
            left_out = units[len(units) - 1 - np.argmin(values[::-1])]  # of equal ones, the last
            Z[i, units] = values - Z.dtype.type(phi) * values.min()  # (36)
            Z[i, left_out] = 0
        yield Z


def check_images(images: object, shape: tuple[int, ...]) -> np.ndarray:
    """Return images (n, side, side[, 3]) of this ``shape``, as uint8 or float32, or raise a ValueError."""
    pixels = np.asarray(images)
    if (
        pixels.shape[1:] != shape
        or not len(pixels)
        or not (pixels.dtype == np.uint8 or pixels.dtype.kind == "f")
    ):
        raise ValueError(
            f"Images of shape {pixels.shape} of {pixels.dtype} came; uint8, or floats in [0, 1], of shape "
            f"(n, {', '.join(map(str, shape))}) were expected."
        )
    if pixels.dtype == np.uint8:
        return pixels
    pixels = pixels.astype(np.float32)
    if not ((pixels >= -1e-6) & (pixels <= 1 + 1e-6)).all():  # NaN is not
        raise ValueError("The images have values outside of [0, 1]. Divide by the largest possible value.")
    return pixels
