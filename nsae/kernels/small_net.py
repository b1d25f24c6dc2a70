"""Many steps of a small dense net in one compiled loop, where a step in Python would take longer than its products.

It computes what ``nsae.training.loop.PlainStep`` does, batch after batch; tests/kernels/test_steps.py compares
the two.
"""

import numpy as np

from nsae.kernels.adam import adam_units, squares
from nsae.kernels.blas_product import product, product_of_transpose, product_with_transpose
from nsae.kernels.compile import njit
from nsae.kernels.dense_step import (
    bias_exponent,
    bias_relu,
    gate_relu,
    gate_sigmoid,
    normalise_rows,
    sigmoid_units,
    squared_output,
    tangent_rows,
)
from nsae.kernels.options import INNER, KERNEL
from nsae.kernels.records import AdamRates

MOST_FACTORS = 512  # Factors between 1 and 2 whose product double precision holds.


@njit(**KERNEL)
def small_steps(X, net, model, rates, sums, E_h, E_d, unit_norm):
    """Take a step on each batch of ``X`` (n, d), in order; the last one may be smaller.

    ``net`` is a ``SmallNet``, whose buffers have the rows of a batch, ``model`` a ``ModelTerms``, ``rates`` the
    ``StepRates`` of these steps.  Adds to the ``RunSums`` ``sums``.  ``E_h`` (B, h) is a buffer for sigmoid
    units and None for others, ``E_d`` (B, d) one for a sigmoid output; ``unit_norm`` is True, or None without
    (20).  What is None is not compiled.
    """
    flat, real = net.flat, net.grad.dtype.type
    h, d = flat.h, flat.d
    V, b = h * d, 2 * h * d  # where V and b begin
    Vt, dVt = flat.theta[V:b].reshape((h, d)), net.grad[V:b].reshape((h, d))
    decay = real(model.weight_decay)
    decay_of_V = decay if unit_norm is None else real(0)  # (20) would take γV away again
    for step in range(len(rates.correction1)):
        batch = X[step * len(net.Z) : (step + 1) * len(net.Z)]  # (B, d)
        small_gradients(batch, net, model, sums, E_h, E_d)  # (1)–(15)
        if unit_norm is not None:
            tangent_rows(dVt, Vt, 0, h)  # (20) before the step
        now = AdamRates(
            rates.learning_rate,
            rates.one_minus_beta1,
            rates.one_minus_beta2,
            rates.eps,
            rates.correction1[step],
            rates.correction2[step],
            real(clip_factor(model.max_grad_norm, flat, net.grad, decay, decay_of_V)),  # (34)
        )
        adam_units(flat, net.grad, decay, decay_of_V, now, 0, h)  # (16)–(19)
        if unit_norm is not None:
            normalise_rows(Vt, 0, h)  # (20) after the step


@njit(**INNER)
def small_gradients(X, net, model, sums, E_h, E_d):
    """Put the gradients (11)–(15) of the batch ``X`` (B, d) into ``net.grad``, without weight decay.

    ``net``, ``model``, ``sums``, ``E_h`` and ``E_d`` are those of :func:`small_steps`.
    """
    flat, B = net.flat, len(X)
    h, d = flat.h, flat.d
    V, b, c = h * d, 2 * h * d, 2 * h * d + h  # where V, b and c begin
    W, Vt = flat.theta[:V].reshape((h, d)), flat.theta[V:b].reshape((h, d))
    dW, dVt, db, dc = net.grad[:V].reshape((h, d)), net.grad[V:b].reshape((h, d)), net.grad[b:c], net.grad[c:]
    Z, dZ, U = net.Z[:B], net.dZ[:B], net.U[:B]  # (B, h), (B, h), (B, d)
    total, active, squared = net.unit_sums[0], net.unit_sums[1], net.squared
    net.unit_sums[:] = 0
    squared[:] = 0
    net.grad[b:] = 0  # db and dc are added to

    product_with_transpose(net.gemm, X, W, Z)  # (1)
    if E_h is None:
        bias_relu(Z, flat.theta[b:c], total, active, 0, B)  # (1) (2)
    else:
        bias_exponent(Z, flat.theta[b:c], E_h, 0, B)
        exponentials(E_h[:B])
        above = net.grad.dtype.type(model.active_above)
        sigmoid_units(Z, E_h, above, total, active, 0, B)  # (1) (2)
    product(net.gemm, Z, Vt, U)  # (3)
    entropy = 0.0
    if E_d is None:
        squared_output(U, flat.theta[c:], X, dc, squared, 0, B)  # (3) (11)
    else:
        bias_exponent(U, flat.theta[c:], E_d, 0, B)
        exponentials(E_d[:B])
        entropy = small_sigmoid_output(U, E_d, X, model.keep_slope, dc, squared, net.terms)  # (3) (6) (11)
    add_losses(B, model, total, squared, entropy, flat, sums)  # (5)–(9)
    for j in range(h):
        sums.total[j] += total[j]
        sums.active[j] += active[j]

    product_with_transpose(net.gemm, U, Vt, dZ)  # (13)
    penalty_gradient(B, model, total, net.penalty)  # (13)
    if E_h is None:
        gate_relu(dZ, Z, net.penalty, db, 0, B)  # (13) (14)
    else:
        gate_sigmoid(dZ, Z, net.penalty, db, 0, B)  # (13) (14)
    product_of_transpose(net.gemm, Z, U, dVt)  # (12)
    product_of_transpose(net.gemm, dZ, X, dW)  # (15)


@njit(**INNER)
def clip_factor(max_grad_norm, flat, grad, decay, decay_of_V):
    """Return min(1, G/‖∇J‖), (34), with G = ``max_grad_norm``.

    ``flat``, ``grad``, ``decay`` and ``decay_of_V`` are those of ``adam_units``.
    """
    if max_grad_norm == np.inf:
        return 1.0
    theta, V, b = flat.theta, flat.h * flat.d, 2 * flat.h * flat.d
    square = squares(theta, grad, decay, 0, V) + squares(theta, grad, decay_of_V, V, b)
    square += squares(theta, grad, grad.dtype.type(0), b, len(grad))
    norm = np.sqrt(square)
    return max_grad_norm / norm if norm > max_grad_norm else 1.0


@njit(**INNER)
def exponentials(E):
    """Put e^E in place of ``E`` (B, m)."""
    for i in range(E.shape[0]):
        for j in range(E.shape[1]):
            E[i, j] = np.exp(E[i, j])


@njit(**INNER)
def small_sigmoid_output(U, E, X, keep_slope, dc, squares, terms):
    """Do what ``dense_step.sigmoid_output`` does with the first rows of ``E``, and return the sum of the terms of (6).

    ``U`` and ``E``, ``X`` (B, d) and ``keep_slope`` are as there; Σ dU is added to ``dc`` and Σ(x̂ − x)² to
    ``squares``, (d,) each.  The logarithms in (6) are summed as the logarithm of a product: one for
    ``MOST_FACTORS`` of them.  ``terms`` (2, d) is for these sums and products, in double precision.
    """
    scale = X.dtype.type(1.0 / len(X))
    entropy, linear, factors = 0.0, terms[0], terms[1]  # 0, (d,), (d,)
    linear[:] = 0
    factors[:] = 1
    for i in range(len(X)):
        u, e, x = U[i], E[i], X[i]
        for j in range(len(dc)):
            x_hat = (1 if u[j] >= 0 else e[j]) / (1 + e[j])
            error = x_hat - x[j]
            squares[j] += error * error
            linear[j] += max(u[j], u[j] * 0) - u[j] * x[j]
            factors[j] *= 1 + np.float64(e[j])
            slope = x_hat * (1 - x_hat) if keep_slope else x_hat * 0 + 1
            u[j] = error * scale * slope
            dc[j] += u[j]
        if (i + 1) % MOST_FACTORS == 0 or i + 1 == len(X):
            for j in range(len(dc)):
                entropy += linear[j] + np.log(factors[j])  # (6)
                linear[j] = 0
                factors[j] = 1
    return entropy


@njit(**INNER)
def penalty_gradient(B, model, total, penalty):
    """Put the penalties' part of (13) into ``penalty`` (h,): the same for each of ``B`` samples, before (14).

    ``model`` is a ``ModelTerms``, ``total`` (h,) is Σz over the batch.
    """
    for j in range(len(penalty)):
        grad = model.l1 / B
        if model.kl:
            rho_hat = _mean_activation(total[j], B, model.rounding)
            grad += model.kl / B * ((1 - model.rho) / (1 - rho_hat) - model.rho / rho_hat)
        penalty[j] = grad


@njit(**INNER)
def add_losses(B, model, total, squared, entropy, flat, sums):
    """Add B times the parts of J, (5)–(9), to ``sums.losses``: they are means over samples.

    ``B`` are the samples, ``model`` is a ``ModelTerms``, ``flat`` a ``FlatArrays``, ``sums`` a ``RunSums``.
    ``total`` (h,) is Σz over the batch, ``squared`` (d,) Σ(x̂ − x)², ``entropy`` the sum of the terms of (6).
    """
    error = 0.0
    for l in range(len(squared)):
        error += squared[l]
    sums.error[0] += error
    sums.losses[0] += entropy if model.cross_entropy else 0.5 * error  # (5) (6)
    if model.l1 or model.kl:
        sum_z, divergence = 0.0, 0.0
        for j in range(len(total)):
            sum_z += total[j]
            if model.kl:
                rho_hat = _mean_activation(total[j], B, model.rounding)
                on, off = np.log(model.rho / rho_hat), np.log((1 - model.rho) / (1 - rho_hat))
                divergence += model.rho * on + (1 - model.rho) * off
        sums.losses[1] += model.l1 * sum_z  # (7): z is never negative
        sums.losses[2] += B * model.kl * divergence  # (8)
    if model.weight_decay:
        square = 0.0
        for i in range(2 * flat.h * flat.d):
            square += np.float64(flat.theta[i]) ** 2
        sums.losses[3] += B * 0.5 * model.weight_decay * square  # (9)


@njit(**INNER)
def _mean_activation(total, B, rounding):
    """Return ρ̂ of (8), the fraction ``rounding`` away from 0 and 1 where it would be there."""
    return min(max(total / B, rounding), 1 - rounding)
