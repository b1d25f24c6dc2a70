"""fit on a cluster takes the steps of SparseAutoencoder.fit, whatever the workers, and survives their death."""

import os
import signal

import numpy as np
import pytest

distributed = pytest.importorskip("distributed")
import dask.array as da

import nsae.distributed
from nsae import SparseAutoencoder
from nsae.distributed.blocks import Blocks
from nsae.distributed.parts import SummedGradients
from nsae.equations.activations import ReLU
from nsae.training.state import TrainingOptions, TrainingState

SMALL = {
    "n_units": 32,
    "epochs": 2,
    "batch_size": 100,
    "dtype": "float64",
    "random_state": 0,
    "backend": "numpy",
}
pytestmark = pytest.mark.filterwarnings("ignore::nsae.CollapseWarning")


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).random((530, 20))


@pytest.fixture
def array(client, X):
    return da.from_array(X, (150, 20))


def difference(a, b):
    """The largest difference of weights, beside the largest weight."""
    a, b = a.autoencoder_.params, b.autoencoder_.params
    return max(np.abs(a[name] - b[name]).max() / np.abs(b[name]).max() for name in b)


def check_same(fitted, expected, tolerance=1e-10):
    assert difference(fitted, expected) <= tolerance
    assert fitted.history_.keys() == expected.history_.keys()
    for name in fitted.history_.keys() - {"seconds"}:
        np.testing.assert_allclose(fitted.history_[name], expected.history_[name], rtol=1e-6, atol=1e-12)
    assert (fitted.stopped_, fitted.n_iter_) == (expected.stopped_, expected.n_iter_)


@pytest.mark.parametrize(
    "options",
    [
        {"l1": 0.1, "weight_decay": 1e-3},
        {"activation": "sigmoid", "kl": 0.3, "weight_decay": 1e-3},
        {"activation": "sigmoid", "output": "sigmoid", "loss": "cross_entropy", "max_grad_norm": 0.1},
        {"output": "sigmoid", "lr_schedule": "cosine", "warmup_steps": 5, "shuffle": False},
        {"k": 4, "k_start": 10, "unit_norm": True, "weight_decay": 1e-3, "init": "scaled samples"},
        {"tol": 0.5, "patience": 1, "epochs": 9},
    ],
    ids=["relu", "kl", "cross-entropy", "schedule", "k-sparse", "tol"],
)
def test_steps_are_those_of_a_local_fit(array, X, options):
    expected = SparseAutoencoder(**{**SMALL, **options}).fit(X)
    fitted = nsae.distributed.fit(SparseAutoencoder(**{**SMALL, **options}), array)
    check_same(fitted, expected)
    assert fitted.backend_ == "numpy"


@pytest.mark.parametrize(
    "options",
    [
        {"k_start": 10, "unit_norm": True, "weight_decay": 1e-3, "l1": 0.01, "max_grad_norm": 0.1},
        {"n_units": 60, "aux_weight": 0.1, "resample": True, "dead_after": 200},
    ],
    ids=["clipped", "dead units"],
)
def test_compiled_k_sparse_steps_are_those_of_a_local_fit(array, X, options):
    pytest.importorskip("numba")
    options = {**SMALL, "k": 2, "backend": "numba", **options}
    expected = SparseAutoencoder(**options).fit(X)
    fitted = nsae.distributed.fit(SparseAutoencoder(**options), array)
    check_same(fitted, expected)
    assert fitted.backend_ == "numba"
    assert (max(expected.history_["auxiliary"]) > 0) == ("aux_weight" in options)


def test_one_worker_and_two_end_with_the_same_bits(client, array):
    model = SparseAutoencoder(**SMALL, l1=0.1)
    by_two = nsae.distributed.fit(model, array, parts=4).autoencoder_.params
    with (
        distributed.LocalCluster(1, processes=False, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster, set_as_default=False) as one,
    ):
        by_one = nsae.distributed.fit(model, array, client=one, parts=4).autoencoder_.params
    assert all(np.array_equal(by_two[name], by_one[name]) for name in by_two)


@pytest.mark.parametrize(("victims", "backend"), [(1, "numba"), (2, "numba"), (2, "numpy")])
def test_workers_that_are_killed_change_nothing(client, array, X, victims, backend):
    pytest.importorskip(backend)
    client.wait_for_workers(2, timeout=60)
    options = {**SMALL, "k": 3, "backend": backend}
    steps = []

    def kill(traffic):
        steps.append(traffic)
        if traffic.step == 4:
            for pid in list(client.run(os.getpid).values())[:victims]:
                os.kill(pid, signal.SIGKILL)

    fitted = nsae.distributed.fit(SparseAutoencoder(**options), array, on_step=kill)
    check_same(fitted, SparseAutoencoder(**options).fit(X))
    assert [traffic.step for traffic in steps] == list(range(1, 13))
    assert steps[3].states_sent == 0
    assert steps[-1].states_sent >= victims - 1  # a survivor has all that it needs


def test_a_step_sends_the_active_units_alone():
    rng = np.random.default_rng(0)
    core = SparseAutoencoder(**SMALL).core_for(rng.random((5, 20)))
    core.encoder_layer.b[8:] = -100
    replica = SummedGradients(TrainingState.start(core, None), TrainingOptions())
    assert isinstance(core.g, ReLU)
    sums = replica.part(rng.random((5, 20)), 10, None)
    assert len(sums.units) <= 8
    assert sums.dW.shape == sums.dVt.shape == (len(sums.units), 20)


def test_bytes_of_a_compiled_step_do_not_depend_on_the_units(array):
    pytest.importorskip("numba")
    sent = []
    for h in (32, 64):
        model = SparseAutoencoder(**{**SMALL, "n_units": h, "k": 4, "backend": "numba", "epochs": 1})
        nsae.distributed.fit(model, array, on_step=sent.append)
    assert sent[0].down == sent[6].down == 100 * (8 * 20 * 2 + 4 * (4 + 8 + 8)) + 8 * 2 * 20


def test_a_fit_that_was_stopped_goes_on_from_its_checkpoint(array, X, tmp_path):
    class Stopped(Exception):
        pass

    def stop(traffic):
        if traffic.step == 8:
            raise Stopped

    path, model = tmp_path / "fit.npz", SparseAutoencoder(**SMALL)
    with pytest.raises(Stopped):
        nsae.distributed.fit(model, array, checkpoint=path, checkpoint_minutes=0, on_step=stop)
    later = []
    nsae.distributed.fit(model, array, checkpoint=path, checkpoint_minutes=0, on_step=later.append)
    check_same(model, SparseAutoencoder(**SMALL).fit(X))
    assert len(later) == 5  # the eighth step was taken and not written
    assert not path.exists()


def test_an_interrupt_keeps_the_last_whole_step(array):
    def interrupt(traffic):
        if traffic.step == 8:
            raise KeyboardInterrupt

    model = SparseAutoencoder(**SMALL, on_interrupt="return")
    with pytest.warns(UserWarning, match="Training was interrupted"):
        nsae.distributed.fit(model, array, on_step=interrupt)
    assert model.stopped_ == "interrupted"
    assert model.n_iter_ == 2


def test_rows_on_workers_are_read_like_an_array(client, X):
    lengths = da.from_array(X, (150, 7))
    with pytest.warns(UserWarning, match="cut rows into pieces"):
        blocks = Blocks(client, lengths[lengths[:, 0] >= 0], 3)  # whose number of rows Dask does not know
    assert blocks.shape == (530, 20)
    assert len(blocks.futures) == 3
    for rows in (slice(None, None, 50), slice(170, 180), np.array([529, 0, 0, 200])):
        np.testing.assert_array_equal(blocks[rows], X[rows])


def test_what_cannot_be_fitted_is_refused(client, array, X):
    fit, model = nsae.distributed.fit, SparseAutoencoder(**SMALL)
    with pytest.raises(
        TypeError, match=r"A Dask array \(n, d\) was expected, got ndarray of shape \(530, 20\)"
    ):
        fit(model, X)
    with pytest.raises(TypeError, match="A SparseAutoencoder was expected, got str"):
        fit("model", array)
    with pytest.raises(TypeError, match="Chunks are sparse"):
        fit(model, array.map_blocks(pytest.importorskip("scipy.sparse").csr_array))
    with pytest.raises(ValueError, match=r"shape \(0, 20\)"):
        fit(model, array[:0])
    with pytest.raises(ValueError, match="parts"):
        fit(model, array, parts=0)
    with pytest.raises(ValueError, match="resample=True needs all rows of a batch in one place"):
        fit(SparseAutoencoder(**SMALL, resample=True), array)
    bad = X.copy()
    bad[170, 3] = np.inf
    with pytest.raises(ValueError, match=r"Chunk 1 of the array .*X has infinity in row 20, column 3"):
        fit(model, da.from_array(bad, (150, 20)))
    with pytest.raises(FloatingPointError, match="learning_rate"), np.errstate(all="ignore"):
        fit(SparseAutoencoder(**{**SMALL, "learning_rate": 1e308}), array)
    assert not hasattr(model, "autoencoder_")
