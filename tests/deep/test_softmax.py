"""Softmax and its cross-entropy: the values, the gradient, and large numbers."""

import numpy as np
import pytest

from nsae import compare_gradients
from nsae.deep import softmax, softmax_cross_entropy, softmax_gradient


def test_eq43_softmax(rng):
    U = rng.standard_normal((5, 4))
    P = softmax(U)
    expected = np.exp(U) / np.exp(U).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(P, expected, rtol=1e-13)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-13)


def test_eq43_loss_and_gradient(rng):
    U, labels = rng.standard_normal((6, 3)), rng.integers(3, size=6)
    J = softmax_cross_entropy(U, labels)
    assert J == pytest.approx(-np.mean([np.log(softmax(U)[i, c]) for i, c in enumerate(labels)]), rel=1e-13)
    dU = softmax_gradient(U, labels)
    check = compare_gradients(lambda: softmax_cross_entropy(U, labels), {"U": U}, {"U": dU})
    assert check.max_error < 1e-8
    np.testing.assert_allclose(dU.sum(axis=1), 0, atol=1e-15)


def test_eq43_by_hand():
    U, labels = np.log([[3.0, 1.0]]), np.array([0])
    np.testing.assert_allclose(softmax(U), [[0.75, 0.25]])
    assert softmax_cross_entropy(U, labels) == pytest.approx(0.2877, abs=5e-5)
    np.testing.assert_allclose(softmax_gradient(U, labels), [[-0.25, 0.25]])


def test_large_numbers_do_not_overflow_and_the_loss_stays_finite():
    U = np.array([[1e4, -1e4], [-1e4, 1e4]])
    np.testing.assert_array_equal(softmax(U), [[1, 0], [0, 1]])
    assert softmax_cross_entropy(U, np.array([1, 1])) == pytest.approx(1e4)
    np.testing.assert_array_equal(softmax_gradient(U, np.array([1, 1])), [[0.5, -0.5], [0, 0]])


def test_arguments_stay_as_they_are_and_so_does_the_dtype(rng):
    U = rng.standard_normal((3, 2)).astype(np.float32)
    before, labels = U.copy(), np.array([0, 1, 1])
    softmax_cross_entropy(U, labels)
    assert softmax(U).dtype == softmax_gradient(U, labels).dtype == np.float32
    np.testing.assert_array_equal(U, before)
