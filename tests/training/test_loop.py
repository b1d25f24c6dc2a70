"""The fit loop: minibatches, the numbers of an epoch, convergence, divergence and Ctrl-C."""

import math
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from unmeasured import unmeasured

from nsae import SparseAutoencoder
from nsae.equations.optimizers import Adam
from nsae.training import history, loop
from nsae.training.batches import minibatches
from nsae.training.history import EpochMetrics

DATA = np.random.default_rng(0).random((50, 6))


def params(model):
    return {name: value.copy() for name, value in model.autoencoder_.params.items()}


def same(a, b):
    return all(a[name].tobytes() == b[name].tobytes() for name in "WbVc")


# ---- minibatches


@pytest.mark.parametrize(("n", "size"), [(10, 3), (9, 3), (2, 3), (1, 1), (100, 7)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_minibatches_hold_every_row_once(n, size, dtype):
    X = np.arange(n, dtype=np.int64)[:, None] * [1, 10]
    batches = list(minibatches(X, size, dtype, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [size] * (n // size) + [n % size] * (n % size > 0)
    assert all(batch.dtype == dtype for batch in batches)
    rows = np.concatenate(batches)
    np.testing.assert_array_equal(np.sort(rows, axis=0), X)
    assert n < 10 or not np.array_equal(rows, X)  # in random order


def test_minibatches_as_they_stand_without_a_generator():
    X = np.arange(10)[:, None]
    np.testing.assert_array_equal(np.concatenate(list(minibatches(X, 3, "f4", None))), X)


def test_samples_are_shuffled_and_not_batches():
    rng = np.random.default_rng(0)
    first, second = (
        [frozenset(b.ravel()) for b in minibatches(np.arange(40)[:, None], 4, "f8", rng)] for _ in range(2)
    )
    assert not set(first) & set(second)


class Recorder(np.ndarray):
    """An array that notes the most rows that were ever asked for at once."""

    most = 0

    def __getitem__(self, key):
        rows = super().__getitem__(key)
        Recorder.most = max(Recorder.most, len(rows))
        return rows

    def __array__(self, *args, **kwargs):
        Recorder.most = max(Recorder.most, len(self))
        return super().__array__(*args, **kwargs)


@pytest.mark.parametrize("rng", [None, np.random.default_rng(0)])
def test_minibatches_copy_one_batch_at_a_time(rng):
    Recorder.most = 0
    list(minibatches(np.zeros((100, 2)).view(Recorder), 8, "float32", rng))
    assert Recorder.most == 8


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_a_memory_mapped_array_learns_the_same_bits(tmp_path, dtype):
    X = (DATA * 9).astype(dtype)
    X.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype, "r", shape=X.shape)
    model, other = (SparseAutoencoder(8, epochs=3, batch_size=16, random_state=0) for _ in "ab")
    assert same(params(model.fit(X)), params(other.fit(mapped)))


def test_the_same_seed_the_same_bits():
    fits = [params(SparseAutoencoder(8, epochs=2, random_state=seed).fit(DATA)) for seed in (0, 0, 1)]
    assert same(fits[0], fits[1])
    assert not any(np.array_equal(fits[0][name], fits[2][name]) for name in "WV")


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda X: np.repeat(X, 2, 1)[:, ::2]])
def test_the_layout_in_memory_does_not_matter(layout):
    model, other = (SparseAutoencoder(8, k=3, epochs=2, batch_size=16, random_state=0) for _ in "ab")
    assert same(params(model.fit(DATA)), params(other.fit(layout(DATA))))


# ---- what an epoch reports


def numbers_by_loop(model, X):
    """The history's numbers, one sample at a time and with Python's own arithmetic."""
    W, b, V, c = (model.autoencoder_.params[name].astype(float) for name in "WbVc")
    n, h = len(X), len(b)
    error = l1 = active = reconstruction = 0.0
    ever, total = set(), np.zeros(h)
    for x in X:
        y = W @ x + b
        if model.activation == "sigmoid":
            z = np.array([1 / (1 + math.exp(-v)) for v in y])
        else:
            kept = sorted(range(h), key=lambda j: -y[j])[: model.k or h]
            z = np.array([y[j] if j in kept and y[j] > 0 else 0.0 for j in range(h)])
        u = V @ z + c
        x_hat = 1 / (1 + np.exp(-u)) if model.output == "sigmoid" else u
        squares = sum((x_hat - x) ** 2)
        error += squares
        if model.loss == "squared":
            reconstruction += squares / 2
        else:
            reconstruction -= sum(x * np.log(x_hat) + (1 - x) * np.log(1 - x_hat))
        l1 += model.l1 * sum(abs(z))
        on = {j for j in range(h) if z[j] > (0.1 if model.activation == "sigmoid" else 0)}
        active += len(on)
        ever |= on
        total += z
    parts = {
        "reconstruction": reconstruction / n,
        "l1": l1 / n,
        "kl": 0.0,
        "weight_decay": model.weight_decay / 2 * (sum(W.ravel() ** 2) + sum(V.ravel() ** 2)),
    }
    if model.kl:
        for mean in total / n:
            parts["kl"] += model.kl * model.rho * math.log(model.rho / mean)
            parts["kl"] += model.kl * (1 - model.rho) * math.log((1 - model.rho) / (1 - mean))
    mean = sum(X) / n
    return {
        **parts,
        "auxiliary": 0,  # not asked for
        **({"rho_hat": total / n} if model.activation == "sigmoid" else {}),
        "loss": sum(parts.values()),
        "l0": active / n,
        "dead": 1 - len(ever) / h,
        "explained_variance": 1 - error / sum(sum((x - mean) ** 2) for x in X),
    }


MODELS = [
    {"l1": 0.1},
    {"k": 1, "weight_decay": 0.05},
    {"k": 3, "l1": 0.2, "unit_norm": True},
    {"activation": "sigmoid", "kl": 0.3, "rho": 0.1, "output": "sigmoid"},
    {"output": "sigmoid", "loss": "cross_entropy", "weight_decay": 0.1, "l1": 0.01},
]


@pytest.mark.parametrize("options", MODELS, ids=str)
@pytest.mark.parametrize("batch_size", [1, 7, 50, 999])
def test_history_is_what_a_plain_loop_finds(options, batch_size):
    whole = batch_size >= len(DATA)
    if "kl" in options and not whole:
        pytest.skip("the mean activation of Eq. (8) is a batch's")
    model = SparseAutoencoder(
        20, epochs=1, learning_rate=0, batch_size=batch_size, dtype="float64", random_state=0, **options
    ).fit(DATA)
    assert {name: len(values) for name, values in model.history_.items()} == dict.fromkeys(
        [*numbers_by_loop(model, DATA), "seconds"], 1
    )
    for name, expected in numbers_by_loop(model, DATA).items():
        rel = 1e-6 if name == "rho_hat" else 1e-10  # the former are kept in float32
        assert model.history_[name][0] == pytest.approx(expected, rel=rel, abs=1e-12), name
    assert model.history_["seconds"][0] > 0


@pytest.mark.parametrize("options", MODELS, ids=str)
def test_the_parts_add_up_to_the_loss_in_every_epoch(options):
    history = SparseAutoencoder(20, epochs=4, batch_size=16, **options).fit(DATA).history_
    parts = [history[name] for name in ("reconstruction", "l1", "kl", "weight_decay", "auxiliary")]
    np.testing.assert_allclose(np.sum(parts, axis=0), history["loss"], rtol=1e-12)


@pytest.mark.parametrize("offset", [0.1, 1e6])
def test_data_without_variance_has_no_explained_variance(offset):
    history = SparseAutoencoder(4, epochs=1, dtype="float64").fit(np.full((50, 3), offset)).history_
    assert math.isnan(history["explained_variance"][0])


def test_explained_variance_far_from_zero():
    X = DATA + 1e7  # Σx² − (Σx)²/n would lose every digit here
    model = SparseAutoencoder(20, epochs=1, learning_rate=0, dtype="float64", random_state=0).fit(X)
    expected = numbers_by_loop(model, X)["explained_variance"]
    assert model.history_["explained_variance"][0] == pytest.approx(expected, rel=1e-6)


# ---- how it ends


def test_it_learns():
    losses = SparseAutoencoder(16, epochs=30, batch_size=10, random_state=0).fit(DATA).history_["loss"]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize(
    ("options", "stopped", "epochs"),
    [
        ({"learning_rate": 0, "tol": 1e-3, "patience": 1}, "converged", 2),
        ({"learning_rate": 0, "tol": 1e-3, "patience": 4}, "converged", 5),
        ({"learning_rate": 0, "tol": 0.0}, "epochs", 12),
        ({"learning_rate": 1e-2, "tol": 1e-3, "patience": 2}, "epochs", 12),
        ({"learning_rate": 1e-2, "tol": 1.0, "patience": 3}, "converged", 4),
    ],
)
def test_convergence(options, stopped, epochs):
    model = SparseAutoencoder(8, epochs=12, batch_size=50, dtype="float64", random_state=0, **options)
    model.fit(DATA)
    assert (model.stopped_, model.n_iter_, len(model.history_["loss"])) == (stopped, epochs, epochs)


def test_a_loss_of_zero_has_converged():
    model = SparseAutoencoder(4, epochs=20, tol=0.1, patience=2).fit(np.zeros((9, 3)))
    assert (model.stopped_, model.n_iter_) == ("converged", 3)


@pytest.mark.parametrize(
    "epochs", [1, 3], ids=["in the last step, which no loss has seen", "seen by the next loss"]
)
def test_divergence(epochs):
    model = SparseAutoencoder(8, epochs=epochs, learning_rate=1e39, random_state=0)
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"epoch 1.*learning_rate=1e\+39"):
        model.fit(DATA)
    assert not model.__sklearn_is_fitted__()


@pytest.mark.parametrize("moment", ["before the step", "after the step"])
@pytest.mark.parametrize("at", [1, 3, 6])  # of three steps an epoch
def test_ctrl_c_returns_the_model(monkeypatch, moment, at):
    steps, real = [], Adam.step

    def step(self, theta, grads):
        steps.append(1)
        if len(steps) == at and moment == "before the step":
            raise KeyboardInterrupt
        real(self, theta, grads)
        if len(steps) == at:
            raise KeyboardInterrupt

    model = SparseAutoencoder(
        8, unit_norm=True, epochs=9, batch_size=20, learning_rate=0.1, random_state=0, on_interrupt="return"
    )
    with monkeypatch.context() as patch:
        patch.setattr(Adam, "step", step)
        with pytest.warns(UserWarning, match="interrupted.*on_interrupt='raise'"):
            assert model.fit(DATA) is model
    assert len(steps) == at
    assert model.stopped_ == "interrupted"
    assert (
        model.n_iter_ == math.ceil((at - 1) / 3) == len(model.history_.get("loss", []))
    )  # whole steps count
    assert np.isfinite(model.score(DATA))
    np.testing.assert_allclose(np.linalg.norm(model.autoencoder_.decoder_layer.W, axis=0), 1, rtol=1e-5)
    model.partial_fit(DATA)
    assert model.stopped_ == "epochs"


PLACES = {
    "EpochMetrics": (history, "EpochMetrics"),
    "end_epoch": (history.EpochLog, "end_epoch"),
    "Progress.update": (loop.Progress, "update"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("epoch", [1, 2])
def test_ctrl_c_between_two_steps(monkeypatch, place, epoch):
    owner, name = PLACES[place]
    if place == "EpochMetrics":
        epoch += 1  # the log makes one before the first epoch
    calls, real = [], getattr(owner, name)

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == epoch:
            if place == "end_epoch":
                real(*args, **kwargs)  # it is appended again, and must not count twice
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, interrupted)
    model = SparseAutoencoder(8, epochs=9, batch_size=20, on_interrupt="return")
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(DATA)
    assert model.stopped_ == "interrupted"
    assert {len(values) for values in model.history_.values()} <= {model.n_iter_}
    assert model.n_iter_ == epoch - 2 * (place == "EpochMetrics")


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
def test_in_a_loop_of_another_module_ctrl_c_is_raised_again_and_the_model_is_kept(monkeypatch, learn):
    """This module is not the program: pytest has imported it."""
    monkeypatch.setattr(loop.Progress, "update", interrupted)
    model = SparseAutoencoder(8, epochs=9, batch_size=20)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, learn)(DATA)
    assert model.stopped_ == "interrupted"
    assert np.isfinite(model.score(DATA))


def interrupted(*_, **__):
    raise KeyboardInterrupt


def test_ctrl_c_stops_a_grid_search(monkeypatch):
    selection = pytest.importorskip("sklearn.model_selection")
    fits = []

    class Counted(SparseAutoencoder):
        def _initial(self, X, rng):
            fits.append(self.k)
            return super()._initial(X, rng)

    search = selection.GridSearchCV(Counted(8, epochs=2), {"k": [1, 2, 3]}, cv=3)
    monkeypatch.setattr(loop.Progress, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search.fit(DATA)
    assert fits == [1]


SCRIPT = """
    import sys
    import numpy as np
    from nsae import SparseAutoencoder
    X = np.random.default_rng(0).random((500, 16))
    options = {"epochs": 10**9, "backend": "numpy", **eval(sys.argv[1])}
    print("started", flush=True)
    model = SparseAutoencoder(64, **options).fit(X)
    model.save("model.npz")
    print(model.stopped_)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
@pytest.mark.parametrize(
    ("options", "said", "code"),
    [({}, "interrupted\n", 0), ({"on_interrupt": "raise"}, "", -signal.SIGINT)],
)
def test_ctrl_c_from_outside(tmp_path, options, said, code):
    """A script that calls fit itself gets the model; one that asks for it is stopped."""
    run = [sys.executable, "-c", textwrap.dedent(SCRIPT), repr(options)]
    path = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        run,
        cwd=tmp_path,
        env={**unmeasured(), "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "started\n"
        try:
            process.wait(0.7)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert (out, process.returncode) == (said, code)
    if said:
        assert "Training was interrupted (Ctrl-C) after" in err
        assert SparseAutoencoder.load(tmp_path / "model.npz").n_iter_ >= 1
    else:
        assert "KeyboardInterrupt" in err


@pytest.mark.parametrize(("backend", "k"), [("numpy", None), ("auto", None), ("auto", 3)])
def test_columns_have_norm_one_after_every_step(monkeypatch, backend, k):
    norms, real = [], EpochMetrics.add

    def add(self, report, B):  # called after each step
        real(self, report, B)
        norms.append(np.linalg.norm(core.decoder_layer.W, axis=0))

    monkeypatch.setattr(EpochMetrics, "add", add)
    options = {"unit_norm": True, "learning_rate": 0.1, "k": k, "backend": backend}
    model = SparseAutoencoder(8, epochs=3, batch_size=20, **options)
    core = model.core_for(DATA)
    monkeypatch.setattr(model, "_initial", lambda *_: core)
    model.fit(DATA)
    assert len(norms) == 9
    np.testing.assert_allclose(norms, 1, rtol=1e-6)


# ---- partial_fit


def test_partial_fit_goes_on_from_fit():
    model = SparseAutoencoder(8, epochs=2, random_state=0).fit(DATA)
    before, steps = params(model), model._state.optimizer.t
    model.partial_fit(DATA)
    assert model._state.optimizer.t == steps + 1
    assert model.n_iter_ == 3
    assert model.history_["loss"][2] < model.history_["loss"][0]
    assert 0 < np.abs(model.autoencoder_.params["W"] - before["W"]).max() < 0.01


@pytest.mark.parametrize(
    "options", [{"l1": np.float64(0.1)}, {"k": 3, "unit_norm": True}, {"dtype": "float64"}]
)
@pytest.mark.parametrize("begin", ["fit", "partial_fit"])
def test_partial_fit_after_load_is_as_if_uninterrupted(tmp_path, options, begin):
    model = SparseAutoencoder(8, epochs=2, batch_size=16, random_state=0, **options)
    getattr(model, begin)(DATA)
    model.save(tmp_path / "model.npz", with_optimizer=True)
    loaded = SparseAutoencoder.load(tmp_path / "model.npz")
    for _ in range(3):
        model.partial_fit(DATA)
        loaded.partial_fit(DATA)
    assert same(params(model), params(loaded))
    for name in model.history_.keys() - {"seconds"}:
        assert model.history_[name] == loaded.history_[name]


def test_partial_fit_on_chunks_takes_the_rows_in_order(monkeypatch):
    seen, real = [], loop.PlainStep.__call__
    monkeypatch.setattr(loop.PlainStep, "__call__", lambda self, X: (seen.append(X.copy()), real(self, X))[1])
    model = SparseAutoencoder(8, batch_size=8, dtype="float64", backend="numpy")
    for chunk in (DATA[:20], DATA[20:]):
        model.partial_fit(chunk)
    np.testing.assert_array_equal(np.concatenate(seen), DATA)


def test_partial_fit_checks_the_width():
    model = SparseAutoencoder(8, epochs=1).partial_fit(DATA)
    with pytest.raises(ValueError, match="X has 5 features, but SparseAutoencoder is expecting 6"):
        model.partial_fit(DATA[:, :5])


def test_an_encoder_that_was_handed_out_stays_as_it_is():
    model = SparseAutoencoder(8, epochs=1, random_state=0).fit(DATA)
    encoder = model.encoder()
    before = encoder.transform(DATA)
    model.partial_fit(DATA)
    np.testing.assert_array_equal(encoder.transform(DATA), before)
    assert not np.array_equal(model.transform(DATA), before)
