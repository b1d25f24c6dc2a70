import numpy as np
import pytest
from combinations import legal_combinations

from nsae.equations.activations import KSparse, ReLU, Sigmoid

COMBINATIONS = list(legal_combinations())


def test_eq02_code(build, rng):
    X = rng.random((6, 5))
    for g in (Sigmoid(), ReLU(), KSparse(3)):
        model = build(g)
        Z, U = model.forward(X)
        np.testing.assert_array_equal(Z, g(model.encoder_layer.forward(X)))
        np.testing.assert_array_equal(U, model.decoder_layer.forward(Z))


@pytest.mark.parametrize(("g", "options"), COMBINATIONS)
def test_eq10_total(build, rng, g, options):
    """J is the sum of its parts, a part is there exactly when asked for, and J is what is returned."""
    X = rng.random((6, 5))
    model = build(g, **options)
    loss = model.losses(X, *model.forward(X))
    assert model.loss_and_grads(X)[0] == loss.total == sum(loss)
    assert loss.reconstruction > 0
    for part in ("l1", "kl", "weight_decay"):
        assert (getattr(loss, part) > 0) == (options[part] > 0)


def test_eq13_code_gradient(build, rng):
    """dZ by differences: J as a function of Z, with everything before it held still."""
    X = rng.random((6, 5))
    model = build(Sigmoid(), l1=0.1, kl=0.2)
    Z, U = model.forward(X)
    dZ = model.decoder_layer.input_grad(model._output_grad(X, U)) + model._sparsity_grad(Z)
    eps = 1e-6
    for i, j in np.ndindex(Z.shape):
        moved = Z.copy()
        moved[i, j] += eps
        J_plus = model.losses(X, moved, model.decoder_layer.forward(moved)).total
        moved[i, j] -= 2 * eps
        J_minus = model.losses(X, moved, model.decoder_layer.forward(moved)).total
        assert dZ[i, j] == pytest.approx((J_plus - J_minus) / (2 * eps), abs=1e-8)


def test_eq15_encoder_gradients(build, rng):
    X = rng.random((6, 5))
    model = build(ReLU(), weight_decay=0.05)
    Z, U = model.forward(X)
    grads = model.backward(X, Z, U)
    dY = (model._output_grad(X, U) @ model.decoder_layer.W) * (Z > 0)
    np.testing.assert_allclose(
        grads["W"], sum(np.outer(dY[i], X[i]) for i in range(6)) + 0.05 * model.encoder_layer.W
    )
    np.testing.assert_allclose(grads["b"], dY.sum(axis=0))


@pytest.mark.parametrize(("g", "options"), COMBINATIONS)
def test_duplicating_the_batch_changes_nothing(build, rng, g, options):
    X = rng.random((6, 5))
    model = build(g, **options)
    J, grads = model.loss_and_grads(X)
    J2, grads2 = model.loss_and_grads(np.concatenate([X, X]))
    assert J2 == pytest.approx(J, rel=1e-13)
    for name in grads:
        np.testing.assert_allclose(grads2[name], grads[name], rtol=1e-11, atol=1e-14)


def test_nothing_is_kept_between_forward_and_backward(build, rng):
    """Backward of one batch is the same after a forward of another."""
    X, other = rng.random((6, 5)), rng.random((9, 5))
    model = build(Sigmoid(), l1=0.1, kl=0.2)
    before = vars(model).copy()
    Z, U = model.forward(X)
    grads = model.backward(X, Z, U)
    model.forward(other)
    again = model.backward(X, Z, U)
    assert vars(model) == before
    for name in grads:
        np.testing.assert_array_equal(again[name], grads[name])


def test_float32_stays_float32(build, rng):
    X = rng.random((6, 5)).astype(np.float32)
    for g, options in COMBINATIONS:
        model = build(g, **options)
        for layer in (model.encoder_layer, model.decoder_layer):
            layer.W, layer.b = layer.W.astype(np.float32), layer.b.astype(np.float32)
        assert {grad.dtype.name for grad in model.loss_and_grads(X)[1].values()} == {"float32"}


def test_eq42_one_active_unit(build, rng):
    """Each sample moves the one unit with the largest pre-activation; learning ends at weighted means."""
    model, X = build(KSparse(1)), rng.random((40, 5))
    W, b, V, c = model.params.values()
    Y = X @ W.T + b  # (B, h)
    nearest, z = Y.argmax(axis=1), np.maximum(Y.max(axis=1), 0)  # (B,) each
    X_hat = c + z[:, None] * V.T[nearest]  # (B, d)
    grads = model.loss_and_grads(X)[1]
    used = np.unique(nearest[z > 0])
    for j in range(len(b)):
        of_j = nearest == j
        np.testing.assert_allclose(grads["V"][:, j], z[of_j] @ (X_hat - X)[of_j] / len(X), atol=1e-15)
    for j in used:
        of_j = nearest == j
        V[:, j] = z[of_j] @ (X - c)[of_j] / np.sum(z[of_j] ** 2)
    assert len(used) > 1
    np.testing.assert_allclose(model.loss_and_grads(X)[1]["V"], 0, atol=1e-15)
