"""Reconstruction losses, Eqs. (5) and (6), and their common gradient, Eq. (11).

Sums over features, mean over the batch.  (Keras and others also average over the d features;
equations/README.md works out what that does to Adam's ε.)
"""

from __future__ import annotations

import numpy as np


def squared_error(X: np.ndarray, X_hat: np.ndarray) -> float:
    """(1/2B) Σ‖x̂ − x‖², Eq. (5).  X, X_hat: (B, d)."""
    return 0.5 * float(np.sum((X_hat - X) ** 2)) / len(X)  # (5)


def cross_entropy(X: np.ndarray, U: np.ndarray) -> float:
    """(1/B) Σ [max(u, 0) − u·x + log(1 + e^−|u|)], Eq. (6): from logits U (B, d), data X (B, d) in [0, 1].

    Equal to −Σ [x log x̂ + (1 − x) log(1 − x̂)] with x̂ = sigmoid(u), but finite for every u.
    """
    return float(np.sum(np.maximum(U, 0) - U * X + np.log1p(np.exp(-np.abs(U))))) / len(X)  # (6)


def output_gradient(X: np.ndarray, X_hat: np.ndarray, *, sigmoid_then_squared: bool) -> np.ndarray:
    """dU (B, d), Eq. (11): (x̂ − x)/B for (linear, squared) and (sigmoid, cross-entropy).

    For (sigmoid, squared) the sigmoid's slope x̂(1 − x̂) does not cancel and stays as a factor.
    """
    dU = (X_hat - X) / len(X)  # (11) (B, d)
    if sigmoid_then_squared:
        dU = dU * X_hat * (1 - X_hat)  # (11) (B, d)
    return dU
