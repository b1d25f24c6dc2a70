"""The dense layer against sums one number at a time, weight decay, and the unit-norm option."""

import operator

import numpy as np

from nsae.equations.gradcheck import compare_gradients
from nsae.equations.layers import Dense, normalise_columns, tangent


def by_loops(A, B, c):
    """A Bᵀ + c, one number at a time."""
    return np.array(
        [[sum(map(operator.mul, row, col)) + s for col, s in zip(B, c, strict=True)] for row in A]
    )


def test_eq01_encoder(rng):
    W, b, X = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(5, 4))
    np.testing.assert_allclose(Dense(W, b).forward(X), by_loops(X, W, b))


def test_eq03_decoder(rng, build):
    from nsae.equations.activations import ReLU, Sigmoid

    V, c, Z = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=(5, 3))
    U = Dense(V, c).forward(Z)
    np.testing.assert_allclose(U, by_loops(Z, V, c))
    assert build(ReLU(), output="linear").reconstruct(U) is U
    np.testing.assert_array_equal(build(ReLU(), output="sigmoid").reconstruct(U), Sigmoid()(U))


def test_eq09_weight_decay(rng):
    layer = Dense(np.array([[1.0, -2.0], [3.0, 0.0]]), np.array([5.0, 5.0]), weight_decay=0.1)
    assert layer.penalty() == 0.05 * (1 + 4 + 9)  # biases are not decayed
    assert Dense(layer.W, layer.b).penalty() == 0


def test_eq12_decoder_gradients(rng):
    V, Z, dU = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    dV, dc = Dense(V, np.zeros(4), weight_decay=0.2).param_grads(dU, Z)
    np.testing.assert_allclose(dV, sum(np.outer(dU[i], Z[i]) for i in range(5)) + 0.2 * V)
    np.testing.assert_allclose(dc, dU[0] + dU[1] + dU[2] + dU[3] + dU[4])


def test_random_weights_keep_within_glorots_limit(rng):
    layer = Dense.random(30, 20, rng, "float32")
    assert layer.W.shape == (20, 30)
    assert layer.W.dtype == layer.b.dtype == np.float32
    limit = np.sqrt(6 / 50)
    assert 0.95 * limit < np.abs(layer.W).max() <= limit
    assert not layer.b.any()


def test_eq20_unit_norm(rng):
    V, dV = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    V[:, 2] = 0
    normalise_columns(V)
    np.testing.assert_allclose(np.linalg.norm(V, axis=0), [1, 1, 0, 1])
    flat = tangent(dV, V)
    np.testing.assert_allclose((V * flat).sum(axis=0), 0, atol=1e-15)
    # what was taken away lies along the columns, and nothing else was
    np.testing.assert_allclose(dV - flat, V * (V * dV).sum(axis=0), atol=1e-15)


def test_the_tangential_gradient_is_that_of_the_loss_with_columns_normalised(rng):
    """The loss of v/‖v‖ has at ‖v‖ = 1 the gradient (I − vvᵀ) dV: README.md beside the equations derives it."""
    V, target = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    normalise_columns(V)

    def loss():
        return 0.5 * float(np.sum((V / np.linalg.norm(V, axis=0) - target) ** 2))

    assert compare_gradients(loss, {"V": V}, {"V": tangent(V - target, V)}).max_error < 1e-8
    assert compare_gradients(loss, {"V": V}, {"V": V - target}).max_error > 0.1
