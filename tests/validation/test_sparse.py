"""Sparse data that comes in: any matrix by rows becomes Codes, or an error says what is wrong with it."""

from types import SimpleNamespace

import numpy as np
import pytest

from nsae.codes import Codes
from nsae.validation import check_data
from nsae.validation.sparse import check_rows, is_sparse

X = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [1, 1, 1, 1]], np.float32)
CODES = Codes.from_dense(X)


def csr(**changes):
    """Something like a csr_matrix of X, with other arrays in some places."""
    arrays = {"indptr": CODES.indptr, "indices": CODES.units, "data": CODES.values, "shape": X.shape}
    return SimpleNamespace(**{**arrays, **changes})


def same(codes, table, dtype):
    assert isinstance(codes, Codes)
    assert (codes.indptr.dtype, codes.units.dtype, codes.values.dtype) == (np.int64, np.int32, dtype)
    assert codes.values.all()
    for units, _ in codes:
        assert (np.diff(units) > 0).all()
    np.testing.assert_array_equal(codes.to_dense(), table)


def test_arrays_that_are_right_are_shared():
    for data in (csr(), CODES):
        codes = check_rows(data)
        same(codes, X, np.float32)
        assert codes.values is CODES.values or np.shares_memory(codes.values, CODES.values)
        assert np.shares_memory(codes.units, CODES.units)


@pytest.mark.parametrize("index", [np.int32, np.int64, np.uint8, np.uint64, ">i4"])
@pytest.mark.parametrize(
    ("dtype", "becomes"),
    [
        (bool, np.float32), (np.int8, np.float32), (np.uint8, np.float32), (np.int64, np.float32),
        (np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64), (">f4", np.float32),
        (">f8", np.float64), (np.longdouble, np.float64),
    ],
)  # fmt: skip
def test_kinds_of_numbers(index, dtype, becomes):
    data = CODES.values.astype(dtype)
    arrays = csr(indptr=CODES.indptr.astype(index), indices=CODES.units.astype(index), data=data)
    same(check_rows(arrays), X.astype(bool) if dtype is bool else X, becomes)


def test_any_order_entries_twice_and_stored_zeros():
    indptr = np.array([0, 3, 4, 8])
    indices = np.array([4, 1, 4, 2, 3, 0, 3, 0])
    data = np.array([1.0, 2.0, 0.5, 0.0, 4.0, 1.0, -4.0, 0.25])
    expected = np.array([[0, 2, 0, 0, 1.5], [0, 0, 0, 0, 0], [1.25, 0, 0, 0, 0]])
    before = indices.copy(), data.copy()
    same(check_rows(csr(indptr=indptr, indices=indices, data=data, shape=(3, 5))), expected, np.float64)
    np.testing.assert_array_equal(indices, before[0])
    np.testing.assert_array_equal(data, before[1])


def test_integers_that_are_there_twice_do_not_wrap_around_and_bool_stays_yes_or_no():
    arrays = {"indptr": np.array([0, 2]), "indices": np.array([1, 1]), "shape": (1, 2)}
    same(check_rows(csr(data=np.array([200, 50], np.uint8), **arrays)), [[0, 250]], np.float32)
    same(check_rows(csr(data=np.array([True, True]), **arrays)), [[0, 1]], np.float32)


def test_a_row_may_end_where_the_next_begins_lower():
    """Columns fall from row to row: that is no disorder, also where blocks of the check meet."""
    n = 3000
    arrays = csr(indptr=np.arange(n + 1), indices=np.arange(n)[::-1] % 7, data=np.ones(n), shape=(n, 7))
    codes = check_rows(arrays)
    assert np.shares_memory(codes.values, arrays.data)


def test_disorder_is_seen_where_two_blocks_meet(monkeypatch):
    monkeypatch.setattr("nsae.validation.sparse.BLOCK_ENTRIES", 2)
    arrays = csr(indptr=np.array([0, 4]), indices=np.array([0, 2, 1, 3]), data=np.ones(4), shape=(1, 4))
    same(check_rows(arrays), np.ones((1, 4)), np.float64)


def test_the_arrays_may_be_longer_than_what_the_rows_own():
    longer = csr(indices=np.append(CODES.units, 99), data=np.append(CODES.values, np.float32(np.nan)))
    same(check_rows(longer), X, np.float32)


def test_arrays_that_are_mapped_and_cannot_be_written(tmp_path):
    mapped = {}
    for name, array in (("indptr", CODES.indptr), ("indices", CODES.units), ("data", CODES.values)):
        np.save(tmp_path / f"{name}.npy", array)
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    codes = check_rows(csr(**mapped))
    assert isinstance(codes.values, np.memmap)
    same(codes, X, np.float32)


def test_matrices_of_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_matrix, sparse.csr_array):
        same(check_rows(kind(X)), X, np.float32)
    for kind in (
        sparse.csc_matrix,
        sparse.coo_array,
        sparse.lil_matrix,
        sparse.dok_matrix,
        sparse.bsr_matrix,
    ):
        with pytest.raises(TypeError, match=r"sparse matrix by rows.*tocsr\(\)"):
            check_rows(kind(X))
    with pytest.raises(TypeError, match=r"sparse.*X\.toarray\(\)"):
        check_data(sparse.csr_matrix(X))


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (csr(indices=np.array([1, 3, 0, 0, 1, 2, 4])), ValueError, ["0 to 3", "got 4"]),
        (csr(indices=np.array([1, 3, 0, 0, -1, 2, 3])), ValueError, ["0 to 3", "got -1"]),
        (csr(indptr=np.array([0, 2, 1, 3, 7])), ValueError, ["must not decrease", "row 1"]),
        (csr(indptr=np.array([0, 2, 2, 3])), ValueError, ["4 rows", "5 numbers", "has 4"]),
        (csr(indptr=np.array([1, 2, 2, 3, 7])), ValueError, ["starts at 1"]),
        (csr(indptr=np.array([0, 2, 2, 3, 8])), ValueError, ["ends at 8", "7 indices", "truncated"]),
        (csr(data=CODES.values[:-1]), ValueError, ["6 data", "truncated"]),
        (csr(indptr=CODES.indptr.astype(float)), TypeError, ["indptr", "whole numbers", "float64"]),
        (csr(indices=CODES.units.astype(float)), TypeError, ["indices", "whole numbers"]),
        (csr(data=CODES.values.reshape(1, -1)), ValueError, ["data", "1-D", "(1, 7)"]),
        (csr(data=CODES.values.astype(complex)), ValueError, ["Complex", "X.real"]),
        (csr(data=CODES.values.astype(str)), TypeError, ["Numbers were expected", "<U"]),
        (csr(data=np.array([1, 1, np.nan, 1, 1, 1, 1])), ValueError, ["NaN", "row 2, column 0"]),
        (csr(data=np.array([1, np.inf, 1, 1, 1, 1, 1])), ValueError, ["infinity", "row 0, column 3"]),
        (csr(data=np.array([1, 1, 1, 1, 1, 1, 1e39])), ValueError, ["1e+39", "row 3, column 3"]),
        (csr(data=np.array([1, 1, 1, 1, 1, 300, 1])), ValueError, ["integer 300", "row 3, column 2", "±255"]),
        (csr(data=np.ma.array(CODES.values, mask=[0, 1] + [0] * 5)), ValueError, ["data", "masked", ".filled(0)"]),
        (csr(shape=(4, 4, 1)), ValueError, ["(4, 4, 1)"]),
        (csr(shape=4), ValueError, ["(samples, features)", "shape 4"]),
        (csr(shape=None), ValueError, ["(samples, features)", "shape None"]),
        (csr(shape=(4, 4.5)), ValueError, ["(4, 4.5)"]),
        (csr(shape=(4, -4)), ValueError, ["(samples, features)", "(4, -4)"]),
        (csr(shape=(-4, 4)), ValueError, ["(samples, features)", "(-4, 4)"]),
        (csr(shape=(0, 4), indptr=np.zeros(1, int), data=np.empty(0)), ValueError, ["0 sample(s)"]),
        (csr(shape=(4, 0), indptr=np.zeros(5, int), data=np.empty(0)), ValueError, ["0 feature(s)"]),
        (SimpleNamespace(toarray=None), TypeError, ["sparse matrix by rows", "X.tocsr()"]),
        (Codes(np.array([0, 1]), np.array([9]), np.array([1.0]), 4), ValueError, ["0 to 3", "got 9"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(data, error, words):
    with pytest.raises(error) as caught:
        check_rows(data)
    for word in words:
        assert word in str(caught.value)


def test_another_width_and_data_outside_of_the_unit_interval():
    with pytest.raises(ValueError, match="X has 4 features, but Encoder is expecting 5"):
        check_rows(CODES, owner="Encoder", n_features=5)
    with pytest.raises(ValueError, match=r"2\.0 in row 0, column 1.*cross_entropy"):
        check_rows(CODES, unit_interval=True)
    halves = csr(indptr=np.array([0, 2]), indices=np.array([1, 1]), data=np.array([0.75, 0.75]), shape=(1, 2))
    with pytest.raises(ValueError, match=r"1\.5 in row 0, column 1"):  # their sum counts
        check_rows(halves, unit_interval=True)


def test_a_masked_array_that_hides_nothing_is_an_array():
    same(check_rows(csr(data=np.ma.array(CODES.values))), X, np.float32)


def test_a_matrix_of_zeros_is_data():
    codes = check_rows(csr(indptr=np.zeros(5, int), indices=np.empty(0, int), data=np.empty(0)))
    same(codes, np.zeros((4, 4)), np.float64)


def test_what_is_not_sparse_goes_its_own_way():
    assert not is_sparse(X)
    assert check_rows(X) is X
    with pytest.raises(ValueError, match="2-D"):
        check_rows(X[0])
