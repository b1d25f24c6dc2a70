"""The state of training: what a model goes on from after a pause, a file, or an error, is the same to the bit."""

import copy
import dataclasses

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.training.state import TrainingState

DATA = np.random.default_rng(0).random((64, 6))
BATCH = 32  # two steps an epoch
DEAD = {"k": 1, "dead_after": 100}  # 100 units of which a sample activates one: many are dead
MODELS = {
    "plain": {},
    "AuxK": {**DEAD, "aux_weight": 0.5},
    "resampling": {**DEAD, "resample": True},
    "both, with unit norm": {**DEAD, "aux_weight": 0.5, "resample": True, "unit_norm": True},
    "warm-up and linear decay": {"warmup_steps": 30, "lr_schedule": "linear"},
    "warm-up and cosine decay": {"warmup_steps": 30, "lr_schedule": "cosine"},
    "k comes down": {"k": 2, "k_start": 40, "lr_schedule": "linear"},
    "all of it": {**DEAD, "aux_weight": 0.5, "resample": True, "k_start": 40, "lr_schedule": "cosine"},
}
every_model = pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
BACKENDS = ["numpy", "numba"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    return request.param


def estimator(backend, epochs, **options):
    return SparseAutoencoder(
        100, batch_size=BATCH, epochs=epochs, random_state=0, backend=backend, shuffle=False, **options
    )


def bits(model):
    """Everything that the model would save, apart from seconds and the hyperparameters."""
    header, arrays = model._content(True)
    history = {name: values for name, values in header["history"].items() if name != "seconds"}
    rest = {name: header[name] for name in ("optimizer_steps", "epoch_rows", "resampling_rng")}
    return {name: array.tobytes() for name, array in arrays.items()}, repr(history), rest


@every_model
def test_one_fit_and_many_partial_fits_end_alike(backend, options):
    """200 steps in one ``fit`` without shuffling, and in 100 ``partial_fit`` of two steps each."""
    whole = estimator(backend, 100, **options).fit(DATA)
    parts = estimator(backend, 100, **options)
    for _ in range(100):
        parts.partial_fit(DATA)
    assert whole._state.optimizer.t == 200
    assert bits(whole) == bits(parts)


def test_the_models_above_treat_dead_units():
    """Else the tests around this one would compare nothing."""
    plain = estimator("numpy", 100, k=1).fit(DATA)
    aux, resampled = (estimator("numpy", 100, **MODELS[name]).fit(DATA) for name in ("AuxK", "resampling"))
    assert max(aux.history_["auxiliary"]) > 0
    assert aux._state.idle.max() > 100
    assert bits(resampled)[0]["W"] != bits(plain)[0]["W"]


@every_model
def test_saved_and_loaded_goes_on_as_if_nothing_had_happened(backend, options, tmp_path):
    """``fit`` shuffles here; after the file, ``partial_fit`` goes on with idle counts, schedule and generator."""
    model = estimator(backend, 20, schedule_steps=100, **options).set_params(shuffle=True).fit(DATA)
    model.save(tmp_path / "model.npz", with_optimizer=True)
    loaded = SparseAutoencoder.load(tmp_path / "model.npz")
    assert bits(loaded) == bits(model)
    for _ in range(5):
        model.partial_fit(DATA)
        loaded.partial_fit(DATA)
    assert bits(loaded) == bits(model)


@pytest.mark.parametrize("learn", ["fit", "partial_fit"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_fit_that_diverges_changes_nothing(learn):
    options = MODELS["both, with unit norm"]
    model = estimator("numpy", 20, **options).fit(DATA)
    before, idle = bits(model), model._state.idle.copy()
    assert idle.max() > 0
    with pytest.raises(FloatingPointError):
        getattr(model.set_params(learning_rate=1e39), learn)(DATA)
    assert bits(model) == before
    np.testing.assert_array_equal(model._state.idle, idle)
    again = estimator("numpy", 20, **options).fit(DATA).partial_fit(DATA)
    assert bits(model.set_params(learning_rate=1e-3).partial_fit(DATA)) == bits(again)


def test_a_copy_has_a_state_of_its_own():
    model = estimator("numpy", 5, **MODELS["both, with unit norm"]).fit(DATA)
    before, other = bits(model), copy.deepcopy(model)
    other.partial_fit(DATA)
    assert bits(model) == before != bits(other)


def test_without_the_optimizer_training_begins_anew_from_the_weights(tmp_path):
    model = estimator("numpy", 5, **MODELS["AuxK"], warmup_steps=4).fit(DATA)
    model.save(tmp_path / "model.npz")
    state = SparseAutoencoder.load(tmp_path / "model.npz")._state
    assert (state.optimizer.t, state.epoch_rows, state.idle.max()) == (0, 0, 0)
    assert state.history == model.history_


@pytest.mark.parametrize("change", [{"idle": np.zeros(3, np.int64)}, {"m1_W": np.zeros(2)}])
def test_a_state_of_another_model_is_refused(change):
    state = estimator("numpy", 1).fit(DATA)._state
    fresh = TrainingState.start(state.model, state.optimizer)
    with pytest.raises(ValueError, match=r"does not fit"):
        fresh.restore(state.header(), {**state.arrays(), **change})


def test_every_part_of_the_state_is_saved():
    """Who adds a field must say how it comes back from a file."""
    known = {"model", "optimizer", "history", "idle", "epoch_rows", "resampling_rng", "backend"}
    assert {
        field.name for field in dataclasses.fields(TrainingState) if field.init
    } == known  # the others are no state
