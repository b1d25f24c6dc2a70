"""A dense training step in buffers: five matrix products, and compiled loops between them.

Each thread takes its part of the batch from the first product to dY, and then its part of the units from
their gradients to Adam, while these are in cache.  The step computes what ``PlainStep`` in loop.py does, in
the order of equations/autoencoder.py.
"""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.equations.activations import Sigmoid
from nsae.equations.autoencoder import Loss
from nsae.equations.sparsity import kl_divergence, kl_slope, within_unit_interval
from nsae.kernels.records import AdamRates, OutputSums, SparseRows
from nsae.training.compiled_step import CompiledStep
from nsae.training.dead_units import AuxiliaryGradients
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport

UNITS = 256  # Gradients are computed for so many units at once: many for a product, few for a cache.


class DenseStep(CompiledStep):
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
        dtype = self.flat.dtype
        self.grad = np.empty_like(self.flat.arrays.theta)
        grads = self.flat.views(self.grad)
        self.dW, self.dVt, self.db, self.dc = grads["W"], grads["V"].T, grads["b"], grads["c"]

        self.Z, self.dZ = np.empty((2, batch_size, h), dtype)  # (B, h) each
        self.U = np.empty((batch_size, d), dtype)  # (B, d), and dU in the same place
        self.sigmoid_code = isinstance(self.model.g, Sigmoid)
        self.sigmoid_output = self.model.output == "sigmoid"
        self.keep_slope = self.sigmoid_output and self.model.loss == "squared"  # (11)
        self.E_h = np.empty((batch_size if self.sigmoid_code else 0, h), dtype)
        self.E_d, self.L_d = np.empty((2, batch_size if self.sigmoid_output else 0, d), dtype)
        # Sums over the batch, a row for each thread: of z, of z > 0, of dY (h,) …
        self.unit_sums = np.empty((3, self.threads.n, h), dtype)
        # … and of dU, of squared errors, of the terms of (6), (d,).
        self.feature_sums = np.empty((3, self.threads.n, d), dtype)
        self.output_sums = [OutputSums(*self.feature_sums[:, part]) for part in range(self.threads.n)]

    def _step(self, X: np.ndarray) -> StepReport:
        B, h = len(X), len(self.b)
        parallel_for, work = self.threads.parallel_for, B * h
        self.unit_sums[:] = 0
        self.feature_sums[:] = 0

        rows = self._rows(X)
        if rows is not None:
            self.sparse.product(rows, self.Z[:B])
        parallel_for(B, self._forward, X, rows, work=work)  # (1) to (11)
        total = self.unit_sums[0].sum(axis=0)  # (h,)
        rho_hat = within_unit_interval(total / B) if self.model.kl else None  # (8) (h,)
        parallel_for(B, self._backward, self._penalty_grad(B, rho_hat), work=work)  # (13) (14)
        self.unit_sums[2].sum(axis=0, out=self.db)  # (15)
        self.feature_sums[0].sum(axis=0, out=self.dc)  # (12)

        active = self.unit_sums[1].sum(axis=0)  # (h,)
        squares = float(self.feature_sums[1].sum(dtype=np.float64))
        loss = self._loss(B, squares, total, rho_hat)  # (5)–(10)
        of_z = total if self.sigmoid_code else None
        report = StepReport(loss, active, float(active.sum()), squares, of_z)
        error: np.ndarray | None = None
        aux: AuxiliaryGradients | None = None
        if self.dead_units is not None:
            error = self._error(X)  # (B, d)
            aux = self.dead_units.gradients(X, error, report.on)  # (21)
        if not self.clips:
            rates = self.flat.next_rates()
            parallel_for(h, self._update, X, rows, aux, rates, work=work)  # (12) (15) (16)–(20)
        else:
            parallel_for(h, self._gradients, X, rows, aux, work=work)  # (12) (15)
            rates = self.flat.next_rates(self._square())  # (34) needs all of them
            parallel_for(h, self._move, rates, work=work)  # (16)–(20)
        if self.dead_units is not None and error is not None:
            self.dead_units.renew(X, error)
        return report if aux is None else report.with_auxiliary(aux.value)

    def _forward(self, part: int, lo: int, hi: int, X: np.ndarray, rows: SparseRows | None) -> None:
        if rows is None:  # else it is there already
            np.matmul(X[lo:hi], self.W.T, out=self.Z[lo:hi])  # (1) (hi − lo, h)
        self._activate(part, lo, hi)  # (1) (2)
        np.matmul(self.Z[lo:hi], self.Vt, out=self.U[lo:hi])  # (3) (hi − lo, d)
        self._output(part, lo, hi, X, rows)  # (3) (11)

    def _backward(self, part: int, lo: int, hi: int, penalty_grad: np.ndarray) -> None:
        np.matmul(self.U[lo:hi], self.Vt.T, out=self.dZ[lo:hi])  # (13) (hi − lo, h)
        gate = kernels.gate_sigmoid if self.sigmoid_code else kernels.gate_relu
        gate(self.dZ, self.Z, penalty_grad, self.unit_sums[2, part], lo, hi)  # (13) (14)

    def _update(
        self,
        part: int,
        lo: int,
        hi: int,
        X: np.ndarray,
        rows: SparseRows | None,
        aux: AuxiliaryGradients | None,
        rates: AdamRates,
    ) -> None:
        for first in range(lo, hi, UNITS):
            last = min(first + UNITS, hi)
            self._gradients(part, first, last, X, rows, aux)
            self._move(part, first, last, rates)

    def _gradients(
        self,
        part: int,
        lo: int,
        hi: int,
        X: np.ndarray,
        rows: SparseRows | None,
        aux: AuxiliaryGradients | None,
    ) -> None:
        B = len(X)
        np.matmul(self.Z[:B, lo:hi].T, self.U[:B], out=self.dVt[lo:hi])  # (12) (hi − lo, d)
        if rows is None:
            np.matmul(self.dZ[:B, lo:hi].T, X, out=self.dW[lo:hi])  # (15) (hi − lo, d)
        else:
            self.sparse.outer(part, self.dZ, rows, self.dW, lo, hi)
        if aux is not None:
            some = slice(*np.searchsorted(aux.units, [lo, hi]))  # they are in ascending order
            units = aux.units[some]
            self.dW[units] += aux.dW[some]  # (21)
            self.db[units] += aux.db[some]
            self.dVt[units] += aux.dVt[some]
        if self.unit_norm:
            kernels.tangent_rows(self.dVt, self.Vt, lo, hi)  # (20) before the step

    def _move(self, part: int, lo: int, hi: int, rates: AdamRates) -> None:
        flat, decay = self.flat.arrays, self.weight_decay
        kernels.adam_units(flat, self.grad, decay, self._decay_of_V, rates, lo, hi)  # (16)–(19)
        if self.unit_norm:
            kernels.normalise_rows(self.Vt, lo, hi)  # (20) after the step

    def _activate(self, part: int, lo: int, hi: int) -> None:
        total, active = self.unit_sums[0, part], self.unit_sums[1, part]
        if not self.sigmoid_code:
            kernels.bias_relu(self.Z, self.b, total, active, lo, hi)
            return
        kernels.bias_exponent(self.Z, self.b, self.E_h, lo, hi)
        np.exp(self.E_h[lo:hi], out=self.E_h[lo:hi])
        above = self.Z.dtype.type(Sigmoid.active_above)
        kernels.sigmoid_units(self.Z, self.E_h, above, total, active, lo, hi)

    def _output(self, part: int, lo: int, hi: int, X: np.ndarray, rows: SparseRows | None) -> None:
        sums = self.output_sums[part]
        if not self.sigmoid_output:
            squared = kernels.squared_output if rows is None else kernels.sparse_squared_output
            squared(self.U, self.c, X if rows is None else rows, sums.dc, sums.squares, lo, hi)
            return
        E, L = self.E_d[lo:hi], self.L_d[lo:hi]
        kernels.bias_exponent(self.U, self.c, self.E_d, lo, hi)
        np.exp(E, out=E)
        np.log1p(E, out=L)
        sigmoid = kernels.sigmoid_output if rows is None else kernels.sparse_sigmoid_output
        data = X if rows is None else rows
        sigmoid(self.U, self.E_d, self.L_d, data, self.keep_slope, sums, lo, hi)

    def _penalty_grad(self, B: int, rho_hat: np.ndarray | None) -> np.ndarray:
        """Return the penalties' part of (13), (h,): the same for every sample, before the gate of (14)."""
        grad = np.full(self.W.shape[0], self.model.l1 / B, self.W.dtype)
        if rho_hat is not None:
            grad += (self.model.kl / B) * kl_slope(rho_hat, self.model.rho)
        return grad

    def _loss(self, B: int, squares: float, total: np.ndarray, rho_hat: np.ndarray | None) -> Loss:
        model = self.model
        if model.loss == "squared":
            reconstruction = 0.5 * squares / B  # (5)
        else:
            reconstruction = float(self.feature_sums[2].sum(dtype=np.float64)) / B  # (6)
        return Loss(
            reconstruction,
            model.l1 * float(total.sum()) / B if model.l1 else 0.0,  # (7): z is never negative
            0.0 if rho_hat is None else model.kl * kl_divergence(rho_hat, model.rho),  # (8)
            model.encoder_layer.penalty() + model.decoder_layer.penalty(),  # (9)
        )

    def _error(self, X: np.ndarray) -> np.ndarray:
        """Return e = x − x̂ (B, d).  With the slope of (11) in it, dU is no multiple of e: e is computed anew."""
        if self.keep_slope:
            return X - self.model.reconstruct(self.model.forward(X)[1])
        return self.U[: len(X)] * -len(X)

    @property
    def _decay_of_V(self) -> np.floating:
        """γ, or 0 with ``unit_norm``: γV lies along V's columns, and (20) would take it away again."""
        return self.flat.dtype.type(0) if self.unit_norm else self.weight_decay

    def _square(self) -> float:
        """Return ‖∇J‖², for (34)."""
        h, d = self.flat.shape
        theta, nothing = self.flat.arrays.theta, self.flat.dtype.type(0)
        of_units = (
            kernels.squares(theta, self.grad, self.weight_decay, 0, h * d),
            kernels.squares(theta, self.grad, self._decay_of_V, h * d, 2 * h * d),
            kernels.squares(theta, self.grad, nothing, 2 * h * d, 2 * h * d + h),
        )
        return sum(of_units) + float(np.vdot(self.dc, self.dc))
