"""Checkpoints: a fit that was killed and called again ends with the bits of one that was not."""

import multiprocessing
import os
import random
import signal

import numpy as np
import pytest

from nsae import ModelFormatError, SparseAutoencoder
from nsae.training import batches, history, loop

DATA = np.random.default_rng(0).random((70, 6))  # three batches an epoch, the last one small
OPTIONS = {
    "plain": {},
    "all of it": {
        "k": 2,
        "k_start": 20,
        "aux_weight": 0.3,
        "resample": True,
        "dead_after": 100,
        "warmup_steps": 4,
        "lr_schedule": "cosine",
        "max_grad_norm": 0.5,
        "unit_norm": True,
    },
    "a rate that rises at first": {"warmup_steps": 4, "activation": "sigmoid"},
    "until it has converged": {"tol": 0.02, "patience": 2},
    "in the order given": {"shuffle": False},
    "another generator": {"random_state": "Philox"},
    "in float64": {"dtype": "float64", "activation": "sigmoid", "kl": 0.1},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


@pytest.fixture(params=["numpy", "numba"])
def backend(request, monkeypatch):
    if request.param == "numba":
        pytest.importorskip("numba")
        # A small net takes the steps of an epoch at once: here of two batches, so that there is a middle.
        monkeypatch.setattr("nsae.training.small_step.RUN_BYTES", 2 * 30 * DATA.shape[1] * 4)
    return request.param


def estimator(backend="numpy", **options):
    options = {"random_state": 0, "epochs": 8, **options}
    if options["random_state"] == "Philox":
        options["random_state"] = np.random.Generator(np.random.Philox(0))
    return SparseAutoencoder(60, batch_size=30, backend=backend, n_threads=1, **options)


def bits(model):
    header, arrays = model._content(True)
    history = {name: values for name, values in header["history"].items() if name != "seconds"}
    rest = (header["optimizer_steps"], header["epoch_rows"], repr(header["resampling_rng"]), model.stopped_)
    return {name: array.tobytes() for name, array in arrays.items()}, repr(history), rest


class Killed(BaseException):
    """As a signal would do: nothing in the package may catch it."""


def killed_at(monkeypatch, model, path, step):
    """Call fit, and end it right after so many steps."""
    steps, real = [], history.EpochLog.add

    def add(self, X, report):
        if len(steps) == step:
            raise Killed
        steps.append(1)
        real(self, X, report)

    with monkeypatch.context() as patch:
        patch.setattr(history.EpochLog, "add", add)
        try:
            model.fit(DATA, checkpoint=path, checkpoint_minutes=0)
        except Killed:
            return True
    return False


@every_option
def test_killed_after_any_step_and_resumed_is_the_same_to_the_bit(monkeypatch, tmp_path, backend, options):
    whole = bits(estimator(backend, **options).fit(DATA))
    path = tmp_path / "fit.npz"
    for step in (1, 2, 3, 4, 7, 11, 12, 13):
        assert killed_at(monkeypatch, estimator(backend, **options), path, step)
        assert path.exists()
        assert bits(estimator(backend, **options).fit(DATA, checkpoint=path)) == whole, step
        assert not path.exists()  # training has come to its end


@every_option
def test_killed_again_and_again(monkeypatch, tmp_path, options):
    path, kills = tmp_path / "fit.npz", 0
    whole = bits(estimator(**options).fit(DATA))
    model = estimator(**options)
    while killed_at(monkeypatch, model, path, 2):
        kills += 1
        model = estimator(**options)
    assert kills > 3
    assert bits(model) == whole


def test_from_a_pool_of_rows(monkeypatch, tmp_path):
    """A file larger than the pool is shuffled as it is read."""
    monkeypatch.setattr(batches, "POOL_BYTES", 1 << 9)
    np.save(tmp_path / "rows.npy", DATA)
    X, path = np.load(tmp_path / "rows.npy", mmap_mode="r"), tmp_path / "fit.npz"
    whole = bits(estimator().fit(X))
    real = history.EpochLog.add

    def add(self, batch, report):
        if len(self.epochs) == 2 and self.metrics.batches == 1:
            raise Killed
        real(self, batch, report)

    with monkeypatch.context() as patch:
        patch.setattr(history.EpochLog, "add", add)
        with pytest.raises(Killed):
            estimator().fit(X, checkpoint=path, checkpoint_minutes=0)
    assert bits(estimator().fit(X, checkpoint=path)) == whole


def _fit(path, result):
    model = estimator(epochs=100).fit(DATA, checkpoint=path, checkpoint_minutes=0)
    model.save(result, with_optimizer=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, and SIGKILL")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_killed_at_random_times(tmp_path):
    """Twenty kills; benchmarks/kill_training.py does 200."""
    path, result, rng = tmp_path / "fit.npz", tmp_path / "result.npz", random.Random(0)
    context, kills, ended = multiprocessing.get_context("fork"), 0, 0
    expected = bits(estimator(epochs=100).fit(DATA))
    while kills < 20 or not ended:
        process = context.Process(target=_fit, args=(path, result))
        process.start()
        if kills < 20:
            process.join(rng.uniform(0, 0.1))
            process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        if path.exists():
            SparseAutoencoder.load(path)  # whole, whenever it is looked at
        if result.exists():
            assert bits(SparseAutoencoder.load(result)) == expected
            result.unlink()
            ended += 1


def test_a_checkpoint_is_a_model(monkeypatch, tmp_path):
    path = tmp_path / "fit.npz"
    killed_at(monkeypatch, estimator(k=2, k_start=20), path, 5)
    model = SparseAutoencoder.load(path)
    assert model.stopped_ == "unfinished"
    assert (model.k, model.autoencoder_.g.k) == (2, 2)
    assert np.isfinite(model.score(DATA))


def test_it_is_written_every_so_many_minutes(monkeypatch, tmp_path):
    written, clock = [], [0.0]
    monkeypatch.setattr("nsae.models.checkpoint_file.write_model", lambda *_, **__: written.append(clock[0]))
    monkeypatch.setattr("nsae.training.checkpoint.time.monotonic", lambda: clock[0])
    real = history.EpochLog.add

    def add(self, X, report):  # a step takes a minute
        clock[0] += 60
        real(self, X, report)

    monkeypatch.setattr(history.EpochLog, "add", add)
    estimator().fit(DATA, checkpoint=tmp_path / "fit.npz", checkpoint_minutes=5)  # 24 steps
    assert written == [300, 600, 900, 1200]


def test_ctrl_c_leaves_the_checkpoint(monkeypatch, tmp_path):
    path, whole = tmp_path / "fit.npz", bits(estimator().fit(DATA))

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Progress, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            estimator().fit(DATA, checkpoint=path, checkpoint_minutes=0)
    assert path.exists()
    assert bits(estimator().fit(DATA, checkpoint=path)) == whole


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 3}, r"hyperparameters \(k\)"),
        ({"epochs": 9}, r"hyperparameters \(epochs\)"),
        ({"learning_rate": 0.1, "l1": 0.5}, "l1, learning_rate"),
        ({"dtype": "float64"}, r"hyperparameters \(dtype\)"),
        ({"random_state": 1}, "random_state"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(monkeypatch, tmp_path, options, words):
    path = tmp_path / "fit.npz"
    killed_at(monkeypatch, estimator(k=2), path, 5)
    with pytest.raises(ValueError, match=words):
        estimator(**{"k": 2, **options}).fit(DATA, checkpoint=path)
    estimator(k=2, verbose=True, on_interrupt="raise").fit(DATA, checkpoint=path)  # these change nothing


def test_a_checkpoint_of_other_data_is_refused(monkeypatch, tmp_path):
    path, other = tmp_path / "fit.npz", DATA.copy()
    killed_at(monkeypatch, estimator(), path, 5)
    other[40, 3] += 1e-9
    for X in (other, DATA[:60], DATA.astype(np.float32)):
        with pytest.raises(ValueError, match="other data"):
            estimator().fit(X, checkpoint=path)


def test_what_is_no_checkpoint_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "model.npz"
    estimator().fit(DATA).save(path, with_optimizer=True)
    before = path.read_bytes()
    with pytest.raises(ModelFormatError, match="is a model, and no checkpoint"):
        estimator().fit(DATA, checkpoint=path)
    assert path.read_bytes() == before
    path.write_bytes(before[:-100])
    with pytest.raises(ModelFormatError, match="not a whole"):
        estimator().fit(DATA, checkpoint=path)
    with pytest.raises(FileNotFoundError, match="Create it first"):
        estimator().fit(DATA, checkpoint=tmp_path / "no folder" / "fit.npz")
    with pytest.raises(ValueError, match="checkpoint_minutes=-1"):
        estimator().fit(DATA, checkpoint=tmp_path / "fit.npz", checkpoint_minutes=-1)


@pytest.mark.parametrize("options", [OPTIONS["all of it"], OPTIONS["until it has converged"]])
def test_a_checkpoint_that_is_kept_leaves_nothing_to_do(monkeypatch, tmp_path, options):
    path = tmp_path / "fit.npz"
    whole = bits(estimator(**options).fit(DATA, checkpoint=path, keep_checkpoint=True))
    monkeypatch.setattr(loop.PlainStep, "__call__", lambda *_: pytest.fail("a step was taken"))
    again = estimator(**options).fit(DATA, checkpoint=path, keep_checkpoint=True)
    assert bits(again) == whole
    assert path.exists()


@pytest.mark.parametrize("options", [{"k": 2}, {"activation": "sigmoid", "kl": 0.1}], ids=str)
def test_a_checkpoint_from_before_mean_activations_were_kept_goes_on(monkeypatch, tmp_path, options):
    """It lacks one array, which says nothing of what the model is."""
    path = tmp_path / "fit.npz"
    whole = bits(estimator(**options).fit(DATA))
    killed_at(monkeypatch, estimator(**options), path, 5)
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    del arrays["log_total"]
    np.savez(path, **arrays)
    again = estimator(**options).fit(DATA, checkpoint=path)
    (expected, *more), (found, *others) = whole, bits(again)
    for arrays in (expected, found):
        arrays.pop("rho_hat", None)  # of the epoch that was interrupted, it is of the rows since then
    assert (found, others) == (expected, more)
    assert all(np.isfinite(row).all() for row in again.history_.get("rho_hat", []))
