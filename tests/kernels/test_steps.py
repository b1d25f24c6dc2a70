"""The fast steps against ``PlainStep``, the definition: 100 of them in a row."""

import numpy as np
import pytest

from nsae import Codes, SparseAutoencoder
from nsae.equations.activations import KSparse, ReLU
from nsae.equations.optimizers import Adam
from nsae.system.backends import resolve_backend
from nsae.training.dense_step import DenseStep
from nsae.training.ksparse_step import KSparseStep
from nsae.training.loop import PlainStep, make_step
from nsae.training.small_step import SmallStep
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


@pytest.fixture(params=[SmallStep, DenseStep])
def kind(request, monkeypatch):
    """The step that dense nets of these tests take: as small ones, or as if they were large."""
    if request.param is DenseStep:
        monkeypatch.setattr("nsae.training.small_step.MOST_WEIGHTS", 0)
    return request.param


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
def test_a_hundred_steps_in_float64(kind, options):
    if "k" in options and kind is SmallStep:
        pytest.skip("a k-sparse net is trained in one way, whatever its size")
    (fast, X), (plain, _) = fitted("numba", "float64", options), fitted("numpy", "float64", options)
    assert distance(fast, plain) < TOLERANCE["float64"]
    np.testing.assert_array_equal(fast.encode(X).units, plain.encode(X).units)
    for name in plain.history_.keys() - {"seconds"}:
        np.testing.assert_allclose(fast.history_[name], plain.history_[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "options", [{}, {"activation": "sigmoid", "kl": 0.1}, {"k": 6}, {"k": 6, "unit_norm": True}]
)
def test_a_hundred_steps_in_float32(kind, options):
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
    monkeypatch.setattr("nsae.training.small_step.MOST_WEIGHTS", 0)
    monkeypatch.setattr("nsae.training.ksparse_step.ROWS", 7)
    monkeypatch.setattr("nsae.training.ksparse_step.UNITS", 70)
    monkeypatch.setattr("nsae.training.dense_step.UNITS", 70)
    fast, plain = fitted("numba", "float64", options)[0], fitted("numpy", "float64", options)[0]
    assert distance(fast, plain) < TOLERANCE["float64"]


def test_which_step_is_made(build, monkeypatch):
    def made(g, backend, **options):
        training = {name: options.pop(name) for name in ("aux_weight", "resample") if name in options}
        state = TrainingState.start(build(g, **options), Adam())
        with make_step(state, TrainingOptions(backend=backend, **training), 4) as step:
            return type(step)

    assert made(ReLU(), "numpy") is PlainStep
    assert made(ReLU(), "auto") is made(ReLU(), "numba") is SmallStep
    assert made(KSparse(2), "auto") is KSparseStep
    assert made(KSparse(2), "auto", output="sigmoid") is PlainStep
    assert made(ReLU(), "numba", aux_weight=0.1) is made(ReLU(), "numba", resample=True) is DenseStep
    monkeypatch.setattr("nsae.training.small_step.product_address", lambda dtype: None)  # another BLAS
    assert made(ReLU(), "numba") is DenseStep
    monkeypatch.undo()
    monkeypatch.setattr("nsae.system.threads.MIN_WORK", 0)  # nothing is small
    assert made(ReLU(), "numba") is DenseStep


@pytest.mark.parametrize("options", [{}, {"activation": "sigmoid", "kl": 0.1, "output": "sigmoid"}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_several_batches_at_once_are_one_after_the_other(options, dtype):
    """The same bits, and the numbers of all of them; the last batch is a small one."""
    X = np.random.default_rng(0).random((70, 12)).astype(dtype)
    models = [SparseAutoencoder(9, epochs=1, random_state=0, dtype=dtype, **options).fit(X) for _ in range(2)]
    at_once, one_by_one = (make_step(model._state, TrainingOptions(backend="numba"), 16) for model in models)
    with at_once, one_by_one:
        assert isinstance(at_once, SmallStep)
        assert at_once.at_once > 4
        of_all = at_once(X)
        reports = [one_by_one(X[i : i + 16]) for i in range(0, 70, 16)]
    assert of_all.batches == len(reports) == 5
    for name, theta in models[0].autoencoder_.params.items():
        np.testing.assert_array_equal(theta, models[1].autoencoder_.params[name])
    rows = [16, 16, 16, 16, 6]
    mean = np.average([report.loss for report in reports], axis=0, weights=rows)
    np.testing.assert_allclose(of_all.loss, mean, rtol=1e-12)
    np.testing.assert_array_equal(of_all.on, sum(report.on for report in reports))
    assert of_all.active == sum(report.active for report in reports)
    assert of_all.error == pytest.approx(sum(report.error for report in reports), rel=1e-12)


def test_a_small_net_takes_codes_and_arrays_of_other_kinds():
    X = np.random.default_rng(0).random((20, 12))
    X[X < 0.7] = 0
    wide = np.zeros((20, 24), np.float32)
    wide[:, ::2] = X
    reports = []
    for batch in (Codes.from_dense(X.astype(np.float32)), X, wide[:, ::2], np.asfortranarray(X)):
        model = SparseAutoencoder(9, epochs=1, random_state=0).fit(X)
        with make_step(model._state, TrainingOptions(backend="numba"), 20) as step:
            assert isinstance(step, SmallStep)
            reports.append(step(batch))
    np.testing.assert_allclose([report.loss for report in reports], [reports[0].loss] * 4, rtol=1e-6)


def test_a_loss_of_nearly_nothing(kind):
    """Where all outputs are saturated, a term of (6) is far below 1, and it is not rounded away."""
    X = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.float32)
    losses = []
    for backend in ("numba", "numpy"):
        model = SparseAutoencoder(
            30, output="sigmoid", loss="cross_entropy", epochs=1, random_state=0, backend=backend
        ).fit(X)
        decoder = model.autoencoder_.decoder_layer
        decoder.W[:] = 0
        decoder.b[:] = np.where(X[0] > 0, 14.0, -14.0)
        with make_step(model._state, TrainingOptions(backend=backend), 40) as step:
            losses.append(step(np.repeat(X[:1], 40, axis=0)).loss.reconstruction)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert 0 < losses[0] < 1e-5


def test_the_loss_of_a_batch_of_many_rows(kind):
    """The logarithm of a product of 1,500 factors of nearly 2 would be infinite: it is taken of parts."""
    X = np.random.default_rng(0).random((1500, 3))
    losses = []
    for backend in ("numba", "numpy"):
        options = {"output": "sigmoid", "loss": "cross_entropy", "dtype": "float64", "batch_size": 1500}
        model = SparseAutoencoder(4, epochs=2, random_state=0, backend=backend, **options).fit(X)
        losses.append(model.history_["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-9)


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
