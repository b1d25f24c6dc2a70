"""The fast steps against ``PlainStep``, the definition: 100 of them in a row."""

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.equations.activations import KSparse, ReLU
from nsae.equations.optimizers import Adam
from nsae.system.backends import resolve_backend
from nsae.training.dense_step import DenseStep
from nsae.training.ksparse_step import KSparseStep
from nsae.training.loop import PlainStep, make_step
from nsae.training.state import TrainingOptions, TrainingState

COMBINATIONS = [
    {"activation": activation, "output": output, "loss": loss, **penalty}
    for activation in ("relu", "sigmoid")
    for output, loss in (("linear", "squared"), ("sigmoid", "squared"), ("sigmoid", "cross_entropy"))
    for penalty in ({}, {"l1": 0.01}, {"kl": 0.1}, {"weight_decay": 0.01}, {"unit_norm": True, "weight_decay": 0.01})
    if not ("kl" in penalty and activation == "relu")
] + [
    {**shape, "max_grad_norm": 0.05, **penalty}
    for shape in ({}, {"activation": "sigmoid"}, {"k": 6})
    for penalty in ({"weight_decay": 0.01}, {"unit_norm": True, "weight_decay": 0.01})
] + [
    {"k": 6, "output": output, **penalty}
    for output in ("linear", "sigmoid")
    for penalty in ({}, {"l1": 0.01, "weight_decay": 0.01}, {"unit_norm": True, "weight_decay": 0.01})
]  # fmt: skip
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}


def fitted(backend, dtype, options, n_threads=2):
    X = np.random.default_rng(0).random((230, 20))  # the last batch of an epoch is a small one
    model = SparseAutoencoder(
        300,
        epochs=25,
        batch_size=64,
        random_state=0,
        backend=backend,
        n_threads=n_threads,
        dtype=dtype,
        **options,
    )
    return model.fit(X), X


def distance(a, b):
    """The largest relative difference ‖a − b‖/‖b‖ of the four parameters."""
    pairs = zip(a.autoencoder_.params.values(), b.autoencoder_.params.values(), strict=True)
    return max(np.linalg.norm(p - q) / max(np.linalg.norm(q), 1e-12) for p, q in pairs)


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_a_hundred_steps_in_float64(options):
    (fast, X), (plain, _) = fitted("numba", "float64", options), fitted("numpy", "float64", options)
    assert distance(fast, plain) < TOLERANCE["float64"]
    np.testing.assert_array_equal(fast.encode(X).units, plain.encode(X).units)
    for name in plain.history_.keys() - {"seconds"}:
        np.testing.assert_allclose(fast.history_[name], plain.history_[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "options", [{}, {"activation": "sigmoid", "kl": 0.1}, {"k": 6}, {"k": 6, "unit_norm": True}]
)
def test_a_hundred_steps_in_float32(options):
    (fast, _), (plain, _) = fitted("numba", "float32", options), fitted("numpy", "float32", options)
    assert distance(fast, plain) < TOLERANCE["float32"]
    assert {p.dtype.name for p in fast.autoencoder_.params.values()} == {"float32"}


@pytest.mark.parametrize("options", [{}, {"k": 6}])
def test_any_number_of_threads(monkeypatch, options):
    monkeypatch.setattr("nsae.system.threads.MIN_WORK", 0)  # else this is too small for more than one
    plain = fitted("numpy", "float64", options)[0]
    for n_threads in (1, 2, 5):
        assert distance(fitted("numba", "float64", options, n_threads)[0], plain) < TOLERANCE["float64"]


@pytest.mark.parametrize("options", [{}, {"k": 6}])
def test_in_blocks_of_rows_and_units(monkeypatch, options):
    monkeypatch.setattr("nsae.training.ksparse_step.ROWS", 7)
    monkeypatch.setattr("nsae.training.ksparse_step.UNITS", 70)
    monkeypatch.setattr("nsae.training.dense_step.UNITS", 70)
    fast, plain = fitted("numba", "float64", options)[0], fitted("numpy", "float64", options)[0]
    assert distance(fast, plain) < TOLERANCE["float64"]


def test_which_step_is_made(build):
    def made(g, backend, **options):
        state = TrainingState.start(build(g, **options), Adam())
        with make_step(state, TrainingOptions(backend=backend), 4) as step:
            return type(step)

    assert made(ReLU(), "numpy") is PlainStep
    assert made(ReLU(), "auto") is made(ReLU(), "numba") is DenseStep
    assert made(KSparse(2), "auto") is KSparseStep
    assert made(KSparse(2), "auto", output="sigmoid") is PlainStep


def test_the_model_is_usable_between_steps(build, rng):
    """Parameters and moments are moved into flat arrays, and the model and the optimizer see them there."""
    model, adam, X = build(ReLU()), Adam(), rng.random((6, 5))
    J = model.loss_and_grads(X)[0]
    with make_step(TrainingState.start(model, adam), TrainingOptions(), 6) as step:
        assert step(X).loss.total == pytest.approx(J)
        first = model.loss_and_grads(X)[0]
        assert step(X).loss.total == pytest.approx(first)
        assert first < J
    assert adam.t == 2
    assert adam.m1["V"].shape == model.decoder_layer.W.shape
    adam.step(model.params, model.loss_and_grads(X)[1])  # and the plain optimizer can go on
    assert adam.t == 3


def test_a_short_fit_is_not_worth_the_import_of_numba():
    assert resolve_backend("auto", 1e6) == "numpy"
    assert resolve_backend("auto", 1e10) == resolve_backend("auto") == "numba"
    assert resolve_backend("numba", 1) == "numba"
    assert resolve_backend("numpy", 1e12) == "numpy"
