"""k-sparse units: parts send the factors of their gradients, which are smaller than the gradients.

dW = dYᵀX and dV = dUᵀZ have a row of d numbers for each active unit, and a batch of many rows activates nearly
all units.  Their factors have 2d + 3k numbers for each row of the batch, however many units there are.  So these
travel, and each replica makes the products, which touch the active units only, and the rest of the step as a
local ``KSparseStep`` does: clipping, AuxK and resampling too, since all rows of the batch are there.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from nsae import kernels
from nsae.kernels.records import ActiveUnits, BatchFactors, SampleGradients
from nsae.training.ksparse_step import ROWS, UNITS, KSparseStep
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport


class Factors(NamedTuple):
    """The rows X of a part, or of a batch, and what a step needs to know of each, Eqs. (2), (11) and (14)."""

    X: np.ndarray  # (b, d)
    dU: np.ndarray  # (b, d)
    units: np.ndarray  # (b, k) int32
    values: np.ndarray  # (b, k)
    dY: np.ndarray  # (b, k)
    sums: np.ndarray  # (2, d): Σ dU and Σ(x̂ − x)² over the rows


class KSparseFactors(KSparseStep):
    """A replica with compiled loops, for k-sparse units with linear output.

    Parameters
    ----------
    state : TrainingState
        It is changed in place, by every step.
    options : TrainingOptions
    batch_size : int
        The largest batch that will come.
    """

    def __init__(self, state: TrainingState, options: TrainingOptions, batch_size: int):
        # One thread: a worker has others for other tasks, and all replicas must add in the same order.
        super().__init__(state, dataclasses.replace(options, n_threads=1), batch_size)
        self.bounded = None  # A part may be small, and its units are selected by the product.

    def part(self, X: np.ndarray, B: int, rho_hat: np.ndarray | None) -> Factors:
        """Return the factors of the rows ``X`` (b, d), part of a batch of ``B``; ``rho_hat`` is not needed."""
        b, k, (h, d), dtype = len(X), self.g.k, self.flat.shape, self.flat.dtype
        units, found = np.empty((b, k), np.int32), np.zeros(b, np.int64)
        values, dY = np.empty((2, b, k), dtype)
        dU, sums = np.empty((b, d), dtype), np.zeros((2, d), dtype)
        for start in range(0, b, ROWS):
            rows = slice(start, min(start + ROWS, b))
            for first in range(0, h, UNITS):
                run = slice(first, min(first + UNITS, h))
                Y = X[rows] @ self.W[run].T  # (1) (rows, UNITS)
                kernels.top_k(Y, self.b[run], first, units[rows], values[rows], found[rows], 0, len(Y))  # (2)
        kernels.by_unit(units, values, found, 0, b)
        factors = BatchFactors(dtype.type(1 / B), dtype.type(self.model.l1 / B))
        code, grads = ActiveUnits(units, values), SampleGradients(dU, dY, *sums)
        kernels.decode_and_backprop(code, self.Vt, self.c, X, factors, grads, 0, b)  # (3) (11) (13) (14)
        return Factors(X, dU, units, values, dY, sums)

    def combine(self, parts: list[Factors], positions: list[np.ndarray]) -> Factors:
        """Return the factors of the whole batch: each row of ``parts`` at its place in the batch, ``positions``."""
        B, first = sum(map(len, positions)), parts[0]
        X, dU, units, values, dY = (np.empty((B, array.shape[1]), array.dtype) for array in first[:5])
        batch = Factors(X, dU, units, values, dY, np.zeros_like(first.sums))
        for part, places in zip(parts, positions, strict=True):
            for array, some in zip(batch[:5], part[:5], strict=True):
                array[places] = some
            batch.sums[:] += part.sums
        return batch

    def apply(self, batch: Factors, B: int) -> StepReport:
        """Take the step on a batch of ``B`` rows, whose factors are ``batch``."""
        self._batch = batch
        return self(np.array(batch.X))  # a copy: what came from another process may be read-only

    def _samples(
        self, part: int, lo: int, hi: int, X: np.ndarray, code: ActiveUnits, dU: np.ndarray, dY: np.ndarray
    ) -> None:
        batch = self._batch
        code.units[:], code.values[:], dU[:], dY[:] = batch.units, batch.values, batch.dU, batch.dY
        self.sums[:, 0] = batch.sums
