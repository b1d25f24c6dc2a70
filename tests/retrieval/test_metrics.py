"""Ranking quality: by hand, against scikit-learn, and evaluate() against loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsae.retrieval import CodeIndex, average_precision, evaluate, precision_at, recall_at

RELEVANT = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], bool)


def test_eq27_precision():
    np.testing.assert_array_equal(precision_at(RELEVANT, 1), [1, 0, 0])
    np.testing.assert_array_equal(precision_at(RELEVANT, 3), [2 / 3, 0, 0])
    np.testing.assert_array_equal(precision_at(RELEVANT, 4), [1 / 2, 1 / 4, 0])


def test_eq27_recall():
    np.testing.assert_array_equal(recall_at(RELEVANT, 3, np.array([4, 1, 0])), [1 / 2, 0, np.nan])
    np.testing.assert_array_equal(recall_at(RELEVANT, 4, 4), [1 / 2, 1 / 4, 0])


def test_eq28_average_precision():
    np.testing.assert_allclose(average_precision(RELEVANT), [(1 + 2 / 3) / 2, 1 / 4, 0])
    np.testing.assert_allclose(average_precision(RELEVANT, 5), [(1 + 2 / 3) / 5, 1 / 20, 0])
    np.testing.assert_allclose(
        average_precision(RELEVANT, np.array([2, 1, 0])), [(1 + 2 / 3) / 2, 1 / 4, np.nan]
    )


@settings(deadline=None)  # the import of scikit-learn takes its time
@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=5))
def test_average_precision_is_scikit_learns(relevant):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    scores = np.arange(7, 0, -1)  # distinct, and the rank order
    expected = [sklearn_metrics.average_precision_score(row, scores) if any(row) else 0 for row in relevant]
    np.testing.assert_allclose(average_precision(relevant), expected)


@pytest.mark.parametrize("k", [0, 5])
def test_k_beyond_the_ranking_is_refused(k):
    with pytest.raises(ValueError, match=f"k={k} is expected to be from 1 to 4"):
        precision_at(RELEVANT, k)


def test_relevance_is_a_matrix():
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        average_precision(RELEVANT[0])


def brute_evaluate(rankings, labels, query_labels, leave_one_out, ks):
    """From every query's ranking of all rows."""
    sums = {f"{name}@{k}": [] for name in ("precision", "recall") for k in ks} | {"map": []}
    for i, ranking in enumerate(rankings):
        ranking = [row for row in ranking if not (leave_one_out and row == i)]
        good = [labels[row] == query_labels[i] for row in ranking]
        for k in ks:
            sums[f"precision@{k}"].append(sum(good[:k]) / k)
        if not any(good):
            continue
        for k in ks:
            sums[f"recall@{k}"].append(sum(good[:k]) / sum(good))
        precisions = [sum(good[: rank + 1]) / (rank + 1) for rank, hit in enumerate(good) if hit]
        sums["map"].append(sum(precisions) / len(precisions))
    return {name: sum(values) / len(values) if values else float("nan") for name, values in sums.items()}


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 15), st.booleans(), st.booleans(), st.booleans())
def test_evaluate_is_the_brute_force(seed, n, leave_one_out, excluded, as_strings):
    rng = np.random.default_rng(seed)
    Z = rng.integers(0, 3, (n, 4)).astype(np.float32)
    q = n if leave_one_out else 3
    Q = Z if leave_one_out else rng.integers(0, 3, (q, 4)).astype(np.float32)
    labels, query_labels = rng.integers(0, 4, n), rng.integers(0, 4, q)
    if as_strings:
        labels, query_labels = labels.astype(str), query_labels.astype(str)
    if leave_one_out:
        query_labels = labels
    index = CodeIndex(4)
    index.add(Z)
    candidates = n - leave_one_out
    ks = tuple(k for k in (1, 2, 5) if k <= candidates)
    expected = brute_evaluate(index.search(Q, n).rows.tolist(), labels, query_labels, leave_one_out, ks)
    exclude = range(n) if excluded and leave_one_out else None
    hits = index.search(Q, n, exclude=exclude)
    result = evaluate(hits, labels, query_labels=None if leave_one_out else query_labels, k=(1, 2, 5, 100))
    unmatched = result.pop("queries_without_match", 0)
    assert result == pytest.approx(expected, nan_ok=True)
    others = [np.count_nonzero(labels == label) - leave_one_out for label in query_labels]
    assert unmatched == others.count(0)


def line(labels, k, **search):
    """Hits among points on a line: 0, 1, 3, 7, ... each nearest to the one before it (L2)."""
    Z = 2.0 ** np.arange(len(labels))[:, None] - 1
    index = CodeIndex(1, metric="l2")
    index.add(Z)
    return index.search(Z, k, **search)


def test_leave_one_out_by_hand():
    """Rows 0, 1, 3, 7 of classes a, b, a, a; the rankings are written in the comments."""
    labels = ["a", "b", "a", "a"]
    ap = [(1 / 2 + 2 / 3) / 2, (1 + 1 / 2 + 0) / 2, (1 / 3 + 0) / 1]
    # 0: 1b 2a 3a -> ap[0];   2 (at 3): 1b 0a 3a -> the same;   3 (at 7): 2a 1b 0a -> (1 + 2/3) / 2
    expected = {
        "precision@1": 1 / 4,
        "precision@3": (2 / 3 + 0 + 2 / 3 + 2 / 3) / 4,
        "recall@1": (0 + 0 + 1 / 2) / 3,
        "recall@3": 1.0,
        "map": (2 * ap[0] + (1 + 2 / 3) / 2) / 3,
        "queries_without_match": 1.0,
    }
    for hits in (
        line(labels, 4),
        line(labels, 9),
        line(labels, 3, exclude=range(4)),
        line(labels, 9, exclude=range(4)),
    ):
        assert evaluate(hits, labels, k=(1, 3, 10)) == pytest.approx(expected)


def test_a_ranking_cut_short_is_named_by_its_depth():
    labels = ["a", "b", "a", "a"]
    result = evaluate(line(labels, 3), labels, k=2)  # its own row dropped: two deep
    assert list(result) == ["precision@2", "recall@2", "map@2", "queries_without_match"]
    assert result["map@2"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)  # over the one found
    with pytest.raises(ValueError, match=r"hits are 2 deep.*Search with k=4"):
        evaluate(line(labels, 3), labels, k=3)


def test_own_row_that_ties_push_out_is_not_missed():
    """Four equal codes and k=2: queries 2 and 3 do not find themselves, and give up their last hit."""
    index = CodeIndex(2)
    index.add(np.ones((4, 2)))
    hits = index.search(np.ones((4, 2)), 2)
    assert hits.rows.tolist() == [[0, 1]] * 4
    result = evaluate(hits, [0, 1, 0, 1], k=1)
    # left after the drop: 0 -> 1, 1 -> 0, 2 -> 0, 3 -> 0
    assert result == {"precision@1": 1 / 4, "recall@1": 1 / 4, "map@1": 1 / 4}


def test_no_query_with_a_match():
    result = evaluate(line("abc", 3), list("abc"), k=1)
    assert result["precision@1"] == 0
    assert np.isnan(result["recall@1"])
    assert np.isnan(result["map"])
    assert result["queries_without_match"] == 3


@pytest.mark.parametrize(
    ("labels", "query_labels", "message"),
    [
        ([0, 1], None, "3 queries came with 2 labels. Give query_labels"),
        ([0, 1], [0, 1, 1], "name row 2, but only 2 labels"),
        ([0, 1, 1], [0, 1], "3 queries came with 2 labels. Give one"),
        ([0, 1, 1], ["0", "1", "1"], "one kind"),
        ([[0], [1], [1]], None, r"shapes \(3, 1\)"),
        ([], [0, 1, 1], "0 labels came"),
    ],
)
def test_labels_must_fit(labels, query_labels, message):
    with pytest.raises(ValueError, match=message):
        evaluate(line("abc", 2), labels, query_labels=query_labels, k=1)
