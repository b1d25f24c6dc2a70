"""Shares against the dense definitions: they add up to the similarity, whatever the metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.codes import Codes
from nsae.retrieval import CodeIndex, contributions, cosine, dot, hamming, jaccard, l2
from nsae.retrieval.explain.contributions import explain
from nsae.retrieval.index import METRICS

VALUES = st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.1, 1 / 3]).map(np.float32)
PAIRS = st.integers(1, 8).flatmap(lambda h: st.tuples(*[hnp.arrays(np.float32, h, elements=VALUES)] * 2))

# what the contributions of each metric add up to, from the distance and the dense codes
SIMILARITIES = {
    "cosine": lambda q, z: 1 - cosine(q, z),
    "dot": lambda q, z: -dot(q, z),
    "l2": lambda q, z: 1 - l2(q, z) ** 2 / ((q.astype(float) ** 2).sum() + (z.astype(float) ** 2).sum()),
    "jaccard": lambda q, z: 1 - jaccard(q, z),
    "hamming": lambda q, z: 1 - hamming(q, z) / (np.count_nonzero(q) + np.count_nonzero(z)),
}


def of(code):
    return Codes.from_dense(code)


@given(PAIRS, st.sampled_from(list(SIMILARITIES)))
def test_contributions_add_up_to_the_similarity(pair, metric):
    q, z = pair
    found = explain(of(q), of(z), None, metric=metric)
    assert {unit for unit, _ in found} == set(np.flatnonzero(q * z).tolist())
    assert found == sorted(found, key=lambda one: (-one[1], one[0]))
    total = sum(contribution for _, contribution in found)
    if q.any() or z.any():
        assert total == pytest.approx(SIMILARITIES[metric](q, z)[0, 0], abs=1e-12)
    else:
        assert total == 0


@given(PAIRS, st.integers(1, 8))
def test_the_contributions_of_cosine_are_those_of_the_definition(pair, top):
    q, z = pair
    expected = contributions(q, z)
    found = explain(of(q), of(z), top)
    assert len(found) == min(top, np.count_nonzero(q * z))
    for unit, contribution in found:
        assert contribution == pytest.approx(expected[unit], rel=1e-12)


def test_on_10000_random_pairs_contributions_add_up_to_what_the_index_reports(rng):
    n, h = 100, 1024
    Z = np.where(rng.random((n, h)) < 0.03, rng.random((n, h)), 0).astype(np.float32)  # (n, h)
    index = CodeIndex(h)
    index.add(Z)
    hits = index.search(Z, n)  # 100 · 100 pairs
    worst = 0.0
    for q in range(n):
        for distance, row in zip(hits.distances[q], hits.rows[q], strict=True):
            total = sum(contribution for _, contribution in index.explain(index.codes[q], int(row), top=h))
            worst = max(worst, abs(total - (1 - float(distance))))
    assert worst < 1e-6


@pytest.mark.parametrize("metric", METRICS)
def test_an_index_explains_by_its_own_metric(metric):
    index = CodeIndex(3, metric=metric)
    index.add(np.array([[3.0, 0, 4]]), ["photo"])
    q = np.array([4.0, 1, 3])
    assert index.explain(q, "photo") == explain(of(q), index.codes, metric=metric)


@pytest.mark.parametrize("top", [0, -1])
def test_refusals(top):
    one = of(np.ones(3))
    with pytest.raises(ValueError, match=f"top={top}"):
        explain(one, one, top)
    for pair in ((one, one[:0]), (of(np.ones((2, 3))), one)):
        with pytest.raises(ValueError, match=r"got [02] codes"):
            explain(*pair)
