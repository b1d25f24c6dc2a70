"""The catalogue of units, against counting in the dense codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.retrieval import CodeIndex, unit_catalogue

VALUES = st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.1]).map(np.float32)


@given(st.data(), st.integers(0, 4))
def test_against_the_dense_codes(data, top):
    h = data.draw(st.integers(1, 5))
    Z = data.draw(hnp.arrays(np.float32, (data.draw(st.integers(0, 9)), h), elements=VALUES))
    index = CodeIndex(h)
    index.add(Z, [f"photo {i}" for i in range(len(Z))])
    described = unit_catalogue(index, top=top, common=0.5)
    assert [unit.unit for unit in described] == list(range(h))
    for unit, column in zip(described, Z.T, strict=True):
        active = np.flatnonzero(column).tolist()
        most = sorted(active, key=lambda row: (-column[row], row))[:top]
        assert unit.rows == len(active)
        assert unit.fraction == (len(active) / len(Z) if len(Z) else 0)
        assert unit.mean == pytest.approx(column[active].mean() if active else 0)
        assert unit.top == [(f"photo {row}", float(column[row])) for row in most]
        assert unit.dead == (not active)
        assert unit.common == (len(active) > len(Z) / 2)


def test_of_some_units_in_the_order_asked_for():
    index = CodeIndex(4)
    index.add(np.eye(4))
    assert [unit.unit for unit in unit_catalogue(index, [3, 1])] == [3, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": [4]}, "0 to 3"),
        ({"units": [-1]}, "0 to 3"),
        ({"top": -1}, "top=-1"),
        ({"common": 2}, "common=2"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        unit_catalogue(CodeIndex(4), **arguments)
