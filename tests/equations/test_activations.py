import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nsae.equations.activations import JumpReLU, KSparse, ReLU, Sigmoid

LEVELS = st.sampled_from([-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0])  # few values: many ties


def k_sparse_by_sorting(y, k):
    """One row of Eq. (4), as its words say it."""
    order = sorted(range(len(y)), key=lambda j: (-y[j], j))
    z = np.zeros_like(y)
    for j in order[:k]:
        if y[j] > 0:
            z[j] = y[j]
    return z


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_eq04_activations(dtype, rng):
    Y = rng.normal(size=(6, 9)).astype(dtype)
    np.testing.assert_allclose(Sigmoid()(Y), 1 / (1 + np.exp(-Y.astype(float))), rtol=1e-6)
    np.testing.assert_array_equal(ReLU()(Y), np.where(Y > 0, Y, 0))
    np.testing.assert_array_equal(KSparse(4)(Y), [k_sparse_by_sorting(y, 4) for y in Y])
    for g in (Sigmoid(), ReLU(), KSparse(4)):
        assert g(Y).dtype == dtype


@given(arrays(float, (3, 8), elements=LEVELS), st.integers(1, 10))
def test_k_sparse_with_ties_and_few_positive_entries(Y, k):
    Z = KSparse(k)(Y)
    np.testing.assert_array_equal(Z, [k_sparse_by_sorting(y, k) for y in Y])
    assert ((Z > 0).sum(axis=1) <= k).all()


@given(arrays(np.float32, (4, 6), elements=st.floats(-5, 5, width=32)), st.integers(1, 6))
def test_k_sparse_rows_are_independent(Y, k):
    Z = KSparse(k)(Y)
    for i in range(len(Y)):
        np.testing.assert_array_equal(KSparse(k)(Y[i : i + 1])[0], Z[i])


def test_sigmoid_never_overflows():
    with np.errstate(all="raise", under="ignore"):
        Z = Sigmoid()(np.array([[-1e4, -100.0, 0.0, 100.0, 1e4]], np.float32))
    np.testing.assert_allclose(Z, [[0, 0, 0.5, 1, 1]], atol=1e-30)


def test_eq14_derivative_from_the_output(rng):
    Y = rng.normal(size=(5, 6))
    eps = 1e-6
    for g in (Sigmoid(), ReLU(), KSparse(2)):
        numeric = (g(Y + eps) - g(Y - eps)) / (2 * eps)
        np.testing.assert_allclose(g.grad(g(Y)), numeric, atol=1e-9)


def test_relu_is_flat_at_its_kink():
    for g in (ReLU(), KSparse(1)):
        assert g.grad(g(np.zeros((1, 1)))) == 0


def test_eq48_jumprelu():
    theta = np.array([0, 0.5, 2])
    Y = np.array([[1, 1, 1], [0, 0.5, 2], [3, 0.6, 3], [-1, -1, -1]])
    Z = [[1, 1, 0], [0, 0, 0], [3, 0.6, 3], [0, 0, 0]]  # at its threshold a unit is off
    np.testing.assert_array_equal(JumpReLU(theta)(Y), Z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_jumprelu_without_thresholds_is_relu(dtype, rng):
    Y = rng.normal(size=(6, 5)).astype(dtype)
    np.testing.assert_array_equal(JumpReLU(np.zeros(5, dtype))(Y), ReLU()(Y), strict=True)


@pytest.mark.parametrize("wrong", [-0.1, np.nan])
def test_jumprelu_refuses_a_threshold_that_would_let_negative_entries_pass(wrong):
    with pytest.raises(ValueError, match="at least 0"):
        JumpReLU(np.array([0.5, wrong]))
