"""rank_dense against the definitions, in one block and in many."""

import numpy as np
import pytest

from nsae.retrieval import CodeIndex, cosine, dense_ranking, dot, l2, rank_dense

METRICS = {"cosine": cosine, "l2": l2, "dot": dot}


@pytest.fixture
def points():
    rng = np.random.default_rng(1)
    return rng.integers(-4, 5, (7, 3)).astype(np.float64), rng.integers(-4, 5, (20, 3)).astype(np.float64)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("block", [1, 45, 1 << 24])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_ranks_by_the_definitions(points, metric, block, dtype, monkeypatch):
    monkeypatch.setattr(dense_ranking, "BLOCK_DISTANCES", block)
    Q, Z = points
    D = METRICS[metric](Q, Z)  # (7, 20)
    hits = rank_dense(Q.astype(dtype), Z.astype(dtype), metric, 6)
    assert hits.distances.dtype == np.float32
    np.testing.assert_allclose(hits.distances, np.sort(D, axis=1)[:, :6], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(D, hits.rows, axis=1), hits.distances, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(hits.ids.astype(int), hits.rows)


@pytest.mark.parametrize("metric", ["l2", "dot"])
def test_small_integers_are_exact_and_rank_like_the_index(points, metric):
    Q, Z = points
    index = CodeIndex(3, metric=metric)
    index.add(Z)
    here, there = rank_dense(Q, Z, metric, 25), index.search(Q, 25)
    np.testing.assert_array_equal(here.rows, there.rows)
    np.testing.assert_array_equal(here.distances, there.distances)
    assert here.counts.tolist() == [20] * 7


@pytest.mark.parametrize("block", [1, 45, 1 << 24])
def test_exclude_self(points, block, monkeypatch):
    monkeypatch.setattr(dense_ranking, "BLOCK_DISTANCES", block)
    _, Z = points
    hits = rank_dense(Z, Z, "l2", 20, exclude_self=True)
    assert hits.counts.tolist() == [19] * 20
    assert not (hits.rows == np.arange(20)[:, None]).any()


def test_a_zero_row_is_at_cosine_distance_1():
    assert rank_dense(np.zeros((1, 2)), np.eye(2), "cosine", 2).distances.tolist() == [[1, 1]]


def test_nothing_to_rank():
    assert rank_dense(np.zeros((0, 2)), np.eye(2)).rows.shape == (0, 10)
    assert rank_dense(np.eye(2), np.zeros((0, 2)), k=1).rows.tolist() == [[-1], [-1]]


@pytest.mark.parametrize(
    ("Q", "Z", "arguments", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), {}, r"got \(2, 3\) and \(2, 4\)"),
        (np.ones((2, 2, 2)), np.ones((2, 4)), {}, "Flatten"),
        (np.ones((2, 3)), np.ones((1, 3)), {"exclude_self": True}, "2 queries and 1 rows"),
        (np.full((1, 1), np.nan), np.ones((1, 1)), {}, "Finite"),
        (np.ones((1, 1)), np.full((1, 1), np.inf), {}, "Finite"),
        (np.ones((1, 1)), np.full((1, 1), 1e25), {}, "Finite"),
        (np.ones((1, 1)), np.ones((1, 1)), {"k": 0}, "k=0"),
        (np.ones((1, 1)), np.ones((1, 1)), {"metric": "l3"}, "'l3' is not known"),
    ],
)
def test_refusals(Q, Z, arguments, message):
    with pytest.raises(ValueError, match=message):
        rank_dense(Q, Z, **arguments)
