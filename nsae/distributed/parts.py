"""The mathematics of a batch in parts: what a worker computes of its part, and the step that all take from the sum.

A batch of B rows is cut into parts, which lie on several workers.  Every gradient of J is a sum over rows, Eqs. (12)
and (15), so the gradients of the parts add up to that of the batch, if each part divides by B and not by its own
rows.  Two penalties are no sums over rows: weight decay, Eq. (9), is added once, and KL, Eq. (8), needs ρ̂ of the
whole batch before any gradient.

``ksparse_parts`` has another way for k-sparse units.  Both have ``part`` (what a worker sends), ``combine`` (what
the client makes of all parts and sends to every worker) and ``apply`` (the step, the same on every worker and on
the client).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.equations.activations import Sigmoid
from nsae.equations.autoencoder import Autoencoder, Loss
from nsae.equations.layers import Dense, normalise_columns, tangent
from nsae.equations.sparsity import kl_divergence, kl_slope, l1_gradient, within_unit_interval
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport


class Sums(NamedTuple):
    """Sums over the rows of a part, or of a batch: what ``SummedGradients`` sends.

    Attributes
    ----------
    units : (m,) int64
        Units with a gradient, ascending: those that some row activated, or all sigmoid units.
    dW, dVt : (m, d) arrays
        Their gradients, Eqs. (15) and (12), without weight decay.
    db : (m,) array
    dc : (d,) array
    loss : (2,) float64
        Eqs. (5) or (6), and (7).
    on : (h,) bool
    active, error : float
        As in ``StepReport``.
    total : (h,) array, or None
        Σz of sigmoid units.
    """

    units: np.ndarray
    dW: np.ndarray
    dVt: np.ndarray
    db: np.ndarray
    dc: np.ndarray
    loss: np.ndarray
    on: np.ndarray
    active: float
    error: float
    total: np.ndarray | None


class _PartOfBatch(Autoencoder):
    """The units of ``core`` that have a gradient, for b of the B rows of a batch: ``fraction`` = b/B."""

    def __init__(
        self, core: Autoencoder, units: np.ndarray | slice, fraction: float, kl_row: np.ndarray | float
    ):
        super().__init__(
            Dense(core.encoder_layer.W[units], core.encoder_layer.b[units]),
            Dense(core.decoder_layer.W[:, units], core.decoder_layer.b),
            core.g,
            output=core.output,
            loss=core.loss,
            l1=core.l1,
        )
        self.fraction, self.kl_row = fraction, kl_row

    def _output_grad(self, X: np.ndarray, U: np.ndarray) -> np.ndarray:
        return super()._output_grad(X, U) * self.fraction  # (11), divided by B

    def _sparsity_grad(self, Z: np.ndarray) -> np.ndarray | float:
        l1 = l1_gradient(Z, self.l1 * self.fraction) if self.l1 else 0.0  # (b, m)
        return l1 + self.kl_row  # (13) (b, m), (m,) or 0


class SummedGradients:
    """A replica in NumPy, for every model: parts send the gradients of the units that they activated.

    Parameters
    ----------
    state : TrainingState
        It is changed in place, by every step.
    options : TrainingOptions
    """

    def __init__(self, state: TrainingState, options: TrainingOptions):
        self.state, self.unit_norm = state, options.unit_norm

    def total(self, X: np.ndarray) -> np.ndarray:
        """Return Σz (h,) over the rows of X (b, d): the first of the two rounds that KL needs."""
        return self.state.model.forward(X)[0].sum(axis=0)

    def part(self, X: np.ndarray, B: int, rho_hat: np.ndarray | None) -> Sums:
        """Return the sums over the rows of ``X`` (b, d), part of a batch of ``B`` rows with mean ``rho_hat`` (h,)."""
        core = self.state.model
        Z, U = core.forward(X)  # (1)–(3) (b, h), (b, d)
        above = np.greater(Z, core.g.active_above)  # (b, h)
        on, sigmoid = above.any(axis=0), isinstance(core.g, Sigmoid)  # (h,)
        units = np.arange(len(on)) if sigmoid else np.flatnonzero(on)  # (m,)
        kl_row = 0.0 if rho_hat is None else (core.kl / B) * kl_slope(rho_hat, core.rho)  # (13) (h,)
        model = _PartOfBatch(core, units, len(X) / B, kl_row)
        grads = model.backward(X, Z[:, units], U)  # (11)–(15)
        loss = model.fraction * np.array(model.losses(X, Z[:, units], U)[:2])  # (5) or (6), (7)
        error = float(np.square(X - core.reconstruct(U)).sum(dtype=np.float64))
        total = Z.sum(axis=0) if sigmoid else None  # (h,)
        dW, db, dVt, dc = grads["W"], grads["b"], grads["V"].T, grads["c"]
        return Sums(units, dW, np.ascontiguousarray(dVt), db, dc, loss, on, int(above.sum()), error, total)

    def combine(self, parts: list[Sums], positions: list[np.ndarray]) -> Sums:
        """Return the sums over the whole batch: ``parts`` added in their order; ``positions`` play no role."""
        d = len(parts[0].dc)
        on = np.any([part.on for part in parts], axis=0)  # (h,)
        units = np.unique(np.concatenate([part.units for part in parts]))  # (m,)
        dtype = parts[0].dW.dtype
        dW, dVt = np.zeros((2, len(units), d), dtype)  # (m, d) each
        db, dc = np.zeros(len(units), dtype), np.zeros(d, dtype)
        for part in parts:
            rows = np.searchsorted(units, part.units)
            dW[rows] += part.dW
            dVt[rows] += part.dVt
            db[rows] += part.db
            dc += part.dc
        totals = [part.total for part in parts if part.total is not None]
        return Sums(
            units,
            dW,
            dVt,
            db,
            dc,
            np.sum([part.loss for part in parts], axis=0),
            on,
            sum(part.active for part in parts),
            sum(part.error for part in parts),
            np.sum(totals, axis=0) if totals else None,
        )

    def apply(self, sums: Sums, B: int) -> StepReport:
        """Take the step that the ``sums`` over a batch of ``B`` rows ask for: weight decay, (20), Adam."""
        core, adam = self.state.model, self.state.optimizer
        kl = 0.0
        if core.kl and sums.total is not None:
            kl = core.kl * kl_divergence(within_unit_interval(sums.total / B), core.rho)  # (8)
        decay = core.encoder_layer.penalty() + core.decoder_layer.penalty()  # (9)
        report = StepReport(
            Loss(float(sums.loss[0]), float(sums.loss[1]), kl, decay),
            sums.on,
            sums.active,
            sums.error,
            sums.total,
        )
        grads = {
            "W": core.encoder_layer.weight_decay * core.encoder_layer.W,  # (15) (h, d)
            "b": np.zeros_like(core.encoder_layer.b),
            "V": core.decoder_layer.weight_decay * core.decoder_layer.W,  # (12) (d, h)
            "c": sums.dc,
        }
        grads["W"][sums.units] += sums.dW
        grads["b"][sums.units] = sums.db
        grads["V"].T[sums.units] += sums.dVt
        if self.unit_norm:
            grads["V"] = tangent(grads["V"], core.decoder_layer.W)  # (20) before the step
        adam.step(core.params, grads)  # (16)–(19)
        if self.unit_norm:
            normalise_columns(core.decoder_layer.W)  # (20) after the step
        return report
