"""The sparse autoencoder on one page: forward (1)–(3), loss (5)–(10) and backward (11)–(15), in order.

Nothing is kept on ``self`` between forward and backward: backward is given what forward returned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.equations.activations import Activation, Sigmoid
from nsae.equations.layers import Dense
from nsae.equations.losses import cross_entropy, output_gradient, squared_error
from nsae.equations.sparsity import kl_gradient, kl_penalty, l1_gradient, l1_penalty


class Loss(NamedTuple):
    """The parts of J, Eq. (10)."""

    reconstruction: float  # (5) or (6)
    l1: float  # (7)
    kl: float  # (8)
    weight_decay: float  # (9)
    auxiliary: float = 0.0  # (21), which the training step adds if the option is on

    @property
    def total(self) -> float:
        """J, the sum of all parts."""
        return sum(self)  # (10)


class Autoencoder:
    """``y = Wx + b``, ``z = g(y)``, ``u = Vz + c``, ``x̂ = o(u)``, with gradients by hand.

    Parameters
    ----------
    encoder_layer : Dense
        W (h, d) and b (h,).
    decoder_layer : Dense
        V (d, h) and c (d,).
    g : Sigmoid, ReLU or KSparse
        The activation of the code, Eq. (4).
    output : "linear" or "sigmoid"
        o of Eq. (3).
    loss : "squared" or "cross_entropy"
        Eq. (5) or (6).  The latter needs the sigmoid output.
    l1 : float
        λ of Eq. (7).
    kl, rho : float
        β and ρ of Eq. (8).
    """

    def __init__(
        self,
        encoder_layer: Dense,
        decoder_layer: Dense,
        g: Activation,
        *,
        output: str = "linear",
        loss: str = "squared",
        l1: float = 0.0,
        kl: float = 0.0,
        rho: float = 0.05,
    ):
        self.encoder_layer = encoder_layer
        self.decoder_layer = decoder_layer
        self.g = g
        self.output = output
        self.loss = loss
        self.l1 = l1
        self.kl = kl
        self.rho = rho

    @property
    def params(self) -> dict[str, np.ndarray]:
        """W, b, V and c: the arrays themselves, not copies, under the keys that ``backward`` uses."""
        encoder, decoder = self.encoder_layer, self.decoder_layer
        return {"W": encoder.W, "b": encoder.b, "V": decoder.W, "c": decoder.b}

    def loss_and_grads(self, X: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Return J and its gradients at the batch X (B, d)."""
        Z, U = self.forward(X)
        return self.losses(X, Z, U).total, self.backward(X, Z, U)

    def forward(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # X: (B, d)
        """Return the code Z (B, h) and the pre-activation U (B, d) of the output, for the batch X (B, d)."""
        Y = self.encoder_layer.forward(X)  # (1) (B, h)
        Z = self.g(Y)  # (2) (B, h)
        U = self.decoder_layer.forward(Z)  # (3) (B, d)
        return Z, U

    def reconstruct(self, U: np.ndarray) -> np.ndarray:
        """Return x̂ = o(u) (B, d) for the pre-activation U (B, d) of the output."""
        return Sigmoid()(U) if self.output == "sigmoid" else U  # (3) (B, d)

    def losses(self, X: np.ndarray, Z: np.ndarray, U: np.ndarray) -> Loss:
        """Return the parts of J, Eqs. (5)–(10), for the batch X (B, d) and what ``forward`` made of it, Z and U."""
        if self.loss == "squared":
            reconstruction = squared_error(X, self.reconstruct(U))  # (5)
        else:
            reconstruction = cross_entropy(X, U)  # (6)
        return Loss(
            reconstruction,
            l1_penalty(Z, self.l1) if self.l1 else 0.0,  # (7)
            kl_penalty(Z, self.kl, self.rho) if self.kl else 0.0,  # (8)
            self.encoder_layer.penalty() + self.decoder_layer.penalty(),  # (9)
        )

    def backward(self, X: np.ndarray, Z: np.ndarray, U: np.ndarray) -> dict[str, np.ndarray]:
        """Return ∂J/∂W, ∂J/∂b, ∂J/∂V and ∂J/∂c, for the batch X (B, d) and what ``forward`` made of it, Z and U."""
        dU = self._output_grad(X, U)  # (11) (B, d)
        dV, dc = self.decoder_layer.param_grads(dU, Z)  # (12) (d, h), (d,)
        dZ = self.decoder_layer.input_grad(dU) + self._sparsity_grad(Z)  # (13) (B, h)
        dY = dZ * self.g.grad(Z)  # (14) (B, h)
        dW, db = self.encoder_layer.param_grads(dY, X)  # (15) (h, d), (h,)
        return {"W": dW, "b": db, "V": dV, "c": dc}

    def _output_grad(self, X: np.ndarray, U: np.ndarray) -> np.ndarray:
        keep_slope = self.output == "sigmoid" and self.loss == "squared"
        return output_gradient(X, self.reconstruct(U), sigmoid_then_squared=keep_slope)  # (11) (B, d)

    def _sparsity_grad(self, Z: np.ndarray) -> np.ndarray | float:
        l1 = l1_gradient(Z, self.l1) if self.l1 else 0.0  # (B, h)
        kl = kl_gradient(Z, self.kl, self.rho) if self.kl else 0.0  # (h,)
        return l1 + kl  # (13) (B, h), (h,) or 0
