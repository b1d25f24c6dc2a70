"""Units that no sample activates any more: how they are counted, and two treatments.

A unit of a k-sparse code that is never among the k largest gets no gradient, and so stays as it is.

AuxK, the auxiliary loss of Eq. (21), gives dead units a gradient: they alone reconstruct the residual
e = x − x̂ of the other units, and in time they win a place in the code (Gao et al. 2024, "Scaling and
evaluating sparse autoencoders", section A.2).

Resampling starts a dead unit anew, from a sample whose residual is large (Bricken et al. 2023, "Towards
Monosemanticity", appendix on neuron resampling).  Here it is made gentle.  A new unit reads its sample as
strongly as the sample's largest unit does, and its column of V is zero until it has learned.  A new unit
that writes at once raises the error of other samples, and so makes the next new units larger still.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.equations.activations import KSparse
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.optimizers import Adam
from nsae.training.state import TrainingOptions, TrainingState

RESAMPLED = 0.02  # At most so many units start anew in a step, as a fraction of the samples in a batch.


class DeadUnits:
    """Counts dead units in each step: gives them gradients before it, and starts them anew after it.

    Parameters
    ----------
    idle : (h,) int64
        Samples since each unit was last active; counted on in place.
    dead_after : int
        A unit is dead when this many samples (not steps) in a row have not activated it.
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
        """Count a batch, and return Eq. (21) with its gradients.

        Parameters
        ----------
        X : (B, d) array
            The batch.
        error : (B, d) array
            Its residual e = x − x̂.
        on : (h,) array
            More than 0 for the units that it activated.

        Returns
        -------
        AuxiliaryGradients or None
            None if no unit is dead, or there is no auxiliary loss.
        """
        self.idle += len(X)
        self.idle[on > 0] = 0
        self.dead = np.flatnonzero(self.idle >= self.dead_after)  # (m,)
        if self.auxiliary is None or not len(self.dead):
            return None
        return self.auxiliary(X, error, self.dead)

    def renew(self, X: np.ndarray, error: np.ndarray) -> None:
        """Start some dead units anew, if there is resampling: after the step on X (B, d) with its ``error``."""
        if self.resampling is not None and len(self.dead):
            self.idle[self.resampling(X, error, self.dead)] = 0


def treatment(state: TrainingState, options: TrainingOptions) -> DeadUnits | None:
    """Return what ``options`` ask for about the dead units of ``state``, or None if they ask for nothing."""
    if not (options.aux_weight or options.resample):
        return None
    model, auxiliary, resampling = state.model, None, None
    if options.aux_weight:
        auxiliary = AuxiliaryLoss(model, float(options.aux_weight), int(options.k_aux))
    if options.resample:
        if state.resampling_rng is None:  # resampling was switched on in the middle of training
            state.resampling_rng = np.random.default_rng(state.optimizer.t)
        resampling = Resampling(model, state.optimizer, options.unit_norm, state.resampling_rng)
    return DeadUnits(state.idle, options.dead_after, auxiliary, resampling)


class AuxiliaryGradients(NamedTuple):
    """Eq. (21), and the gradients of J with respect to the rows ``units`` of W, b and Vᵀ."""

    value: float
    units: np.ndarray  # (m,), ascending
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
        The weight.
    k_aux : int
        ê is decoded from the ``k_aux`` largest dead units of each sample.
    """

    def __init__(self, model: Autoencoder, alpha: float, k_aux: int):
        self.model, self.alpha, self.k_aux = model, alpha, k_aux

    def __call__(self, X: np.ndarray, error: np.ndarray, dead: np.ndarray) -> AuxiliaryGradients:
        """Return the loss and its gradients for a batch.

        The bias c has no part in ê: it stands for the mean of the data, which the residual does not have.

        Parameters
        ----------
        X : (B, d) array
        error : (B, d) array
            e = x − x̂; held constant, so no gradient goes through it.
        dead : (m,) array
            The dead units.
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
    """Starts dead units anew, in place, together with Adam's moments of their weights.

    Parameters
    ----------
    model : Autoencoder
        With exact zeros in its code: ReLU or k-sparse.
    optimizer : Adam
    unit_norm : bool
        Whether columns of V have norm 1, Eq. (20): then a new unit writes in the direction that it reads.
    rng : numpy.random.Generator
    """

    def __init__(self, model: Autoencoder, optimizer: Adam, unit_norm: bool, rng: np.random.Generator):
        self.model, self.optimizer, self.unit_norm, self.rng = model, optimizer, unit_norm, rng

    def __call__(self, X: np.ndarray, error: np.ndarray, dead: np.ndarray) -> np.ndarray:
        """Start some of the ``dead`` units (m,) anew and return which; X (B, d) is the batch, ``error`` its e."""
        encoder, decoder = self.model.encoder_layer, self.model.decoder_layer
        squares = np.square(error, dtype=np.float64).sum(axis=1)  # (B,)
        total = squares.sum()
        if not (np.isfinite(total) and total > 0):
            return dead[:0]
        n = min(len(dead), max(1, int(RESAMPLED * len(X))), int(np.count_nonzero(squares)))
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
        """Set m1 = 0, and m2 to its mean over the units alive: with m2 = 0 the first steps would be too long."""
        for name, axis in (("W", 0), ("b", 0), ("V", 1)):
            m1, m2 = (
                np.moveaxis(moments[name], axis, 0) for moments in (self.optimizer.m1, self.optimizer.m2)
            )
            m1[units] = 0
            m2[units] = m2[alive].mean(axis=0) if len(alive) else 0
