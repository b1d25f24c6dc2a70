"""The auxiliary loss for dead units, Eq. (21): let them explain what the living ones leave over.

A unit of a k-sparse code that never wins gets no gradient, and so never will.  Here the dead units alone
reconstruct the error e = x − x̂ of the others, which gives them a gradient and, in time, a place in the
code (Gao et al. 2024, section A.2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.activations import KSparse
from nsae.autoencoder import Autoencoder


class AuxiliaryGradients(NamedTuple):
    """(21) and its gradients: of J with respect to the rows ``units`` (m,) of W, b and Vᵀ."""

    value: float
    units: np.ndarray
    dW: np.ndarray  # (m, d)
    db: np.ndarray  # (m,)
    dVt: np.ndarray  # (m, d)


class AuxiliaryLoss:
    """α·½‖e − ê‖²/B, Eq. (21), over the units that are dead.

    Parameters
    ----------
    model : Autoencoder
        With exact zeros in its code: ReLU or k-sparse.
    alpha : float
    k_aux : int
        ê is decoded from so many dead units in each sample, the largest.
    """

    def __init__(self, model: Autoencoder, alpha: float, k_aux: int):
        self.model, self.alpha, self.k_aux = model, alpha, k_aux

    def __call__(self, X: np.ndarray, error: np.ndarray, dead: np.ndarray) -> AuxiliaryGradients:
        """For the batch X (B, d), e = x − x̂ (B, d), which is held constant, and the dead units (m,).

        The bias c has no part in ê: it is busy with the mean of the data.
        """
        encoder, decoder, B = self.model.encoder, self.model.decoder, len(X)
        W, b, Vt = encoder.W[dead], encoder.b[dead], decoder.W.T[dead]  # (m, d), (m,), (m, d)
        Z = KSparse(min(self.k_aux, len(dead)))(X @ W.T + b)  # (1) (2) (B, m)
        off = Z @ Vt - error  # ê − e, (B, d)
        dE = (self.alpha / B) * off  # (21) (B, d)
        dY = (dE @ Vt.T) * (Z > 0)  # (13) (14) (B, m)
        value = 0.5 * self.alpha * float(np.sum(off**2)) / B  # (21)
        return AuxiliaryGradients(value, dead, dY.T @ X, dY.sum(axis=0), Z.T @ dE)  # (12) (15)
