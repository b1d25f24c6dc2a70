"""Predicted neighbours, Eq. (38)."""

import numpy as np
import pytest

from nsae.images.features import neighbours
from nsae.images.features.neighbours import NeighbourMap, nearest_rows, steps_to_neighbours, unit_rows


@pytest.fixture(scope="module")
def kinds():
    """Two kinds of 200 rows each, in 6 numbers, of norm 1; and which kind."""
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 200)
    centre = np.array([[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]], np.float32)
    return unit_rows(centre[label] + 0.4 * rng.standard_normal((400, 6)).astype(np.float32)), label


def test_nearest_rows_are_those_of_a_sort(kinds, monkeypatch):
    X, _ = kinds
    monkeypatch.setattr(neighbours, "GRAPH_PRODUCTS", 37 * 200)  # several blocks
    S = X @ X.T
    np.fill_diagonal(S, -2)
    expected = np.argsort(-S, axis=1)[:, :5]
    assert np.array_equal(np.sort(nearest_rows(X, 5)), np.sort(expected))


def test_eq38_one_step_by_hand():
    X = unit_rows(np.array([[1, 0], [0, 1], [3, 4]], np.float32))
    nearest = np.array([[2, 1], [2, 0], [1, 0]])
    means = [(X[2] + X[1]) / 2, (X[2] + X[0]) / 2, (X[1] + X[0]) / 2]
    expected = unit_rows(X / 2 + np.array(means) / 2)
    np.testing.assert_allclose(steps_to_neighbours(X, nearest, 1), expected, atol=1e-6)
    twice = steps_to_neighbours(X, nearest, 2)
    again = [(expected[a] + expected[b]) / 2 for a, b in nearest]
    np.testing.assert_allclose(twice, unit_rows(expected / 2 + np.array(again) / 2), atol=1e-6)


def test_eq38_the_map_predicts_where_rows_of_a_kind_meet(kinds):
    X, label = kinds
    learned = NeighbourMap.fit(X[::2], 2, np.random.default_rng(0))
    both = learned(X[1::2])  # rows that were not learned from
    m = X.shape[1]
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(both[:, :m] * np.sqrt(2), X[1::2], atol=1e-6)

    def within(A):
        S, equal = A @ A.T, label[1::2, None] == label[None, 1::2]
        return S[equal].mean() - S[~equal].mean()

    assert within(both[:, m:] * np.sqrt(2)) > 1.5 * within(X[1::2])


def test_each_row_is_mapped_alike_whatever_is_beside_it(kinds):
    X, _ = kinds
    learned = NeighbourMap.fit(X, 1, np.random.default_rng(0))
    whole = learned(X)
    for some in (slice(0, 1), slice(100, 257), slice(399, 400)):
        assert learned(X[some]).tobytes() == whole[some].tobytes()
    assert learned(X[:0]).shape == (0, 12)


def test_without_steps_or_with_few_rows_there_is_no_map(kinds):
    X, _ = kinds
    rng = np.random.default_rng(0)
    assert NeighbourMap.fit(X, 0, rng) is None
    assert NeighbourMap.fit(X[:49], 1, rng) is None
    assert NeighbourMap.fit(X[:50], 1, rng) is not None


def test_linear_weights_act_as_the_map_does_near_a_row(kinds):
    X, _ = kinds
    learned = NeighbourMap.fit(X, 1, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    x, W = X[3].astype(np.float64), rng.standard_normal((4, 12))

    def responses(x):
        p = (
            learned.output_W @ np.concatenate([np.maximum(learned.hidden_W @ x + learned.hidden_b, 0), x])
            + learned.output_b
        )
        return W @ np.concatenate([x, p / np.linalg.norm(p0)])

    p0 = (
        learned.output_W @ np.concatenate([np.maximum(learned.hidden_W @ x + learned.hidden_b, 0), x])
        + learned.output_b
    )
    linear = learned.linear_at(x, W)  # (4, 6)
    for direction in np.eye(6):
        step = 1e-6 * direction
        numeric = (responses(x + step) - responses(x - step)) / 2e-6
        np.testing.assert_allclose(linear @ direction, numeric, rtol=1e-3, atol=1e-3)
