"""The loops over sparse batches: beside their definitions, and whole steps beside those on the same dense batch."""

import copy
import inspect

import numpy as np
import pytest

from nsae import SparseAutoencoder, kernels
from nsae.codes import Codes
from nsae.equations.optimizers import Adam
from nsae.kernels.records import ActiveUnits, BatchFactors, OutputSums, SampleGradients, SparseRows
from nsae.training import sparse_definitions
from nsae.training.loop import make_step
from nsae.training.state import TrainingOptions, TrainingState

B, D, K = 9, 23, 6
WIDTHS = [1, 70, 2 * kernels.LANES]  # of the code: no multiple of LANES, and one
NAMES = [name for name in kernels.__all__ if name.startswith("sparse_")]


def batch(rng, dtype, n=B, d=D):
    """Sparse rows: the first has one entry, the third none, the fourth all."""
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.3)
    X[0], X[2], X[3] = 0, 0, rng.normal(size=d)
    X[0, 5] = 1
    return Codes.from_dense(X.astype(dtype))


def arguments(name, rng, dtype, h):
    """Arguments without lo and hi, and the number of rows or units."""
    a = lambda *shape: rng.normal(size=shape).astype(dtype)  # noqa: E731
    codes = batch(rng, dtype)
    X, features = SparseRows(codes.indptr, codes.units, codes.values), np.zeros((D, kernels.LANES), dtype)
    if name == "sparse_product":
        return [X, a(h, D), features, a(B, h)], h
    if name == "sparse_outer":
        return [a(B, h), X, features, a(h, D)], h
    if name == "sparse_squared_output":
        return [a(B + 1, D), a(D), X, a(D), a(D)], B  # the buffer may have more rows than the batch
    if name == "sparse_sigmoid_output":
        U = a(B + 1, D)
        E = np.exp(-abs(U))
        sums = OutputSums(a(D), a(D), a(D))
        return [U, E, np.log1p(E), X, bool(rng.integers(2)), sums], B
    units = np.sort(rng.integers(0, h, (B, K)), axis=1).astype(np.int32)
    values = (rng.random((B, K)) + 0.1).astype(dtype)
    units[2], values[2] = 0, 0
    units[4, 3:], values[4, 3:] = 0, 0
    grads = SampleGradients(a(B, D), a(B, K), a(D), a(D))
    factors = BatchFactors(dtype(1 / B), dtype(0.1))
    return [ActiveUnits(units, values), a(h, D), a(D), X, factors, grads], B


def arrays_in(value):
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from arrays_in(part)


def run(function, args, n):
    """What the arrays hold after two calls, one for each part of the rows or units; the workspace is left out."""
    args = copy.deepcopy(args)
    for some in ((0, n // 3), (n // 3, n)):
        function(*args, *some)
    return [array for array in arrays_in(args) if array.shape != (D, kernels.LANES)]


@pytest.mark.parametrize("h", WIDTHS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_it_computes_what_its_definition_does(name, dtype, seed, h):
    args, n = arguments(name, np.random.default_rng(seed), dtype, h)
    ours, theirs = (run(getattr(module, name), args, n) for module in (kernels, sparse_definitions))
    tolerance = {"rtol": 3e-5, "atol": 3e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    for mine, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, expected, **tolerance)


@pytest.mark.parametrize("h", [70, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_product_has_the_bits_of_its_definition(rng, dtype, h):
    args, n = arguments("sparse_product", rng, dtype, h)
    ours, theirs = (run(module.sparse_product, args, n)[-1] for module in (kernels, sparse_definitions))
    np.testing.assert_array_equal(ours, theirs)


def test_every_kernel_has_a_definition_with_its_arguments():
    for name in NAMES:
        kernel, definition = getattr(kernels, name), getattr(sparse_definitions, name)
        plain = getattr(kernel, "py_func", kernel)
        assert list(inspect.signature(plain).parameters) == list(inspect.signature(definition).parameters)
        assert f"sparse_definitions.{name}" in plain.__doc__


# ---- whole steps

SHAPES = [
    {"k": 6},
    {"k": 6, "l1": 0.01, "weight_decay": 0.01, "unit_norm": True, "max_grad_norm": 0.05},
    {"k": 6, "aux_weight": 0.1, "dead_after": 100},
    {"k": 6, "resample": True, "dead_after": 100, "init": "scaled samples"},
    {"k": 6, "k_start": 20, "warmup_steps": 5, "lr_schedule": "cosine"},
    {"k": 6, "output": "sigmoid"},
    {"l1": 0.01, "weight_decay": 0.01},
    {"aux_weight": 0.1, "dead_after": 100, "max_grad_norm": 0.05},
    {"resample": True, "dead_after": 100, "unit_norm": True, "init": "samples"},
    {"activation": "sigmoid", "kl": 0.1},
    {"output": "sigmoid", "activation": "sigmoid"},
    {"output": "sigmoid", "loss": "cross_entropy"},
    {"output": "sigmoid", "loss": "cross_entropy", "k": 6, "shuffle": False},
]


def fitted(X, backend, dtype, options, **more):
    """25 epochs of 4 batches, of which the last is a small one."""
    options = {"epochs": 25, "batch_size": 64, "random_state": 0, "n_threads": 2, **options, **more}
    return SparseAutoencoder(90, backend=backend, dtype=dtype, **options).fit(X)


def data(rng):
    X = rng.random((230, 40)) * (rng.random((230, 40)) < 0.2)
    X[7], X[100:104] = 0, 0
    return X


def distance(a, b):
    pairs = zip(a.autoencoder_.params.values(), b.autoencoder_.params.values(), strict=True)
    return max(np.linalg.norm(p - q) / max(np.linalg.norm(q), 1e-12) for p, q in pairs)


@pytest.mark.filterwarnings("ignore:.*samples activate no unit")
@pytest.mark.parametrize("options", SHAPES, ids=str)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_fit_on_sparse_data_equals_that_on_the_dense_array(rng, backend, options):
    X = data(rng)
    dense, sparse = (fitted(A, backend, "float64", options) for A in (X, Codes.from_dense(X)))
    assert sparse.backend_ == dense.backend_
    assert distance(sparse, dense) < 1e-10
    for name in dense.history_.keys() - {"seconds"}:
        np.testing.assert_allclose(sparse.history_[name], dense.history_[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", [{"k": 6}, {}, {"output": "sigmoid", "loss": "cross_entropy"}], ids=str)
def test_in_float32_and_on_any_number_of_threads(monkeypatch, rng, options):
    monkeypatch.setattr("nsae.system.threads.MIN_WORK", 0)  # else this is too small for more than one
    X = data(rng)
    dense = fitted(X, "numpy", "float32", options)
    for n_threads in (1, 3):
        sparse = fitted(Codes.from_dense(X), "numba", "float32", options, n_threads=n_threads)
        assert distance(sparse, dense) < 1e-4


@pytest.mark.parametrize("k", [None, 6])
def test_one_step_takes_dense_and_sparse_batches_in_turn(rng, k):
    """A step does not keep anything of a batch for the next one."""
    X = data(rng)[:64]
    model = SparseAutoencoder(90, k=k, random_state=0, dtype="float64")
    states = [TrainingState.start(model.core_for(X), Adam()) for _ in range(2)]
    with (
        make_step(states[0], TrainingOptions(), 64) as mixed,
        make_step(states[1], TrainingOptions(), 64) as plain,
    ):
        for step in range(6):
            rows = X[step : step + (20 if step < 2 else 50)]  # buffers made for few rows do not do for more
            report = mixed(Codes.from_dense(rows) if step % 2 else rows)
            assert report.loss.total == pytest.approx(plain(rows).loss.total)
    for ours, theirs in zip(states[0].model.params.values(), states[1].model.params.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13)
