"""What the two compiled steps share: their buffers' owner, threads, and dead units."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from nsae.codes import Codes
from nsae.kernels.records import SparseRows
from nsae.system.interrupts import defer_interrupts
from nsae.system.threads import Threads
from nsae.training.dead_units import treatment
from nsae.training.flat_state import FlatState
from nsae.training.sparse_batch import SparseBatches, sparse_rows
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport


class CompiledStep(ABC):
    """A step with compiled loops; a subclass says what it is in ``_step``.

    Parameters
    ----------
    state : TrainingState
        Its model and optimizer are moved to flat arrays, which they then are views of.
    options : TrainingOptions
    batch_size : int
        The largest batch that will come.
    """

    at_once = 1

    def __init__(self, state: TrainingState, options: TrainingOptions, batch_size: int):
        self.model, self.unit_norm = state.model, options.unit_norm
        self.clips = state.optimizer.max_grad_norm is not None
        self.dead_units = treatment(state, options)
        self.batch_size = batch_size
        self.flat = FlatState(state.model, state.optimizer)
        self.threads = Threads(options.n_threads)
        self.W, self.b = self.model.encoder_layer.W, self.model.encoder_layer.b
        self.Vt = self.model.decoder_layer.W.T  # (h, d), a run of memory for each unit
        self.c = self.model.decoder_layer.b
        self.weight_decay = self.flat.dtype.type(self.model.decoder_layer.weight_decay)
        self._sparse: SparseBatches | None = None
        self._compiled = False

    def __call__(self, X: np.ndarray) -> StepReport:
        """Take a step on the batch X (B, d), an array or Codes.

        The first one compiles, or loads what was compiled before.
        """
        if self._compiled:
            return self._step(X)
        with defer_interrupts():
            report = self._step(X)
        self._compiled = True
        return report

    def _rows(self, X: np.ndarray) -> SparseRows | None:
        """Return the arrays of a sparse batch X; None for a dense one."""
        return sparse_rows(X) if isinstance(X, Codes) else None

    @property
    def sparse(self) -> SparseBatches:
        """What multiplies sparse batches; its workspace is made for the first of them."""
        if self._sparse is None:
            self._sparse = SparseBatches(self.threads, self.W)
        return self._sparse

    @abstractmethod
    def _step(self, X: np.ndarray) -> StepReport: ...

    def __enter__(self) -> CompiledStep:
        self.threads.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.__exit__()
