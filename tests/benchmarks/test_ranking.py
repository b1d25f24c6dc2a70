"""Rankings and their figures, against numbers worked out by hand."""

import numpy as np
import pytest

from nsae import Codes

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def ranking(benchmark_module):
    return benchmark_module("helpers.ranking")


def on_a_line(ranking, relevant, leave_one_out=False):
    """120 rows at 0, 1, …, 119, those in ``relevant`` labelled 1, and two queries, one beyond each end."""
    X = np.arange(120, dtype=np.float32)[:, None]
    labels = np.isin(np.arange(120), relevant).astype(int)
    if leave_one_out:
        return ranking.Problem(X, labels, X, labels, True), X, X
    Q = np.float32([[-1], [120]])
    return ranking.Problem(X, labels, Q, np.array([1, 1]), False), X, Q


def test_scores_are_ranked_downwards_and_ties_go_to_the_first(ranking):
    S = np.float32([[0.5, -1, 0.5, 2, -np.inf, 0.0], [-0.25, -0.5, -0.125, 1e-30, -1e-30, -0.25]])
    assert ranking.ranking(S).tolist() == [[3, 0, 2, 5, 1, 4], [3, 4, 2, 0, 5, 1]]


def test_quality_by_hand(ranking):
    problem, X, Q = on_a_line(ranking, [0, 2, 3])
    found = ranking.quality(problem, X, Q, "l2")
    # from the left, relevant rows come 1st, 3rd and 4th; from the right, 117th, 118th and 120th
    assert found["precision@1"].tolist() == [1, 0]
    assert found["precision@10"].tolist() == [0.3, 0]
    assert found["precision@20"].tolist() == [0.15, 0]
    assert found["precision@100"].tolist() == [0.03, 0]
    expected = [(1 + 2 / 3 + 3 / 4) / 3, (1 / 117 + 2 / 118 + 3 / 120) / 3]
    np.testing.assert_allclose(found["map"], expected, rtol=1e-12)
    np.testing.assert_allclose(found["map@1000"], expected, rtol=1e-12)


def test_a_query_of_the_database_is_not_its_own_hit(ranking):
    problem, X, Q = on_a_line(ranking, [0, 2, 3], leave_one_out=True)
    found = ranking.quality(problem, X, Q, "l2")
    # from row 0: rows 1, 2, 3, …, of which the 2nd and the 3rd are relevant, and there are no others
    assert found["precision@1"][0] == 0
    assert found["precision@10"][0] == 0.2
    np.testing.assert_allclose(found["map"][0], (1 / 2 + 2 / 3) / 2, rtol=1e-12)
    # from row 3: rows 2 and 4 are as near, and the lower comes first; 0 is nearer than 6
    np.testing.assert_allclose(found["map"][3], (1 + 2 / 5) / 2, rtol=1e-12)
    assert len(found["map"]) == 120


def test_cosine_is_l2_of_rows_at_norm_1(ranking, rng):
    X, Q = rng.normal(size=(130, 5)).astype(np.float32), rng.normal(size=(7, 5)).astype(np.float32)
    problem = ranking.Problem(X, rng.integers(3, size=130), Q, rng.integers(3, size=7), False)
    cosine = ranking.quality(problem, X, Q)
    lengths = [np.linalg.norm(A, axis=1, keepdims=True) for A in (X, Q)]
    l2 = ranking.quality(problem, X / lengths[0], Q / lengths[1], "l2")
    for name in cosine:
        np.testing.assert_allclose(cosine[name], l2[name])
    order = np.argsort(-(Q / lengths[1]) @ (X / lengths[0]).T, axis=1)
    for name, values in ranking.measures(problem, order).items():
        np.testing.assert_allclose(values, cosine[name])


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_codes_are_judged_as_their_dense_rows(ranking, rng, leave_one_out):
    Z, Y = (np.maximum(rng.normal(size=(n, 12)) - 0.5, 0).astype(np.float32) for n in (130, 60))
    Y = Z if leave_one_out else Y
    labels = rng.integers(3, size=len(Z))
    asked = labels if leave_one_out else rng.integers(3, size=len(Y))
    problem = ranking.Problem(Z, labels, Y, asked, leave_one_out)
    dense = ranking.quality(problem, Z, Y)
    sparse = ranking.quality(problem, Codes.from_dense(Z), Codes.from_dense(Y))
    assert set(dense) == set(sparse)
    for name, values in dense.items():
        np.testing.assert_allclose(sparse[name].mean(), values.mean(), atol=0.01)  # rounding moves near ties
    np.testing.assert_array_equal(sparse["precision@1"], dense["precision@1"])
    # soft neighbours go by the cosine, whatever ranks
    np.testing.assert_array_equal(ranking.quality(problem, Z, Y, "l2")["soft_knn"], dense["soft_knn"])
    assert 0 < dense["soft_knn"].mean() < 1
    assert ranking.probe(problem, Codes.from_dense(Z), Codes.from_dense(Y)) <= 1


def test_held_out_queries_are_not_in_their_database(ranking):
    images = np.arange(300, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    images[256:] += 1  # 300 images of 256 greys: rows are told apart by their label
    problem = ranking.Problem(images, np.arange(300), images[:2], np.arange(2), False)
    trial = ranking.held_out(problem, 200, queries=50)
    assert (len(trial.database), len(trial.queries)) == (200, 50)
    assert not set(trial.labels) & set(trial.query_labels)
    np.testing.assert_array_equal(trial.database, images[trial.labels])
    of_all = ranking.held_out(problem._replace(leave_one_out=True), 200)
    assert of_all.labels.tolist() == list(range(0, 300, 2))
    assert of_all.queries is of_all.database
