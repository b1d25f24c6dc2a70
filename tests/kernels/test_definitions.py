"""Each compiled loop beside its definition, which has its name and arguments: the same random input for both."""

import copy
import inspect

import numpy as np
import pytest

from nsae import kernels
from nsae.codes import Codes
from nsae.kernels.records import (
    ActiveUnits,
    AdamRates,
    BatchFactors,
    FlatArrays,
    OutputSums,
    SampleGradients,
    SparseRows,
    UnitArrays,
    UnitBatch,
    column_scratch,
)
from nsae.training import definitions

B, D, H, K = 9, 7, 130, 5  # H is no multiple of a kernel's block


def sparse_code(rng, dtype):
    """Ascending units; the third sample has none, and others have fewer than K."""
    units = np.sort([rng.choice(H, K, replace=False) for _ in range(B)], axis=1).astype(np.int32)
    values = (rng.random((B, K)) + 0.1).astype(dtype)
    units[2], values[2] = 0, 0
    units[4, 3:], values[4, 3:] = 0, 0
    return ActiveUnits(units, values)


def unit_batch(rng, dtype):
    code, start, entry = sparse_code(rng, dtype), np.zeros(H + 1, np.int64), np.zeros(B * K, np.int64)
    definitions.unit_lists(code, start, entry)
    dY = rng.normal(size=(B, K)).astype(dtype) * (code.values > 0)
    X, dU = rng.normal(size=(2, B, D)).astype(dtype)
    rows = SparseRows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, dtype))
    if rng.integers(2):  # the same, as sparse data
        X[rng.random((B, D)) < 0.6] = 0
        codes = Codes.from_dense(X)
        X, rows = X[:0], SparseRows(codes.indptr, codes.units, codes.values)
    row = np.full(H, -1)
    row[[4, 90]] = [1, 0]  # two dead units have gradients of (21)
    aux = [rng.normal(size=shape).astype(dtype) for shape in ((2, D), 2, (2, D))]
    return UnitBatch(start, entry, code.values, dY, X, rows, dU, row, *aux)


def unit_arrays(rng, dtype):
    shapes = [(H, D), H, (H, D)] * 3
    arrays = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    arrays[2] /= np.linalg.norm(arrays[2], axis=1, keepdims=True)
    return UnitArrays(*arrays[:6], *map(np.abs, arrays[6:]))


def rates(dtype, clip_factor=0.5):
    return AdamRates(*map(dtype, (0.01, 0.1, 0.001, 1e-3, 1 / (1 - 0.9), 1 / (1 - 0.999), clip_factor)))


def matrices(rng, dtype, *shapes):
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def arguments(name, rng, dtype):
    """Arguments without lo and hi, and the number of rows or units."""
    a = lambda *shapes: matrices(rng, dtype, *shapes)  # noqa: E731
    if name in ("bias_relu", "bias_exponent"):
        (Y, b, *more) = a((B, H), H, *([H, H] if name == "bias_relu" else [(B, H)]))
        return [Y, b, *more], B
    if name == "sigmoid_units":
        Y, total, active = a((B, H), H, H)
        return [Y, np.exp(-abs(Y)), dtype(0.1), total, active], B
    if name == "squared_output":
        return a((B, D), D, (B, D), D, D), B
    if name == "sigmoid_output":
        U, X, *sums = a((B, D), (B, D), D, D, D)
        E = np.exp(-abs(U))
        return [U, E, np.log1p(E), X, bool(rng.integers(2)), OutputSums(*sums)], B
    if name in ("gate_relu", "gate_sigmoid"):
        return a((B, H), (B, H), H, H), B
    if name in ("tangent_rows", "normalise_rows"):
        return a(*[(H, D)] * (1 + (name == "tangent_rows"))), H
    if name in ("adam", "squares"):
        theta, grad, m1, m2 = a(50, 50, 50, 50)
        rest = [m1, abs(m2), dtype(0.1), rates(dtype)] if name == "adam" else [dtype(0.1)]
        return [theta, grad, *rest], 50
    if name == "adam_units":
        theta, m1, m2, grad = a(*[2 * H * D + H + D] * 4)
        return [FlatArrays(theta, m1, abs(m2), H, D), grad, dtype(0.1), dtype(0.2), rates(dtype)], H
    if name == "top_k":
        Y, b = a((B, H), H)
        return [
            Y,
            b,
            40,
            *np.zeros((1, B, K), np.int32),
            *np.zeros((1, B, K), dtype),
            np.zeros(B, np.int64),
        ], B
    if name == "top_k_columns":
        Yt, b, values = a((H, 2 * kernels.TILE), H, (B, K))
        Yt[:, 1], Yt[:, 2], Yt[3:, 3], Yt[:, 4] = -9, np.round(Yt[:, 2]), -9, 1e-30
        Yt[[3, 4, 70], 5], Yt[::2, 6], Yt[9, 7] = np.inf, np.inf, np.nan
        b *= rng.integers(2)
        return [Yt, b, np.ones((B, K), np.int32), values, column_scratch(H, K, dtype, kernels.TILE)], B
    if name == "by_unit":
        units, values = np.array([rng.choice(H, K, replace=False) for _ in range(B)], np.int32), a((B, K))[0]
        return [units, values, rng.integers(0, K + 1, B)], B
    if name == "unit_lists":
        return [sparse_code(rng, dtype), np.ones(H + 1, np.int64), np.ones(B * K, np.int64)], None
    if name == "decode_and_backprop":
        V, c, X, dU, dY, dc, squares = a((H, D), D, (B, D), (B, D), (B, K), D, D)
        factors = BatchFactors(dtype(1 / B), dtype(0.1))
        return [sparse_code(rng, dtype), V, c, X, factors, SampleGradients(dU, dY, dc, squares)], B
    batch, arrays, unit_norm = unit_batch(rng, dtype), unit_arrays(rng, dtype), bool(rng.integers(2))
    scratch = np.zeros((3, D), dtype)
    more = [rates(dtype)] if name == "update_units" else []
    return [batch, arrays, dtype(0.1), unit_norm, *more, scratch], H


NAMES = [
    name
    for name, function in inspect.getmembers(definitions, inspect.isfunction)
    if function.__module__ == definitions.__name__ and hasattr(kernels, name)
]


def arrays_in(value):
    """All arrays in arguments, records included."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from arrays_in(part)


def run(function, args, n):
    """What is returned, and what the arrays hold afterwards; over two ranges, if there are ranges."""
    args = copy.deepcopy(args)
    ranges = [()] if n is None else [(0, n // 3), (n // 3, n)]
    answers = [function(*args, *some) for some in ranges]
    if function.__name__ == "top_k":  # it leaves the order of places open
        kernels.by_unit(*args[3:], 0, n)
    if function.__name__ in ("update_units", "unit_squares", "top_k_columns"):
        args[-1] = None  # scratch
    return answers, list(arrays_in(args))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_it_computes_what_its_definition_does(name, dtype, seed):
    args, n = arguments(name, np.random.default_rng(seed), dtype)
    ours, theirs = (run(getattr(module, name), args, n) for module in (kernels, definitions))
    tolerance = {"rtol": 3e-5, "atol": 3e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    for mine, expected in zip(ours[0] + ours[1], theirs[0] + theirs[1], strict=True):
        if expected is None:
            assert mine is None
        else:
            np.testing.assert_allclose(mine, expected, **tolerance)


def test_every_kernel_of_training_has_a_definition_with_its_arguments():
    of_training = [
        name
        for name in kernels.__all__
        if callable(getattr(kernels, name))
        and getattr(kernels, name).__module__.rpartition(".")[2]
        in ("adam", "dense_step", "ksparse_step", "select_columns")
    ]
    assert sorted(NAMES) == sorted(of_training)
    for name in NAMES:
        kernel, definition = getattr(kernels, name), getattr(definitions, name)
        plain = getattr(kernel, "py_func", kernel)
        assert list(inspect.signature(plain).parameters) == list(inspect.signature(definition).parameters)
        assert f"definitions.{name}" in plain.__doc__
