"""Matching pursuit that weighs rate and distortion together."""

import numpy as np
import pytest

from nsae.compression.pursuit import MAX_UNITS, pursue


def problem(seed=0, B=12, d=16, h=40):
    rng = np.random.default_rng(seed)
    V = rng.standard_normal((d, h))
    V /= np.linalg.norm(V, axis=0)
    return 3 * rng.standard_normal((B, d)), V, rng.uniform(3, 9, h)


def cost(x, V, q, step, weight, bits, level=1.6):
    return np.sum((x - step * V @ q) ** 2) + weight * (bits[q > 0].sum() + level * q.sum())


def test_eq45_one_pattern_takes_the_whole_patch():
    V = np.eye(4)
    Q = pursue(np.array([[0.0, 30, 0, 0], [12, 0, 0, -30]]), V, 3, 0.0, np.ones(4))
    assert Q.tolist() == [[0, 10, 0, 0], [4, 0, 0, 0]]  # no value is negative


def test_eq45_without_a_price_what_is_left_falls_with_the_step():
    X, V, bits = problem()
    left = [np.linalg.norm(X - step * pursue(X, V, step, 0.0, bits) @ V.T) for step in (8, 2, 0.5)]
    assert left[0] > 2 * left[1]
    assert left[1] > 2 * left[2]
    assert left[2] < 0.15 * np.linalg.norm(X)


def test_eq46_no_single_change_lowers_distortion_and_rate():
    X, V, bits = problem()
    step, weight = 1.5, 0.5
    for x, q in zip(X, pursue(X, V, step, weight, bits), strict=True):
        best = cost(x, V, q, step, weight, bits)
        for unit in range(V.shape[1]):
            for value in {0, max(q[unit] - 1, 0), q[unit] + 1}:
                other = q.copy()
                other[unit] = value
                assert cost(x, V, other, step, weight, bits) > best - 0.01


def test_eq46_a_dearer_bit_buys_fewer_units():
    X, V, bits = problem()
    units = [(pursue(X, V, 1.0, weight, bits) > 0).sum() for weight in (0.0, 0.3, 3.0, 1e6)]
    assert units[0] > units[1] > units[2] > units[3] == 0


def test_a_patch_does_not_depend_on_those_beside_it():
    X, V, bits = problem(B=1200)
    whole = pursue(X, V, 2.0, 0.5, bits)
    assert np.array_equal(whole[700:], pursue(X[700:], V, 2.0, 0.5, bits))


def test_patterns_need_not_have_norm_1():
    X, V, bits = problem()
    known = np.arange(16) % 3 > 0  # a third of each patch is missing
    Q = pursue(X[:, known], V[known], 0.5, 0.0, bits)
    assert np.linalg.norm(X[:, known] - 0.5 * Q @ V[known].T) < 0.1 * np.linalg.norm(X[:, known])


def test_a_code_has_no_more_units_than_the_stream_can_count():
    V = np.eye(80)
    Q = pursue(np.full((1, 80), 50.0), V, 1.0, 0.0, np.ones(80))
    assert (Q > 0).sum() == MAX_UNITS


@pytest.mark.parametrize("B", [0, 1])
def test_few_patches(B):
    X, V, bits = problem()
    assert pursue(X[:B], V, 1.0, 0.1, bits).shape == (B, 40)
