"""What training goes on from, and what it was asked to do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.optimizers import Adam

History = dict[str, list[Any]]
PARAMS = ("W", "b", "V", "c")
MOMENTS = tuple(f"{moment}_{name}" for moment in ("m1", "m2") for name in PARAMS)


@dataclass(frozen=True)
class TrainingOptions:
    """What ``train`` is asked to do: the hyperparameters of SparseAutoencoder that it reads, checked.

    Their meaning is in the docstring of :class:`nsae.SparseAutoencoder`.  ``epochs`` is here the length of the
    schedule; how many are run is an argument of ``train``.
    """

    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    lr_schedule: str = "none"
    schedule_steps: int | None = None
    k_start: int | None = None
    unit_norm: bool = False
    aux_weight: float = 0.0
    k_aux: int = 64
    resample: bool = False
    dead_after: int = 10_000
    tol: float = 0.0
    patience: int = 5
    backend: str = "auto"
    n_threads: int | None = None
    verbose: bool = False


@dataclass
class TrainingState:
    """All that a later call of ``partial_fit`` needs to go on as if there had been no pause.

    It is copied, saved and restored as a whole.

    Attributes
    ----------
    model : Autoencoder
    optimizer : Adam
        Its moments, and ``t``, the steps taken: the schedule of learning rate and k counts by it.
    history : dict of lists
        A number for each epoch, and for "rho_hat" an array (h,); see ``nsae.training.history``.
    idle : (h,) int64
        Samples since each unit was last active.  Counted only if dead units are to be treated.
    epoch_rows : int
        Rows of the data that training began with, which tell how many steps the schedule has; 0 before.
    resampling_rng : numpy.random.Generator, optional
        It draws the dead units that start anew, and the samples that they start from.
    backend : str or None
        Who took the last steps, "numpy" or "numba"; None if that is not known.
    encoder : Encoder or None
        The frozen model, once somebody has encoded with it.  Training does not use it.
    """

    model: Autoencoder
    optimizer: Adam
    history: History
    idle: np.ndarray
    epoch_rows: int = 0
    resampling_rng: np.random.Generator | None = field(default=None)
    backend: str | None = None
    encoder: Any = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def start(cls, model: Autoencoder, optimizer: Adam) -> TrainingState:
        """Return the state before the first step of ``model`` by ``optimizer``."""
        return cls(model, optimizer, {}, np.zeros(len(model.encoder_layer.b), np.int64))

    def record(self, epochs: list[dict[str, Any]]) -> None:
        """Append the numbers of some ``epochs`` to the history."""
        for numbers in epochs:
            before = len(self.history.get("loss", ()))
            for name, value in numbers.items():
                if name != "rho_hat":
                    self.history.setdefault(name, []).append(value)
            if "rho_hat" in numbers or "rho_hat" in self.history:
                unknown = np.full(len(self.idle), np.nan, np.float32)  # (h,), of epochs without sigmoid units
                rows = self.history.setdefault("rho_hat", [unknown] * before)
                rows.append(np.array(numbers.get("rho_hat", unknown), np.float32))

    def check_finite(self, loss: float, epoch: int) -> None:
        """Raise FloatingPointError if the ``loss`` of the call's ``epoch`` (from 1), or a weight, is not finite."""
        if math.isfinite(loss) and all(np.isfinite(theta).all() for theta in self.model.params.values()):
            return
        epoch += len(self.history.get("loss", ()))
        raise FloatingPointError(
            f"The loss or a weight became NaN or infinite in epoch {epoch} (loss {loss}) with "
            f"learning_rate={self.optimizer.learning_rate}. Lower it, or scale the data to about [0, 1]."
        )

    def header(self) -> dict[str, Any]:
        """Return what a model file's header says about training; :meth:`arrays` has the rest."""
        rng = self.resampling_rng
        return {
            "history": {name: values for name, values in self.history.items() if name != "rho_hat"},
            "backend": self.backend,
            "optimizer_steps": self.optimizer.t,
            "epoch_rows": self.epoch_rows,
            "resampling_rng": None if rng is None else rng.bit_generator.state,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return Adam's moments, named as in ``MOMENTS``, and the idle counts."""
        adam = self.optimizer
        named = {
            f"{moment}_{name}": getattr(adam, moment)[name] for moment in ("m1", "m2") for name in adam.m1
        }
        return {**named, "idle": self.idle}

    def rho_hat(self) -> dict[str, np.ndarray]:
        """Return the history's mean activations as one array "rho_hat" (epochs, h), if there are any."""
        rows = self.history.get("rho_hat")
        return {"rho_hat": np.array(rows, np.float32)} if rows else {}

    def restore_rho_hat(self, rows: np.ndarray) -> None:
        """Take over what :meth:`rho_hat` of another state gave: ``rows`` (epochs, h).

        Raises
        ------
        ValueError
            It does not fit the model, or holds numbers that no sigmoid gives.
        """
        epochs = len(self.history.get("loss", ()))
        possible = ((rows >= 0) & (rows <= 1)) | np.isnan(rows)  # NaN: an epoch without sigmoid units
        if rows.shape != (epochs, len(self.idle)) or not possible.all():
            raise ValueError(f"rho_hat of shape {rows.shape} for {epochs} epochs of {len(self.idle)} units")
        self.history["rho_hat"] = list(rows.astype(np.float32))

    def restore(self, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take over what :meth:`header` and :meth:`arrays` of another state gave, history aside.

        Files of format 1 have neither ``idle`` nor the schedule: units then count as active, and the
        schedule's length is that of the next call's data.

        Raises
        ------
        KeyError, TypeError, ValueError
            Something is missing, or does not fit the model.
        """
        params = self.model.params
        for name in MOMENTS:
            moment, theta = arrays[name], params[name[3:]]
            if moment.shape != theta.shape or moment.dtype != theta.dtype:
                raise ValueError(f"{name} does not fit its parameter")
            if not np.isfinite(moment).all() or (name.startswith("m2") and (moment < 0).any()):
                raise ValueError(f"{name} holds a number that no training gives")
        adam = self.optimizer
        adam.t = int(header["optimizer_steps"])
        adam.m1, adam.m2 = ({name: arrays[f"{moment}_{name}"] for name in PARAMS} for moment in ("m1", "m2"))
        if "idle" in arrays:
            if arrays["idle"].shape != self.idle.shape:
                raise ValueError("idle does not fit the units")
            self.idle = arrays["idle"].astype(np.int64)
        self.epoch_rows = int(header.get("epoch_rows", 0))
        if adam.t < 0 or self.epoch_rows < 0:
            raise ValueError(f"{adam.t} steps of epochs of {self.epoch_rows} rows")
        if header.get("resampling_rng") is not None:
            self.resampling_rng = np.random.default_rng()
            self.resampling_rng.bit_generator.state = header["resampling_rng"]
