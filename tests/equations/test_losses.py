import numpy as np
import pytest

from nsae.equations.losses import cross_entropy, output_gradient, squared_error


def test_eq05_squared_error():
    X, X_hat = np.array([[1.0, 2.0], [0.0, 0.0]]), np.array([[1.0, 0.0], [3.0, 0.0]])
    assert squared_error(X, X_hat) == (4 + 9) / 4


def test_eq06_cross_entropy(rng):
    X, U = rng.random((4, 3)), rng.normal(size=(4, 3))
    X_hat = 1 / (1 + np.exp(-U))
    assert cross_entropy(X, U) == pytest.approx(-(X * np.log(X_hat) + (1 - X) * np.log(1 - X_hat)).sum() / 4)


def test_cross_entropy_is_finite_for_every_logit():
    X = np.array([[0, 1, 0, 1]], np.float32)
    U = np.array([[1e4, -1e4, -1e4, 1e4]], np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert cross_entropy(X, U) == 2e4


def test_eq11_output_gradient(rng):
    X, U = rng.random((4, 3)), rng.normal(size=(4, 3))
    X_hat = 1 / (1 + np.exp(-U))
    np.testing.assert_allclose(output_gradient(X, X_hat, sigmoid_then_squared=False), (X_hat - X) / 4)
    np.testing.assert_allclose(
        output_gradient(X, X_hat, sigmoid_then_squared=True), (X_hat - X) * X_hat * (1 - X_hat) / 4
    )
