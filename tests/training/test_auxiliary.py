import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.equations.activations import KSparse
from nsae.equations.gradcheck import compare_gradients
from nsae.training.dead_units import AuxiliaryLoss


def value_of(model, X, error, dead, alpha, k_aux):
    """(21) as its words say it, one sample at a time."""
    total = 0.0
    for x, e in zip(X, error, strict=True):
        y = {j: model.encoder_layer.W[j] @ x + model.encoder_layer.b[j] for j in dead}
        best = sorted(dead, key=lambda j: -y[j])[:k_aux]
        e_hat = sum(max(y[j], 0) * model.decoder_layer.W[:, j] for j in best)  # no bias c
        total += 0.5 * alpha * float(np.sum((e - e_hat) ** 2)) / len(X)
    return total


def test_eq21_auxiliary(build, rng):
    X, error, dead = rng.random((6, 5)), rng.normal(size=(6, 5)), np.array([1, 2, 4, 6])
    model = build(KSparse(2))
    auxiliary = AuxiliaryLoss(model, 0.3, 2)
    found = auxiliary(X, error, dead)
    assert found.value == pytest.approx(value_of(model, X, error, dead, 0.3, 2))
    np.testing.assert_array_equal(found.units, dead)
    # the error is data: it stays while the weights are moved
    grads = {name: np.zeros_like(theta) for name, theta in model.params.items()}
    grads["W"][dead], grads["b"][dead], grads["V"].T[dead] = found.dW, found.db, found.dVt
    check = compare_gradients(lambda: auxiliary(X, error, dead).value, model.params, grads)
    assert check.max_error < 1e-8


OPTIONS = {"aux_weight": 0.5, "dead_after": 40, "epochs": 20, "batch_size": 32, "random_state": 0}


@pytest.mark.parametrize(
    "more", [{"k": 3}, {"k": 3, "unit_norm": True}, {"l1": 1.0, "unit_norm": True}, {"l1": 1.0, "output": "sigmoid"}]
)  # fmt: skip
def test_the_fast_steps_do_the_same(rng, more):
    pytest.importorskip("numba")
    X = rng.random((150, 12))
    fast, plain = (
        SparseAutoencoder(60, dtype="float64", backend=backend, **OPTIONS, **more).fit(X)
        for backend in ("numba", "numpy")
    )
    assert max(plain.history_["auxiliary"]) > 0  # there were dead units
    np.testing.assert_allclose(fast.history_["auxiliary"], plain.history_["auxiliary"], rtol=1e-9)
    np.testing.assert_allclose(fast.history_["loss"], plain.history_["loss"], rtol=1e-9)


def test_it_brings_units_back(rng):
    """Half of the units start so weak that they never are among the k largest, and so get no gradient."""
    X = rng.random((400, 16))

    def dead_half(**options):
        model = SparseAutoencoder(32, k=4, epochs=150, batch_size=50, random_state=0, **options)
        core = model.core_for(X)
        core.encoder_layer.W[:16] *= 0.02
        core.encoder_layer.b[:16] *= 0.02
        model._initial = lambda *_: core
        model.fit(X)
        return model.history_["dead"][-1], model.history_["explained_variance"][-1]

    dead, explained = dead_half()
    dead_then, explained_then = dead_half(aux_weight=1 / 32, dead_after=400)
    assert dead > 0.3
    assert dead_then < 0.15
    assert explained_then > explained
