"""safetensors with NumPy alone: round trips, the format's own reader, and files that are damaged or forged."""

import json
import random
import tracemalloc

import numpy as np
import pytest

from nsae import ModelFormatError
from nsae.interchange import read_safetensors, read_safetensors_metadata, write_safetensors

RNG = np.random.default_rng(0)
ARRAYS = {
    "f8": RNG.normal(size=(2, 3)),
    "f4": RNG.normal(size=(3, 5)).astype("f4"),
    "f2": np.ones(3, "f2"),
    "nothing": np.zeros((0, 7), "f4"),
    "number": np.array(3.5),
    "bool": np.array([True, False, True]),
    "big-endian": np.arange(3, dtype=">i4"),
    "by columns": np.asfortranarray(RNG.normal(size=(4, 3))),
    "every second": np.arange(10)[::2],
    "ü \n": np.arange(3, dtype="u1"),
    **{f"{kind}{size}": np.arange(3).astype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)},
}
HALF = {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arrays.safetensors"


def forge(path, header, data=b"", length=None):
    """A file of a header, as JSON or as bytes, and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype.newbyteorder("="), name
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.aligned


# ---- round trips


@pytest.mark.parametrize("mmap", [False, True])
def test_what_is_written_is_read(path, mmap):
    write_safetensors(path, ARRAYS, metadata={"made by": "ñ"})
    found = read_safetensors(path, mmap=mmap)
    assert_equal(found, ARRAYS)
    assert found["f4"].flags.writeable != mmap
    assert read_safetensors_metadata(path) == {"made by": "ñ"}
    assert_equal(read_safetensors(path, ["f4", "absent"], mmap=mmap), {"f4": ARRAYS["f4"]})


def test_no_arrays_at_all(path):
    write_safetensors(path, {})
    assert (
        read_safetensors(path) == read_safetensors(path, mmap=True) == read_safetensors_metadata(path) == {}
    )


def test_values_begin_at_a_multiple_of_eight_bytes(path):
    for name in ("a", "ab", "abc"):
        write_safetensors(path, {name: np.ones(3)}, overwrite=True)
        assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


def test_the_reader_of_the_format_reads_it_and_writes_what_we_read(path):
    theirs = pytest.importorskip("safetensors.numpy")
    write_safetensors(path, ARRAYS, metadata={"a": "b"})
    assert_equal(theirs.load_file(path), ARRAYS)
    native = {name: np.ascontiguousarray(a).astype(a.dtype.newbyteorder("=")) for name, a in ARRAYS.items()}
    theirs.save_file(native, path, metadata={"c": "d"})
    assert_equal(
        read_safetensors(path),
        {name: a.reshape(ARRAYS[name].shape) for name, a in native.items()} | {"number": native["number"]},
    )
    assert read_safetensors_metadata(path) == {"c": "d"}


def test_bf16_is_the_upper_half_of_a_float32(path):
    exact = np.array([1.0, -2.5, 3.0e38], np.float32).view(np.uint32) >> 16
    forge(path, {"x": HALF}, exact.astype("<u2").tobytes())
    for mmap in (False, True):
        found = read_safetensors(path, mmap=mmap)["x"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found[:2], [1, -2.5])
        np.testing.assert_allclose(found[2], 3e38, rtol=2**-8)


def test_all_dtypes_of_torch_are_those_of_torch(path):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch")
    tensors = {
        str(d): torch.randn(5, 3).to(d) for d in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    }
    theirs.save_file(tensors, path)
    for name, array in read_safetensors(path).items():
        np.testing.assert_array_equal(array, tensors[name].to(torch.float64).numpy())


def test_values_that_do_not_lie_at_a_multiple_of_their_size_are_copied(path):
    text = json.dumps({"x": entry("F64", [2], [0, 16])}).encode()
    text += b" " * (1 - len(text) % 8)
    forge(path, text, np.array([1.0, 2.0]).tobytes())
    assert_equal(read_safetensors(path, mmap=True), {"x": np.array([1.0, 2.0])})


# ---- what cannot be written


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([1j]), np.array([None]), np.array([1], "datetime64[s]")]
)
def test_arrays_of_other_kinds_are_refused(path, array):
    with pytest.raises(TypeError, match=r"x is of .* integers or bool were expected"):
        write_safetensors(path, {"x": array})
    assert not path.exists()


def test_names_and_metadata_are_text(path):
    for name in (1, "__metadata__"):
        with pytest.raises(ValueError, match="cannot be the name of an array"):
            write_safetensors(path, {name: np.ones(1)})
    with pytest.raises(TypeError, match="Metadata are text"):
        write_safetensors(path, {}, metadata={"k": 1})
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_safetensors(path, {})
    assert path.read_bytes() == b"mine"


def test_metadata_may_be_null(path):
    forge(path, {"__metadata__": None, "a": entry()}, b"\0" * 4)
    assert read_safetensors(path)["a"].tolist() == [0]
    assert read_safetensors_metadata(path) == {}
    for wrong in (0, "", [], False, {"a": None}):
        forge(path, {"__metadata__": wrong, "a": entry()}, b"\0" * 4)
        with pytest.raises(ModelFormatError, match="no text by name"):
            read_safetensors(path)


# ---- damaged and forged files

FORGED = [
    (b"[]", "does not begin with {"),
    (b"", "does not begin with {"),
    (b"{", "Expecting"),
    (b'{"a": \xff}', "utf-8"),
    (b'{"a":' * 100_000, "recursion"),
    (b'{"x":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,4]}}', "whole safetensors file"),
    (b'{"x":1,"x":2}', "a name comes twice"),
    (b'{"x":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,4]}}', "a name comes twice"),
    ({"x": []}, "needs dtype, shape and data_offsets"),
    ({"x": {"dtype": "F32", "shape": [1]}}, "needs dtype, shape and data_offsets"),
    ({"x": entry("F8_E4M3", [4])}, "NumPy has no floats of 8 bits"),
    ({"x": entry("F4", [4])}, "NumPy has no floats of 8 bits"),
    ({"x": entry("C64")}, "has the dtype 'C64'"),
    ({"x": entry(["F32"])}, "has the dtype"),
    ({"x": entry(shape=[-1])}, "no whole numbers"),
    ({"x": entry(shape=[True])}, "no whole numbers"),
    ({"x": entry(shape=[1.0])}, "no whole numbers"),
    ({"x": {**entry(), "shape": 1}}, "no whole numbers"),
    ({"x": entry(offsets=[0])}, "no whole numbers"),
    ({"x": entry(offsets=[4, 0])}, "needs 4 bytes"),
    ({"x": entry(shape=[2])}, "needs 8 bytes"),
    ({"x": entry(shape=[1 << 40, 1 << 40])}, "beyond what an array can have"),
    ({"x": entry(shape=[0, 1 << 62], offsets=[0, 0])}, "beyond what an array can have"),
    ({"x": entry(shape=[1] * 100)}, "beyond what an array can have"),
    ({"x": entry(), "y": entry()}, "begin at 0, where 4 was expected"),
    ({"x": entry(offsets=[4, 8])}, "begin at 4, where 0 was expected"),
    ({"x": entry(shape=[0], offsets=[0, 0])}, "0 bytes together, and 4 are there"),
    ({"x": entry(shape=[1 << 40], offsets=[0, 1 << 42])}, "and 4 are there"),
    ({"__metadata__": {"a": 1}, "x": entry()}, "is no text by name"),
    ({"__metadata__": [], "x": entry()}, "is no text by name"),
    ({"x": entry("BOOL", [4])}, "neither 0 nor 1"),
]  # fmt: skip


@pytest.mark.parametrize(("header", "message"), FORGED)
def test_forged_headers_are_refused(path, header, message):
    forge(path, header, b"\0\0\x80?")
    for mmap in (False, True):
        with pytest.raises(ModelFormatError, match=message):
            read_safetensors(path, mmap=mmap)


def test_lengths_that_do_not_fit_are_refused_before_anything_is_allocated(path):
    tracemalloc.start()
    for length in (9, 10**8, 10**12, 2**64 - 1):
        with pytest.raises(ModelFormatError, match="its header is to have"):
            read_safetensors(forge(path, b"{}", b"12", length))
    huge = forge(path, {"x": entry(shape=[1 << 40], offsets=[0, 1 << 42])}, b"1234")
    with pytest.raises(ModelFormatError):
        read_safetensors(huge)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_what_is_no_file_is_said(path, tmp_path):
    with pytest.raises(ModelFormatError, match="There is no file"):
        read_safetensors(path)
    with pytest.raises(ModelFormatError, match="is not a whole safetensors file"):
        read_safetensors(tmp_path)
    for n in range(8):
        path.write_bytes(b"\0" * n)
        with pytest.raises(ModelFormatError, match=f"it has {n} bytes"):
            read_safetensors(path)


def test_a_file_that_was_cut_short_is_refused_wherever_it_was_cut(path):
    write_safetensors(path, {"x": np.ones(3, "f4"), "y": np.ones((2, 2))})
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        with pytest.raises(ModelFormatError):
            read_safetensors(path)


def test_changed_files_give_arrays_or_a_format_error(path):
    write_safetensors(
        path, {"x": np.ones(3, "f4"), "y": np.ones((2, 2), bool), "z": np.ones(2, "i2")}, metadata={"a": "b"}
    )
    whole, rng = path.read_bytes(), random.Random(0)
    parts = [b'"', b"[", b"{", b"-", b"9", b"F16", b"BF16", b"1e9", b"NaN", b"null", b"\\ud800", b"9" * 30]
    refused = 0
    for _ in range(1500):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(changed))
            how = rng.randrange(4)
            if how == 0:
                changed[at] = rng.randrange(256)
            elif how == 1:
                changed[at : at + rng.randint(1, 9)] = b""
            else:
                changed[at : at + rng.randrange(4)] = rng.choice(parts)
            if how == 3:  # the length fits again
                end = bytes(changed).rfind(b"}") + 1
                changed[:8] = max(end - 8, 0).to_bytes(8, "little")
        path.write_bytes(changed)
        for mmap in (False, True):
            try:
                found = read_safetensors(path, mmap=mmap)
                assert sum(array.nbytes for array in found.values()) <= 2 * len(changed)
            except ModelFormatError:
                refused += 1
    assert 2000 < refused < 3000
    for _ in range(300):
        path.write_bytes(rng.randbytes(rng.randrange(200)))
        with pytest.raises(ModelFormatError):
            read_safetensors(path)
