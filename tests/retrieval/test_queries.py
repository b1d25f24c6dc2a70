"""One query of several codes: the mean at norm 1, less the others, never negative."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.codes import Codes
from nsae.retrieval import CodeIndex, compose, expand

VALUES = st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.1])


def of(code):
    return Codes.from_dense(np.asarray(code, np.float32))


@given(st.data())
def test_against_dense_arithmetic(data):
    h = data.draw(st.integers(1, 6))
    P = data.draw(hnp.arrays(np.float32, (data.draw(st.integers(1, 3)), h), elements=VALUES.map(np.float32)))
    M = data.draw(hnp.arrays(np.float32, (data.draw(st.integers(0, 3)), h), elements=VALUES.map(np.float32)))

    def mean(Z):
        norms = np.linalg.norm(Z.astype(float), axis=1, keepdims=True)
        return (Z / np.where(norms > 0, norms, 1)).mean(axis=0) if len(Z) else 0.0

    made = compose([of(z) for z in P], [of(z) for z in M])
    assert len(made) == 1
    assert made.values.dtype == np.float32
    np.testing.assert_allclose(made.to_dense()[0], np.maximum(mean(P) - mean(M), 0), rtol=1e-6, atol=1e-7)
    assert (made.values > 0).all()


def test_no_code_is_louder_than_another():
    made = compose([of([100, 0, 0]), of([0, 0.1, 0])]).to_dense()[0]
    assert made[0] == made[1] > 0


def test_what_is_taken_away_is_not_looked_for():
    index = CodeIndex(3)
    index.add(np.array([[1, 1, 0], [1, 0, 1.0]]), ["beach with people", "beach with palms"])
    query = compose([of([1, 1, 0.5])], [of([0, 1, 0])])
    assert index.search(query, 1).ids[0, 0] == "beach with palms"
    assert len(compose([of([1, 0, 0])], [of([1, 0, 0])]).units) == 0


def test_refusals():
    with pytest.raises(ValueError, match="plus is empty"):
        compose([])
    with pytest.raises(ValueError, match="plus is empty"):
        compose([of(np.ones((1, 3)))[:0]], [of([1, 0, 0])])
    with pytest.raises(ValueError, match="one width"):
        compose([of([1, 0])], [of([1, 0, 0])])


def test_expanded_queries_are_the_means_of_them_and_their_hits(rng):
    Z = (rng.random((40, 12)) * (rng.random((40, 12)) < 0.4)).astype(np.float32)
    Z[7] = 0
    Q = Z[[3, 7, 9]]
    index = CodeIndex(12)
    index.add(Z)
    hits = index.search(Q, 2, exclude=[3, 7, 9])
    unit = [z / max(np.linalg.norm(z), 1e-9) for z in Z.astype(float)]
    made = expand(Q, hits, index).to_dense()
    for i, row in enumerate((3, 7, 9)):
        found = [unit[hit] for hit in hits.rows[i]]
        np.testing.assert_allclose(made[i], np.mean([unit[row], *found], axis=0), rtol=1e-6, atol=1e-7)


def test_a_query_without_hits_stays_what_it_is():
    index = CodeIndex(2)
    index.add(np.array([[1.0, 0.0], [0.0, 1.0]]))
    none = index.search(np.array([[3.0, 4.0]]), 1, where=np.zeros(2, bool))
    np.testing.assert_allclose(expand(np.array([3.0, 4.0]), none, index).to_dense(), [[0.6, 0.8]], rtol=1e-6)
    assert expand(np.zeros((0, 2)), index.search(np.zeros((0, 2)), 1), index).shape == (0, 2)


def test_what_cannot_be_expanded():
    index = CodeIndex(2, metric="jaccard")
    index.add(np.eye(2))
    with pytest.raises(ValueError, match="got 'jaccard'"):
        expand(np.eye(2), index.search(np.eye(2), 1), index)
    index = CodeIndex(2)
    index.add(np.eye(2))
    with pytest.raises(ValueError, match="2 queries came with the hits of 1"):
        expand(np.eye(2), index.search(np.ones(2), 1), index)
