"""The units that a hit hangs on, against trying every set of them."""

from itertools import combinations
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.retrieval import CodeIndex, Counterfactual
from nsae.retrieval.index import METRICS

VALUES = st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.1, 1 / 3]).map(np.float32)
SIGNED = st.sampled_from([0.0, 0.0, 1.0, 2.0, -1.0]).map(np.float32)


def filled(Z, metric="cosine"):
    index = CodeIndex(Z.shape[1], metric=metric)
    index.add(Z)
    return index


def is_outside(index, q, units, row, k, **options):
    z = q.copy()
    z[list(units)] = 0
    return row not in index.search(z, k, **options).rows[0]


def smallest(index, q, row, k, **options):
    """By trying all sets: how many units it takes, or None."""
    active = np.flatnonzero(q).tolist()
    sets = [units for size in range(len(active) + 1) for units in combinations(active, size)]
    Q = np.repeat(q[None], len(sets), axis=0)  # (sets, h)
    for z, units in zip(Q, sets, strict=True):
        z[list(units)] = 0
    if "exclude" in options:
        options["exclude"] = options["exclude"] * len(sets)
    outside = ~(index.search(Q, k, **options).rows == row).any(axis=1)  # (sets,)
    return len(sets[int(np.argmax(outside))]) if outside.any() else None


@settings(deadline=None)
@given(
    st.data(),
    st.sampled_from(METRICS),
    st.sampled_from([VALUES, SIGNED]),
    st.integers(1, 4),
    st.sampled_from([0, 6, 5000]),
)
def test_against_all_sets(data, metric, values, k, most_sets):
    h = data.draw(st.integers(1, 6))
    Z = data.draw(hnp.arrays(np.float32, (data.draw(st.integers(1, 8)), h), elements=values))
    q = data.draw(hnp.arrays(np.float32, h, elements=values))
    index = filled(Z, metric)
    row = data.draw(st.integers(0, len(Z) - 1))
    expected = smallest(index, q, row, k)
    with patch("nsae.retrieval.explain.counterfactual.MOST_SETS", most_sets):
        found = index.counterfactual(q, row, k)
    if found is None:
        assert expected is None or most_sets < 5000
        return
    assert set(found.units) <= set(np.flatnonzero(q).tolist())
    assert is_outside(index, q, found.units, row, k)
    if found.minimal:
        assert len(found.units) == expected
    else:
        assert len(found.units) >= expected
        assert most_sets < 5000


def test_by_hand():
    # the query shares unit 0 with both; of unit 1, row 0 has more; of unit 2, only row 1 has any
    index = filled(np.array([[1, 2, 0], [1, 0.5, 1], [0, 0, 1.0]]))
    q = np.array([1, 1, 0.1])
    assert index.search(q, 1).rows.tolist() == [[0]]
    assert index.counterfactual(q, 0, 1) == Counterfactual([1], True)
    assert index.counterfactual(q, 2, 1) == Counterfactual([], True)  # not a hit: nothing needs to go
    assert index.counterfactual(q, 0, 3) is None  # as many hits as rows
    assert index.counterfactual(q, 0, 10**12) is None


def test_of_many_units_each_of_the_set_is_needed():
    q = np.ones(40)
    Z = np.concatenate([q[None], 9 * np.eye(40)[:3] + np.eye(40)[3]])  # row 0 is the query itself
    index = filled(Z)
    found = index.counterfactual(q, 0, 1)
    assert len(found.units) > 3
    assert is_outside(index, q, found.units, 0, 1)
    for unit in found.units:
        assert not is_outside(index, q, set(found.units) - {unit}, 0, 1)


def test_it_explains_the_search_with_its_options(rng):
    Z = np.where(rng.random((60, 20)) < 0.4, rng.random((60, 20)), 0)
    index = filled(Z)
    checked = 0
    for row in range(20):
        for options in ({"keep": 4}, {"exclude": row}):
            q = index.codes[row]
            dense = (q.keep(4) if "keep" in options else q).to_dense()[0]
            search = {"exclude": [row]} if "exclude" in options else options
            hit = int(index.search(q, 5, **search).rows[0, 2])
            found = index.counterfactual(q, hit, 5, **options)
            assert is_outside(index, dense, found.units, hit, 5, **search)
            assert not found.minimal or len(found.units) == smallest(index, dense, hit, 5, **search)
            checked += len(found.units) > 0
    assert checked == 40


def test_refusals():
    index = filled(np.eye(3))
    with pytest.raises(ValueError, match="'other' is not in"):
        index.counterfactual(np.ones(3), "other")
    with pytest.raises(ValueError, match="got 2 codes"):
        index.counterfactual(np.ones((2, 3)), 0)
    with pytest.raises(ValueError, match="k=0"):
        index.counterfactual(np.ones(3), 0, 0)
