"""``.csr`` files of the sparse track of BigANN: round trips, the published layout, damaged files, search."""

import tracemalloc

import numpy as np
import pytest

from nsae import CodeIndex, Codes, ModelFormatError
from nsae.interchange import read_csr, write_csr

Z = np.array([[0, 2, 0, 1], [0, 0, 0, 0], [3, 0, 0, 0], [1, 4, 1, 1]], np.float32)
CODES = Codes.from_dense(Z)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.csr"


def forge(path, head, indptr, units, values):
    """A file of these numbers, whatever they are."""
    parts = [np.array(head, "<i8"), np.array(indptr, "<i8"), np.array(units, "<i4"), np.array(values, "<f4")]
    path.write_bytes(b"".join(part.tobytes() for part in parts))


def assert_equal(codes, table):
    assert (codes.indptr.dtype, codes.units.dtype, codes.values.dtype) == (np.int64, np.int32, np.float32)
    np.testing.assert_array_equal(codes.to_dense(), table)


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_what_is_written_is_read(path, mmap, n):
    write_csr(path, CODES[:n])
    found = read_csr(path, mmap=mmap)
    assert_equal(found, Z[:n])
    assert found.values.flags.writeable != mmap
    assert found.n_units == 4


def test_the_layout_is_the_published_one(path):
    write_csr(path, CODES)
    with open(path, "rb") as file:
        head = np.fromfile(file, "int64", 3)
        np.testing.assert_array_equal(head, [4, 4, 7])
        np.testing.assert_array_equal(np.fromfile(file, "int64", 5), CODES.indptr)
        np.testing.assert_array_equal(np.fromfile(file, "int32", 7), CODES.units)
        np.testing.assert_array_equal(np.fromfile(file, "float32", 7), CODES.values)
        assert file.read() == b""


def test_parts_are_written_one_after_the_other(path):
    write_csr(path, (CODES[i : i + 1] for i in (0, 1, 2, 3)))
    assert_equal(read_csr(path), Z)
    write_csr(path, [CODES[:0], CODES[:2], CODES[:0], CODES[2:]], overwrite=True)
    assert_equal(read_csr(path), Z)


def test_memory_does_not_grow_with_the_parts(path):
    part = Codes.from_dense(np.ones((100, 300), np.float32))

    def peak(n):
        tracemalloc.start()
        write_csr(path, (part for _ in range(n)), overwrite=True)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few = peak(2)
    assert peak(100) < few + 3e6  # the file has 24 MB; copying takes blocks of 1 MB
    assert len(read_csr(path, mmap=True)) == 10_000


def test_any_order_becomes_one_form_where_it_is_read(path):
    forge(path, [2, 5, 5], [0, 3, 5], [4, 1, 1, 2, 0], [1, 2, 3, 0, 7])
    assert_equal(read_csr(path), np.array([[0, 5, 0, 0, 1], [7, 0, 0, 0, 0]]))
    index = CodeIndex(5)
    with pytest.raises(ValueError, match="Units must ascend"):
        index.add(read_csr(path, mmap=True))


@pytest.mark.parametrize("mmap", [False, True])
def test_an_index_takes_a_mapped_file_and_is_searched(path, mmap):
    rng = np.random.default_rng(0)
    codes = Codes.from_dense(rng.random((300, 50)) * (rng.random((300, 50)) < 0.1))
    write_csr(path, codes)
    index = CodeIndex(50, metric="dot")
    index.add(read_csr(path, mmap=mmap))
    expected = CodeIndex(50, metric="dot")
    expected.add(codes)
    queries = read_csr(path, mmap=mmap)[:20]
    found = index.search(queries, k=5)
    np.testing.assert_array_equal(found.rows, expected.search(codes[:20], k=5).rows)


def test_zeros_are_not_written_nor_what_float32_makes_zero(path):
    table = np.array([[1e-60, 1.0, 0.0], [0.0, 1e-60, 0.0], [0.0, 0.0, 2.0]])
    zeros = Codes(np.array([0, 2]), np.array([0, 2], np.int32), np.array([0.0, 3.0], np.float32), 3)
    write_csr(path, [Codes.from_dense(table), zeros])
    found = read_csr(path, mmap=True)
    np.testing.assert_array_equal(found.indptr, [0, 1, 1, 2, 3])
    np.testing.assert_array_equal(found.units, [1, 2, 2])
    np.testing.assert_array_equal(found.values, [1, 2, 3])


@pytest.mark.parametrize("rows", [Z, [Z[:2], CODES[2:]], (Z[:0], Z.astype(np.float16))])
def test_dense_arrays_are_written_as_codes(path, rows):
    write_csr(path, rows)
    assert_equal(read_csr(path), Z)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (Z[0], r"an array \(4,\) came"),
        ([Z[0]], r"an array \(4,\) came"),
        ([[1.0, 2.0]], "a list came"),
        ([np.array([["a"]])], "Real numbers were expected"),
        (np.array([[1j]]), "Real numbers were expected"),
        (3, "a int came"),
        (None, "a NoneType came"),
    ],
)
def test_what_are_no_rows_is_refused(path, rows, message):
    with pytest.raises(TypeError, match=message):
        write_csr(path, rows)
    assert list(path.parent.iterdir()) == []


# ---- what cannot be read or written

FORGED = [
    (([-1, 4, 0], [], [], []), "its header says -1 rows"),
    (([1, 0, 0], [0, 0], [], []), "0 columns"),
    (([1, 1 << 31, 0], [0, 0], [], []), "2147483648 columns"),
    (([1, 4, -1], [0, 0], [], []), "-1 entries"),
    (([1 << 60, 4, 1 << 60], [0], [], []), "take .* bytes, and it has 32"),
    (([(1 << 63) - 1, 4, (1 << 63) - 1], [0], [], []), "take .* bytes, and it has 32"),
    (([1, 4, 1], [0, 2], [0], [1]), "end at 2, and it has 1 entries"),
    (([1, 4, 1], [1, 1], [0], [1]), "start at 0"),
    (([2, 4, 1], [0, 2, 1], [0], [1]), "decrease"),
]


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(("content", "message"), FORGED)
def test_forged_headers_are_refused_before_anything_is_allocated(path, mmap, content, message):
    forge(path, *content)
    tracemalloc.start()
    with pytest.raises(ModelFormatError, match=message):
        read_csr(path, mmap=mmap)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("unit", "value", "message"), [(4, 1, "got 4"), (-1, 1, "got -1"), (0, np.nan, "nan in column 0")]
)
def test_wrong_entries_are_refused_where_they_are_read_or_added(path, unit, value, message):
    forge(path, [1, 4, 1], [0, 1], [unit], [value])
    with pytest.raises(ModelFormatError, match=message):
        read_csr(path)
    with pytest.raises(ValueError, match=r"expected, (got|row 0)"):
        CodeIndex(4).add(read_csr(path, mmap=True))


@pytest.mark.parametrize("mmap", [False, True])
def test_a_file_that_was_cut_short_or_is_longer_is_refused(path, mmap):
    write_csr(path, CODES)
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(ModelFormatError, match="is not a whole"):
            read_csr(path, mmap=mmap)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelFormatError, match=r"bytes, and it has"):
        read_csr(path, mmap=mmap)


def test_what_is_no_file_is_said(path, tmp_path):
    with pytest.raises(ModelFormatError, match="There is no file"):
        read_csr(path)
    with pytest.raises(ModelFormatError, match="is not a whole"):
        read_csr(tmp_path)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([], "at least one part"),
        ([CODES, Codes.from_dense(Z[:, :3])], r"n_units in \[3, 4\]"),
        (Codes.from_dense(np.array([[1e300]])), "fit float32"),
        (Codes.from_dense(np.array([[np.nan]])), "fit float32"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(path, codes, message):
    with pytest.raises(ValueError, match=message):
        write_csr(path, codes)
    assert list(path.parent.iterdir()) == []


def test_a_file_that_is_there_is_kept(path):
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_csr(path, CODES)
    assert path.read_bytes() == b"mine"
