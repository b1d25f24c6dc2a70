"""The dense layer y = Wx + b for a batch, its gradients, its weight decay, and its unit-norm option."""

from __future__ import annotations

import numpy as np


class Dense:
    """A dense layer: ``Y = X Wᵀ + b``, Eqs. (1) and (3).

    The encoder is one, with weights W (h, d).  The decoder is another, with weights V (d, h).  In the
    methods below, W is the weights of the layer at hand, n_in its inputs and n_out its outputs.

    Parameters
    ----------
    W : (n_out, n_in) array
    b : (n_out,) array
    weight_decay : float
        γ of Eq. (9).  It acts on W, not on b.
    """

    def __init__(self, W: np.ndarray, b: np.ndarray, weight_decay: float = 0.0):
        self.W = W
        self.b = b
        self.weight_decay = weight_decay

    @classmethod
    def random(cls, n_in: int, n_out: int, rng: np.random.Generator, dtype: np.dtype | str) -> Dense:
        """Draw initial weights, uniform in ±√(6/(n_in + n_out)) (Glorot and Bengio 2010); biases are 0.

        Parameters
        ----------
        n_in, n_out : int
            Inputs and outputs.
        rng : numpy.random.Generator
        dtype : dtype
            Of W and b.
        """
        limit = np.sqrt(6 / (n_in + n_out))
        W = rng.uniform(-limit, limit, (n_out, n_in)).astype(dtype)  # (n_out, n_in)
        return cls(W, np.zeros(n_out, dtype))

    def forward(self, X: np.ndarray) -> np.ndarray:
        """Return X Wᵀ + b (B, n_out) for the rows of X (B, n_in)."""
        return X @ self.W.T + self.b  # (1) (3) (B, n_out)

    def param_grads(self, dY: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (dW, db) from the gradient dY (B, n_out) and the input X (B, n_in), Eqs. (12) and (15)."""
        dW = dY.T @ X + self.weight_decay * self.W  # (12) (15) (n_out, n_in)
        db = dY.sum(axis=0)  # (12) (15) (n_out,)
        return dW, db

    def input_grad(self, dY: np.ndarray) -> np.ndarray:
        """Return dY W (B, n_in) for dY (B, n_out): of the decoder, the first term of Eq. (13)."""
        return dY @ self.W  # (13) (B, n_in)

    def penalty(self) -> float:
        """Return (γ/2)‖W‖², this layer's half of Eq. (9)."""
        if not self.weight_decay:
            return 0.0
        return 0.5 * self.weight_decay * float(np.sum(self.W**2))  # (9)


def tangent(dV: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return dV without its part along each column of V, Eq. (20).

    The normalisation after the step would take that part away again, but Adam's moments would keep it.

    Parameters
    ----------
    dV : (d, h) array
    V : (d, h) array
        Its columns have norm 1.

    Returns
    -------
    (d, h) array
    """
    return dV - V * np.sum(V * dV, axis=0)  # (20) (d, h)


def normalise_columns(V: np.ndarray) -> None:
    """Scale each column of V (d, h) to norm 1, in place, Eq. (20).  Columns of zeros stay as they are."""
    norms = np.sqrt(np.sum(V**2, axis=0))  # (h,)
    V /= np.where(norms > 0, norms, 1)  # (20) (d, h)
