"""A dense training step in buffers: five matrix products, and compiled loops between them.

It computes what ``PlainStep`` does, in the order of autoencoder.py.
"""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.activations import Sigmoid
from nsae.autoencoder import Autoencoder, Loss
from nsae.auxiliary import AuxiliaryLoss
from nsae.optimizers import Adam
from nsae.sparsity import divergence, divergence_slope, within_unit_interval
from nsae.state import FlatState
from nsae.steps import Report
from nsae.threads import Threads


class DenseStep:
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
        self.state = FlatState(model, optimizer)
        self.threads = Threads(n_threads)
        h, d = self.state.shape
        dtype = self.state.theta.dtype
        self.W, self.Vt, self.b, self.c = (
            model.encoder.W,
            model.decoder.W.T,
            model.encoder.b,
            model.decoder.b,
        )
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
        B = len(X)
        Z, U, dZ = self.Z[:B], self.U[:B], self.dZ[:B]
        real = self.state.theta.dtype.type
        self.unit_sums[:] = 0
        self.feature_sums[:] = 0

        np.matmul(X, self.W.T, out=Z)  # (1) (B, h)
        self.threads.over(B, Z.size, self._activate)  # (1) (2)
        np.matmul(Z, self.Vt, out=U)  # (3) (B, d)
        self.threads.over(B, U.size, self._output, X, real(1 / B))  # (3) (11)
        np.matmul(Z.T, U, out=self.dVt)  # (12) (h, d)
        np.matmul(U, self.Vt.T, out=dZ)  # (13) (B, h)
        total = self.unit_sums[0].sum(axis=0)  # (h,)
        rho_hat = within_unit_interval(total / B) if self.model.kl else None  # (8) (h,)
        self.threads.over(B, dZ.size, self._gate, self._push(B, rho_hat))  # (13) (14)
        np.matmul(dZ.T, X, out=self.dW)  # (15) (h, d)
        self.unit_sums[2].sum(axis=0, out=self.db)  # (15)
        self.feature_sums[0].sum(axis=0, out=self.dc)  # (12)

        active = self.unit_sums[1].sum(axis=0)  # (h,)
        error = float(self.feature_sums[1].sum(dtype=np.float64))
        report = Report(self._loss(B, error, total, rho_hat), active, float(active.sum()), error)
        if self.auxiliary is not None:
            report = self._add_auxiliary(X, U, report)  # (21)
        self._update()  # (16)–(20)
        return report

    def _add_auxiliary(self, X: np.ndarray, dU: np.ndarray, report: Report) -> Report:
        # where the output bends, dU is no multiple of the error, which is then made anew
        bent = self.sigmoid_output and self.model.loss == "squared"
        error = X - self.model.reconstruct(self.model.forward(X)[1]) if bent else dU * -len(X)
        extra = self.auxiliary(X, error, report.on)
        if extra is None:
            return report
        self.dW[extra.units] += extra.dW
        self.db[extra.units] += extra.db
        self.dVt[extra.units] += extra.dVt
        return report.plus(extra.value)

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
        bent = self.model.loss == "squared"
        kernels.sigmoid_output(self.U, self.E_d, self.L_d, X, scale, bent, dc, squares, entropy, lo, hi)

    def _gate(self, part: int, lo: int, hi: int, push: np.ndarray) -> None:
        gate = kernels.gate_sigmoid if self.sigmoid_code else kernels.gate_relu
        gate(self.dZ, self.Z, push, self.unit_sums[2, part], lo, hi)

    def _push(self, B: int, rho_hat: np.ndarray | None) -> np.ndarray:
        """The penalties' part of (13), (h,): the same for every sample, where the gate lets it through."""
        push = np.full(self.W.shape[0], self.model.l1 / B, self.W.dtype)
        if rho_hat is not None:
            push += (self.model.kl / B) * divergence_slope(rho_hat, self.model.rho)
        return push

    def _loss(self, B: int, error: float, total: np.ndarray, rho_hat: np.ndarray | None) -> Loss:
        model = self.model
        if model.loss == "squared":
            reconstruction = 0.5 * error / B  # (5)
        else:
            reconstruction = float(self.feature_sums[2].sum(dtype=np.float64)) / B  # (6)
        return Loss(
            reconstruction,
            model.l1 * float(total.sum()) / B if model.l1 else 0.0,  # (7): z is never negative
            0.0 if rho_hat is None else model.kl * divergence(rho_hat, model.rho),  # (8)
            model.encoder.penalty() + model.decoder.penalty(),  # (9)
        )

    def _update(self) -> None:
        h, over = self.W.shape[0], self.threads.over
        if self.unit_norm:
            over(h, self.Vt.size, self._tangent)  # (20) before the step
        rates = self.state.next_rates()
        for start, stop, decay in self._decays():
            over(stop - start, stop - start, self._adam, start, decay, rates)  # (16)–(19)
        if self.unit_norm:
            over(h, self.Vt.size, self._normalise)  # (20) after the step

    def _decays(self) -> list[tuple[int, int, np.floating]]:
        """(start, stop, γ) of the runs of the flat arrays that decay alike: W, Vᵀ, biases."""
        weights, end = self.state.n_weights, len(self.state.theta)
        real = self.state.theta.dtype.type
        none, decay = real(0), real(self.model.decoder.weight_decay)
        if not decay:
            return [(0, end, none)]
        # γV lies along V's columns: (20) takes it away again
        of_V = none if self.unit_norm else decay
        return [(0, weights // 2, decay), (weights // 2, weights, of_V), (weights, end, none)]

    def _adam(self, part: int, lo: int, hi: int, start: int, decay: np.floating, rates: tuple) -> None:
        state = self.state
        kernels.adam(state.theta, self.grad, state.m1, state.m2, decay, rates, start + lo, start + hi)

    def _tangent(self, part: int, lo: int, hi: int) -> None:
        kernels.tangent_rows(self.dVt, self.Vt, lo, hi)

    def _normalise(self, part: int, lo: int, hi: int) -> None:
        kernels.normalise_rows(self.Vt, lo, hi)

    def __enter__(self) -> DenseStep:
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.close()
