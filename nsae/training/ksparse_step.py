"""A k-sparse training step on (unit, value) pairs: the cost of one matrix product, and little more.

Only the encoder looks at every unit.  Its pre-activation is computed in blocks that stay in cache, and of
each sample only the k largest units are kept; all loops after that run over those.  Where the processor
multiplies bytes, even this product is not made: bounded_selection.py.  Each thread takes its
part of the batch from the product to dU and dY, and then its part of the units from their gradients to
Adam.  The step computes what ``PlainStep`` in loop.py does, in the order of equations/autoencoder.py.
"""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.equations.activations import KSparse
from nsae.equations.autoencoder import Loss
from nsae.kernels.records import (
    ActiveUnits,
    AdamRates,
    BatchFactors,
    SampleGradients,
    SparseRows,
    UnitBatch,
)
from nsae.training.bounded_selection import BoundedSelection
from nsae.training.compiled_step import CompiledStep
from nsae.training.dead_units import AuxiliaryGradients
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport

ROWS, UNITS = 512, 512  # A block of the pre-activation: large for a product, small enough for a cache.


class KSparseStep(CompiledStep):
    """Takes steps on batches of up to ``batch_size`` rows; see :class:`nsae.training.step.Step`.

    Parameters
    ----------
    state : TrainingState
    options : TrainingOptions
    batch_size : int
        As in :class:`CompiledStep`.
    """

    def __init__(self, state: TrainingState, options: TrainingOptions, batch_size: int):
        super().__init__(state, options, batch_size)
        h, d = self.flat.shape
        dtype, n = self.flat.dtype, self.threads.n
        assert isinstance(self.model.g, KSparse)
        self.g = self.model.g
        k = self.g.k  # the largest: it may come down on the way

        self.bounded: BoundedSelection | None = None  # what selects units from bounds, where that pays
        # k may have come down before a checkpoint: a fit that goes on from it selects as the one before did.
        most = max(k, options.k_start or 0)
        if BoundedSelection.pays(self.W, most, batch_size):
            self.bounded = BoundedSelection(self.threads, self.W, self.b)
        self.Y = np.empty((n, min(batch_size, ROWS) * min(h, UNITS)), dtype)  # a block for each thread
        self.sparse_Y = np.empty((0, h), dtype)  # (B, h) for sparse batches, made for the first of them
        self.units = np.empty(batch_size * k, np.int32)  # (B, k) when used
        self.values, self.dY = np.empty((2, batch_size * k), dtype)
        self.found = np.empty(batch_size, np.int64)
        self.dU = np.empty((batch_size, d), dtype)
        self.start = np.empty(h + 1, np.int64)
        self.entry = np.empty(batch_size * k, np.int64)
        self.scratch = np.empty((n, 3, d), dtype)  # the gradients of one unit, for each thread
        self.squares = np.zeros(n)  # Σ of squared gradients
        self.sums = np.empty((2, n, d), dtype)  # Σ dU and Σ(x̂ − x)², a row for each thread
        self.aux_row = np.full(h, -1)  # (h,): see UnitBatch
        self.no_aux = (np.empty((0, d), dtype), np.empty(0, dtype), np.empty((0, d), dtype))
        self.no_rows = SparseRows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, dtype))
        self.unit_arrays = self.flat.units()

    def _step(self, X: np.ndarray) -> StepReport:
        B, h, k = len(X), len(self.b), self.g.k
        units, values, dY = (a[: B * k].reshape(B, k) for a in (self.units, self.values, self.dY))
        code, dU = ActiveUnits(units, values), self.dU[:B]
        self.sums[:] = 0
        rows = self._rows(X)
        if rows is None:
            if self.bounded is not None:
                self.bounded.read_weights()
            self.threads.parallel_for(B, self._samples, X, code, dU, dY, work=B * h)  # (1) to (14)
        else:
            self._multiply(rows)
            self.threads.parallel_for(B, self._sparse_samples, rows, code, dU, dY, work=B * h)
        kernels.unit_lists(code, self.start, self.entry)

        report = self._report(B, values)
        error: np.ndarray | None = None
        aux: AuxiliaryGradients | None = None
        if self.dead_units is not None:
            error = dU * -B  # e = x − x̂ (B, d), (11)
            aux = self.dead_units.gradients(X, error, report.on)  # (21)
        dense, sparse = (X, self.no_rows) if rows is None else (self.no_aux[0], rows)
        batch = UnitBatch(
            self.start, self.entry, values, dY, dense, sparse, dU, self.aux_row, *self._aux(aux)
        )
        dc = self.sums[0].sum(axis=0)  # (12) (d,)
        rates = self.flat.next_rates(self._square(batch, dc) if self.clips else 0.0)  # (34)
        self.threads.parallel_for(h, self._update, batch, rates, work=self.W.size)  # (12) (15) (16)–(20)
        self._update_c(dc, rates)
        if self.dead_units is not None and error is not None:
            self.dead_units.renew(X, error)
        return report if aux is None else report.with_auxiliary(aux.value)

    def _samples(
        self, part: int, lo: int, hi: int, X: np.ndarray, code: ActiveUnits, dU: np.ndarray, dY: np.ndarray
    ) -> None:
        found, (units, values) = self.found, code
        self._select(part, lo, hi, X, code)
        kernels.by_unit(units, values, found, lo, hi)
        grads = SampleGradients(dU, dY, *self.sums[:, part])
        factors = self._factors(len(X))
        kernels.decode_and_backprop(code, self.Vt, self.c, X, factors, grads, lo, hi)  # (3) (11) (13) (14)

    def _select(self, part: int, lo: int, hi: int, X: np.ndarray, code: ActiveUnits) -> None:
        """Find the k largest units of the rows lo:hi, Eqs. (1), (2) and (4)."""
        found, h = self.found, len(self.b)
        units, values = code
        if self.bounded is not None:
            self.bounded.select(part, X[lo:hi], ActiveUnits(units[lo:hi], values[lo:hi]), found[lo:hi])
            return
        found[lo:hi] = 0
        for start in range(lo, hi, ROWS):
            rows = slice(start, min(start + ROWS, hi))
            for first in range(0, h, UNITS):
                run = slice(first, min(first + UNITS, h))
                Y = self.Y[part, : (rows.stop - start) * (run.stop - first)].reshape(rows.stop - start, -1)
                np.matmul(X[rows], self.W[run].T, out=Y)  # (1) (rows, UNITS)
                kernels.top_k(Y, self.b[run], first, units[rows], values[rows], found[rows], 0, len(Y))  # (2)

    def _factors(self, B: int) -> BatchFactors:
        real = self.flat.dtype.type
        return BatchFactors(real(1 / B), real(self.model.l1 / B))

    def _multiply(self, X: SparseRows) -> None:
        """Put X Wᵀ, Eq. (1) without b, in ``sparse_Y``: the threads share the units, as W is read once."""
        B = len(X.indptr) - 1
        if len(self.sparse_Y) < B:
            self.sparse_Y = np.empty((self.batch_size, len(self.b)), self.sparse_Y.dtype)
        self.sparse.product(X, self.sparse_Y[:B])

    def _sparse_samples(
        self, part: int, lo: int, hi: int, X: SparseRows, code: ActiveUnits, dU: np.ndarray, dY: np.ndarray
    ) -> None:
        found, (units, values) = self.found, code
        found[lo:hi] = 0
        kernels.top_k(self.sparse_Y, self.b, 0, units, values, found, lo, hi)
        kernels.by_unit(units, values, found, lo, hi)
        grads = SampleGradients(dU, dY, *self.sums[:, part])
        factors = self._factors(len(dU))
        kernels.sparse_decode_and_backprop(code, self.Vt, self.c, X, factors, grads, lo, hi)

    def _aux(self, aux: AuxiliaryGradients | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the gradients of (21), and say in ``aux_row`` where each unit has its row of them."""
        if self.dead_units is not None:
            self.aux_row[:] = -1
        if aux is None:
            return self.no_aux
        self.aux_row[aux.units] = np.arange(len(aux.units))
        return aux.dW, aux.db, aux.dVt

    def _update(self, part: int, lo: int, hi: int, batch: UnitBatch, rates: AdamRates) -> None:
        arrays, scratch = self.unit_arrays, self.scratch[part]
        kernels.update_units(
            batch, arrays, self.weight_decay, self.unit_norm, rates, scratch, lo, hi
        )  # (12) (15) (16)–(20)

    def _update_c(self, dc: np.ndarray, rates: AdamRates) -> None:
        flat, d = self.flat.arrays, len(self.c)
        theta, m1, m2 = flat.theta[-d:], flat.m1[-d:], flat.m2[-d:]
        kernels.adam(theta, dc, m1, m2, dc.dtype.type(0), rates, 0, d)  # (16)–(19)

    def _square(self, batch: UnitBatch, dc: np.ndarray) -> float:
        """Return ‖∇J‖², for (34)."""
        self.squares[:] = 0
        self.threads.parallel_for(len(self.b), self._unit_squares, batch, work=self.W.size)
        return float(self.squares.sum() + np.vdot(dc, dc))

    def _unit_squares(self, part: int, lo: int, hi: int, batch: UnitBatch) -> None:
        self.squares[part] = kernels.unit_squares(
            batch, self.unit_arrays, self.weight_decay, self.unit_norm, self.scratch[part], lo, hi
        )

    def _report(self, B: int, values: np.ndarray) -> StepReport:
        model = self.model
        error = float(self.sums[1].sum(dtype=np.float64))
        loss = Loss(
            0.5 * error / B,  # (5)
            model.l1 * float(values.sum()) / B if model.l1 else 0.0,  # (7)
            0.0,
            model.encoder_layer.penalty() + model.decoder_layer.penalty(),  # (9)
        )
        return StepReport(loss, np.diff(self.start) > 0, int(self.start[-1]), error)
