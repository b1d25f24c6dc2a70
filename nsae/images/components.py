"""Principal components of pooled vectors, by a randomised range finder."""

from __future__ import annotations

import numpy as np

OVERSAMPLING, POWER_ITERATIONS = 16, 3


def principal_components(
    F: np.ndarray, m: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean and the m directions in which F (n, f) varies most.

    A product with a few random directions finds the space that they span, and within it an exact
    decomposition is cheap (Halko, Martinsson and Tropp 2011, Algorithm 4.4): n·f·m operations instead
    of n·f·min(n, f).

    Returns
    -------
    mean : (f,)
    E : (f, m)
        Columns of norm 1, the largest variance first; m is at most n and f.
    variances : (m,) float64
    """
    mean = F.mean(axis=0, dtype=np.float64).astype(F.dtype)  # (f,)
    D = F - mean  # (n, f)
    m = min(m, *D.shape)
    Q = rng.standard_normal((D.shape[1], min(m + OVERSAMPLING, *D.shape))).astype(F.dtype)  # (f, m + …)
    for _ in range(POWER_ITERATIONS):
        Q, _ = np.linalg.qr(D.T @ (D @ Q))  # (f, m + …)
    _, lengths, R = np.linalg.svd(D @ Q, full_matrices=False)
    E = Q @ R[:m].T  # (f, m)
    return mean, E.astype(F.dtype), lengths[:m].astype(np.float64) ** 2 / len(D)
