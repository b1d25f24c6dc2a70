"""Units that no sample activates any more: how they are counted, and two cures.

The auxiliary loss, Eq. (21), lets dead units explain what the living ones leave over.  A unit of a
k-sparse code that never wins gets no gradient, and so never will.  Here the dead units alone reconstruct the
error e = x − x̂ of the others, which gives them a gradient and, in time, a place in the code (Gao et al. 2024,
section A.2).

Resampling starts a dead unit anew, from a sample that the others reconstruct badly.  It is after Bricken et
al. 2023, "Towards Monosemanticity", appendix on neuron resampling, made gentle: a newcomer reads its sample
as strongly as the sample's largest unit does, and writes nothing until it has learned what.  Newcomers that
write at once push the error up for samples they were not made for, which makes the next newcomers larger still.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.equations.activations import KSparse
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.optimizers import Adam

SHARE = 0.02  # of a batch: so many units at most start anew in a step


class DeadUnits:
    """What a training step asks about its dead units: their gradients before it, new starts after it.

    Parameters
    ----------
    idle : (h,) int64
        Samples since each unit was last active; counted on in place.
    dead_after : int
        A unit is dead when so many samples (not steps) in a row have not activated it.
    auxiliary : AuxiliaryLoss, optional
    resampling : Resampling, optional
    """

    def __init__(
        self,
        idle: np.ndarray,
        dead_after: int,
        auxiliary: AuxiliaryLoss | None = None,
        resampling: Resampling | None = None,
    ):
        self.idle, self.dead_after = idle, dead_after
        self.auxiliary, self.resampling = auxiliary, resampling
        self.dead = np.flatnonzero(idle >= dead_after)  # (m,)

    def gradients(self, X: np.ndarray, error: np.ndarray, on: np.ndarray) -> AuxiliaryGradients | None:
        """Count the batch X (B, d), which activated the units on > 0 (h,); (21) and its gradients.

        ``error`` is e = x − x̂ (B, d).  None if no unit is dead or no auxiliary loss is wanted.
        """
        self.idle += len(X)
        self.idle[on > 0] = 0
        self.dead = np.flatnonzero(self.idle >= self.dead_after)  # (m,)
        if self.auxiliary is None or not len(self.dead):
            return None
        return self.auxiliary(X, error, self.dead)

    def renew(self, X: np.ndarray, error: np.ndarray) -> None:
        """After the step: some of the dead start anew, if that is wanted."""
        if self.resampling is not None and len(self.dead):
            self.idle[self.resampling(X, error, self.dead)] = 0


class AuxiliaryGradients(NamedTuple):
    """(21) and its gradients: of J with respect to the rows ``units`` (m,) of W, b and Vᵀ."""

    value: float
    units: np.ndarray
    dW: np.ndarray  # (m, d)
    db: np.ndarray  # (m,)
    dVt: np.ndarray  # (m, d)


class AuxiliaryLoss:
    """κ·½‖e − ê‖²/B, Eq. (21), over the units that are dead.

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
        encoder, decoder, B = self.model.encoder_layer, self.model.decoder_layer, len(X)
        W, b, Vt = encoder.W[dead], encoder.b[dead], decoder.W.T[dead]  # (m, d), (m,), (m, d)
        Z = KSparse(min(self.k_aux, len(dead)))(X @ W.T + b)  # (1) (2) (B, m)
        off = Z @ Vt - error  # ê − e, (B, d)
        dE = (self.alpha / B) * off  # (21) (B, d)
        dY = (dE @ Vt.T) * (Z > 0)  # (13) (14) (B, m)
        value = 0.5 * self.alpha * float(np.sum(off**2)) / B  # (21)
        return AuxiliaryGradients(value, dead, dY.T @ X, dY.sum(axis=0), Z.T @ dE)  # (12) (15)


class Resampling:
    """Moves dead units, in place, together with Adam's moments of their weights.

    Parameters
    ----------
    model : Autoencoder
        With exact zeros in its code: ReLU or k-sparse.
    optimizer : Adam
    unit_norm : bool
        Whether columns of V are to have norm 1, Eq. (20): then a newcomer writes what it reads.
    rng : numpy.random.Generator
    """

    def __init__(self, model: Autoencoder, optimizer: Adam, unit_norm: bool, rng: np.random.Generator):
        self.model, self.optimizer, self.unit_norm, self.rng = model, optimizer, unit_norm, rng

    def __call__(self, X: np.ndarray, error: np.ndarray, dead: np.ndarray) -> np.ndarray:
        """Start some of the dead units (m,) anew; which.  X (B, d) is the batch, and e = x − x̂ (B, d)."""
        encoder, decoder = self.model.encoder_layer, self.model.decoder_layer
        squares = np.square(error, dtype=np.float64).sum(axis=1)  # (B,)
        total = squares.sum()
        if not (np.isfinite(total) and total > 0):
            return dead[:0]
        n = min(len(dead), max(1, int(SHARE * len(X))), np.count_nonzero(squares))
        units = self.rng.choice(dead, n, replace=False)  # (n,)
        samples = X[self.rng.choice(len(X), n, replace=False, p=squares / total)]  # (n, d)

        centre = decoder.b if self.model.output == "linear" else 0 * decoder.b  # a logit is no image
        A = samples - centre  # (n, d)
        length2 = np.maximum(np.square(A).sum(axis=1), np.finfo(A.dtype).tiny)  # (n,)
        largest = self.model.g(encoder.forward(samples)).max(axis=1)  # (n,)
        reach = np.where(largest > 0, largest, 1) / length2  # (n,)
        W = reach[:, None].astype(A.dtype) * A  # (n, d)
        encoder.W[units], encoder.b[units] = W, -W @ centre  # so that y of its sample is the largest
        decoder.W.T[units] = A / np.sqrt(length2)[:, None] if self.unit_norm else 0
        self._reset_moments(units, np.setdiff1d(np.arange(len(encoder.b)), dead))
        return units

    def _reset_moments(self, units: np.ndarray, alive: np.ndarray) -> None:
        """m1 = 0, and m2 as it is on average: from m2 = 0, too, the first steps would be three times as long."""
        for name, axis in (("W", 0), ("b", 0), ("V", 1)):
            m1, m2 = (
                np.moveaxis(moments[name], axis, 0) for moments in (self.optimizer.m1, self.optimizer.m2)
            )
            m1[units] = 0
            m2[units] = m2[alive].mean(axis=0) if len(alive) else 0
