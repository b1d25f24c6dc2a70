"""Arrays from files that may be damaged or forged."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from nsae.system.npy import array_from_npy, arrays_from_npz


def npy(array, **changes):
    file = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape, **changes}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


@pytest.mark.parametrize("dtype", ["?", "u1", "<i8", ">i4", "<f4", "<f8"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 4)])
def test_it_reads_what_numpy_writes(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    for copy in (True, False):
        read = array_from_npy(npy(array), copy=copy)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
        assert read.flags.writeable == copy


def test_it_reads_arrays_by_columns_and_headers_of_version_2():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=(2, 0))
    np.testing.assert_array_equal(array_from_npy(file.getvalue()), array)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "magic"),
        (b"\x93NUMPY\x09\x00" + bytes(20), "version"),
        (npy(np.zeros(3), shape=(10**12,)), "announces 8000000000000 bytes"),
        (npy(np.zeros(3), shape=(2**62, 2**62)), "announces"),
        (npy(np.zeros(3), shape=(-3,)), r"\(-3,\)"),
        (npy(np.zeros(3), shape=(2,)), "24 are there"),
        (npy(np.zeros(3), descr="|O"), "object"),
        (npy(np.zeros(3), descr="|V8"), "V8"),
        (npy(np.zeros(3), descr="<U2"), "<U2"),
        (npy(np.zeros(3), descr="<c8"), "complex64"),
    ],
)
def test_what_is_refused(data, word):
    tracemalloc.start()
    with pytest.raises(ValueError, match=word):
        array_from_npy(data)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_of_an_archive_it_gives_the_arrays_that_are_there(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.arange(3), b=np.zeros((2, 2)))
    for path in (tmp_path / "a.npz", io.BytesIO((tmp_path / "a.npz").read_bytes())):
        found = arrays_from_npz(path, ["b", "c"])
        assert list(found) == ["b"]
        assert found["b"].shape == (2, 2)


def test_a_member_that_would_fill_the_memory_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", npy(np.zeros(1 << 22)))
    with pytest.raises(ValueError, match="33554560 bytes large in a file of"):
        arrays_from_npz(tmp_path / "a.npz", ["a"])
