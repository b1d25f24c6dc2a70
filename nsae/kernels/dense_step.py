"""What stands between the five products of a dense step.

Accumulators are added to, so that several ranges can share a step: one row of each for each range.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL, REORDER


@njit(**KERNEL)
def bias_relu(Y, b, total, active, lo, hi):
    """Y ← max(Y + b, 0), (1) (4), in place; adds Σz to ``total`` (h,) and how often z > 0 to ``active`` (h,)."""
    Y = Y[lo:hi]
    for i in range(Y.shape[0]):
        y = Y[i]
        for j in range(len(b)):
            z = y[j] + b[j]
            z = z if z > 0 else z * 0  # NaN stays NaN
            y[j] = z
            total[j] += z
            active[j] += z > 0


@njit(**KERNEL)
def bias_exponent(Y, b, E, lo, hi):
    """Y ← Y + b, (1) (3), in place, and E ← −|Y|: NumPy's vectorised exp then makes it e^−|y|."""
    Y, E = Y[lo:hi], E[lo:hi]
    for i in range(Y.shape[0]):
        y, e = Y[i], E[i]
        for j in range(len(b)):
            y[j] += b[j]
            e[j] = -abs(y[j])


@njit(**KERNEL)
def sigmoid_units(Y, E, above, total, active, lo, hi):
    """Twin of ``Sigmoid``, (4), in place on Y, from E = e^−|y|; ``total`` and ``active`` as in ``bias_relu``."""
    Y, E = Y[lo:hi], E[lo:hi]
    for i in range(Y.shape[0]):
        y, e = Y[i], E[i]
        for j in range(len(total)):
            z = (1 if y[j] >= 0 else e[j]) / (1 + e[j])
            y[j] = z
            total[j] += z
            active[j] += z > above


@njit(**KERNEL)
def sigmoid_output(U, E, L, X, scale, keep_slope, dc, squares, entropy, lo, hi):
    """U ← dU, (3) (11), for x̂ = sigmoid(u), from E = e^−|u| and L = log(1 + E).

    ``keep_slope`` is 1 where the sigmoid's slope stays, (sigmoid, squared), else 0.  Adds Σ dU to ``dc``,
    Σ(x̂ − x)² to ``squares`` and the terms of (6) to ``entropy``, (d,).
    """
    U, E, L, X = U[lo:hi], E[lo:hi], L[lo:hi], X[lo:hi]
    for i in range(U.shape[0]):
        u, e, log, x = U[i], E[i], L[i], X[i]
        for j in range(len(dc)):
            x_hat = (1 if u[j] >= 0 else e[j]) / (1 + e[j])
            error = x_hat - x[j]
            squares[j] += error * error
            entropy[j] += max(u[j], u[j] * 0) - u[j] * x[j] + log[j]  # (6)
            slope = x_hat * (1 - x_hat) if keep_slope else x_hat * 0 + 1
            u[j] = error * scale * slope
            dc[j] += u[j]


@njit(**KERNEL)
def squared_output(U, c, X, scale, dc, squares, lo, hi):
    """U ← dU = (U + c − X)·scale, (3) (11), in place; adds Σ dU to ``dc`` and Σ(x̂ − x)² to ``squares``, (d,)."""
    U, X = U[lo:hi], X[lo:hi]
    for i in range(U.shape[0]):
        u, x = U[i], X[i]
        for j in range(len(c)):
            error = u[j] + c[j] - x[j]
            squares[j] += error * error
            u[j] = error * scale
            dc[j] += u[j]


@njit(**KERNEL)
def gate_relu(dZ, Z, push, db, lo, hi):
    """dZ ← dY = (dZ + push)·(z > 0), (13) (14), in place; adds Σ dY to ``db`` (h,).  push (h,) is λ/B."""
    dZ, Z = dZ[lo:hi], Z[lo:hi]
    for i in range(dZ.shape[0]):
        dz, z = dZ[i], Z[i]
        for j in range(len(push)):
            dy = (dz[j] + push[j]) * (z[j] > 0)
            dz[j] = dy
            db[j] += dy


@njit(**KERNEL)
def gate_sigmoid(dZ, Z, push, db, lo, hi):
    """dZ ← dY = (dZ + push)·z(1 − z), (13) (14), in place; adds Σ dY to ``db`` (h,).  push (h,): L1 and KL."""
    dZ, Z = dZ[lo:hi], Z[lo:hi]
    for i in range(dZ.shape[0]):
        dz, z = dZ[i], Z[i]
        for j in range(len(push)):
            dy = (dz[j] + push[j]) * z[j] * (1 - z[j])
            dz[j] = dy
            db[j] += dy


@njit(**REORDER)
def tangent_rows(dV, V, lo, hi):
    """Twin of ``layers.tangent``, (20), on the rows of dVᵀ and Vᵀ (h, d), in place."""
    dV, V = dV[lo:hi], V[lo:hi]
    for j in range(dV.shape[0]):
        along = dV.dtype.type(0)
        for l in range(dV.shape[1]):
            along += dV[j, l] * V[j, l]
        for l in range(dV.shape[1]):
            dV[j, l] -= V[j, l] * along


@njit(**REORDER)
def normalise_rows(V, lo, hi):
    """Twin of ``layers.normalise_columns``, (20), on the rows of Vᵀ (h, d), in place."""
    V = V[lo:hi]
    for j in range(V.shape[0]):
        square = V.dtype.type(0)
        for l in range(V.shape[1]):
            square += V[j, l] * V[j, l]
        if square > 0:
            norm = np.sqrt(square)
            for l in range(V.shape[1]):
                V[j, l] /= norm
