"""Soft nearest neighbours and the linear probe, by hand and against scikit-learn."""

import numpy as np
import pytest

from nsae.codes import Codes
from nsae.retrieval import CodeIndex, Hits, linear_probe, rank_dense, soft_knn
from nsae.retrieval.classification import _Batch, winners


def hits_of(rows, cosines):
    rows, distances = np.array(rows), 1 - np.array(cosines, np.float32)
    return Hits(distances, rows, np.count_nonzero(rows >= 0, axis=1), rows)


def clusters(rng, n=300, n_classes=5, d=20, noise=0.6):
    labels = np.arange(n) % n_classes
    centres = rng.normal(size=(n_classes, d))
    return (centres[labels] + noise * rng.normal(size=(n, d))).astype(np.float32), labels


# ---- soft nearest neighbours


def test_eq39_soft_nearest_neighbours():
    labels = np.array(["cat", "dog", "dog", "eel"])
    # e^(0.9/T) against e^(0.8/T) + e^(0.79/T): the first alone outweighs two that are 0.1 farther ...
    rows, cosines = np.array([[0, 1, 2]]), np.array([[0.9, 0.8, 0.79]])
    assert winners(rows, cosines, labels, 0.03).tolist() == ["cat"]
    assert 1 > np.exp(-0.1 / 0.03) + np.exp(-0.11 / 0.03)
    # ... unless the temperature is high
    assert winners(rows, cosines, labels, 0.3).tolist() == ["dog"]
    assert 1 < np.exp(-0.1 / 0.3) + np.exp(-0.11 / 0.3)
    hits = hits_of([[0, 1, 2], [3, 0, 1]], [[0.9, 0.8, 0.79], [0.5, 0.49, 0.48]])
    assert soft_knn(hits, labels, query_labels=np.array(["cat", "dog"])) == 0.5
    assert soft_knn(hits, labels, query_labels=np.array(["dog", "eel"]), temperature=0.3) == 1


def test_only_the_k_nearest_vote_and_a_query_not_for_itself():
    labels = np.array([0, 1, 1])
    own_first = hits_of([[0, 1, 2], [1, 2, 0], [2, 1, 0]], [[1, 0.5, 0.4], [1, 0.9, 0.5], [1, 0.9, 0.4]])
    assert soft_knn(own_first, labels) == pytest.approx(2 / 3)  # row 0 sees the two others, of class 1
    assert soft_knn(own_first, labels, query_labels=labels, k=1) == 1  # each finds itself
    three = hits_of([[0, 1, 2]], [[0.5, 0.5, 0.5]])
    assert soft_knn(three, labels, query_labels=np.array([1])) == 1
    assert soft_knn(three, labels, query_labels=np.array([1]), k=2) == 0  # one vote each: the first class


def test_padding_has_no_vote():
    hits = hits_of([[1, -1, -1]], [[0.1, -np.inf, -np.inf]])
    assert soft_knn(hits, np.array([1, 0]), query_labels=np.array([0])) == 1


def test_codes_and_dense_rows_give_the_same(rng):
    X, labels = clusters(rng)
    Z = np.maximum(X, 0)
    index = CodeIndex(Z.shape[1])
    index.add(Codes.from_dense(Z))
    dense = soft_knn(rank_dense(Z, Z, "cosine", 30, exclude_self=True), labels)
    assert soft_knn(index.search(Z, 31), labels) == dense
    assert 0.7 < dense < 1


def test_what_does_not_fit_is_refused():
    hits = hits_of([[0, 1]], [[0.5, 0.4]])
    with pytest.raises(ValueError, match="One label for each query"):
        soft_knn(hits, np.array([0, 1]))
    with pytest.raises(ValueError, match="only 1 labels"):
        soft_knn(hits, np.array([0]), query_labels=np.array([0]))
    with pytest.raises(ValueError, match="temperature=0"):
        soft_knn(hits, np.array([0, 1]), query_labels=np.array([0]), temperature=0)
    with pytest.raises(ValueError, match="k=0"):
        soft_knn(hits, np.array([0, 1]), query_labels=np.array([0]), k=0)


# ---- linear probe


def test_eq40_linear_probe(rng):
    # The classes lie on opposite sides of 0, so that the sign of W is all that must be learned.
    side = np.where(np.arange(200) % 2, 1.0, -1.0)
    X = np.stack([side, rng.normal(size=200)], axis=1).astype(np.float32)
    labels = np.where(side > 0, "right", "left")
    assert linear_probe(X, labels, np.float32([[2, 0], [-2, 0]]), np.array(["right", "left"])) == 1
    assert linear_probe(X, labels, np.float32([[2, 0], [-2, 0]]), np.array(["left", "right"])) == 0
    assert linear_probe(X, labels) == 1
    assert linear_probe(X[:, 1:], labels) < 0.7  # noise alone


def test_products_with_codes_are_those_with_dense_rows(rng, monkeypatch):
    made_dense = _Batch(Codes.from_dense(np.eye(9, dtype=np.float32)), np.zeros(9, np.float32))
    assert made_dense.codes is None
    monkeypatch.setattr("nsae.retrieval.classification.DENSE", 0)
    Z = np.maximum(rng.normal(size=(6, 9)) - 0.8, 0).astype(np.float32)
    Z[2] = Z[5] = 0
    theta, dS = (rng.normal(size=shape).astype(np.float32) for shape in ((10, 3), (6, 3)))
    sparse, dense = _Batch(Codes.from_dense(Z), np.zeros(9)), _Batch(Z, np.zeros(9, np.float32))
    np.testing.assert_allclose(sparse.scores(theta), dense.scores(theta), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(sparse.gradient(dS), dense.gradient(dS), rtol=1e-5, atol=1e-6)
    empty = _Batch(Codes.from_dense(np.zeros((2, 9), np.float32)), np.zeros(9))
    np.testing.assert_array_equal(empty.scores(theta), [theta[-1]] * 2)
    np.testing.assert_array_equal(empty.gradient(dS[:2])[:-1], 0)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_probe_is_as_good_as_scikit_learn(rng, sparse):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, labels = clusters(rng, n=1200, noise=1.5)
    X = np.maximum(X, 0) if sparse else X
    X, labels, Q, asked = X[:800], labels[:800], X[800:], labels[800:]
    at_norm_1 = [A / np.linalg.norm(A, axis=1, keepdims=True) for A in (X, Q)]
    best = max(
        linear_model.LogisticRegression(C=C, max_iter=1000)
        .fit(at_norm_1[0], labels)
        .score(at_norm_1[1], asked)
        for C in (0.1, 1, 10, 100)
    )
    rows = [Codes.from_dense(A) for A in (X, Q)] if sparse else [X, Q]
    ours = linear_probe(rows[0], labels, rows[1], asked)
    assert abs(ours - best) < 0.03
    assert 0.5 < best < 0.97  # there is something to lose
    assert ours == linear_probe(rows[0], labels, rows[1], asked)


def test_rows_and_labels_that_do_not_fit_are_refused(rng):
    X, labels = clusters(rng, n=20)
    with pytest.raises(ValueError, match="19 labels"):
        linear_probe(X, labels[1:])
    with pytest.raises(ValueError, match="of 1 classes"):
        linear_probe(X, np.zeros(20))
    with pytest.raises(ValueError, match="5 rows came"):
        linear_probe(X[:5], labels[:5])
    with pytest.raises(ValueError, match="One label for each of 20 queries"):
        linear_probe(X, labels, X)
    with pytest.raises(ValueError, match="epochs=0"):
        linear_probe(X, labels, epochs=0)


def test_classes_that_come_in_turns_are_learned(rng):
    """Folds by the row's number left whole classes out."""
    for n_classes in (5, 10):
        labels = np.arange(100) % n_classes
        assert linear_probe(np.eye(n_classes, dtype=np.float32)[labels], labels) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"X": np.full((20, 3), np.nan)}, "X has NaN or infinite"),
        ({"X": np.zeros(20)}, r"rows of numbers \(n, d\), got \(20,\)"),
        ({"query_labels": np.zeros(3)}, "query_labels came without Q"),
        ({"Q": np.zeros((3, 4)), "query_labels": np.zeros(3)}, "of one width"),
        ({"Q": Codes.from_dense(np.ones((3, 3))), "query_labels": np.zeros(3)}, "both Codes or both arrays"),
    ],
)
def test_probes_of_what_cannot_be_judged(options, message):
    given = {"X": np.ones((20, 3)), "labels": np.arange(20) % 2, **options}
    with pytest.raises(ValueError, match=message):
        linear_probe(**given)


def test_soft_knn_without_anybody_who_votes():
    one = CodeIndex(3)
    one.add(np.ones((1, 3)))
    hits = one.search(Codes.from_dense(np.ones((1, 3), np.float32)), 1)
    assert soft_knn(hits, ["a"]) == 0  # A query does not vote for itself.
    nothing = CodeIndex(3).search(Codes.from_dense(np.ones((1, 3), np.float32)), 1)
    with pytest.raises(ValueError, match="nobody can vote"):
        soft_knn(nothing, [], query_labels=["a"])
