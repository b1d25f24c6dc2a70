"""The dense distances against loops written from the formulas, and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.retrieval import contributions, cosine, dot, hamming, jaccard, l2

VALUES = st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0, 0.5, -1.0, 0.1])


@st.composite
def pairs(draw):
    """Q (q, h) and Z (n, h) with many zeros and ties; q or n may be 0."""
    h = draw(st.integers(1, 5))
    Q, Z = (draw(hnp.arrays(np.float64, (draw(st.integers(0, 4)), h), elements=VALUES)) for _ in "QZ")
    return Q, Z


def table(Q, Z, distance):
    return np.array([[distance(q, z) for z in Z.tolist()] for q in Q.tolist()]).reshape(len(Q), len(Z))


@given(pairs())
def test_eq23_cosine(QZ):
    def distance(q, z):
        norms = math.hypot(*q) * math.hypot(*z)
        return 1 - sum(a * b for a, b in zip(q, z, strict=True)) / norms if norms else 1.0

    D = cosine(*QZ)
    assert D.dtype == np.float64
    assert D.min(initial=0) >= 0
    np.testing.assert_allclose(D, table(*QZ, distance), atol=1e-12)


def test_cosine_by_hand():
    Q, Z = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [0.0, 0.0], [-3.0, -4.0]])
    np.testing.assert_allclose(cosine(Q, Z), [[1 - 24 / 25, 1, 2], [1, 1, 1]], atol=1e-15)


@given(pairs())
def test_eq24_l2(QZ):
    D = l2(*QZ)
    assert D.dtype == np.float64
    np.testing.assert_allclose(D, table(*QZ, math.dist), atol=1e-12)


def test_l2_keeps_small_distances():
    """The squares' form would give 0 here."""
    assert l2([1e6, 0.0], [1e6, 1e-6]) == pytest.approx(1e-6)


@given(pairs())
def test_eq25_dot(QZ):
    D = dot(*QZ)
    assert D.dtype == np.float64
    np.testing.assert_allclose(
        D, table(*QZ, lambda q, z: -sum(a * b for a, b in zip(q, z, strict=True))), atol=1e-12
    )
    assert not np.signbit(D[D == 0]).any()


@given(pairs())
def test_eq26_contributions(QZ):
    Q, Z = QZ
    for q in Q:
        for z in Z:
            contribution = contributions(q, z)
            assert contribution.shape == q.shape
            assert contribution.sum() == pytest.approx(1 - cosine(q, z)[0, 0], abs=1e-12)
            assert not contribution[(q == 0) | (z == 0)].any()


def test_contributions_by_hand():
    np.testing.assert_allclose(contributions([3.0, 4.0, 0.0], [4.0, 3.0, 0.0]), [12 / 25, 12 / 25, 0])
    np.testing.assert_array_equal(contributions([0.0, 0.0], [1.0, 0.0]), [0, 0])


def support(code):
    return {unit for unit, value in enumerate(code) if value != 0}


@given(pairs())
def test_eq32_jaccard(QZ):
    def distance(q, z):
        A, B = support(q), support(z)
        return 1 - len(A & B) / len(A | B) if A | B else 1.0

    np.testing.assert_allclose(jaccard(*QZ), table(*QZ, distance), atol=1e-15)


@given(pairs())
def test_eq33_hamming(QZ):
    np.testing.assert_array_equal(hamming(*QZ), table(*QZ, lambda q, z: len(support(q) ^ support(z))))


@pytest.mark.parametrize("distance", [cosine, l2, dot, jaccard, hamming, contributions])
def test_widths_must_agree(distance):
    with pytest.raises(ValueError, match=r"one width.*\(1, 3\).*\(1, 2\)"):
        distance(np.ones(3), np.ones(2))


def test_contributions_takes_single_codes():
    with pytest.raises(ValueError, match="got 2 and 1"):
        contributions(np.ones((2, 3)), np.ones(3))
