"""One training step, three ways: as the equations have it, fused for dense codes, fused for k-sparse ones.

``PlainStep`` is the definition: forward, loss, backward, Adam, in NumPy.  ``fast_dense`` and
``fast_ksparse`` take the same step with compiled loops, in buffers made once; tests hold them to it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from nsae.equations.activations import KSparse
from nsae.equations.autoencoder import Autoencoder, Loss
from nsae.equations.layers import normalise_columns, tangent
from nsae.equations.optimizers import Adam
from nsae.system.backends import resolve_backend
from nsae.training.dead_units import DeadUnits


class Report(NamedTuple):
    """How the model did on a batch, before the step that the batch caused.

    Attributes
    ----------
    loss : Loss
        J and its parts, Eqs. (5)–(10).
    on : (h,) array
        True, or more than 0, for the units that some sample activated.
    active : float
        Active units, summed over the samples.
    error : float
        Σ‖x̂ − x‖².
    """

    loss: Loss
    on: np.ndarray
    active: float
    error: float

    def plus(self, auxiliary: float) -> Report:
        """The same with the value of Eq. (21) in its loss."""
        return self._replace(loss=self.loss._replace(auxiliary=auxiliary))


class Step(Protocol):
    """Takes a step on the batch X (B, d), with B at most what it was made for; a context manager."""

    def __call__(self, X: np.ndarray) -> Report: ...
    def __enter__(self) -> Step: ...
    def __exit__(self, *_: object) -> None: ...


class PlainStep:
    """The definition: what every other step must equal."""

    def __init__(
        self, model: Autoencoder, optimizer: Adam, unit_norm: bool, dead_units: DeadUnits | None = None
    ):
        self.model, self.optimizer, self.unit_norm = model, optimizer, unit_norm
        self.dead_units = dead_units

    def __call__(self, X: np.ndarray) -> Report:
        model = self.model
        Z, U = model.forward(X)  # (B, h), (B, d)
        on = model.g.active_above < Z  # (B, h)
        error = X - model.reconstruct(U)  # e (B, d)
        squares = float(np.square(error).sum(dtype=np.float64))
        report = Report(model.losses(X, Z, U), on.any(axis=0), int(on.sum()), squares)
        grads = model.backward(X, Z, U)
        if self.dead_units is not None:
            extra = self.dead_units.gradients(X, error, report.on)  # (21)
            if extra is not None:
                report = report.plus(extra.value)
                grads["W"][extra.units] += extra.dW
                grads["b"][extra.units] += extra.db
                grads["V"].T[extra.units] += extra.dVt
        if self.unit_norm:
            grads["V"] = tangent(grads["V"], model.decoder_layer.W)  # (20) before the step
        self.optimizer.step(model.params, grads)
        if self.unit_norm:
            normalise_columns(model.decoder_layer.W)  # (20) after the step
        if self.dead_units is not None:
            self.dead_units.renew(X, error)
        return report

    def __enter__(self) -> PlainStep:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def make_step(
    model: Autoencoder,
    optimizer: Adam,
    batch_size: int,
    *,
    unit_norm: bool,
    dead_units: DeadUnits | None = None,
    backend: str = "auto",
    n_threads: int | None = None,
) -> Step:
    """The fastest step that computes what the definition does, on the backend asked for."""
    k_sparse, linear = isinstance(model.g, KSparse), model.output == "linear"
    if resolve_backend(backend) == "numpy" or (k_sparse and not linear):  # images are rarely coded that way
        return PlainStep(model, optimizer, unit_norm, dead_units)
    if k_sparse:
        from nsae.training.ksparse_step import KSparseStep

        return KSparseStep(model, optimizer, batch_size, unit_norm, dead_units, n_threads)
    from nsae.training.dense_step import DenseStep

    return DenseStep(model, optimizer, batch_size, unit_norm, dead_units, n_threads)
