"""Codes against what NumPy does with the dense table."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.codes import Codes, nonzero_entries

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


@pytest.mark.parametrize(
    "rows",
    [
        (3, 2), (slice(None), 1), (np.array([0, 1]), 1), (), "a", None, ..., 1.5,
        [[1, 2], [3, 0]], np.zeros((0, 2), int), np.ones((4, 4), bool),
    ],
    ids=str,
)  # fmt: skip
def test_what_picks_more_than_rows_is_refused_in_words(rows):
    with pytest.raises(IndexError, match="rows alone are picked"):
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


# ---- a batch of data in the equations


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(table=TABLES, seed=st.integers(0, 9))
def test_products_and_differences_are_those_of_the_dense_table(dtype, table, seed):
    X, rng = table.astype(dtype), np.random.default_rng(seed)
    codes, (n, d) = Codes.from_dense(X), X.shape
    W, V, U = (rng.normal(size=shape).astype(dtype) for shape in ((d, 4), (3, n), (n, d)))
    close = {"rtol": 1e-5 if dtype == np.float32 else 1e-12, "atol": 1e-6 if dtype == np.float32 else 1e-13}
    np.testing.assert_allclose(codes @ W, X @ W, **close)
    np.testing.assert_allclose(codes @ np.asfortranarray(W), X @ W, **close)
    np.testing.assert_allclose(codes @ W[:, 0], X @ W[:, 0], **close)
    np.testing.assert_allclose(V @ codes, V @ X, **close)
    np.testing.assert_array_equal(U - codes, U - X, strict=True)
    np.testing.assert_array_equal(codes - U, X - U, strict=True)
    np.testing.assert_array_equal(codes - U[0] if n else 0, X - U[0] if n else 0)
    for product in (U * codes, codes * U):
        assert isinstance(product, Codes)
        np.testing.assert_array_equal(product.to_dense(), U * X, strict=True)
    np.testing.assert_array_equal((2 * codes).to_dense(), 2 * X)
    np.testing.assert_array_equal(codes.T.to_dense(), X.T)
    np.testing.assert_array_equal(codes.square().to_dense(), X.astype(float) ** 2, strict=True)
    for axis in (0, 1, -1, -2, None):
        np.testing.assert_allclose(codes.sum(axis=axis), X.sum(axis=axis, dtype=float), rtol=1e-12)
        np.testing.assert_allclose(np.sum(codes, axis=axis), X.sum(axis=axis, dtype=float), rtol=1e-12)
    assert codes.sum() == np.sum(codes) == pytest.approx(X.sum(dtype=float), rel=1e-12)
    assert codes.sum(dtype=np.float32).dtype == np.float32
    assert (codes.dtype, codes.size) == (dtype, np.count_nonzero(X))


def test_a_row_of_a_product_does_not_depend_on_the_rows_beside_it(rng):
    X = (rng.random((50, 300)) * (rng.random((50, 300)) < 0.1)).astype(np.float32)
    codes, W = Codes.from_dense(X), rng.normal(size=(70, 300)).astype(np.float32)
    whole = codes @ W.T
    for i in (0, 17, 49):
        np.testing.assert_array_equal((codes[i] @ W.T)[0], whole[i])
        np.testing.assert_array_equal((codes[i : i + 2] @ W.T)[0], whole[i])


def test_products_of_another_width_are_refused(rng):
    codes = Codes.from_dense(Z[:, :3]).astype(np.float64)
    codes = Codes(codes.indptr, codes.units, codes.values, 4)  # nothing is in the last column
    for wrong in (
        lambda: codes @ np.ones((3, 2)),
        lambda: np.ones((2, 3)) @ codes,
        lambda: np.ones((2, 4)) - codes,
    ):
        with pytest.raises((ValueError, IndexError)):
            wrong()


@pytest.mark.parametrize("axis", [2, -3, "rows", 0.5])
def test_an_axis_that_is_not_there(axis):
    with pytest.raises(ValueError, match="axes 0 and 1, got axis="):
        Codes.from_dense(Z).sum(axis=axis)
    with pytest.raises(ValueError, match="out must be None"):
        np.sum(Codes.from_dense(Z), axis=0, out=np.zeros(4))


@pytest.mark.parametrize(
    "operate",
    [
        lambda codes: codes - codes,
        lambda codes: codes * codes,
        lambda codes: codes @ codes.T,
        lambda codes: codes @ "ab",
        lambda codes: codes - None,
        lambda codes: [["a"]] * codes,
    ],
)
def test_what_is_no_array_beside_codes_is_refused_in_words(operate):
    with pytest.raises(TypeError, match=r"takes an array or a number, got \w+\. Make one side dense"):
        operate(Codes.from_dense(Z))


def test_lists_beside_codes_are_arrays_and_a_number_is_no_matrix():
    codes, A = Codes.from_dense(Z), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]]
    np.testing.assert_array_equal(codes @ A, Z @ A)
    np.testing.assert_array_equal([[1.0, 2.0, 3.0, 4.0]] @ codes, [[1.0, 2.0, 3.0, 4.0]] @ Z)
    np.testing.assert_array_equal([1, 2, 3, 4] - codes, [1, 2, 3, 4] - Z)
    np.testing.assert_array_equal(1 - codes, 1 - Z, strict=True)
    with pytest.raises(ValueError, match="do not fit"):
        codes @ 2


def test_codes_of_bool_and_of_unsigned_numbers_are_shown():
    def shown(values):
        return repr(Codes(np.array([0, 3]), np.arange(3, dtype=np.int32), np.array(values), 3))

    assert "row 0: 0 (1), 1 (1), 2 (0)" in shown([True, True, False])
    assert "row 0: 1 (200), 2 (3), 0 (0)" in shown(np.array([0, 200, 3], np.uint8))


def test_a_slice_shares_its_entries_and_rows_that_are_not_there_are_refused():
    codes = Codes.from_dense(Z)
    assert np.shares_memory(codes[1:3].values, codes.values)
    assert len(codes[3:1]) == 0
    for rows in ([4], -5, np.array([0, 9])):
        with pytest.raises(IndexError, match="from 0 to 3"):
            codes[rows]
    with pytest.raises(IndexError, match="mask of 4 rows"):
        codes[np.array([True, False])]


def test_picking_a_batch_does_not_cost_what_all_rows_cost():
    """A hundred million rows: an array of their numbers alone would take 800 MB for each batch."""
    n = 100_000_000
    indptr = np.lib.stride_tricks.as_strided(np.zeros(1, np.int64), (n + 1,), (0,))
    codes = Codes(indptr, np.zeros(0, np.int32), np.zeros(0, np.float32), 7)
    tracemalloc.start()
    batch = codes[np.array([5, n - 1])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert batch.shape == (2, 7)
    assert peak < 1e5


def test_values_that_another_dtype_cannot_hold_are_left_out():
    codes = Codes.from_dense(np.array([[1e-60, 1.0], [1e-60, 0.0], [0.0, 2.0]])).astype(np.float32)
    assert codes.values.tolist() == [1, 2]
    assert codes.indptr.tolist() == [0, 1, 1, 2]
    assert codes.indptr.dtype == np.int64
    same = codes.astype(np.float32, copy=False)
    assert same.values is codes.values


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (5, 1), (0, 7), (5, 0), (0, 0)])
def test_entries_that_are_not_zero_are_those_of_numpy(rng, shape, dtype):
    Z = (rng.integers(-2, 3, shape) * (rng.random(shape) < 0.5)).astype(dtype)
    if dtype is np.float64 and Z.size:
        Z.flat[0] = np.nan
    for array in (Z, np.asfortranarray(Z), Z[::-1, ::2]):
        for found, expected in zip(nonzero_entries(array), np.nonzero(array), strict=True):
            np.testing.assert_array_equal(found, expected)
