"""PatchCoder: the first half of an ImageEncoder, from an image to its pooled vector, Eqs. (29)–(31)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.activations import KSparse
from nsae.backends import resolve_backend
from nsae.estimator import SparseAutoencoder
from nsae.images.patches import Whitening, cut_patches, fold, normalise_contrast
from nsae.images.pooling import cells_of, pool, root_and_norm
from nsae.threads import Threads

WHITENED_PATCHES = 100_000  # are enough to learn the covariance of a hundred numbers from


class PatchCoder(NamedTuple):
    """A k-sparse encoder of whitened patches, and how their codes are pooled.

    Attributes
    ----------
    W, b : (h, d), (h,) float32
        With the whitening (30) folded in: they read patches as they are after (29).
    patterns : (h, d) float32
        What each unit stands for, in contrast-normalised pixels.
    patch, stride, k : int
    contrast : float
        ε of (29).
    grid : tuple of int
        Cells a side of each level of the pooling, (31).
    """

    W: np.ndarray
    b: np.ndarray
    patterns: np.ndarray
    patch: int
    stride: int
    k: int
    contrast: float
    grid: tuple[int, ...]

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        model: SparseAutoencoder,
        *,
        patch: int,
        stride: int,
        contrast: float,
        whitening: float,
        grid: tuple[int, ...],
    ) -> PatchCoder:
        """Learn from patches X (n, d) of pixels in [0, 1], in random order; they are overwritten.

        ``model`` is the k-sparse autoencoder that is to learn them, unfitted; ``whitening`` is ε of (30).
        """
        normalise_contrast(X, contrast)  # (29) (n, d)
        zca = Whitening.fit(X[:WHITENED_PATCHES], whitening)
        core = model.fit(zca(X)).autoencoder_  # (30)
        W, b = fold(core.encoder.W, core.encoder.b, zca)
        patterns = np.linalg.solve(zca.P, core.decoder.W).T.astype(np.float32)  # (h, d): P is symmetric
        return cls(W, b, patterns, patch, stride, core.g.k, contrast, grid)

    def n_features(self) -> int:
        """f, the length of a pooled vector."""
        return len(self.b) * sum(g * g for g in self.grid)

    def pooled(self, images: np.ndarray, threads: Threads, backend: str = "auto") -> np.ndarray:
        """Pooled vectors (n, f) float32, of norm 1, of images (n, H, W[, 3]) of float32 in [0, 1]: Eq. (31)."""
        n, H, W = images.shape[:3]
        rows, columns = ((side - self.patch) // self.stride + 1 for side in (H, W))
        cells, n_cells = cells_of(rows, columns, self.grid)  # (P, levels)
        P, (h, d) = len(cells), self.W.shape
        compiled = resolve_backend(backend, n * P * d * h) == "numba"
        F = np.empty((n, n_cells * h), np.float32)  # (n, f)

        def share(_part: int, lo: int, hi: int) -> None:
            X, Y = np.empty((P, d), np.float32), np.empty((P, h), np.float32)  # (P, d), (P, h)
            sums = np.empty((n_cells, h))  # (cells, h) float64
            add = self._compiled_sums(cells) if compiled else self._sums(cells)
            for i in range(lo, hi):
                normalise_contrast(
                    cut_patches(images[i], self.patch, self.stride, out=X), self.contrast
                )  # (29)
                np.matmul(X, self.W.T, out=Y)  # (1) (30)
                sums[:] = 0
                add(Y, sums)  # (2) (31)
                F[i] = root_and_norm(sums.reshape(1, -1))[0]  # (31)

        threads.over(n, n * P * h, share)
        return F

    def _sums(self, cells: np.ndarray):
        """A function that adds the k-sparse codes of Y + b (P, h) to the cells' sums: the definition."""
        g = KSparse(self.k)

        def add(Y: np.ndarray, sums: np.ndarray) -> None:
            Y += self.b
            pool(g(Y), cells, sums)

        return add

    def _compiled_sums(self, cells: np.ndarray):
        """Its twin: no code of a patch is ever written out."""
        from nsae import kernels

        P = len(cells)
        units, values = np.empty((P, self.k), np.int32), np.empty((P, self.k), np.float32)  # (P, k)
        found = np.empty(P, np.int64)

        def add(Y: np.ndarray, sums: np.ndarray) -> None:
            found[:] = 0
            kernels.top_k(Y, self.b, 0, units, values, found, 0, P)
            kernels.pool(units, values, found, cells, sums)

        return add
