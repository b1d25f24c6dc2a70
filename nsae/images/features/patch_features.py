"""PatchFeatures: from images to pooled vectors, with a patch layer that was learned.

Each thread takes its images from patches to pooled sums, with BLAS held to one thread.  Pre-activations are exact
sums, rounded once (see ``exact_sums``), so that the vector of an image does not depend on the images beside it, on
the backend, or on how a matrix product adds up.  The compiled loops compute most of them only roughly: enough to
know that they are not among the k largest (see ``screening``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nsae.equations.layers import Dense
from nsae.images.features.color_histogram import N_COLORS, append_histogram, color_histogram
from nsae.images.features.exact_sums import exact_weights, on_grid, patch_bits, pixel_bits
from nsae.images.features.patches import (
    PATCHES,
    Whitening,
    cut_patches,
    fold,
    normalise_contrast,
    patch_places,
)
from nsae.images.features.pooling import PoolingScratch, cells_of, root_and_norm, select_and_pool
from nsae.images.features.screening import Screen
from nsae.system.backends import resolve_backend
from nsae.system.threads import Threads
from nsae.validation import at_least

# Of sums, that NumPy works on in one call: other threads wait while it holds the interpreter.
GROUP_BYTES = 1 << 20
MOST_PIXELS = 2048  # a side; the cells of all patches of such an image take some 100 MB


@dataclass(frozen=True)
class Geometry:
    """How images are cut and pooled.

    Attributes
    ----------
    image_size : int
        Side of the images, which are square, in pixels.
    color : bool
    patch_size, stride : int
        Side of a patch, and from one patch to the next, in pixels.
    grid : tuple of int
        Cells a side, of each grid; see ``pooling.cells_of``.
    contrast_eps : float
        ε of Eq. (29).
    color_weight : float
        ω of Eq. (35); 0 is for patches alone, and for grey images.
    """

    image_size: int
    color: bool
    patch_size: int
    stride: int
    grid: tuple[int, ...]
    contrast_eps: float
    color_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.image_size > MOST_PIXELS:
            raise ValueError(
                f"image_size={self.image_size} is expected to be at most {MOST_PIXELS} pixels. Patches tell little "
                "of an image at such a size, and 96 is usual for photos."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: (image_size, image_size) or (image_size, image_size, 3)."""
        return (self.image_size, self.image_size, 3) if self.color else (self.image_size, self.image_size)

    @property
    def n_pixels(self) -> int:
        """d, the numbers in a patch."""
        return self.patch_size**2 * (3 if self.color else 1)

    @property
    def places(self) -> np.ndarray:
        """The first pixel of each patch along a side, (m,) int64."""
        return patch_places(self.image_size, self.patch_size, self.stride)

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """Return ``images``, uint8 or floats in [0, 1], as float32 in [0, 1], on the grid of ``exact_sums``."""
        floats = images / np.float32(255) if images.dtype == np.uint8 else images.astype(np.float32)
        return on_grid(floats, pixel_bits(self.n_pixels))

    def patches(self, images: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Cut images into patches and normalise their contrast: Eq. (29).

        This is the definition.  ``nsae.kernels.cut_patches`` computes the same bits.

        Parameters
        ----------
        images : (n, image_size, image_size[, 3]) array
            uint8, or floats in [0, 1].
        out : (n, P, d) float32 array
            Where the patches are written.

        Returns
        -------
        (n, P, d) float32 array
            ``out`` itself; its numbers are on the grid of ``exact_sums``.
        """
        for image, X in zip(self.pixels(images), out, strict=True):
            cut_patches(image, self.patch_size, self.stride, X)
            X[:] = on_grid(normalise_contrast(X, self.contrast_eps), patch_bits(self.n_pixels))
        return out


class PatchFeatures:
    """Pooled vectors of images; the whitening is folded into the weights of the patch layer.

    Parameters
    ----------
    geometry : Geometry
    layer : Dense
        W (h, d) and b (h,) float32, with the whitening folded in.
    k : int
        Active units a patch.

    Raises
    ------
    TypeError, ValueError
        k is no whole number of at least 1.

    Attributes
    ----------
    geometry, layer, k
        As they were given; k is at most h.
    W : (h, d) float32
        The weights that are multiplied: those of ``layer`` on the grid of ``exact_sums``.
    cells : (P, grids) int64
        The cells of each patch; see ``pooling.cells_of``.
    n_cells : int
    """

    def __init__(self, geometry: Geometry, layer: Dense, k: int):
        at_least("patch_k", k, 1, whole=True)
        self.geometry = geometry
        self.layer = layer
        self.k = min(int(k), len(layer.b))
        self.cells, self.n_cells = cells_of(len(geometry.places), geometry.grid)
        self.W = exact_weights(layer.W)  # (h, d)

    @cached_property
    def screen(self) -> Screen:
        """Bounds of pre-activations, by which the compiled loop leaves most of them out."""
        return Screen.of(self.W, self.layer.b, self.geometry.patch_size)

    @classmethod
    def of(cls, geometry: Geometry, layer: Dense, k: int, whitening: Whitening) -> PatchFeatures:
        """Return the features of a layer that learned from whitened patches.

        Parameters
        ----------
        geometry : Geometry
        layer : Dense
            W (h, d) and b (h,).
        k : int
            Active units a patch.
        whitening : Whitening
        """
        return cls(geometry, Dense(*fold(layer.W, layer.b, whitening)), k)

    @property
    def n_pooled(self) -> int:
        """cells · h, the width of the pooled codes of an image."""
        return self.n_cells * len(self.layer.b)

    @property
    def n_features(self) -> int:
        """The width of a pooled vector: ``n_pooled``, and 512 more with colours."""
        return self.n_pooled + (N_COLORS if self.geometry.color_weight else 0)

    def __call__(self, images: np.ndarray, *, backend: str, threads: Threads) -> np.ndarray:
        """Return the pooled vectors (n, n_features) float32 of images, Eqs. (31) and (35).

        Parameters
        ----------
        images : (n, image_size, image_size[, 3]) array
            uint8, or floats in [0, 1].
        backend : "auto", "numpy" or "numba"
            Vectors are the same bits with each.
        threads : Threads
        """
        F = np.empty((len(images), self.n_features), np.float32)  # (n, n_features)
        pool = self._pool_compiled if resolve_backend(backend) == "numba" else self._pool
        group = max(1, GROUP_BYTES // (8 * self.n_pooled))  # images

        def features_of_some(_part: int, lo: int, hi: int) -> None:
            for first in range(lo, hi, group):
                here = images[first : min(first + group, hi)]
                sums = np.zeros((len(here), self.n_cells, len(self.W)))  # (group, cells, h)
                pool(here, sums)  # (29) (1) (30) (4) (31)
                f = root_and_norm(sums.reshape(len(here), -1))  # (31) (group, cells · h)
                self._append_colors(f, here, F[first : first + len(here)])

        threads.parallel_for(len(images), features_of_some, work=len(images) * len(self.cells) * len(self.W))
        return F

    def _pool(self, images: np.ndarray, sums: np.ndarray) -> None:
        """Add the codes of the patches of each image to its ``sums`` (n, cells, h), in NumPy."""
        X = np.empty((1, len(self.cells), self.geometry.n_pixels), np.float32)  # (1, P, d)
        for i in range(len(images)):
            self.geometry.patches(images[i : i + 1], X)  # (29)
            for start in range(0, len(self.cells), PATCHES):
                rows = slice(start, start + PATCHES)
                select_and_pool(X[0, rows], self.W, self.layer.b, self.k, self.cells[rows], sums[i])

    def _pool_compiled(self, images: np.ndarray, sums: np.ndarray) -> None:
        """Do the same as ``_pool``, to the bit, in compiled loops that do not hold the interpreter."""
        from nsae import kernels

        g, screen, (h, d) = self.geometry, self.screen, self.W.shape
        pixels = g.pixels(images).reshape(len(images), g.image_size, -1)  # (n, side, side · channels)
        n, r = len(images) * len(self.cells), screen.V.shape[1]
        X = np.empty((min(PATCHES, n), d), np.float32)
        directed, Y = np.empty((len(X), r), np.float32), np.empty((len(X), h), np.float32)
        scratch = PoolingScratch.of(self.layer.b, self.k)
        how = 3 if g.color else 1, g.patch_size, g.stride, g.contrast_eps, np.float32(2.0 ** patch_bits(d))
        for first in range(0, n, PATCHES):
            rows = min(PATCHES, n - first)
            x, y = X[:rows], Y[:rows]  # (rows, d), (rows, h)
            kernels.cut_patches(pixels, *how, first, x)  # (29)
            xV = np.matmul(x, screen.V, out=directed[:rows]) if r else x  # (rows, r)
            np.matmul(xV, screen.L, out=y)  # (1) (30)
            kernels.select_and_pool(x, xV, y, screen, self.cells, first, sums, scratch)

    def _append_colors(self, f: np.ndarray, images: np.ndarray, out: np.ndarray) -> None:
        """Write the pooled codes f (n, cells · h), and the colours of their images, into ``out``."""
        weight = self.geometry.color_weight
        if not weight:
            out[:] = f
            return
        for i, image in enumerate(images):
            append_histogram(f[i], color_histogram(image), weight, out[i])  # (35)
