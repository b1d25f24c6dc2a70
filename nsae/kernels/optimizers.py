"""Adam in one pass over memory."""

import numpy as np
from numba import njit

from nsae.kernels.options import KERNEL


@njit(**KERNEL)
def adam(theta, grad, m1, m2, decay, rates, lo, hi):
    """Twin of ``Adam.step``, (16)–(19), on flat arrays; ``decay`` adds γθ to the gradient, (12) (15).

    ``rates`` holds α, 1 − β₁, 1 − β₂, ε, 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), in the dtype of theta.
    """
    theta, grad, m1, m2 = theta[lo:hi], grad[lo:hi], m1[lo:hi], m2[lo:hi]
    alpha, new1, new2, eps, correct1, correct2 = rates
    for i in range(len(theta)):
        g = grad[i] + decay * theta[i]
        first = m1[i] + new1 * (g - m1[i])  # (16)
        second = m2[i] + new2 * (g * g - m2[i])  # (17)
        m1[i] = first
        m2[i] = second
        theta[i] -= alpha * (first * correct1) / (np.sqrt(second * correct2) + eps)  # (18) (19)
