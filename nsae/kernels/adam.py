"""Adam in one pass over memory, and the size of its gradient.

Definitions: ``nsae.training.definitions``; compared in tests/kernels/test_definitions.py.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL, REORDER


@njit(**KERNEL)
def adam(theta, grad, m1, m2, decay, rates, lo, hi):
    """Do what ``definitions.adam`` does: Eqs. (16)–(19) and (34) in the range lo:hi of flat arrays, in place.

    ``theta``, ``grad``, ``m1`` and ``m2`` are (n,); ``decay`` adds γθ to the gradient, (12) (15); ``rates`` is
    an ``AdamRates``.
    """
    theta, grad, m1, m2 = theta[lo:hi], grad[lo:hi], m1[lo:hi], m2[lo:hi]
    for i in range(len(theta)):
        g = (grad[i] + decay * theta[i]) * rates.clip_factor  # (34)
        first = m1[i] + rates.one_minus_beta1 * (g - m1[i])  # (16)
        second = m2[i] + rates.one_minus_beta2 * (g * g - m2[i])  # (17)
        m1[i] = first
        m2[i] = second
        root = np.sqrt(second * rates.correction2)  # (18)
        theta[i] -= rates.learning_rate * (first * rates.correction1) / (root + rates.eps)  # (18) (19)


@njit(**KERNEL)
def adam_units(flat, grad, decay, decay_of_V, rates, lo, hi):
    """Do what ``definitions.adam_units`` does: move the units lo:hi, and c together with the last of them.

    ``flat`` is a ``FlatArrays``; ``grad`` (2hd + h + d,) is laid out as its arrays are.  ``decay`` is γ on W,
    ``decay_of_V`` on V; ``rates`` is an ``AdamRates``.
    """
    theta, m1, m2, h, d = flat.theta, flat.m1, flat.m2, flat.h, flat.d
    V, b, c = h * d, 2 * h * d, 2 * h * d + h  # where V, b and c begin
    nothing = grad.dtype.type(0)
    adam(theta, grad, m1, m2, decay, rates, lo * d, hi * d)
    adam(theta, grad, m1, m2, decay_of_V, rates, V + lo * d, V + hi * d)
    adam(theta, grad, m1, m2, nothing, rates, b + lo, b + hi)
    if hi == h:
        adam(theta, grad, m1, m2, nothing, rates, c, c + d)


@njit(**REORDER)
def squares(theta, grad, decay, lo, hi):
    """Do what ``definitions.squares`` does: return Σ(g + γθ)² over the range lo:hi in float64, for (34).

    ``theta`` and ``grad`` are (n,), ``decay`` is γ: it is the square norm of the gradient that ``adam`` uses.
    """
    theta, grad = theta[lo:hi], grad[lo:hi]
    total = 0.0
    for i in range(len(theta)):
        g = np.float64(grad[i] + decay * theta[i])
        total += g * g
    return total
