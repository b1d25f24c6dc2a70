"""What each compiled loop of a training step computes, in NumPy: the same names and the same arguments.

``nsae.kernels`` has the compiled loops.  tests/kernels/test_definitions.py runs both on the same random
input, in float32 and float64.  Nothing here is fast; read it beside equations/autoencoder.py.

All of them work on a range lo:hi of rows or units, in place, so that threads can share a batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import Sigmoid
from nsae.equations.layers import normalise_columns, tangent

if TYPE_CHECKING:
    from nsae.kernels.records import (
        ActiveUnits,
        AdamRates,
        BatchFactors,
        ColumnScratch,
        FlatArrays,
        OutputSums,
        SampleGradients,
        UnitArrays,
        UnitBatch,
    )

Array = np.ndarray

# ---- the dense step: what stands between its five products


def bias_relu(Y: Array, b: Array, total: Array, active: Array, lo: int, hi: int) -> None:
    """Put Z = max(Y + b, 0), (1) (4), in place of the rows lo:hi of ``Y`` (B, h).

    ``b`` is (h,).  Σz is added to ``total`` (h,), and the number of z > 0 to ``active`` (h,).
    """
    Z = np.maximum(Y[lo:hi] + b, 0)  # (1) (4) (hi − lo, h)
    Y[lo:hi] = Z
    total += Z.sum(axis=0)  # (h,)
    active += (Z > 0).sum(axis=0)  # (h,)


def bias_exponent(Y: Array, b: Array, E: Array, lo: int, hi: int) -> None:
    """Add ``b`` (h,) to the rows lo:hi of ``Y`` (B, h), (1) (3), and put −|y| into ``E`` (B, h)."""
    Y[lo:hi] += b  # (1) (3) (hi − lo, h)
    E[lo:hi] = -np.abs(Y[lo:hi])


def sigmoid_units(Y: Array, E: Array, above: float, total: Array, active: Array, lo: int, hi: int) -> None:
    """Put Z = sigmoid(Y), (4), in place of the rows lo:hi of ``Y`` (B, h), where ``E`` = e^−|y|.

    Σz is added to ``total`` (h,), and the number of z > ``above`` to ``active`` (h,).
    """
    Z = np.where(Y[lo:hi] >= 0, 1, E[lo:hi]) / (1 + E[lo:hi])  # (4) (hi − lo, h)
    Y[lo:hi] = Z
    total += Z.sum(axis=0)  # (h,)
    active += (above < Z).sum(axis=0)  # (h,)


def squared_output(U: Array, c: Array, X: Array, dc: Array, squares: Array, lo: int, hi: int) -> None:
    """Put dU = (U + c − X)/B, (3) (11), in place of the rows lo:hi of ``U`` (B, d): (linear, squared).

    ``c`` is (d,), ``X`` (B, d) the batch.  Σ dU is added to ``dc`` (d,), and Σ(x̂ − x)² to ``squares`` (d,).
    """
    error = U[lo:hi] + c - X[lo:hi]  # (3) (hi − lo, d)
    U[lo:hi] = error / len(X)  # (11)
    dc += U[lo:hi].sum(axis=0)  # (12) (d,)
    squares += np.square(error).sum(axis=0)  # (5) (d,)


def sigmoid_output(
    U: Array, E: Array, L: Array, X: Array, keep_slope: bool, sums: OutputSums, lo: int, hi: int
) -> None:
    """Put dU, (3) (11), in place of the rows lo:hi of ``U`` (B, d), for x̂ = sigmoid(u).

    ``E`` = e^−|u| and ``L`` = log(1 + E) are (B, d), ``X`` (B, d) is the batch.  ``keep_slope`` says whether the
    sigmoid's slope stays in (11), as for (sigmoid, squared).  ``sums`` are added to.
    """
    u, x = U[lo:hi].copy(), X[lo:hi]  # (hi − lo, d)
    X_hat = Sigmoid()(u)  # (3) (hi − lo, d)
    error = X_hat - x
    U[lo:hi] = error / len(X) * (X_hat * (1 - X_hat) if keep_slope else 1)  # (11)
    sums.dc[:] += U[lo:hi].sum(axis=0)  # (12) (d,)
    sums.squares[:] += np.square(error).sum(axis=0)  # (5) (d,)
    sums.entropy[:] += (np.maximum(u, 0) - u * x + L[lo:hi]).sum(axis=0)  # (6) (d,)


def gate_relu(dZ: Array, Z: Array, penalty_grad: Array, db: Array, lo: int, hi: int) -> None:
    """Put dY = (dZ + penalty)·(z > 0), (13) (14), in place of the rows lo:hi of ``dZ`` (B, h).

    ``Z`` is (B, h), ``penalty_grad`` (h,) is λ/B.  Σ dY is added to ``db`` (h,).
    """
    dZ[lo:hi] = (dZ[lo:hi] + penalty_grad) * (Z[lo:hi] > 0)  # (13) (14) (hi − lo, h)
    db += dZ[lo:hi].sum(axis=0)  # (15) (h,)


def gate_sigmoid(dZ: Array, Z: Array, penalty_grad: Array, db: Array, lo: int, hi: int) -> None:
    """Put dY = (dZ + penalty)·z(1 − z), (13) (14), in place of the rows lo:hi of ``dZ`` (B, h).

    ``Z`` is (B, h), ``penalty_grad`` (h,) that of L1 and KL.  Σ dY is added to ``db`` (h,).
    """
    dZ[lo:hi] = (dZ[lo:hi] + penalty_grad) * Z[lo:hi] * (1 - Z[lo:hi])  # (13) (14) (hi − lo, h)
    db += dZ[lo:hi].sum(axis=0)  # (15) (h,)


def tangent_rows(dV: Array, V: Array, lo: int, hi: int) -> None:
    """Do (20) before the step, in place, on the rows lo:hi of ``dV`` and ``V``: they are dVᵀ and Vᵀ (h, d)."""
    dV[lo:hi] = tangent(dV[lo:hi].T, V[lo:hi].T).T  # (20)


def normalise_rows(V: Array, lo: int, hi: int) -> None:
    """Do (20) after the step, in place, on the rows lo:hi of ``V``, which is Vᵀ (h, d)."""
    normalise_columns(V[lo:hi].T)  # (20)


# ---- Adam


def adam(
    theta: Array, grad: Array, m1: Array, m2: Array, decay: float, rates: AdamRates, lo: int, hi: int
) -> None:
    """Move the range lo:hi of flat arrays one step, Eqs. (16)–(19) and (34), in place.

    ``theta``, ``grad``, ``m1`` and ``m2`` are (n,).  ``decay`` adds γθ to the gradient, (12) (15); ``rates`` are
    the scalars of the step.
    """
    some = slice(lo, hi)
    g = (grad[some] + decay * theta[some]) * rates.clip_factor  # (34) (hi − lo,)
    m1[some] += rates.one_minus_beta1 * (g - m1[some])  # (16)
    m2[some] += rates.one_minus_beta2 * (g * g - m2[some])  # (17)
    m1_hat, m2_hat = m1[some] * rates.correction1, m2[some] * rates.correction2  # (18)
    theta[some] -= rates.learning_rate * m1_hat / (np.sqrt(m2_hat) + rates.eps)  # (19)


def adam_units(
    flat: FlatArrays, grad: Array, decay: float, decay_of_V: float, rates: AdamRates, lo: int, hi: int
) -> None:
    """Move the units lo:hi one step, (16)–(19): their rows of W and Vᵀ, and their b; with the last unit, c too.

    ``grad`` (2hd + h + d,) is laid out as the arrays of ``flat`` are.  ``decay`` is γ on W, ``decay_of_V`` on V;
    ``rates`` are the scalars of the step.
    """
    h, d = flat.h, flat.d
    V, b, c = h * d, 2 * h * d, 2 * h * d + h  # where V, b and c begin
    runs = [(lo * d, hi * d, decay), (V + lo * d, V + hi * d, decay_of_V), (b + lo, b + hi, 0)]
    for start, stop, gamma in runs + [(c, c + d, 0)] * (hi == h):
        adam(flat.theta, grad, flat.m1, flat.m2, gamma, rates, start, stop)


def squares(theta: Array, grad: Array, decay: float, lo: int, hi: int) -> float:
    """Return Σ(g + γθ)² over the range lo:hi of ``theta`` and ``grad``, with γ = ``decay``: for (34)."""
    g = grad[lo:hi] + decay * theta[lo:hi]  # (hi − lo,)
    return float(np.square(g, dtype=np.float64).sum())


# ---- the k-sparse step


def top_k(
    Y: Array, b: Array, first: int, units: Array, values: Array, found: Array, lo: int, hi: int
) -> None:
    """Merge the k largest positive entries of Y + b, (1) (4), into ``units`` and ``values`` (B, k).

    ``Y`` (B, m) and ``b`` (m,) belong to the units first, first + 1, …; runs of units come in ascending order.
    ``found`` (B,) is how many places of each row are in use.  Ties go to the lowest unit.  The order of the
    places is left open; :func:`by_unit` sorts them.  For the rows lo:hi.
    """
    k = units.shape[1]
    for i in range(lo, hi):
        y = Y[i] + b  # (1) (m,)
        on = np.flatnonzero(y > 0)
        all_units = np.concatenate([units[i, : found[i]], first + on])
        all_values = np.concatenate([values[i, : found[i]], y[on]])
        best = np.lexsort((all_units, -all_values))[:k]  # (4)
        found[i] = len(best)
        units[i, : found[i]], values[i, : found[i]] = all_units[best], all_values[best]


def by_unit(units: Array, values: Array, found: Array, lo: int, hi: int) -> None:
    """Sort the pairs of the rows lo:hi of ``units`` and ``values`` (B, k) by unit.

    Places from ``found[i]`` on are set to unit 0 with value 0.
    """
    for i in range(lo, hi):
        n = found[i]
        order = np.argsort(units[i, :n])
        units[i, :n], values[i, :n] = units[i, :n][order], values[i, :n][order]
        units[i, n:], values[i, n:] = 0, 0


def top_k_columns(
    Yt: Array, b: Array, units: Array, values: Array, scratch: ColumnScratch, lo: int, hi: int
) -> None:
    """Put the k largest positive entries of each column of Yt + b, (1) (4), into ``units`` and ``values`` (n, k).

    ``Yt`` (h, n) is W Xᵀ, ``b`` (h,).  The pairs are sorted by unit; ties go to the lowest unit, and places that are
    not needed are set to unit 0 with value 0.  ``scratch`` is not needed here.  For the columns lo:hi.
    """
    found = np.zeros(len(units), np.int64)
    top_k(Yt.T, b, 0, units, values, found, lo, hi)
    by_unit(units, values, found, lo, hi)


def unit_lists(code: ActiveUnits, start: Array, entry: Array) -> None:
    """List for each unit the entries of ``code`` that it is active in: ``entry[start[j]:start[j + 1]]``.

    ``start`` is (h + 1,), ``entry`` (B·k,) holds positions in the flattened code, ascending for each unit.
    """
    units, values = code.units.ravel(), code.values.ravel()
    on = np.flatnonzero(values > 0)
    counts = np.bincount(units[on], minlength=len(start) - 1)  # (h,)
    start[:] = np.concatenate([[0], np.cumsum(counts)])
    entry[: len(on)] = on[np.argsort(units[on], kind="stable")]


def decode_and_backprop(
    code: ActiveUnits,
    V: Array,
    c: Array,
    X: Array,
    factors: BatchFactors,
    grads: SampleGradients,
    lo: int,
    hi: int,
) -> None:
    """Compute (3), (11), (13) and (14) of the rows lo:hi: k-sparse units, linear output, squared error.

    ``code`` is of the batch ``X`` (B, d), ``V`` is Vᵀ (h, d), ``c`` (d,); ``factors`` are 1/B and λ/B.  In
    ``grads``, dU and dY are set for these rows; dc and squares are added to.
    """
    units, values = code.units[lo:hi], code.values[lo:hi]  # (hi − lo, k) each
    U = np.einsum("ik,ikl->il", values, V[units]) + c  # (3) (hi − lo, d)
    error = U - X[lo:hi]  # (hi − lo, d)
    dU = error * factors.scale  # (11) (hi − lo, d)
    dZ = np.einsum("il,ikl->ik", dU, V[units]) + factors.l1  # (13) (hi − lo, k)
    grads.dU[lo:hi] = dU
    grads.dY[lo:hi] = dZ * (values > 0)  # (14)
    grads.dc[:] += dU.sum(axis=0)  # (12) (d,)
    grads.squares[:] += np.square(error).sum(axis=0)  # (5) (d,)


def data_of(batch: UnitBatch, d: int) -> Any:
    """Return the data (B, d) of ``batch``, an array or, where its array ``X`` has no rows, ``Codes`` of width ``d``.

    A compiled loop needs one type for each field, so that a batch has a field for dense data and one for sparse.
    """
    return batch.X if len(batch.X) else Codes(*batch.rows, d)


def unit_gradient(j: int, batch: UnitBatch, v: Array, unit_norm: bool) -> tuple[Array, Array, np.floating]:
    """Return the gradients (12), (15) and (20) of unit ``j``: dW_j (d,), dV_j (d,) and db_j.

    ``batch`` is what they are summed from, ``v`` (d,) the unit's row of Vᵀ; ``unit_norm`` asks for (20).
    """
    entries = batch.entry[batch.start[j] : batch.start[j + 1]]
    rows, places = np.divmod(entries, batch.values.shape[1])
    z, dy = batch.values[rows, places], batch.dY[rows, places]  # (n,) each
    X = data_of(batch, len(v))  # (B, d)
    dw, dv, db = dy @ X[rows], z @ batch.dU[rows], np.sum(dy)  # (15), (12), (15)
    if batch.aux_row[j] >= 0:  # (21)
        row = batch.aux_row[j]
        dw, dv, db = dw + batch.aux_dW[row], dv + batch.aux_dV[row], db + batch.aux_db[row]
    return dw, dv - (dv @ v) * v if unit_norm else dv, db  # (20)


def update_units(
    batch: UnitBatch,
    arrays: UnitArrays,
    decay: float,
    unit_norm: bool,
    rates: AdamRates,
    scratch: Array,
    lo: int,
    hi: int,
) -> None:
    """Compute the gradients (12), (15) of the units lo:hi, and move them by Adam (16)–(19) and unit norm (20).

    ``batch`` is what the gradients are summed from, ``arrays`` the parameters and moments, ``decay`` is γ,
    ``unit_norm`` asks for (20), ``rates`` are Adam's scalars; ``scratch`` (3, d) is not needed here.
    """
    decay_of_V = 0 if unit_norm else decay  # γV lies along V's columns: (20) takes it away again
    d = len(scratch[0])
    for j in range(lo, hi):
        dw, dv, db = unit_gradient(j, batch, arrays.V[j], unit_norm)
        adam(arrays.W[j], dw, arrays.W_m1[j], arrays.W_m2[j], decay, rates, 0, d)
        adam(arrays.V[j], dv, arrays.V_m1[j], arrays.V_m2[j], decay_of_V, rates, 0, d)
        adam(arrays.b, np.full_like(arrays.b, db), arrays.b_m1, arrays.b_m2, 0, rates, j, j + 1)
    if unit_norm:
        normalise_rows(arrays.V, lo, hi)  # (20)


def unit_squares(
    batch: UnitBatch, arrays: UnitArrays, decay: float, unit_norm: bool, scratch: Array, lo: int, hi: int
) -> float:
    """Return ‖∇J‖² over W, V and b of the units lo:hi, for (34).

    ``batch``, ``arrays``, ``decay``, ``unit_norm`` and ``scratch`` are those of :func:`update_units`.
    """
    decay_of_V, total, d = 0 if unit_norm else decay, 0.0, len(scratch[0])
    for j in range(lo, hi):
        dw, dv, db = unit_gradient(j, batch, arrays.V[j], unit_norm)
        total += squares(arrays.W[j], dw, decay, 0, d) + squares(arrays.V[j], dv, decay_of_V, 0, d)
        total += float(db) ** 2
    return total
