"""Adam, Eqs. (16)–(19): Algorithm 1 of Kingma and Ba 2015, arXiv:1412.6980.

ε stands outside the root and the bias correction is explicit, as in the paper.  Clipping of the gradient,
Eq. (34), comes before it if it is asked for.
"""

from __future__ import annotations

import math

import numpy as np

Arrays = dict[str, np.ndarray]


class Adam:
    """Moves parameters against their gradients, in steps of about the learning rate.

    Parameters
    ----------
    learning_rate, beta1, beta2, eps : float
        α, β₁, β₂ and ε of Eqs. (16)–(19), with the defaults of the paper.
    max_grad_norm : float, optional
        G of Eq. (34): a longer gradient, over all parameters together, is scaled to this norm.

    Attributes
    ----------
    m1, m2 : dict of arrays
        First and second moments, with the keys and shapes of the parameters.
    t : int
        Steps taken.
    """

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        max_grad_norm: float | None = None,
    ):
        self.learning_rate = learning_rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.eps = eps
        self.max_grad_norm = max_grad_norm
        self.t = 0
        self.m1: Arrays = {}
        self.m2: Arrays = {}

    def step(self, params: Arrays, grads: Arrays) -> None:
        """Move the arrays in ``params``, in place, one step against their gradients ``grads``.

        Both have the same keys and shapes.  The gradients are not changed.
        """
        self.t += 1
        factor = 1.0
        if self.max_grad_norm is not None:
            factor = self.clip_factor(sum(float(np.vdot(g, g)) for g in grads.values()))  # (34)
        for name, theta in params.items():
            g = grads[name] if factor == 1 else grads[name] * factor  # (34), dθ on the page of equations
            m1 = self.m1.setdefault(name, np.zeros_like(theta))
            m2 = self.m2.setdefault(name, np.zeros_like(theta))
            m1 += (1 - self.beta1) * (g - m1)  # (16), which is β₁ m1 + (1 − β₁) g
            m2 += (1 - self.beta2) * (g * g - m2)  # (17), which is β₂ m2 + (1 − β₂) g²
            m1_hat = m1 / (1 - self.beta1**self.t)  # (18)
            m2_hat = m2 / (1 - self.beta2**self.t)  # (18)
            theta -= self.learning_rate * m1_hat / (np.sqrt(m2_hat) + self.eps)  # (19)

    def clip_factor(self, square: float) -> float:
        """Return min(1, G/‖∇J‖), Eq. (34), from ``square`` = ‖∇J‖² over all parameters together."""
        if self.max_grad_norm is None:
            return 1.0
        norm = math.sqrt(square)
        return self.max_grad_norm / norm if norm > self.max_grad_norm else 1.0  # (34)
