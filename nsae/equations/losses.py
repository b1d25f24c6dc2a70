"""Reconstruction losses, Eqs. (5) and (6), and their gradient, Eq. (11).

They sum over features and average over the batch.  Keras and others average over the d features too;
README.md beside this file works out what that does to Adam.
"""

from __future__ import annotations

import numpy as np


def squared_error(X: np.ndarray, X_hat: np.ndarray) -> float:
    """Return (1/2B) Σ(x̂ − x)², Eq. (5), for data X (B, d) and reconstructions X_hat (B, d)."""
    return 0.5 * float(np.sum((X_hat - X) ** 2)) / len(X)  # (5)


def cross_entropy(X: np.ndarray, U: np.ndarray) -> float:
    """Return (1/B) Σ[max(u, 0) − u·x + log(1 + exp(−|u|))], Eq. (6).

    This is −(1/B) Σ[x log x̂ + (1 − x) log(1 − x̂)] with x̂ = sigmoid(u), and it is finite for every u.

    Parameters
    ----------
    X : (B, d) array
        Data in [0, 1].
    U : (B, d) array
        Pre-activations of the output, also called logits.
    """
    return float(np.sum(np.maximum(U, 0) - U * X + np.log1p(np.exp(-np.abs(U))))) / len(X)  # (6)


def output_gradient(X: np.ndarray, X_hat: np.ndarray, *, sigmoid_then_squared: bool) -> np.ndarray:
    """Return dU (B, d), Eq. (11).

    Parameters
    ----------
    X, X_hat : (B, d) arrays
        Data and reconstructions.
    sigmoid_then_squared : bool
        Whether the output is a sigmoid and the loss Eq. (5).  Then the slope x̂(1 − x̂) of the sigmoid
        stays as a factor.  It cancels for the sigmoid with Eq. (6), and a linear output has none.
    """
    dU = (X_hat - X) / len(X)  # (11) (B, d)
    if sigmoid_then_squared:
        dU = dU * X_hat * (1 - X_hat)  # (11) (B, d)
    return dU
