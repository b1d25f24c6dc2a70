"""A k-sparse training step on (unit, value) pairs: the cost of one matrix product, and little more.

Only the encoder looks at every unit.  Its pre-activation is made in blocks that stay in cache and boils
down to k units a sample; from there on, every loop runs over those.  Each thread takes its share of the
batch from the product to dU and dY, and then its share of the units from their gradients to Adam.  It
computes what ``PlainStep`` does, in the order of autoencoder.py.
"""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.equations.autoencoder import Autoencoder, Loss
from nsae.equations.optimizers import Adam
from nsae.system.threads import Threads
from nsae.training.dead_units import DeadUnits
from nsae.training.flat_state import FlatState
from nsae.training.step import Report

ROWS, UNITS = 512, 512  # of a block of the pre-activation: large for a product, small enough for a cache


class KSparseStep:
    """Steps on batches of up to ``batch_size`` rows; see ``nsae.training.step.Step``."""

    def __init__(
        self,
        model: Autoencoder,
        optimizer: Adam,
        batch_size: int,
        unit_norm: bool,
        dead_units: DeadUnits | None,
        n_threads: int | None,
    ):
        self.model, self.unit_norm, self.dead_units = model, unit_norm, dead_units
        self.state = state = FlatState(model, optimizer)
        self.threads = Threads(n_threads)
        self.W, self.b, self.c = model.encoder_layer.W, model.encoder_layer.b, model.decoder_layer.b
        self.Vt = model.decoder_layer.W.T  # (h, d), a run of memory for each unit
        h, d = state.shape
        k, dtype, n = model.g.k, state.theta.dtype, self.threads.n

        self.Y = np.empty((n, min(batch_size, ROWS) * min(h, UNITS)), dtype)  # a block for each thread
        self.units = np.empty(batch_size * k, np.int32)  # (B, k) when used: k may be lowered on the way
        self.values, self.dY = np.empty((2, batch_size * k), dtype)
        self.found = np.empty(batch_size, np.int64)
        self.dU = np.empty((batch_size, d), dtype)
        self.start = np.empty(h + 1, np.int64)
        self.entry = np.empty(batch_size * k, np.int64)
        self.scratch = np.empty((n, 3, d), dtype)  # a unit's gradients
        self.squares = np.zeros(n)  # Σ of squared gradients
        self.sums = np.empty((2, n, d), dtype)  # Σ dU and Σ(x̂ − x)², a row for each thread
        self.extra_row = np.full(h, -1)  # of (21): see kernels.update_units
        self.no_extra = (self.extra_row, np.empty((0, d), dtype), np.empty(0, dtype), np.empty((0, d), dtype))
        m1, m2 = state.views(state.m1), state.views(state.m2)
        self.decay = dtype.type(model.decoder_layer.weight_decay)
        self.moments = (m1["W"], m2["W"], m1["b"], m2["b"], m1["V"].T, m2["V"].T)

    def __call__(self, X: np.ndarray) -> Report:
        B, h, k, dU = len(X), len(self.b), self.model.g.k, self.dU[: len(X)]
        units, values, dY = (a[: B * k].reshape(B, k) for a in (self.units, self.values, self.dY))
        real = self.state.theta.dtype.type
        self.sums[:] = 0
        scale, l1 = real(1 / B), real(self.model.l1 / B)
        self.threads.parallel_for(B, self._samples, X, units, values, scale, l1, dU, dY, work=B * h)
        kernels.unit_lists(units, values, self.start, self.entry)

        report = self._report(B, values)
        extra = self.no_extra
        if self.dead_units is not None:
            error = dU * -B  # e = x − x̂ (B, d), (11)
            dead = self.dead_units.gradients(X, error, report.on)  # (21)
            self.extra_row[:] = -1
            if dead is not None:
                report = report.plus(dead.value)
                self.extra_row[dead.units] = np.arange(len(dead.units))
                extra = (self.extra_row, dead.dW, dead.db, dead.dVt)
        batch = (self.start, self.entry, values, dY, X, dU, extra)
        dc = self.sums[0].sum(axis=0)  # (12) (d,)
        square = self._square(batch, dc) if self.state.optimizer.max_grad_norm is not None else 0.0  # (34)
        rates = self.state.next_rates(square)
        self.threads.parallel_for(h, self._update, batch, rates, work=self.W.size)
        self._update_c(dc, rates)
        if self.dead_units is not None:
            self.dead_units.renew(X, error)
        return report

    def _samples(self, part, lo, hi, X, units, values, scale, l1, dU, dY) -> None:
        found, h = self.found, len(self.b)
        found[lo:hi] = 0
        for start in range(lo, hi, ROWS):
            rows = slice(start, min(start + ROWS, hi))
            for first in range(0, h, UNITS):
                run = slice(first, min(first + UNITS, h))
                Y = self.Y[part, : (rows.stop - start) * (run.stop - first)].reshape(rows.stop - start, -1)
                np.matmul(X[rows], self.W[run].T, out=Y)  # (1) (rows, UNITS)
                kernels.top_k(Y, self.b[run], first, units[rows], values[rows], found[rows], 0, len(Y))  # (2)
        kernels.by_unit(units, values, found, lo, hi)
        dc, squares = self.sums[:, part]
        kernels.decode_and_backprop(
            units, values, self.Vt, self.c, X, scale, l1, dU, dY, dc, squares, lo, hi
        )  # (3) (11) (13) (14)

    def _update(self, part, lo, hi, batch, rates) -> None:
        kernels.update_units(
            *(*batch, self.W, self.b, self.Vt, self.moments),
            *(self.decay, self.unit_norm, rates, self.scratch[part], lo, hi),
        )  # (12) (15) (16)–(20)

    def _update_c(self, dc: np.ndarray, rates: tuple) -> None:
        state, d = self.state, len(self.c)
        theta, m1, m2 = state.theta[-d:], state.m1[-d:], state.m2[-d:]
        kernels.adam(theta, dc, m1, m2, dc.dtype.type(0), rates, 0, d)

    def _square(self, batch: tuple, dc: np.ndarray) -> float:
        """‖∇J‖², for (34)."""
        self.squares[:] = 0
        self.threads.parallel_for(len(self.b), self._unit_squares, batch, work=self.W.size)
        return float(self.squares.sum() + np.vdot(dc, dc))

    def _unit_squares(self, part, lo, hi, batch) -> None:
        self.squares[part] = kernels.unit_squares(
            *(*batch, self.W, self.Vt, self.decay, self.unit_norm, self.scratch[part], lo, hi)
        )

    def _report(self, B: int, values: np.ndarray) -> Report:
        model = self.model
        error = float(self.sums[1].sum(dtype=np.float64))
        loss = Loss(
            0.5 * error / B,  # (5)
            model.l1 * float(values.sum()) / B if model.l1 else 0.0,  # (7)
            0.0,
            model.encoder_layer.penalty() + model.decoder_layer.penalty(),  # (9)
        )
        return Report(loss, np.diff(self.start) > 0, int(self.start[-1]), error)

    def __enter__(self) -> KSparseStep:
        self.threads.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.__exit__()
