"""Codes against what NumPy does with the dense table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.codes import Codes

VALUES = st.sampled_from([0.0, 0.0, 1.0, 1.0, 0.5, -2.0])
TABLES = hnp.arrays(np.float32, st.tuples(st.integers(0, 6), st.integers(1, 5)), elements=VALUES)
Z = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [1, 1, 1, 1]], np.float32)


@given(TABLES)
def test_dense_and_back(table):
    codes = Codes.from_dense(table)
    assert codes.shape == table.shape
    assert (codes.indptr.dtype, codes.units.dtype, codes.values.dtype) == (np.int64, np.int32, np.float32)
    np.testing.assert_array_equal(codes.to_dense(), table, strict=True)
    assert codes.counts.tolist() == [np.count_nonzero(row) for row in table]
    for i, (units, values) in enumerate(codes):
        assert units.tolist() == np.flatnonzero(table[i]).tolist()
        assert values.tolist() == table[i, units].tolist()


def test_one_code_is_one_row():
    assert Codes.from_dense(np.array([0.0, 1.0])).shape == (1, 2)


def test_dtype_of_the_values_stays():
    assert Codes.from_dense(Z.astype(np.float64)).to_dense().dtype == np.float64


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, 3), slice(None, None, -2), slice(2, 2), [2, 0, 0], [], np.array([3, 1]), [-1, -4],
        np.array([True, False, False, True]), np.zeros(4, bool),
    ],
    ids=str,
)  # fmt: skip
def test_rows_are_chosen_as_numpy_chooses(rows):
    np.testing.assert_array_equal(Codes.from_dense(Z)[rows].to_dense(), Z[rows], strict=True)


@pytest.mark.parametrize("row", [0, 1, -1, np.int64(2)])
def test_one_row_stays_codes(row):
    np.testing.assert_array_equal(Codes.from_dense(Z)[row].to_dense(), Z[[row]])


@pytest.mark.parametrize("rows", [4, -5, [0, 4], np.ones(3, bool)])
def test_a_row_that_is_not_there(rows):
    with pytest.raises(IndexError):
        Codes.from_dense(Z)[rows]


@given(TABLES, st.data())
def test_random_rows(table, data):
    rows = data.draw(st.lists(st.integers(0, len(table) - 1), max_size=8)) if len(table) else []
    np.testing.assert_array_equal(Codes.from_dense(table)[rows].to_dense(), table[rows])


@given(TABLES, st.integers(1, 6))
def test_keep_takes_the_largest_and_ties_the_lowest_unit(table, k):
    expected = np.zeros_like(table)
    for i, row in enumerate(table.tolist()):
        active = sorted(
            (unit for unit, value in enumerate(row) if value), key=lambda unit: (-row[unit], unit)
        )
        for unit in active[:k]:
            expected[i, unit] = row[unit]
    np.testing.assert_array_equal(Codes.from_dense(table).keep(k).to_dense(), expected)


def test_keep_by_hand():
    kept = Codes.from_dense(Z).keep(2)
    np.testing.assert_array_equal(kept.to_dense(), [[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [1, 1, 0, 0]])
    with pytest.raises(ValueError, match="keep=0"):
        kept.keep(0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_concatenate(sizes):
    tables = [np.roll(Z, i, axis=0)[:size] for i, size in enumerate(sizes)]
    joined = Codes.concatenate(Codes.from_dense(table) for table in tables)
    np.testing.assert_array_equal(joined.to_dense(), np.concatenate(tables), strict=True)


def test_concatenate_wants_one_width():
    with pytest.raises(ValueError, match=r"\[2, 4\]"):
        Codes.concatenate([Codes.from_dense(Z), Codes.from_dense(np.eye(2))])
    with pytest.raises(ValueError, match=r"\[\]"):
        Codes.concatenate([])


@given(TABLES)
def test_norms(table):
    norms = Codes.from_dense(table).norms()
    assert norms.dtype == np.float64
    np.testing.assert_allclose(norms, np.linalg.norm(table.astype(float), axis=1), rtol=1e-14)


def test_equal_rows_have_bit_equal_norms():
    rng = np.random.default_rng(0)
    table = rng.random((100, 33), np.float32)
    table[::7] = table[0]
    assert len(set(Codes.from_dense(table).norms()[::7].tolist())) == 1


def test_nbytes():
    codes = Codes.from_dense(Z)
    assert codes.nbytes == 5 * 8 + 7 * 4 + 7 * 4


@pytest.mark.parametrize(
    ("indptr", "units", "values", "message"),
    [
        ([], [], [], "start at 0"),
        ([1, 2], [0, 1], [1.0, 1.0], "start at 0"),
        ([[0, 1]], [0], [1.0], "1-D"),
        ([0, 1], [0, 1], [1.0, 1.0], "same number"),
        ([0, 2], [0, 1], [1.0], "same number"),
    ],
)
def test_arrays_that_do_not_fit(indptr, units, values, message):
    with pytest.raises(ValueError, match=message):
        Codes(np.array(indptr, np.int64), np.array(units, np.int32), np.array(values), 4)
