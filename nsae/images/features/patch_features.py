"""PatchFeatures: from images to pooled vectors, with a patch layer that was learned.

Each thread takes its images from patches to pooled sums, with BLAS held to one thread.  The patches of an
image are multiplied in blocks that depend on the size of the image alone, so that its vector does not depend
on the images beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nsae.equations.layers import Dense
from nsae.images.features.color_histogram import N_COLORS, append_histogram, color_histogram
from nsae.images.features.patches import Whitening, cut_patches, fold, normalise_contrast, patch_places
from nsae.images.features.pooling import PoolingScratch, cells_of, root_and_norm, select_and_pool
from nsae.system.backends import resolve_backend
from nsae.system.threads import Threads

# Of patches, or of sums, that NumPy works on in one call: other threads wait while it holds the interpreter.
GROUP_BYTES = 1 << 20
MOST_PIXELS = 2048  # a side; the cells of all patches of such an image take some 100 MB
PATCHES = 512  # that are multiplied at once: with 512 units, their pre-activations take 1 MB


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

    def patches(self, images: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Cut images into patches and normalise their contrast: Eq. (29).

        Parameters
        ----------
        images : (n, image_size, image_size[, 3]) array
            uint8, or floats in [0, 1].
        out : (n, P, d) float32 array
            Where the patches are written.

        Returns
        -------
        (n, P, d) float32 array
            ``out`` itself.
        """
        if images.dtype == np.uint8:
            images = images / np.float32(255)
        for image, patches in zip(images, out, strict=True):
            cut_patches(image, self.patch_size, self.stride, patches)
        normalise_contrast(out.reshape(-1, self.n_pixels), self.contrast_eps)
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

    Attributes
    ----------
    geometry, layer, k
        As they were given; k is at most h.
    cells : (P, grids) int64
        The cells of each patch; see ``pooling.cells_of``.
    n_cells : int
    """

    def __init__(self, geometry: Geometry, layer: Dense, k: int):
        self.geometry = geometry
        self.layer = layer
        self.k = min(k, len(layer.b))
        self.cells, self.n_cells = cells_of(len(geometry.places), geometry.grid)
        self._Wt = np.ascontiguousarray(layer.W.T)  # (d, h)

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
        pool = self._select_and_pool(backend)
        P, d, h = len(self.cells), self.geometry.n_pixels, len(self.layer.b)
        group = max(1, GROUP_BYTES // max(4 * P * d, 8 * self.n_pooled))  # images

        def features_of_some(_part: int, lo: int, hi: int) -> None:
            X = np.empty((min(group, hi - lo), P, d), np.float32)  # (group, P, d)
            Y = np.empty((min(P, PATCHES), h), np.float32)  # (PATCHES, h)
            sums = np.empty((len(X), self.n_cells, h))  # (group, cells, h)
            scratch = PoolingScratch.of(self.layer.b, self.k)
            for first in range(lo, hi, group):
                here = images[first : min(first + group, hi)]
                self.geometry.patches(here, X[: len(here)])  # (29)
                sums[:] = 0
                for i in range(len(here)):
                    for start in range(0, P, PATCHES):
                        rows = slice(start, min(start + PATCHES, P))
                        y = np.matmul(X[i, rows], self._Wt, out=Y[: rows.stop - start])  # (1) (30) (rows, h)
                        pool(y, self.layer.b, self.k, self.cells[rows], sums[i], scratch)  # (4) (31)
                f = root_and_norm(sums[: len(here)].reshape(len(here), -1))  # (31) (group, cells · h)
                self._append_colors(f, here, F[first : first + len(here)])

        threads.parallel_for(len(images), features_of_some, work=len(images) * P * h)
        return F

    def _append_colors(self, f: np.ndarray, images: np.ndarray, out: np.ndarray) -> None:
        """Write the pooled codes f (n, cells · h), and the colours of their images, into ``out``."""
        weight = self.geometry.color_weight
        if not weight:
            out[:] = f
            return
        for i, image in enumerate(images):
            append_histogram(f[i], color_histogram(image), weight, out[i])  # (35)

    def _select_and_pool(self, backend: str) -> Callable[..., Any]:
        """The definition, or its compiled twin."""
        if resolve_backend(backend) == "numpy":
            return select_and_pool
        from nsae import kernels

        compiled: Callable[..., Any] = kernels.select_and_pool
        return compiled
