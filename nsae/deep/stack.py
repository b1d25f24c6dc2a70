"""A stack on one page: encoders on top of each other, softmax above them, and the gradient, Eq. (44).

Nothing is kept on ``self`` between forward and backward: backward is given what forward returned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsae.deep.softmax import softmax_cross_entropy, softmax_gradient
from nsae.equations.activations import Activation
from nsae.equations.layers import Dense


class Stack:
    """``zₗ = gₗ(Wₗ zₗ₋₁ + bₗ)`` for l = 1 … L, with z₀ = x, and ``u = W z_L + b`` for softmax.

    Parameters
    ----------
    layers : sequence of Dense
        W₁ (h₁, d) and b₁ (h₁,), W₂ (h₂, h₁) and b₂ (h₂,), and so on.  With none, it is softmax regression.
    g : sequence of Sigmoid, ReLU or KSparse
        The activation of each layer.
    top : Dense
        W (C, h_L) and b (C,), for C classes.
    """

    def __init__(self, layers: Sequence[Dense], g: Sequence[Activation], top: Dense):
        self.layers = list(layers)
        self.g = list(g)
        self.top = top

    @property
    def params(self) -> dict[str, np.ndarray]:
        """W1, b1, W2, b2 and so on, and W and b of the top: the arrays themselves, not copies."""
        named = {f"{w}{l}": A for l, layer in enumerate(self.layers, 1) for w, A in _arrays(layer)}
        return {**named, **dict(_arrays(self.top))}

    def loss_and_grads(self, X: np.ndarray, labels: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Return J and its gradients at the batch X (B, d) with the classes ``labels`` (B,)."""
        Z, U = self.forward(X)
        return self.loss(U, labels), self.backward(Z, U, labels)

    def forward(self, X: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:  # X: (B, d)
        """Return [X, Z₁, …, Z_L], of shapes (B, d), (B, h₁) and so on, and U (B, C), for the batch X (B, d)."""
        Z = [X]
        for layer, g in zip(self.layers, self.g, strict=True):
            Y = layer.forward(Z[-1])  # (1) (B, h_l)
            Z.append(g(Y))  # (2) (B, h_l)
        return Z, self.top.forward(Z[-1])  # (1) (B, C)

    def loss(self, U: np.ndarray, labels: np.ndarray) -> float:
        """Return J: Eq. (43) for ``U`` (B, C) and ``labels`` (B,), and the weight decay of all layers, Eq. (9)."""
        decay = sum(layer.penalty() for layer in (*self.layers, self.top))  # (9)
        return softmax_cross_entropy(U, labels) + decay  # (43)

    def backward(self, Z: list[np.ndarray], U: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Return ∂J/∂Wₗ and ∂J/∂bₗ, Eq. (44), under the keys of ``params``.

        Parameters
        ----------
        Z, U
            What ``forward`` returned.
        labels : (B,) int array
        """
        dU = softmax_gradient(U, labels)  # (43) (B, C)
        dW, db = self.top.param_grads(dU, Z[-1])  # (44) (C, h_L), (C,)
        grads = {"W": dW, "b": db}
        dZ = self.top.input_grad(dU)  # (44) (B, h_L)
        for l in range(len(self.layers), 0, -1):
            layer, g = self.layers[l - 1], self.g[l - 1]
            dY = dZ * g.grad(Z[l])  # (44) (B, h_l)
            grads[f"W{l}"], grads[f"b{l}"] = layer.param_grads(dY, Z[l - 1])  # (44) (h_l, h_l−1), (h_l,)
            if l > 1:
                dZ = layer.input_grad(dY)  # (44) (B, h_l−1)
        return grads


def _arrays(layer: Dense) -> tuple[tuple[str, np.ndarray], tuple[str, np.ndarray]]:
    return ("W", layer.W), ("b", layer.b)
