"""The dense layer y = Wx + b in batch form, its gradients, its weight decay, and its unit-norm option."""

from __future__ import annotations

import numpy as np


class Dense:
    """A dense layer over rows: ``Y = X Wᵀ + b``.

    The encoder is one with weights W (h, d), the decoder another with weights V (d, h); below, the
    shapes are the encoder's.

    Parameters
    ----------
    W : (n_out, n_in) array
    b : (n_out,) array
    weight_decay : float
        γ of Eq. (9).  It is on W alone: a bias shrinks nothing that should be small.
    """

    def __init__(self, W: np.ndarray, b: np.ndarray, weight_decay: float = 0.0):
        self.W = W
        self.b = b
        self.weight_decay = weight_decay

    @classmethod
    def random(cls, n_in: int, n_out: int, rng: np.random.Generator, dtype: np.dtype | str) -> Dense:
        """Weights uniform in ±√(6 / (n_in + n_out)) (Glorot and Bengio 2010), bias zero."""
        limit = np.sqrt(6 / (n_in + n_out))
        W = rng.uniform(-limit, limit, (n_out, n_in)).astype(dtype)  # (n_out, n_in)
        return cls(W, np.zeros(n_out, dtype))

    def forward(self, X: np.ndarray) -> np.ndarray:
        return X @ self.W.T + self.b  # (1) (3) (B, n_out)

    def param_grads(self, dY: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(dW, db) from the gradient dY (B, n_out) and the input X (B, n_in), Eqs. (12) and (15)."""
        dW = dY.T @ X + self.weight_decay * self.W  # (12) (15) (n_out, n_in)
        db = dY.sum(axis=0)  # (12) (15) (n_out,)
        return dW, db

    def input_grad(self, dY: np.ndarray) -> np.ndarray:
        """dY W (B, n_in): the first term of Eq. (13), for the decoder."""
        return dY @ self.W  # (13) (B, n_in)

    def penalty(self) -> float:
        """(γ/2)‖W‖², this layer's half of Eq. (9)."""
        if not self.weight_decay:
            return 0.0
        return 0.5 * self.weight_decay * float(np.sum(self.W**2))  # (9)


def tangent(dV: np.ndarray, V: np.ndarray) -> np.ndarray:
    """dV (d, h) without its part along each column of V, whose columns have norm 1: Eq. (20).

    Without this, a step would spend part of its length on a direction that the renormalisation
    afterwards takes back, and Adam's moments would remember it.
    """
    return dV - V * np.sum(V * dV, axis=0)  # (20) (d, h)


def normalise_columns(V: np.ndarray) -> None:
    """Scale each column of V (d, h) to norm 1, in place: Eq. (20).  Zero columns stay."""
    norms = np.sqrt(np.sum(V**2, axis=0))  # (h,)
    V /= np.where(norms > 0, norms, 1)  # (20) (d, h)
