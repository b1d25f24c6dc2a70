"""Principal components of pooled vectors: few enough numbers for the second autoencoder to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROUNDS = 4  # of subspace iteration: enough even if the variances of the components fall slowly
EXTRA = 16  # directions beyond those asked for, without which the last of these are found badly
# Rows that are projected at once, always: what a BLAS sums in what order depends on the shape of a product.
BLOCK_ROWS = 128


@dataclass(frozen=True, eq=False)
class PCA:
    """x ↦ A x + a: centred, projected on principal components, and scaled.

    Attributes
    ----------
    A : (m, f) float32
    a : (m,) float32
    """

    A: np.ndarray
    a: np.ndarray

    @classmethod
    def fit(cls, F: np.ndarray, m: int, whitening_power: float, rng: np.random.Generator) -> PCA:
        """Learn the first m principal components, Eq. (41), by randomised subspace iteration.

        (Halko, Martinsson and Tropp 2011.)

        Parameters
        ----------
        F : (n, f) float32 array
        m : int
            Components.  There are fewer if F has no more: at most n − 1 or f, and none without variance.
        whitening_power : float
            Each component is divided by its standard deviation to this power: 0 leaves distances as they
            are, 1 makes all variances equal.  Then all are scaled together, to a mean variance of 1.
        rng : numpy.random.Generator

        Raises
        ------
        ValueError
            All rows of F are equal.
        """
        n, f = F.shape
        mean = F.mean(axis=0, dtype=np.float64).astype(np.float32)  # (f,)
        m = min(m, n - 1, f)
        Q = rng.standard_normal((f, min(m + EXTRA, n, f))).astype(np.float32)  # (f, m + EXTRA)
        for _ in range(ROUNDS):
            T = F @ Q - mean @ Q  # (n, m + EXTRA), the product with the centred rows
            Q = np.linalg.qr(F.T @ T - np.outer(mean, T.sum(axis=0)))[0]  # (f, m + EXTRA)
        T = F @ Q - mean @ Q  # (n, m + EXTRA)
        variances, R = np.linalg.eigh((T.T @ T).astype(np.float64) / n)  # ascending
        variances, R = variances[::-1][:m], R[:, ::-1][:, :m]  # (m,), (m + EXTRA, m)
        # The others are rounding; a mean square of 1 leaves some 1e-14 of it.
        least = max(1e-7 * float(variances.max(initial=0)), 1e-11 * float(np.mean(F[:1000] ** 2) * f), 1e-30)
        real = variances > least
        if not real.any():
            raise ValueError(
                "All images have the same pooled vector, so there is nothing to learn from them. "
                "Give images that differ."
            )
        variances, R = variances[real], R[:, real]
        scale = variances ** (-whitening_power / 2)  # (41) (m,)
        scale /= np.sqrt(np.mean(variances * scale**2))  # (41)
        A = ((Q @ R) * scale).T  # (m, f)
        return cls(np.ascontiguousarray(A, np.float32), (-(A @ mean)).astype(np.float32))

    def __call__(self, F: np.ndarray) -> np.ndarray:
        """Return the components (n, m) float32 of ``F`` (n, f)."""
        T = np.empty((len(F), len(self.a)), np.float32)  # (n, m)
        block = np.zeros((BLOCK_ROWS, F.shape[1]), np.float32)  # (BLOCK_ROWS, f)
        for start in range(0, len(F), BLOCK_ROWS):
            rows = F[start : start + BLOCK_ROWS]
            block[: len(rows)], block[len(rows) :] = rows, 0
            T[start : start + len(rows)] = (self.A @ block.T).T[: len(rows)] + self.a
        return T
