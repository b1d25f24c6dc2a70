import numpy as np
import pytest

from nsae.equations.sparsity import kl_gradient, kl_penalty, l1_gradient, l1_penalty, mean_activation


def test_eq07_l1():
    Z = np.array([[1.0, -2.0, 0.0], [0.5, 0.0, 0.0]])
    assert l1_penalty(Z, 0.1) == pytest.approx(0.1 * 3.5 / 2)
    np.testing.assert_allclose(l1_gradient(Z, 0.1), [[0.05, -0.05, 0], [0.05, 0, 0]])


def test_eq08_kl():
    Z = np.array([[0.2, 0.5], [0.4, 0.5]])  # ρ̂ = (0.3, 0.5)
    np.testing.assert_allclose(mean_activation(Z), [0.3, 0.5])
    by_hand = sum(0.1 * np.log(0.1 / r) + 0.9 * np.log(0.9 / (1 - r)) for r in (0.3, 0.5))
    assert kl_penalty(Z, 2.0, 0.1) == pytest.approx(2 * by_hand)
    np.testing.assert_allclose(kl_gradient(Z, 2.0, 0.1), [-0.1 / 0.3 + 0.9 / 0.7, -0.1 / 0.5 + 0.9 / 0.5])


def test_kl_vanishes_at_its_target():
    Z = np.full((3, 2), 0.05)
    assert kl_penalty(Z, 1.0, 0.05) == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(kl_gradient(Z, 1.0, 0.05), 0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kl_of_saturated_units_is_finite(dtype):
    Z = np.array([[0, 1], [0, 1]], dtype)
    assert np.isfinite(kl_penalty(Z, 1.0, 0.05))
    down, up = kl_gradient(Z, 1.0, 0.05)
    assert down < 0 < up  # it pushes the silent unit up and the saturated one down
