import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.training import loop
from nsae.training.history import EpochMetrics
from nsae.training.schedules import annealed_k, rate_factor


def test_the_learning_rate_rises_and_falls():
    factors = [rate_factor(n, 100, 10, "none") for n in range(100)]
    np.testing.assert_allclose(factors[:10], np.arange(1, 11) / 10)
    assert set(factors[10:]) == {1}
    for decay in ("linear", "cosine"):
        falling = [rate_factor(n, 100, 0, decay) for n in range(100)]
        assert falling[0] == 1
        assert (np.diff(falling) < 0).all()
        assert falling[-1] < 0.011
    assert rate_factor(50, 100, 0, "cosine") == pytest.approx(0.5)


def test_k_falls_to_its_value_and_stays():
    ks = [annealed_k(n, 100, 40, 10) for n in range(100)]
    assert ks[0] == 40
    assert ks[30] == 25
    assert set(ks[60:]) == {10}
    assert (np.diff(ks) <= 0).all()


@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_training_follows_the_schedule(monkeypatch, rng, backend):
    X, seen, real = rng.random((60, 6)), [], EpochMetrics.add

    def add(self, report, B):
        real(self, report, B)
        seen.append((states[0].model.g.k, states[0].optimizer.learning_rate, report.active / B))

    model = SparseAutoencoder(
        20, k=2, k_start=10, epochs=10, batch_size=20, warmup_steps=3, lr_schedule="linear", backend=backend
    )
    states, make = [], loop.make_step

    def make_step(state, *args, **kwargs):
        states.append(state)
        return make(state, *args, **kwargs)

    monkeypatch.setattr(loop, "make_step", make_step)
    monkeypatch.setattr(EpochMetrics, "add", add)
    model.fit(X)
    ks, rates, active = zip(*seen, strict=True)
    assert ks[0] == 10
    assert set(ks[18:]) == {2}
    assert all(a <= k for a, k in zip(active, ks, strict=True))
    np.testing.assert_allclose(rates, [1e-3 * rate_factor(n, 30, 3, "linear") for n in range(30)])
    # afterwards all is as it was set
    assert model.autoencoder_.g.k == 2
    assert model._state.optimizer.learning_rate == 1e-3
    assert model.encode(X).counts.max() <= 2


def test_an_interrupted_annealing_leaves_k_as_asked_for(monkeypatch, rng):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(EpochMetrics, "add", interrupted)
    model = SparseAutoencoder(20, k=2, k_start=10)
    with pytest.raises(KeyboardInterrupt):
        model.fit(rng.random((60, 6)))
    assert model.stopped_ == "interrupted"
    assert model.autoencoder_.g.k == 2


def test_the_length_of_the_schedule_is_that_of_epochs_over_the_first_data(rng):
    X = rng.random((60, 6))
    model = SparseAutoencoder(8, epochs=10, batch_size=20, lr_schedule="linear").partial_fit(X[:40])
    assert model._state.epoch_rows == 40  # two steps an epoch, 20 in all
    rates = []
    for _ in range(5):
        model.partial_fit(X)
        rates.append(model._state.optimizer.t / 20)
    np.testing.assert_allclose(rates, [0.25, 0.4, 0.55, 0.7, 0.85])
    with pytest.warns(UserWarning, match="come to its end after 20 steps.*schedule_steps"):
        model.partial_fit(X).partial_fit(X)
    before = model.transform(X)
    with pytest.warns(UserWarning, match="the learning rate is 0"):
        np.testing.assert_array_equal(model.partial_fit(X).transform(X), before)
    model.set_params(schedule_steps=100).partial_fit(X)
    assert not np.array_equal(model.transform(X), before)


def test_after_its_end_the_learning_rate_stays_zero():
    for schedule in ("linear", "cosine"):
        assert [rate_factor(n, 100, 0, schedule) for n in (100, 101, 1000)] == [0, 0, 0]
    assert rate_factor(1000, 100, 10, "none") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k_start": 5}, "k=None"),
        ({"k": 4, "k_start": 3}, "k_start=3"),
        ({"k": 4, "k_start": 500}, "n_units"),
        ({"warmup_steps": -1}, "warmup_steps"),
        ({"lr_schedule": "steep"}, "'linear'"),
        ({"schedule_steps": 0}, "schedule_steps"),
    ],
)
def test_nonsense_is_refused(rng, options, words):
    with pytest.raises(ValueError, match=words):
        SparseAutoencoder(8, **options).fit(rng.random((20, 4)))
