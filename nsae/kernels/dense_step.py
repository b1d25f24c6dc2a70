"""What stands between the five matrix products of a dense step.

Sums are added to, and not set: each range of rows has its own, and the step adds them up.  Definitions:
``nsae.training.definitions``; compared in tests/kernels/test_definitions.py.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL, REORDER


@njit(**KERNEL)
def bias_relu(Y, b, total, active, lo, hi):
    """Do what ``definitions.bias_relu`` does: Z = max(Y + b, 0), (1) (4), in place of ``Y`` (B, h).

    For the rows lo:hi.  ``b`` is (h,).  Adds Σz to ``total`` (h,) and how often z > 0 to ``active`` (h,).
    """
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
    """Do what ``definitions.bias_exponent`` does: add ``b`` (h,) to ``Y`` (B, h), (1) (3), and set E = −|Y|.

    For the rows lo:hi.  NumPy's vectorised exp then makes ``E`` (B, h) e^−|y|.
    """
    Y, E = Y[lo:hi], E[lo:hi]
    for i in range(Y.shape[0]):
        y, e = Y[i], E[i]
        for j in range(len(b)):
            y[j] += b[j]
            e[j] = -abs(y[j])


@njit(**KERNEL)
def sigmoid_units(Y, E, above, total, active, lo, hi):
    """Do what ``definitions.sigmoid_units`` does: Z = sigmoid(Y), (4), in place of ``Y`` (B, h).

    For the rows lo:hi.  ``E`` is e^−|y|.  Adds Σz to ``total`` (h,), and to ``active`` (h,) how often z is more
    than ``above``.
    """
    Y, E = Y[lo:hi], E[lo:hi]
    for i in range(Y.shape[0]):
        y, e = Y[i], E[i]
        for j in range(len(total)):
            z = (1 if y[j] >= 0 else e[j]) / (1 + e[j])
            y[j] = z
            total[j] += z
            active[j] += z > above


@njit(**KERNEL)
def sigmoid_output(U, E, L, X, keep_slope, sums, lo, hi):
    """Do what ``definitions.sigmoid_output`` does: put dU, (3) (11), in place of ``U`` (B, d).

    For the rows lo:hi, x̂ = sigmoid(u), ``E`` = e^−|u| and ``L`` = log(1 + E), (B, d) each.  ``X`` (B, d) is
    the whole batch.  ``keep_slope`` says whether the sigmoid's slope stays in (11): for (sigmoid, squared).
    Adds to the ``OutputSums`` ``sums``.
    """
    scale = X.dtype.type(1.0 / len(X))
    U, E, L, X = U[lo:hi], E[lo:hi], L[lo:hi], X[lo:hi]
    dc, squares, entropy = sums.dc, sums.squares, sums.entropy
    for i in range(U.shape[0]):
        _sigmoid_row(U[i], E[i], L[i], X[i], keep_slope, scale, (dc, squares, entropy))


@njit(**INNER)
def _sigmoid_row(u, e, log, x, keep_slope, scale, sums):
    """Do what :func:`sigmoid_output` does for one row; ``sums`` are dc, squares and entropy, ``scale`` is 1/B."""
    dc, squares, entropy = sums
    for j in range(len(dc)):
        x_hat = (1 if u[j] >= 0 else e[j]) / (1 + e[j])
        error = x_hat - x[j]
        squares[j] += error * error
        entropy[j] += max(u[j], u[j] * 0) - u[j] * x[j] + log[j]  # (6)
        slope = x_hat * (1 - x_hat) if keep_slope else x_hat * 0 + 1
        u[j] = error * scale * slope
        dc[j] += u[j]


@njit(**KERNEL)
def squared_output(U, c, X, dc, squares, lo, hi):
    """Do what ``definitions.squared_output`` does: put dU = (U + c − X)/B, (3) (11), in place of ``U`` (B, d).

    For the rows lo:hi.  ``c`` is (d,), ``X`` (B, d) the whole batch.  Adds Σ dU to ``dc`` and Σ(x̂ − x)² to
    ``squares``, (d,) each.
    """
    scale = X.dtype.type(1.0 / len(X))
    U, X = U[lo:hi], X[lo:hi]
    for i in range(U.shape[0]):
        _squared_row(U[i], c, X[i], scale, dc, squares)


@njit(**INNER)
def _squared_row(u, c, x, scale, dc, squares):
    """Do what :func:`squared_output` does for one row; ``scale`` is 1/B."""
    for j in range(len(c)):
        error = u[j] + c[j] - x[j]
        squares[j] += error * error
        u[j] = error * scale
        dc[j] += u[j]


@njit(**KERNEL)
def gate_relu(dZ, Z, penalty_grad, db, lo, hi):
    """Do what ``definitions.gate_relu`` does: put dY = (dZ + penalty)·(z > 0), (13) (14), in place of ``dZ``.

    For the rows lo:hi of ``dZ`` and ``Z`` (B, h).  ``penalty_grad`` (h,) is λ/B.  Adds Σ dY to ``db`` (h,).
    """
    dZ, Z = dZ[lo:hi], Z[lo:hi]
    for i in range(dZ.shape[0]):
        dz, z = dZ[i], Z[i]
        for j in range(len(penalty_grad)):
            dy = (dz[j] + penalty_grad[j]) * (z[j] > 0)
            dz[j] = dy
            db[j] += dy


@njit(**KERNEL)
def gate_sigmoid(dZ, Z, penalty_grad, db, lo, hi):
    """Do what ``definitions.gate_sigmoid`` does: put dY = (dZ + penalty)·z(1 − z), (13) (14), in place of ``dZ``.

    For the rows lo:hi of ``dZ`` and ``Z`` (B, h).  ``penalty_grad`` (h,) is of L1 and KL.  Adds Σ dY to ``db`` (h,).
    """
    dZ, Z = dZ[lo:hi], Z[lo:hi]
    for i in range(dZ.shape[0]):
        dz, z = dZ[i], Z[i]
        for j in range(len(penalty_grad)):
            dy = (dz[j] + penalty_grad[j]) * z[j] * (1 - z[j])
            dz[j] = dy
            db[j] += dy


@njit(**REORDER)
def tangent_rows(dV, V, lo, hi):
    """Do what ``definitions.tangent_rows`` does: (20) before the step, on the rows lo:hi of dVᵀ, in place.

    ``dV`` and ``V`` are dVᵀ and Vᵀ, (h, d).
    """
    dV, V = dV[lo:hi], V[lo:hi]
    for j in range(dV.shape[0]):
        along = dV.dtype.type(0)
        for l in range(dV.shape[1]):
            along += dV[j, l] * V[j, l]
        for l in range(dV.shape[1]):
            dV[j, l] -= V[j, l] * along


@njit(**REORDER)
def normalise_rows(V, lo, hi):
    """Do what ``definitions.normalise_rows`` does: (20) after the step, on the rows lo:hi of Vᵀ, in place.

    ``V`` is Vᵀ, (h, d).
    """
    V = V[lo:hi]
    for j in range(V.shape[0]):
        square = V.dtype.type(0)
        for l in range(V.shape[1]):
            square += V[j, l] * V[j, l]
        if square > 0:
            norm = np.sqrt(square)
            for l in range(V.shape[1]):
                V[j, l] /= norm
