"""The 2 → 1 → 2 example of equations/README.md, with the very numbers that stand there."""

import numpy as np
import pytest

from nsae.equations.activations import ReLU
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense
from nsae.equations.optimizers import Adam

X = np.array([[1, 1], [0, 0.5]])  # (2, 2)


@pytest.fixture
def model():
    encoder = Dense(np.array([[1, 0.5]]), np.array([-0.5]), weight_decay=0.1)
    decoder = Dense(np.array([[1.0], [1.0]]), np.array([0.25, 0.0]), weight_decay=0.1)
    return Autoencoder(encoder, decoder, ReLU(), l1=0.1)


def test_forward(model):
    Z, U = model.forward(X)
    np.testing.assert_allclose(model.encoder_layer.forward(X), [[1], [-0.25]])
    np.testing.assert_allclose(Z, [[1], [0]])
    np.testing.assert_allclose(U, [[1.25, 1], [0.25, 0]])


def test_loss_parts(model):
    loss = model.losses(X, *model.forward(X))
    np.testing.assert_allclose(loss, [0.09375, 0.05, 0, 0.1625, 0])
    assert loss.total == pytest.approx(0.30625)


def test_backward(model):
    J, grads = model.loss_and_grads(X)
    assert J == pytest.approx(0.30625)
    np.testing.assert_allclose(grads["V"], [[0.225], [0.1]])
    np.testing.assert_allclose(grads["c"], [0.25, -0.25])
    np.testing.assert_allclose(grads["W"], [[0.275, 0.225]])
    np.testing.assert_allclose(grads["b"], [0.175])


def test_one_step_of_adam(model):
    optimizer = Adam(learning_rate=0.1)
    optimizer.step(model.params, model.loss_and_grads(X)[1])
    np.testing.assert_allclose(model.params["W"], [[0.9, 0.4]], rtol=1e-6)
    np.testing.assert_allclose(model.params["b"], [-0.6], rtol=1e-6)
    np.testing.assert_allclose(model.params["V"], [[0.9], [0.9]], rtol=1e-6)
    np.testing.assert_allclose(model.params["c"], [0.15, 0.1], rtol=1e-6)
