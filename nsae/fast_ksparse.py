"""A k-sparse training step on (unit, value) pairs: the cost of one matrix product, and little more.

Only the encoder looks at every unit.  Its pre-activation is made in blocks of rows that stay in cache and
boils down to k units a sample; from there on, every loop runs over those.  It computes what ``PlainStep``
does, in the order of autoencoder.py.
"""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.autoencoder import Autoencoder, Loss
from nsae.auxiliary import AuxiliaryLoss
from nsae.optimizers import Adam
from nsae.state import FlatState
from nsae.steps import Report
from nsae.threads import Threads

Y_BYTES = 1 << 24  # the pre-activation is made in blocks of at most 16 MiB, about what a cache holds


class KSparseStep:
    """Steps on batches of up to ``batch_size`` rows; see ``nsae.steps.Step``."""

    def __init__(
        self,
        model: Autoencoder,
        optimizer: Adam,
        batch_size: int,
        unit_norm: bool,
        auxiliary: AuxiliaryLoss | None,
        n_threads: int | None,
    ):
        self.model, self.unit_norm, self.auxiliary = model, unit_norm, auxiliary
        self.state = state = FlatState(model, optimizer)
        self.threads = Threads(n_threads)
        self.W, self.b, self.c = model.encoder.W, model.encoder.b, model.decoder.b
        self.Vt = model.decoder.W.T  # (h, d), a run of memory for each unit
        h, d = state.shape
        k, dtype, n = model.g.k, state.theta.dtype, self.threads.n
        self.rows = max(1, min(batch_size, Y_BYTES // (h * dtype.itemsize)))

        self.Y = np.empty((self.rows, h), dtype)  # a block of the pre-activation
        self.units = np.empty(batch_size * k, np.int32)  # (B, k) when used: k may be lowered on the way
        self.values, self.dY = np.empty((2, batch_size * k), dtype)
        self.dU = np.empty((batch_size, d), dtype)
        self.start = np.empty(h + 1, np.int64)
        self.entry = np.empty(batch_size * k, np.int64)
        self.scratch = np.empty((n, 2, d), dtype)
        self.sums = np.empty((2, n, d), dtype)  # Σ dU and Σ(x̂ − x)², a row for each thread
        self.extra_row = np.full(h, -1)  # of (21): see kernels.update_units
        self.no_extra = (self.extra_row, np.empty((0, d), dtype), np.empty(0, dtype), np.empty((0, d), dtype))
        m1, m2 = state.views(state.m1), state.views(state.m2)
        self.moments = (m1["W"], m2["W"], m1["b"], m2["b"], m1["V"].T, m2["V"].T)

    def __call__(self, X: np.ndarray) -> Report:
        B, h, k, dU = len(X), len(self.b), self.model.g.k, self.dU[: len(X)]
        units, values, dY = (a[: B * k].reshape(B, k) for a in (self.units, self.values, self.dY))
        real = self.state.theta.dtype.type
        for first in range(0, B, self.rows):
            last = min(first + self.rows, B)
            Y = self.Y[: last - first]
            np.matmul(X[first:last], self.W.T, out=Y)  # (1) (rows, h)
            self.threads.over(last - first, Y.size, self._top_k, units[first:last], values[first:last])

        self.sums[:] = 0
        scale, l1 = real(1 / B), real(self.model.l1 / B)
        self.threads.over(B, units.size * len(self.c), self._decode, units, values, X, scale, l1, dU, dY)
        kernels.unit_lists(units, values, self.start, self.entry)

        report = self._report(B, values)
        extra = self.no_extra
        if self.auxiliary is not None:
            dead = self.auxiliary(X, dU * -B, report.on)  # (21), e = x − x̂ = −B·dU
            self.extra_row[:] = -1
            if dead is not None:
                report = report.plus(dead.value)
                self.extra_row[dead.units] = np.arange(len(dead.units))
                extra = (self.extra_row, dead.dW, dead.db, dead.dVt)
        decay = real(self.model.decoder.weight_decay)
        rates = self.state.next_rates()
        self.threads.over(h, self.W.size, self._update, values, dY, X, dU, extra, decay, rates)
        self._update_c(rates)
        return report

    def _top_k(self, part: int, lo: int, hi: int, units: np.ndarray, values: np.ndarray) -> None:
        kernels.top_k(self.Y, self.b, units, values, lo, hi)  # (1) (2)

    def _decode(self, part, lo, hi, units, values, X, scale, l1, dU, dY) -> None:
        dc, squares = self.sums[:, part]
        kernels.decode_and_backprop(
            units, values, self.Vt, self.c, X, scale, l1, dU, dY, dc, squares, lo, hi
        )  # (3) (11) (13) (14)

    def _update(self, part, lo, hi, values, dY, X, dU, extra, decay, rates) -> None:
        kernels.update_units(
            *(self.start, self.entry, values, dY, X, dU, extra, self.W, self.b, self.Vt, self.moments),
            *(decay, self.unit_norm, rates, self.scratch[part], lo, hi),
        )  # (12) (15) (16)–(20)

    def _update_c(self, rates: tuple) -> None:
        state, d = self.state, len(self.c)
        dc = self.sums[0].sum(axis=0)  # (12) (d,)
        theta, m1, m2 = state.theta[-d:], state.m1[-d:], state.m2[-d:]
        kernels.adam(theta, dc, m1, m2, dc.dtype.type(0), rates, 0, d)

    def _report(self, B: int, values: np.ndarray) -> Report:
        model = self.model
        error = float(self.sums[1].sum(dtype=np.float64))
        loss = Loss(
            0.5 * error / B,  # (5)
            model.l1 * float(values.sum()) / B if model.l1 else 0.0,  # (7)
            0.0,
            model.encoder.penalty() + model.decoder.penalty(),  # (9)
        )
        return Report(loss, np.diff(self.start) > 0, int(self.start[-1]), error)

    def __enter__(self) -> KSparseStep:
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.close()
