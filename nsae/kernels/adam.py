"""Adam in one pass over memory, and the size of its gradient."""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL, REORDER


@njit(**KERNEL)
def adam(theta, grad, m1, m2, decay, rates, lo, hi):
    """Twin of ``Adam.step``, (16)–(19), on flat arrays; ``decay`` adds γθ to the gradient, (12) (15).

    ``rates`` holds α, 1 − β₁, 1 − β₂, ε, 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), and the factor of (34), in the dtype of
    theta.
    """
    theta, grad, m1, m2 = theta[lo:hi], grad[lo:hi], m1[lo:hi], m2[lo:hi]
    alpha, new1, new2, eps, correct1, correct2, shrink = rates
    for i in range(len(theta)):
        g = (grad[i] + decay * theta[i]) * shrink  # (34)
        first = m1[i] + new1 * (g - m1[i])  # (16)
        second = m2[i] + new2 * (g * g - m2[i])  # (17)
        m1[i] = first
        m2[i] = second
        theta[i] -= alpha * (first * correct1) / (np.sqrt(second * correct2) + eps)  # (18) (19)


@njit(**REORDER)
def squares(theta, grad, decay, lo, hi):
    """Σ(g + γθ)² in float64: what (34) needs of the gradient that ``adam`` is to use."""
    theta, grad = theta[lo:hi], grad[lo:hi]
    total = 0.0
    for i in range(len(theta)):
        g = np.float64(grad[i] + decay * theta[i])
        total += g * g
    return total
