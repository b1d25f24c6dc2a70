"""A dense training step in buffers: five matrix products, and compiled loops between them.

Each thread takes its share of the batch from the first product to dY, and then its share of the units
from their gradients to Adam, which finds them in cache.  It computes what ``PlainStep`` does, in the order
of autoencoder.py.
"""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.equations.activations import Sigmoid
from nsae.equations.autoencoder import Autoencoder, Loss
from nsae.equations.optimizers import Adam
from nsae.equations.sparsity import kl_divergence, kl_slope, within_unit_interval
from nsae.system.threads import Threads
from nsae.training.dead_units import AuxiliaryGradients, DeadUnits
from nsae.training.flat_state import FlatState
from nsae.training.step import Report

UNITS = 256  # whose gradients are made at once: large for a product, small enough for a cache


class DenseStep:
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
        self.state = FlatState(model, optimizer)
        self.threads = Threads(n_threads)
        h, d = self.state.shape
        dtype = self.state.theta.dtype
        self.W, self.b, self.c = model.encoder_layer.W, model.encoder_layer.b, model.decoder_layer.b
        self.Vt = model.decoder_layer.W.T  # (h, d), a run of memory for each unit
        self.grad = np.empty_like(self.state.theta)
        grads = self.state.views(self.grad)
        self.dW, self.dVt, self.db, self.dc = grads["W"], grads["V"].T, grads["b"], grads["c"]

        self.Z, self.dZ = np.empty((2, batch_size, h), dtype)  # (B, h) each
        self.U = np.empty((batch_size, d), dtype)  # (B, d), and dU in the same place
        self.sigmoid_code = isinstance(model.g, Sigmoid)
        self.sigmoid_output = model.output == "sigmoid"
        self.E_h = np.empty((batch_size if self.sigmoid_code else 0, h), dtype)
        self.E_d, self.L_d = np.empty((2, batch_size if self.sigmoid_output else 0, d), dtype)
        # sums over the batch, a row for each thread: of z, of z > 0, of dY; of dU, of errors², of (6)
        self.unit_sums = np.empty((3, self.threads.n, h), dtype)
        self.feature_sums = np.empty((3, self.threads.n, d), dtype)

    def __call__(self, X: np.ndarray) -> Report:
        B, h = len(X), len(self.b)
        parallel_for, work = self.threads.parallel_for, B * h
        real = self.state.theta.dtype.type
        self.unit_sums[:] = 0
        self.feature_sums[:] = 0

        parallel_for(B, self._forward, X, real(1 / B), work=work)  # (1) to (11)
        total = self.unit_sums[0].sum(axis=0)  # (h,)
        rho_hat = within_unit_interval(total / B) if self.model.kl else None  # (8) (h,)
        parallel_for(B, self._backward, self._push(B, rho_hat), work=work)  # (13) (14)
        self.unit_sums[2].sum(axis=0, out=self.db)  # (15)
        self.feature_sums[0].sum(axis=0, out=self.dc)  # (12)

        active = self.unit_sums[1].sum(axis=0)  # (h,)
        squares = float(self.feature_sums[1].sum(dtype=np.float64))
        report = Report(self._loss(B, squares, total, rho_hat), active, float(active.sum()), squares)
        error, extra = None, None
        if self.dead_units is not None:
            error = self._error(X)
            extra = self.dead_units.gradients(X, error, report.on)  # (21)
        if self.state.optimizer.max_grad_norm is None:
            rates = self.state.next_rates()
            parallel_for(h, self._update, X, extra, rates, work=work)  # (12) (15) (16)–(20)
        else:
            parallel_for(h, self._gradients, X, extra, work=work)  # (12) (15)
            rates = self.state.next_rates(self._square())  # (34) needs them all
            parallel_for(h, self._move, rates, work=work)  # (16)–(20)
        self._adam(len(self.grad) - len(self.c), len(self.grad), 0.0, rates)  # c
        if self.dead_units is not None:
            self.dead_units.renew(X, error)
        return report if extra is None else report.plus(extra.value)

    def _forward(self, part: int, lo: int, hi: int, X: np.ndarray, scale: np.floating) -> None:
        np.matmul(X[lo:hi], self.W.T, out=self.Z[lo:hi])  # (1) (hi − lo, h)
        self._activate(part, lo, hi)  # (1) (2)
        np.matmul(self.Z[lo:hi], self.Vt, out=self.U[lo:hi])  # (3) (hi − lo, d)
        self._output(part, lo, hi, X, scale)  # (3) (11)

    def _backward(self, part: int, lo: int, hi: int, push: np.ndarray) -> None:
        np.matmul(self.U[lo:hi], self.Vt.T, out=self.dZ[lo:hi])  # (13) (hi − lo, h)
        gate = kernels.gate_sigmoid if self.sigmoid_code else kernels.gate_relu
        gate(self.dZ, self.Z, push, self.unit_sums[2, part], lo, hi)  # (13) (14)

    def _update(
        self, part: int, lo: int, hi: int, X: np.ndarray, extra: AuxiliaryGradients | None, rates: tuple
    ) -> None:
        for first in range(lo, hi, UNITS):
            last = min(first + UNITS, hi)
            self._gradients(part, first, last, X, extra)
            self._move(part, first, last, rates)

    def _gradients(
        self, part: int, lo: int, hi: int, X: np.ndarray, extra: AuxiliaryGradients | None
    ) -> None:
        B = len(X)
        np.matmul(self.Z[:B, lo:hi].T, self.U[:B], out=self.dVt[lo:hi])  # (12) (hi − lo, d)
        np.matmul(self.dZ[:B, lo:hi].T, X, out=self.dW[lo:hi])  # (15) (hi − lo, d)
        if extra is not None:
            some = slice(*np.searchsorted(extra.units, [lo, hi]))  # they are in ascending order
            units = extra.units[some]
            self.dW[units] += extra.dW[some]  # (21)
            self.db[units] += extra.db[some]
            self.dVt[units] += extra.dVt[some]
        if self.unit_norm:
            kernels.tangent_rows(self.dVt, self.Vt, lo, hi)  # (20) before the step

    def _move(self, part: int, lo: int, hi: int, rates: tuple) -> None:
        for start, stop, decay in self._runs(lo, hi):
            self._adam(start, stop, decay, rates)  # (16)–(19)
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

    def _output(self, part: int, lo: int, hi: int, X: np.ndarray, scale: np.floating) -> None:
        dc, squares, entropy = self.feature_sums[:, part]
        if not self.sigmoid_output:
            kernels.squared_output(self.U, self.c, X, scale, dc, squares, lo, hi)
            return
        E, L = self.E_d[lo:hi], self.L_d[lo:hi]
        kernels.bias_exponent(self.U, self.c, self.E_d, lo, hi)
        np.exp(E, out=E)
        np.log1p(E, out=L)
        keep_slope = self.model.loss == "squared"
        kernels.sigmoid_output(self.U, self.E_d, self.L_d, X, scale, keep_slope, dc, squares, entropy, lo, hi)

    def _push(self, B: int, rho_hat: np.ndarray | None) -> np.ndarray:
        """The penalties' part of (13), (h,): the same for every sample, where the gate lets it through."""
        push = np.full(self.W.shape[0], self.model.l1 / B, self.W.dtype)
        if rho_hat is not None:
            push += (self.model.kl / B) * kl_slope(rho_hat, self.model.rho)
        return push

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
        """e = x − x̂ (B, d).  Where the output bends, dU is no multiple of it, and it is made anew."""
        keep_slope = self.sigmoid_output and self.model.loss == "squared"
        return (
            X - self.model.reconstruct(self.model.forward(X)[1]) if keep_slope else self.U[: len(X)] * -len(X)
        )

    def _runs(self, lo: int, hi: int) -> list[tuple[int, int, float]]:
        """(start, stop, γ) of what these units own in the flat arrays: rows of W and of Vᵀ, and b."""
        h, d = self.W.shape
        decay = self.model.decoder_layer.weight_decay
        of_V = 0.0 if self.unit_norm else decay  # γV lies along V's columns: (20) takes it away again
        V, b = h * d, 2 * h * d
        return [(lo * d, hi * d, decay), (V + lo * d, V + hi * d, of_V), (b + lo, b + hi, 0.0)]

    def _adam(self, start: int, stop: int, decay: float, rates: tuple) -> None:
        state = self.state
        decay = state.theta.dtype.type(decay)
        kernels.adam(state.theta, self.grad, state.m1, state.m2, decay, rates, start, stop)

    def _square(self) -> float:
        """‖∇J‖², for (34)."""
        state, h = self.state, len(self.b)
        real = state.theta.dtype.type
        of_units = (
            kernels.squares(state.theta, self.grad, real(decay), start, stop)
            for start, stop, decay in self._runs(0, h)
        )
        return sum(of_units) + float(np.vdot(self.dc, self.dc))

    def __enter__(self) -> DenseStep:
        self.threads.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.__exit__()
