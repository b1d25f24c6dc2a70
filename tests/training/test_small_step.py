"""Small dense nets, whose steps are taken many at a time: what this must not change."""

import signal

import numpy as np
import pytest

from nsae import Codes, SparseAutoencoder
from nsae.equations.activations import KSparse, ReLU
from nsae.equations.optimizers import Adam
from nsae.training.loop import make_step
from nsae.training.state import TrainingOptions, TrainingState

pytest.importorskip("numba")

from nsae import kernels
from nsae.training import small_step
from nsae.training.bounded_selection import FEWEST_FEATURES, FEWEST_ROWS, FEWEST_UNITS
from nsae.training.dense_step import DenseStep
from nsae.training.ksparse_step import KSparseStep


@pytest.mark.parametrize("calls", [1, 2])  # the first one is taken apart, as it may compile
def test_ctrl_c_leaves_weights_and_their_count_of_steps_together(monkeypatch, rng, calls):
    X = rng.random((90, 6)).astype(np.float32)
    options = {"batch_size": 10, "random_state": 0, "backend": "numba", "shuffle": False}
    real, done = kernels.small_steps, []

    def interrupted(*args):
        real(*args)
        done.append(1)
        if len(done) == calls:
            signal.raise_signal(signal.SIGINT)

    model = SparseAutoencoder(5, epochs=3, **options)
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "small_steps", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X)
    assert model._state.optimizer.t == 9 * calls
    whole = SparseAutoencoder(5, epochs=calls, **options).fit(X)
    for name, theta in whole.autoencoder_.params.items():
        np.testing.assert_array_equal(model.autoencoder_.params[name], theta)


def test_sparse_data_is_never_made_dense(rng):
    model = SparseAutoencoder(5, random_state=0, epochs=1).fit(rng.random((9, 6)))
    codes = Codes.from_dense(np.eye(6, dtype=np.float32))
    options = TrainingOptions(backend="numba")
    assert type(make_step(model._state, options, 4, codes)) is DenseStep
    assert type(make_step(model._state, options, 4, np.eye(6))) is small_step.SmallStep


def test_much_work_is_cut_into_runs_of_a_moment(build):
    def at_once(batch_size, **shape):
        state = TrainingState.start(build(ReLU(), **shape), Adam())
        return small_step.SmallStep(state, TrainingOptions(), batch_size).at_once

    assert at_once(1, h=60_000, d=2) * 4 * 60_000 <= small_step.RUN_WORK / 16  # Adam takes most of the time
    assert (
        at_once(1, h=60_000, d=1) * 60_000 <= small_step.RUN_WORK / 64
    )  # and with sigmoids, their exponentials
    assert at_once(32, h=50, d=100) > 16
    assert at_once(32, h=50, d=100) * 32 * 100 * 8 <= small_step.RUN_BYTES
    assert at_once(30_000, h=2, d=50) == 1


def test_how_units_are_selected_is_no_matter_of_how_far_k_has_come(monkeypatch, build):
    """A fit that goes on from a checkpoint finds a smaller k, and selects as the one before did."""
    monkeypatch.setattr(kernels, "BYTE_PRODUCTS", True)
    for k_start, bounded in ((None, True), (200, False)):
        state = TrainingState.start(build(KSparse(16), h=FEWEST_UNITS, d=FEWEST_FEATURES), Adam())
        step = KSparseStep(state, TrainingOptions(k_start=k_start), FEWEST_ROWS)
        assert (step.bounded is not None) is bounded
