"""Selecting units from bounds: the loops beside their definitions, bounds that hold, and whole steps."""

import copy
import inspect

import numpy as np
import pytest

from nsae import SparseAutoencoder, kernels
from nsae.kernels.records import ActiveUnits, RowBounds, UnitBounds
from nsae.system.threads import Threads
from nsae.training import byte_definitions, definitions
from nsae.training.bounded_selection import BoundedSelection

NAMES = ["byte_product", "byte_rows", "byte_units", "select_bounded"]
needs_bytes = pytest.mark.skipif(
    not kernels.BYTE_PRODUCTS,
    reason="this processor does not multiply bytes, or the compiler is switched off",
)


def layer(rng, dtype, n=50, h=600, d=71):
    """Samples of all kinds, and units of which two are equal, one is 0 and one is far longer than the others."""
    X, W, b = rng.normal(size=(n, d)), rng.normal(size=(h, d)), rng.normal(size=h) / 10
    X[0], X[1], X[2], X[3] = 0, abs(X[1]), -abs(X[2]), 1e-3
    W[7], W[100], W[101] = 0, W[500], 1e3 * W[101]
    b[100] = b[500]
    return X.astype(dtype), W.astype(dtype), b.astype(dtype)


def records(n, h):
    """Panels for d = 71, and what is known of units and rows, all empty."""
    panels = -(-h // kernels.PANEL)
    units = UnitBounds(*np.zeros((6, panels * kernels.PANEL), np.float32))
    units = units._replace(total=units.total.astype(np.int32))
    rows = RowBounds(*np.zeros((4, n), np.float32))
    return (
        np.zeros((panels, 18, kernels.PANEL), np.int32),
        units,
        rows._replace(zero=rows.zero.astype(np.int32)),
    )


def selected(X, W, b, k):
    """The code of the class, sorted, and that of the definition."""
    n = len(X)
    codes = [ActiveUnits(np.zeros((n, k), np.int32), np.zeros((n, k), W.dtype)) for _ in range(2)]
    found = np.zeros((2, n), np.int64)
    bounded = BoundedSelection(Threads(1), W, b)
    bounded.read_weights()
    bounded.select(0, X, codes[0], found[0])
    byte_definitions.select_bounded(None, X, W, b, None, None, codes[1], found[1])
    for code, its in zip(codes, found, strict=True):
        definitions.by_unit(*code, its, 0, n)
    np.testing.assert_array_equal(*found)
    return codes


def test_every_loop_has_a_definition_with_its_arguments():
    for name in NAMES:
        kernel, definition = getattr(kernels, name), getattr(byte_definitions, name)
        plain = getattr(kernel, "py_func", kernel)
        assert list(inspect.signature(plain).parameters) == list(inspect.signature(definition).parameters)
        assert f"byte_definitions.{name}" in plain.__doc__


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_units_and_rows_in_bytes(rng, dtype):
    X, W, b = layer(rng, dtype)
    panels, units, rows = records(len(X), len(W))
    A = np.zeros((54, 72), np.uint8)
    made = []
    for module in (kernels, byte_definitions):
        p, u, r, a = copy.deepcopy((panels, units, rows, A))
        module.byte_units(W, b, p, u, 0, 200)
        module.byte_units(W, b, p, u, 200, len(W))
        module.byte_rows(X, a, r)
        made.append((p, a, u.total, r.zero, *u, *r))
    for place, (ours, expected) in enumerate(zip(*made, strict=True)):
        if place < 4:
            np.testing.assert_array_equal(ours, expected)
        else:
            np.testing.assert_allclose(ours, expected, rtol=2e-4)


@needs_bytes
def test_the_product_is_exact(rng):
    A = rng.integers(0, 256, (12, 72), np.uint8)
    panels = rng.integers(-(2**31), 2**31, (3, 18, kernels.PANEL)).astype(np.int32)
    panels.view(np.int8)[panels.view(np.int8) == -128] = 0
    A[0], panels.view(np.int8)[0] = 255, 127  # the largest
    ours, expected = np.zeros((2, 12, 3 * kernels.PANEL), np.int32)
    kernels.byte_product(A, panels, ours)
    byte_definitions.byte_product(A, panels, expected)
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold(rng, dtype, scale):
    X, W, b = layer(rng, dtype)
    W = (W * scale).astype(dtype)
    panels, units, rows = records(len(X), len(W))
    A, S = np.zeros((len(X), 72), np.uint8), np.zeros((len(X), panels.shape[0] * kernels.PANEL), np.int32)
    kernels.byte_units(W, b, panels, units, 0, len(W))
    kernels.byte_rows(X, A, rows)
    byte_definitions.byte_product(A, panels, S)
    h = len(W)
    known = S[:, :h] - np.int64(1) * rows.zero[:, None] * units.total[:h]
    known = known * np.float64(rows.scale)[:, None] * units.scale[:h]
    off = np.outer(rows.rest, units.norm[:h].astype(float)) + np.outer(
        rows.norm, units.rest[:h].astype(float)
    )
    exact = X.astype(float) @ W.T.astype(float)
    assert np.all(exact + b <= known + off + units.high[:h])
    assert np.all(exact + b >= known - off + units.low[:h])
    assert np.all(
        off[5:, :100] < 0.1 * np.outer(*(np.linalg.norm(M, axis=1) for M in (X[5:], W[:100]))) + 1e-10
    )


@needs_bytes
@pytest.mark.parametrize("k", [1, 6, 32, 128])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(50, 600, 71), (7, 512, 64), (500, 1030, 97)], ids=str)
def test_the_code_is_that_of_the_whole_product(rng, dtype, k, shape):
    ours, expected = selected(*layer(rng, dtype, *shape), k)
    np.testing.assert_array_equal(ours.units, expected.units)
    tolerance = {"rtol": 3e-5, "atol": 3e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(ours.values, expected.values, **tolerance)


@needs_bytes
@pytest.mark.parametrize("scale", [1e-25, 1e-20, 1e15])
def test_weights_of_any_size(rng, scale):
    X, W, b = layer(rng, np.float32)
    ours, expected = selected(X, (W * scale).astype(np.float32), b * np.float32(scale), 16)
    np.testing.assert_array_equal(ours.units, expected.units)
    np.testing.assert_allclose(ours.values, expected.values, rtol=1e-4)


@needs_bytes
def test_few_positive_units_and_numbers_that_are_none(rng):
    X, W, b = layer(rng, np.float32)
    b[:] = -60  # nearly nothing is positive
    W[3, 5], W[4, 5], W[5, 5] = np.nan, np.inf, -np.inf
    X[9, 2], X[10, 2] = np.inf, np.nan
    with np.errstate(invalid="ignore"):
        ours, expected = selected(X, W, b, 32)
    np.testing.assert_array_equal(ours.units, expected.units)
    np.testing.assert_allclose(ours.values, expected.values, rtol=1e-4)
    assert 4 in ours.units
    assert 3 not in ours.units


@needs_bytes
def test_equal_units_are_taken_from_the_lowest(rng):
    X, W, b = layer(rng, np.float32)
    W[:] = W[11]
    X[:] = abs(X) * np.sign(W[11])  # each pre-activation of a sample is the same positive number
    ours, _ = selected(X[4:], W, 0 * b, 32)
    np.testing.assert_array_equal(ours.units, np.tile(np.arange(32), (len(X) - 4, 1)))


@needs_bytes
def test_a_code_does_not_depend_on_the_batch(rng):
    X, W, b = layer(rng, np.float32)
    whole, _ = selected(X, W, b, 16)
    for i in (0, 4, 49):
        alone, _ = selected(X[i : i + 1], W, b, 16)
        np.testing.assert_array_equal(alone.units[0], whole.units[i])
        np.testing.assert_array_equal(alone.values[0], whole.values[i])


@pytest.mark.parametrize("options", [{}, {"unit_norm": True, "l1": 0.01}, {"k_start": 40, "aux_weight": 0.1}])
@pytest.mark.parametrize("can", [True, False])
def test_steps_are_those_of_the_definition(monkeypatch, options, can):
    monkeypatch.setattr(kernels, "BYTE_PRODUCTS", can and kernels.BYTE_PRODUCTS)
    monkeypatch.setattr("nsae.training.bounded_selection.FEWEST_UNITS", 512)
    monkeypatch.setattr("nsae.system.threads.MIN_WORK", 0)  # else this is too small for more than one
    X = np.random.default_rng(0).random((400, 70))
    fits = [
        SparseAutoencoder(
            520,
            k=6,
            epochs=10,
            batch_size=150,
            random_state=0,
            backend=backend,
            dtype="float64",
            n_threads=2,
            **options,
        ).fit(X)
        for backend in ("numba", "numpy")
    ]
    pairs = zip(*(fit.autoencoder_.params.values() for fit in fits), strict=True)
    assert max(np.linalg.norm(p - q) / max(np.linalg.norm(q), 1e-12) for p, q in pairs) < 1e-10


@pytest.mark.parametrize(
    ("h", "d", "k", "batch_size"),
    [
        (2047, 99, 4, 512),
        (2048, 63, 4, 512),
        (2048, 1 << 16, 4, 512),
        (2048, 99, 129, 512),
        (2048, 99, 4, 127),
    ],
)
def test_where_it_does_not_pay(h, d, k, batch_size):
    W = np.broadcast_to(np.float32(0), (h, d))
    assert not BoundedSelection.pays(W, k, batch_size)
    assert BoundedSelection.pays(np.zeros((2048, 64)), 4, 128) == kernels.BYTE_PRODUCTS
