"""Dead units: counted over samples, kept between calls, started anew."""

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.datasets import glyphs
from nsae.equations.activations import KSparse, ReLU
from nsae.equations.optimizers import Adam
from nsae.training.dead_units import AuxiliaryLoss, DeadUnits, Resampling


def test_dead_units_are_counted_over_samples(build, rng):
    dead_units = DeadUnits(np.zeros(3, np.int64), 20, AuxiliaryLoss(build(ReLU(), h=3), 1.0, 2))
    X, error = rng.random((8, 5)), rng.random((8, 5))
    on = np.array([True, False, False])
    assert dead_units.gradients(X, error, on) is None  # 8 samples
    assert dead_units.gradients(X, error, np.array([True, False, True])) is None  # 16
    assert dead_units.gradients(X, error, on).units.tolist() == [1]  # 24, but unit 2 was active since
    np.testing.assert_array_equal(dead_units.idle, [0, 24, 8])


@pytest.fixture
def stepped(build, rng):
    """A k-sparse model and its optimizer after some steps, on X (100, 5)."""
    model, adam, X = build(KSparse(2), h=12), Adam(), rng.random((100, 5))
    for _ in range(3):
        adam.step(model.params, model.loss_and_grads(X)[1])
    return model, adam, X


@pytest.mark.parametrize("unit_norm", [False, True])
def test_a_newcomer_is_its_samples_largest_unit(stepped, rng, unit_norm):
    model, adam, X = stepped
    dead = np.array([1, 4, 7])
    error = np.zeros_like(X)
    error[[10, 60]] = 1.0  # the only samples with anything left to explain
    before = {name: theta.copy() for name, theta in model.params.items()}
    units = Resampling(model, adam, unit_norm, rng)(X, error, dead)
    assert len(units) == 2
    assert set(units) < set(dead)
    Z = model.g(model.encoder_layer.forward(X[[10, 60]]))
    assert set(Z.argmax(axis=1)) <= set(units)
    norms = np.linalg.norm(model.decoder_layer.W[:, units], axis=0)
    np.testing.assert_allclose(norms, 1 if unit_norm else 0)
    for name, moments in (("m1", adam.m1), ("m2", adam.m2)):
        for rows in (moments["W"][units], moments["b"][units], moments["V"].T[units]):
            assert not rows.any() if name == "m1" else rows.all(), name
    others = np.setdiff1d(np.arange(12), units)
    np.testing.assert_array_equal(model.encoder_layer.W[others], before["W"][others])
    np.testing.assert_array_equal(model.decoder_layer.W[:, others], before["V"][:, others])


def test_nothing_to_explain_and_nothing_finite_start_nobody(stepped, rng):
    model, adam, X = stepped
    for error in (np.zeros_like(X), np.full_like(X, np.inf)):
        assert not len(Resampling(model, adam, False, rng)(X, error, np.array([1, 4])))


OPTIONS = {"k": 3, "dead_after": 100, "epochs": 15, "batch_size": 50, "random_state": 0}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"unit_norm": True},
        {"aux_weight": 0.5},
        {"k": None, "l1": 3.0, "unit_norm": True, "learning_rate": 0.01},
    ],
)
def test_the_fast_steps_do_the_same(rng, more):
    pytest.importorskip("numba")
    X = rng.random((150, 12))
    fast, plain = (
        SparseAutoencoder(60, dtype="float64", backend=backend, resample=True, **{**OPTIONS, **more}).fit(X)
        for backend in ("numba", "numpy")
    )
    without = SparseAutoencoder(60, dtype="float64", backend="numpy", **{**OPTIONS, **more}).fit(X)
    assert without.history_["loss"] != plain.history_["loss"]  # there were dead units
    np.testing.assert_allclose(fast.history_["loss"], plain.history_["loss"], rtol=1e-9)


def test_both_ways_leave_fewer_dead_units():
    pytest.importorskip("matplotlib")  # its fonts draw the glyphs
    X = glyphs(2000, random_state=0)[0].reshape(2000, -1)

    def trained(**options):
        return SparseAutoencoder(300, k=4, epochs=15, random_state=0, **options).fit(X).history_

    plain, resampled, from_samples = (
        trained(),
        trained(resample=True, dead_after=2000),
        trained(init="samples"),
    )
    assert plain["dead"][-1] > 0.2
    assert resampled["dead"][-1] < plain["dead"][-1] / 2
    assert from_samples["dead"][-1] < 0.02
    assert from_samples["explained_variance"][-1] > plain["explained_variance"][-1]


def test_idle_counts_go_on_from_one_partial_fit_to_the_next(rng):
    X = rng.random((100, 6))
    model = SparseAutoencoder(
        400, k=1, resample=True, dead_after=250, random_state=0
    )  # 100 samples win 100 units
    for _ in range(2):
        model.partial_fit(X)
    idle = model._state.idle.copy()
    assert idle.max() == 200
    model.partial_fit(X)
    started_anew = (idle == 200) & (model._state.idle < 200)
    assert started_anew.any()
    assert model._state.idle.max() == 300


@pytest.mark.parametrize("option", [{"aux_weight": 1.0}, {"resample": True}])
def test_both_are_refused_for_sigmoid_units(rng, option):
    with pytest.raises(ValueError, match="is for units that can be exactly 0"):
        SparseAutoencoder(8, activation="sigmoid", **option).fit(rng.random((20, 4)))


def test_starting_from_samples_needs_units_that_start_tied(rng):
    with pytest.raises(ValueError, match="init='samples' is where k-sparse units"):
        SparseAutoencoder(8, init="samples").fit(rng.random((20, 4)))
