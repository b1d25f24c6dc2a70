"""Principal components of pooled vectors: few enough numbers for the second autoencoder to learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDS = 4  # of subspace iteration: enough even if the variances of the components fall slowly
EXTRA = 16  # directions beyond those asked for, without which the last of these are found badly
# Rows that are projected at once, always: what a BLAS sums in what order depends on the shape of a product.
BLOCK_ROWS = 128


def map_in_order(function: Callable[..., Any], parts: Sequence[Any], *shared: Any) -> Iterator[Any]:
    """Yield ``function(part, *shared)`` of each of the ``parts``."""
    return (function(part, *shared) for part in parts)


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
    def fit(
        cls,
        F: np.ndarray | Sequence[Any],
        m: int,
        whitening_power: float,
        rng: np.random.Generator,
        on_parts: Callable[..., Iterable[Any]] = map_in_order,
    ) -> PCA:
        """Learn the first m principal components, Eq. (41), by randomised subspace iteration.

        (Halko, Martinsson and Tropp 2011.)  Each round is a sum over blocks of rows, added in their order.

        Parameters
        ----------
        F : (n, f) float32 array, or sequence of blocks of its rows
        m : int
            Components.  There are fewer if F has no more: at most n − 1 or f, and none without variance.
        whitening_power : float
            Each component is divided by its standard deviation to this power: 0 leaves distances as they
            are, 1 makes all variances equal.  Then all are scaled together, to a mean variance of 1.
        rng : numpy.random.Generator
        on_parts : callable
            ``on_parts(function, blocks, *shared)`` gives ``function(block, *shared)`` of each block, in order.

        Raises
        ------
        ValueError
            All rows of F are equal.
        """
        blocks = [F] if isinstance(F, np.ndarray) else F
        n, total, squares = _sum(on_parts(_moments, blocks))  # total: (f,)
        f, m = len(total), min(m, n - 1, len(total))
        mean = (total / n).astype(np.float32)  # (f,)
        Q = rng.standard_normal((f, min(m + EXTRA, n, f))).astype(np.float32)  # (f, m + EXTRA)
        for _ in range(ROUNDS):
            (C_Q,) = _sum(on_parts(_covariance_times, blocks, mean, Q))  # (f, m + EXTRA)
            Q = np.linalg.qr(C_Q.astype(np.float32))[0]  # (f, m + EXTRA)
        (C,) = _sum(on_parts(_covariance_within, blocks, mean, Q))  # (m + EXTRA, m + EXTRA)
        variances, R = np.linalg.eigh(C / n)  # ascending
        variances, R = variances[::-1][:m], R[:, ::-1][:, :m]  # (m,), (m + EXTRA, m)
        # The others are rounding; a mean square of 1 leaves some 1e-14 of it.
        least = max(1e-7 * float(variances.max(initial=0)), 1e-11 * squares / n, 1e-30)
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

    def __call__(self, F: np.ndarray, block_rows: int = BLOCK_ROWS) -> np.ndarray:
        """Return the components (n, m) float32 of ``F`` (n, f), projected ``block_rows`` at a time."""
        T = np.empty((len(F), len(self.a)), np.float32)  # (n, m)
        block = np.zeros((block_rows, F.shape[1]), np.float32)  # (block_rows, f)
        for start in range(0, len(F), block_rows):
            rows = F[start : start + block_rows]
            block[: len(rows)], block[len(rows) :] = rows, 0
            T[start : start + len(rows)] = (self.A @ block.T).T[: len(rows)] + self.a
        return T


def _sum(parts: Iterable[tuple[Any, ...]]) -> list[Any]:
    """The sum of tuples of numbers and arrays, of each entry; arrays are added in float64."""
    sums: list[Any] = []
    for part in parts:
        wide = [np.asarray(x, np.float64) if isinstance(x, np.ndarray) else x for x in part]
        sums = [a + b for a, b in zip(sums, wide, strict=True)] if sums else wide
    return sums


def _moments(F: np.ndarray) -> tuple[int, np.ndarray, float]:
    """How many rows F (rows, f) has, their sum (f,), and the sum of their squares."""
    return len(F), F.sum(axis=0, dtype=np.float64), float(np.einsum("nf,nf->", F, F, dtype=np.float64))


def _covariance_times(F: np.ndarray, mean: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray]:
    """What the rows F (rows, f) add to the covariance times Q (f, q), (f, q)."""
    T = F @ Q - mean @ Q  # (rows, q), the product with the centred rows
    return (F.T @ T - np.outer(mean, T.sum(axis=0)),)


def _covariance_within(F: np.ndarray, mean: np.ndarray, Q: np.ndarray) -> tuple[np.ndarray]:
    """What the rows F (rows, f) add to the covariance in the directions Q (f, q), (q, q)."""
    T = F @ Q - mean @ Q  # (rows, q)
    return (T.T @ T,)
