"""PatchFeatures: from images to pooled vectors, patches to square root, with a trained patch layer.

Each thread takes a few images after the other from their patches to their pooled sums, with BLAS held to
one thread.  An image's patches go through in blocks that depend on the image's size alone, so that its
vector does not depend on the images beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nsae.equations.activations import KSparse
from nsae.images.features.color_histogram import N_COLORS, beside, color_histogram
from nsae.images.features.patches import Whitening, cut_patches, fold, normalise_contrast, patch_places
from nsae.images.features.pooling import cells_of, pool, root_and_norm
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.system.backends import resolve_backend
from nsae.system.threads import Threads

GROUP_BYTES = 1 << 20  # of patches, or sums, that go through NumPy at once: threads wait for each call
PATCHES = 512  # that go through the product at once: with 512 units, their pre-activation is 1 MB
LANES = 64  # of the compiled selection: see kernels.select_and_pool


@dataclass(frozen=True)
class Geometry:
    """How images are cut and pooled.

    Attributes
    ----------
    image_size : int
        Of the images, which are square, in pixels.
    color : bool
    patch_size, stride : int
        Side of a patch, and from one patch to the next, in pixels.
    grid : tuple of int
        Cells a side, for each level; see ``pooling.cells_of``.
    contrast_eps : float
        Of Eq. (29).
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

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image: (side, side) or (side, side, 3)."""
        return (self.image_size, self.image_size, 3) if self.color else (self.image_size, self.image_size)

    @property
    def n_pixels(self) -> int:
        """d, the numbers in a patch."""
        return self.patch_size**2 * (3 if self.color else 1)

    @property
    def places(self) -> np.ndarray:
        """(m,) int64: the first pixel of each patch along a side."""
        return patch_places(self.image_size, self.patch_size, self.stride)

    def patches(self, images: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The normalised patches of images (n, side, side[, 3]), Eq. (29), in ``out`` (n, P, d) float32."""
        if images.dtype == np.uint8:
            images = images / np.float32(255)
        for image, patches in zip(images, out, strict=True):
            cut_patches(image, self.patch_size, self.stride, patches)
        normalise_contrast(out.reshape(-1, self.n_pixels), self.contrast_eps)
        return out


class PatchFeatures:
    """Pooled vectors of images; the patch layer's weights have the whitening folded in.

    Parameters
    ----------
    geometry : Geometry
    W : (h, d) float32 array
    b : (h,) float32 array
        From :func:`nsae.images.features.patches.fold`.
    k : int
        Active units a patch.
    """

    def __init__(self, geometry: Geometry, W: np.ndarray, b: np.ndarray, k: int):
        self.geometry = geometry
        self.W, self.b, self.k = W, b, min(k, len(b))
        self._Wt = np.ascontiguousarray(W.T)  # (d, h)
        self._cells, self._n_cells = cells_of(len(geometry.places), geometry.grid)

    @classmethod
    def of(cls, geometry: Geometry, model: SparseAutoencoder, whitening: Whitening) -> PatchFeatures:
        """The first layer as it was learned, from now on with the whitening in its weights."""
        encoder = model.autoencoder_.encoder_layer
        return cls(geometry, *fold(encoder.W, encoder.b, whitening), model.autoencoder_.g.k)

    @property
    def n_features(self) -> int:
        """cells · h, and 512 more with colours: the width of a pooled vector."""
        return self._n_pooled + (N_COLORS if self.geometry.color_weight else 0)

    @property
    def _n_pooled(self) -> int:
        return self._n_cells * len(self.b)

    def __call__(self, images: np.ndarray, *, backend: str, threads: Threads) -> np.ndarray:
        """Pooled vectors (n, n_features) float32 of images (n, side, side[, 3]), Eqs. (31) and (35).

        ``images`` are uint8, or floats in [0, 1].
        """
        F = np.empty((len(images), self.n_features), np.float32)  # (n, n_features)
        compiled = resolve_backend(backend) == "numba"
        P, d, h = len(self._cells), self.geometry.n_pixels, len(self.b)
        group = max(1, GROUP_BYTES // max(4 * P * d, 8 * self._n_pooled))  # images

        def some(_part: int, lo: int, hi: int) -> None:
            X = np.empty((min(group, hi - lo), P, d), np.float32)  # (group, P, d)
            Y = np.empty((min(P, PATCHES), h), np.float32)  # (PATCHES, h)
            sums = np.empty((len(X), self._n_cells, h))  # (group, cells, h)
            add = self._compiled() if compiled else self._add
            for first in range(lo, hi, group):
                here = images[first : min(first + group, hi)]
                self.geometry.patches(here, X[: len(here)])  # (29)
                sums[:] = 0
                for i in range(len(here)):
                    for start in range(0, P, PATCHES):
                        rows = slice(start, min(start + PATCHES, P))
                        y = np.matmul(X[i, rows], self._Wt, out=Y[: rows.stop - start])  # (1) (30) (rows, h)
                        add(y, self._cells[rows], sums[i])
                f = root_and_norm(sums[: len(here)].reshape(len(here), -1))  # (31) (group, cells·h)
                if self.geometry.color_weight:
                    for i, image in enumerate(here):
                        beside(f[i], color_histogram(image), self.geometry.color_weight, F[first + i])  # (35)
                else:
                    F[first : first + len(here)] = f

        threads.parallel_for(len(images), some, work=len(images) * P * h)
        return F

    def _add(self, Y: np.ndarray, cells: np.ndarray, sums: np.ndarray) -> None:
        """The definition: k-sparse codes of some patches, added to their cells' sums."""
        pool(KSparse(self.k)(Y + self.b), cells, sums)  # (2) (31)

    def _compiled(self) -> Callable[[np.ndarray, np.ndarray, np.ndarray], None]:
        """The same bits by one loop, with its scratch; no code of a patch is ever written."""
        from nsae import kernels

        lanes = min(max(LANES, self.k), len(self.b))
        maxima, candidates = np.empty(lanes, np.float32), np.empty(len(self.b), np.int64)

        def add(Y: np.ndarray, cells: np.ndarray, sums: np.ndarray) -> None:
            kernels.select_and_pool(Y, self.b, self.k, cells, sums, maxima, candidates)  # (2) (31)

        return add
