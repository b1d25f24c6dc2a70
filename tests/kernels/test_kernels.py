"""Each kernel beside the NumPy lines that it stands for, in float32 and float64."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nsae import kernels
from nsae.equations.activations import KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense, normalise_columns, tangent
from nsae.equations.losses import cross_entropy, output_gradient
from nsae.equations.optimizers import Adam
from nsae.kernels.records import (
    ActiveUnits,
    AdamRates,
    BatchFactors,
    OutputSums,
    SampleGradients,
    SparseRows,
    UnitArrays,
    UnitBatch,
    column_scratch,
)

BESIDE = Path(__file__).with_name("test_definitions.py")
pytestmark = pytest.mark.parametrize("dtype", [np.float32, np.float64])
B, D, H, K = 9, 7, 130, 5  # H is no multiple of a kernel's block


def close(a, b, dtype):
    np.testing.assert_allclose(a, b, rtol=2e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


def halves(loop, n, *args):
    """The kernel over two ranges: what is outside a range must not be touched by it."""
    loop(*args, 0, n // 3)
    loop(*args, n // 3, n)


def test_bias_relu(rng, dtype):
    Y, b = rng.normal(size=(B, H)).astype(dtype), rng.normal(size=H).astype(dtype)
    Z = ReLU()(Y + b)
    total, active = np.zeros((2, H), dtype)
    halves(kernels.bias_relu, B, Y, b, total, active)
    np.testing.assert_array_equal(Y, Z)
    close(total, Z.sum(axis=0), dtype)
    np.testing.assert_array_equal(active, (Z > 0).sum(axis=0))


def test_sigmoid_units(rng, dtype):
    Y, b = (3 * rng.normal(size=(B, H))).astype(dtype), rng.normal(size=H).astype(dtype)
    Z, E = Sigmoid()(Y + b), np.empty_like(Y)
    total, active = np.zeros((2, H), dtype)
    halves(kernels.bias_exponent, B, Y, b, E)
    np.exp(E, out=E)
    halves(kernels.sigmoid_units, B, Y, E, dtype(0.1), total, active)
    close(Y, Z, dtype)
    close(total, Z.sum(axis=0), dtype)
    np.testing.assert_array_equal(active, (Z > 0.1).sum(axis=0))


def test_squared_output(rng, dtype):
    U, X, c = rng.normal(size=(B, D)), rng.random((B, D)), rng.normal(size=D)
    U, X, c = U.astype(dtype), X.astype(dtype), c.astype(dtype)
    dU = output_gradient(X, U + c, sigmoid_then_squared=False)
    error = U + c - X
    dc, squares = np.zeros((2, D), dtype)
    halves(kernels.squared_output, B, U, c, X, dc, squares)
    close(U, dU, dtype)
    close(dc, dU.sum(axis=0), dtype)
    close(squares, (error**2).sum(axis=0), dtype)


@pytest.mark.parametrize("keep_slope", [False, True])
def test_sigmoid_output(rng, dtype, keep_slope):
    U, X, c = 3 * rng.normal(size=(B, D)), rng.random((B, D)), rng.normal(size=D)
    U, X, c = U.astype(dtype), X.astype(dtype), c.astype(dtype)
    X_hat = Sigmoid()(U + c)
    dU, J = output_gradient(X, X_hat, sigmoid_then_squared=keep_slope), cross_entropy(X, U + c)
    E, sums = np.empty_like(U), OutputSums(*np.zeros((3, D), dtype))
    halves(kernels.bias_exponent, B, U, c, E)
    np.exp(E, out=E)
    halves(kernels.sigmoid_output, B, U, E, np.log1p(E), X, keep_slope, sums)
    close(U, dU, dtype)
    close(sums.dc, dU.sum(axis=0), dtype)
    close(sums.squares, ((X_hat - X) ** 2).sum(axis=0), dtype)
    close(sums.entropy.sum() / B, J, dtype)


@pytest.mark.parametrize("g", [ReLU(), Sigmoid()])
def test_gates(rng, dtype, g):
    Z, dZ = g(rng.normal(size=(B, H)).astype(dtype)), rng.normal(size=(B, H)).astype(dtype)
    penalty_grad = rng.normal(size=H).astype(dtype)
    dY, db = (dZ + penalty_grad) * g.grad(Z), np.zeros(H, dtype)
    gate = kernels.gate_relu if isinstance(g, ReLU) else kernels.gate_sigmoid
    halves(gate, B, dZ, Z, penalty_grad, db)
    close(dZ, dY, dtype)
    close(db, dY.sum(axis=0), dtype)


def test_unit_norm(rng, dtype):
    V, dV = rng.normal(size=(2, D, H)).astype(dtype)
    V[:, 3] = 0
    normalise_columns(expected := V.copy())
    Vt = np.ascontiguousarray(V.T)
    halves(kernels.normalise_rows, H, Vt)
    close(Vt.T, expected, dtype)
    dVt = np.ascontiguousarray(dV.T)
    halves(kernels.tangent_rows, H, dVt, Vt)
    close(dVt.T, tangent(dV, expected), dtype)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam(rng, dtype, decay):
    theta = {"a": rng.normal(size=50).astype(dtype)}
    ours, m1, m2 = theta["a"].copy(), np.zeros(50, dtype), np.zeros(50, dtype)
    adam = Adam(0.01)
    for t in range(1, 6):
        g = rng.normal(size=50).astype(dtype)
        adam.max_grad_norm = None if t < 3 else 5.0
        whole = g + dtype(decay) * theta["a"]
        square = kernels.squares(ours, g, dtype(decay), 0, 20) + kernels.squares(
            ours, g, dtype(decay), 20, 50
        )
        close(square, np.sum(whole.astype(float) ** 2), dtype)
        adam.step(theta, {"a": whole})
        rates = (0.01, 0.1, 0.001, 1e-8, 1 / (1 - 0.9**t), 1 / (1 - 0.999**t), adam.clip_factor(square))
        halves(kernels.adam, 50, ours, g, m1, m2, dtype(decay), AdamRates(*map(dtype, rates)))
    close(ours, theta["a"], dtype)
    close(m1, adam.m1["a"], dtype)
    close(m2, adam.m2["a"], dtype)


def dense(units, values, h):
    Z = np.zeros((len(units), h), values.dtype)
    for place in range(units.shape[1]):
        rows = np.flatnonzero(values[:, place] > 0)
        Z[rows, units[rows, place]] += values[rows, place]
    return Z


def top_k(Y, b, k, run=None):
    """Units and values (B, k) by the kernels, over runs of ``run`` units at a time."""
    n, h = Y.shape
    units, values, found = np.full((n, k), -1, np.int32), np.full((n, k), -1, Y.dtype), np.zeros(n, np.int64)
    for first in range(0, h, run or h):
        some = slice(first, first + (run or h))
        block = np.ascontiguousarray(Y[:, some])
        halves(kernels.top_k, n, block, b[some], first, units, values, found)
    halves(kernels.by_unit, n, units, values, found)
    np.testing.assert_array_equal(found, (values > 0).sum(axis=1))
    return units, values


@given(data=st.data(), k=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_top_k_with_ties_and_few_positive_entries(dtype, data, k):
    levels = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 8.0])
    Y = data.draw(arrays(dtype, (4, 12), elements=levels))
    b = data.draw(arrays(dtype, 12, elements=levels))
    Z = KSparse(k)(Y + b)
    units, values = top_k(Y, b, k, run=data.draw(st.integers(1, 12)))
    np.testing.assert_array_equal(dense(units, values, 12), Z)
    for i in range(4):
        on = units[i][values[i] > 0]
        assert (np.diff(on) > 0).all()
        assert not values[i][len(on) :].any()


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("run", [None, 300])
def test_top_k_over_many_blocks_and_samples_of_any_size(rng, dtype, scale, run):
    Y = rng.normal(size=(40, 1000)) * scale ** rng.choice([-1, 0, 1], size=(40, 1))
    Y[7], Y[8, 3:], Y[9] = -1, -1, 0  # nothing positive; a few; nothing but ties at 0
    Y, b = Y.astype(dtype), np.zeros(1000, dtype)
    Z = KSparse(32)(Y)
    units, values = top_k(Y, b, 32, run)
    np.testing.assert_array_equal(dense(units, values, 1000), Z)


@pytest.mark.parametrize(("h", "k"), [(1, 1), (3, 2), (40, 40), (97, 7), (1000, 32), (5000, 1)])
def test_top_k_of_columns_of_any_size(rng, dtype, h, k):
    n = kernels.TILE + 60
    Yt = rng.normal(size=(h, 2 * kernels.TILE)).astype(dtype)
    Yt[:, 3], Yt[:, 4], Yt[:, 5] = 0, 7, np.abs(Yt[:, 5]) * 1e-38  # nothing; ties alone; hardly above 0
    Yt[:, 6:40] = np.round(Yt[:, 6:40] * 2)  # many ties
    b = (np.round(rng.normal(size=h)) / 2).astype(dtype)
    units, values = np.full((n, k), -1, np.int32), np.full((n, k), -1, dtype)
    scratch = column_scratch(h, k, dtype, kernels.TILE)
    halves(kernels.top_k_columns, n, Yt, b, units, values, scratch)
    np.testing.assert_array_equal(dense(units, values, h), KSparse(k)(Yt.T[:n] + b))
    by_rows = top_k(np.ascontiguousarray(Yt.T[:n]), b, k)
    np.testing.assert_array_equal(units, by_rows[0])
    np.testing.assert_array_equal(values, by_rows[1])


@pytest.fixture
def sparse(rng, dtype):
    """A k-sparse batch and what autoencoder.py makes of it: (units, values, V, c, X, Z, dU, dY)."""
    Y = rng.normal(size=(B, H)).astype(dtype)
    Y[2] = -1  # a sample without active units
    V, c, X = rng.normal(size=(D, H)).astype(dtype), rng.normal(size=D).astype(dtype), rng.random((B, D))
    X, Z = X.astype(dtype), KSparse(K)(Y)
    units, values = top_k(Y, np.zeros(H, dtype), K)
    dU = output_gradient(X, Dense(V, c).forward(Z), sigmoid_then_squared=False)
    dY = (dU @ V + dtype(0.1)) * (Z > 0)
    return units, values, V, c, X, Z, dU, dY


def test_decode_and_backprop(sparse, dtype):
    units, values, V, c, X, _, dU, dY = sparse
    ours, dy = np.empty((B, D), dtype), np.empty((B, K), dtype)
    dc, squares = np.zeros((2, D), dtype)
    code, factors = ActiveUnits(units, values), BatchFactors(dtype(1 / B), dtype(0.1))
    grads, Vt = SampleGradients(ours, dy, dc, squares), np.ascontiguousarray(V.T)
    halves(kernels.decode_and_backprop, B, code, Vt, c, X, factors, grads)
    close(ours, dU, dtype)
    close(dc, dU.sum(axis=0), dtype)
    close(squares, ((dU * B) ** 2).sum(axis=0), dtype)
    rows = np.arange(B)[:, None]
    close(dy, np.where(values > 0, dY[rows, units], 0), dtype)


def test_unit_lists(sparse, dtype):
    units, values = sparse[:2]
    start, entry = np.empty(H + 1, np.int64), np.empty(B * K, np.int64)
    kernels.unit_lists(ActiveUnits(units, values), start, entry)
    for j in range(H):
        expected = np.flatnonzero((units.ravel() == j) & (values.ravel() > 0))
        np.testing.assert_array_equal(entry[start[j] : start[j + 1]], expected)


@pytest.mark.parametrize("unit_norm", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_update_units(rng, sparse, dtype, unit_norm, decay):
    units, values, V, _, X, Z, dU, dY = sparse
    W, b = rng.normal(size=(H, D)).astype(dtype), rng.normal(size=H).astype(dtype)
    if unit_norm:
        normalise_columns(V)
    expected, adam = {"W": W.copy(), "V": V.copy(), "b": b.copy()}, Adam(0.01)
    (dW, db), (dV, _) = Dense(W, b, decay).param_grads(dY, X), Dense(V, b, decay).param_grads(dU, Z)
    aux_row = np.full(H, -1)  # (21): two units have gradients beside those of the batch
    aux_row[[4, 90]] = [1, 0]
    more = (
        rng.normal(size=(2, D)).astype(dtype),
        rng.normal(size=2).astype(dtype),
        rng.normal(size=(2, D)).astype(dtype),
    )
    for total, part in zip((dW, db, dV.T), more, strict=True):
        total[[90, 4]] += part
    adam.step(expected, {"W": dW, "V": tangent(dV, V) if unit_norm else dV, "b": db})
    if unit_norm:
        normalise_columns(expected["V"])

    start, entry = np.empty(H + 1, np.int64), np.empty(B * K, np.int64)
    kernels.unit_lists(ActiveUnits(units, values), start, entry)
    rows = np.arange(B)[:, None]
    dy = np.where(values > 0, dY[rows, units], 0).astype(dtype)
    Vt = np.ascontiguousarray(V.T)
    moments = [np.zeros_like(array) for _ in range(2) for array in (W, b, Vt)]
    arrays = UnitArrays(W, b, Vt, *moments)
    rates = AdamRates(*map(dtype, (0.01, 0.1, 0.001, 1e-8, 1 / (1 - 0.9), 1 / (1 - 0.999), 1.0)))
    scratch = np.empty((3, D), dtype)
    no_rows = SparseRows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, dtype))
    batch = UnitBatch(start, entry, values, dy, X, no_rows, dU, aux_row, *more)
    options = (batch, arrays, dtype(decay), unit_norm)
    square = sum(kernels.unit_squares(*options, scratch, *some) for some in ((0, 40), (40, H)))
    wanted = (dW, tangent(dV, V) if unit_norm else dV, db)
    close(square, sum(np.sum(g.astype(float) ** 2) for g in wanted), dtype)
    halves(kernels.update_units, H, *options, rates, scratch)
    # the step is α·sign(g) where g is not small: compare where the gradient is well above rounding
    close(W, expected["W"], dtype)
    close(b, expected["b"], dtype)
    sure = np.abs(dV - V * (V * dV).sum(axis=0) if unit_norm else dV) > 1e-4
    close(np.where(sure, Vt.T, 0), np.where(sure, expected["V"], 0), dtype)


def test_everything_above_with_the_jit_off(dtype):
    """The kernels as plain Python: an index out of range, which compiled code reads past, raises here."""
    if os.environ.get("NUMBA_DISABLE_JIT") or dtype == np.float64:
        pytest.skip("once is enough")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", __file__, BESIDE]
    root = Path(__file__).parent.parent.parent
    # PYTEST_ADDOPTS is for the outer run alone: it may ask for coverage, or for processes.
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTEST_ADDOPTS": ""}
    answer = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout[-2000:]
