"""Files in the format "safetensors", read and written with NumPy alone.

A file is 8 bytes with the length N of its header (little-endian), N bytes of JSON, and the values of all arrays.
The header says of each array its dtype, its shape and where its values begin and end.  Nothing is allocated
before all of that is known to fit the file.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.errors import ModelFormatError, bounded
from nsae.system.storage import atomic_file
from nsae.validation import shown

MOST_HEADER = 100_000_000  # bytes, as the format's own reader allows
ALIGNMENT = 8  # values begin at a multiple of this where nsae writes them
METADATA = "__metadata__"
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "u1",
}  # fmt: skip
NAMES = {
    np.dtype(code).newbyteorder("="): name for name, code in DTYPES.items() if name not in ("BF16", "BOOL")
}
NAMES[np.dtype(bool)] = "BOOL"


class _Place(NamedTuple):
    """What the header says of one array; ``begin`` and ``end`` count from the first value of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(
    path: str | os.PathLike, names: Iterable[str] | None = None, *, mmap: bool = False
) -> dict[str, np.ndarray]:
    """Return the arrays of a file, by name.

    BF16 becomes float32, which holds each of its numbers exactly; all other dtypes stay as they are.

    Parameters
    ----------
    path : path
    names : iterable of str, optional
        The arrays to read; those that the file does not have are left out.  By default all.
    mmap : bool
        Map the values instead of reading them: the arrays cannot be written to.  What is BF16, or does not lie
        at a multiple of its size, is copied all the same.

    Raises
    ------
    ModelFormatError
        The file is missing or truncated, its header does not fit its size, or it has floats of 8 bits or
        fewer.
    """
    places, _, start = _read_header(path)
    chosen = places if names is None else {name: places[name] for name in names if name in places}
    size = os.path.getsize(path)
    if mmap and start < size:
        data = np.asarray(np.memmap(path, np.uint8, "r", start))  # (size − start,)
        return {
            name: _array(path, name, place, data[place.begin : place.end]) for name, place in chosen.items()
        }
    arrays = {}
    with open(path, "rb") as file:
        for name, place in chosen.items():
            file.seek(start + place.begin)
            raw = np.fromfile(file, np.uint8, place.end - place.begin)
            if len(raw) != place.end - place.begin:
                raise ModelFormatError(f"{path} became shorter while it was read. Read it again.")
            arrays[name] = _array(path, name, place, raw)
    return arrays


def read_safetensors_metadata(path: str | os.PathLike) -> dict[str, str]:
    """Return what the header of the file ``path`` says under ``__metadata__``: text by name, mostly nothing.

    Raises ModelFormatError as :func:`read_safetensors` does.
    """
    return _read_header(path)[1]


def write_safetensors(
    path: str | os.PathLike,
    arrays: Mapping[str, np.ndarray],
    *,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write arrays to a file, atomically.

    Parameters
    ----------
    path : path
    arrays : mapping of str to array
        Of float16, float32, float64, integers or bool.
    metadata : mapping of str to str, optional
        Text to store beside them.
    overwrite : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    FileExistsError
        The file is there and ``overwrite`` is False.
    TypeError, ValueError
        An array is of another dtype, or a name cannot be one.
    """
    little = {name: _to_write(name, array) for name, array in arrays.items()}
    # The largest numbers first, so that each array lies at a multiple of the size of its numbers.
    order = sorted(little, key=lambda name: (-little[name].itemsize, name))
    header: dict[str, Any] = {}
    if metadata:
        wrong = [item for item in metadata.items() if not all(isinstance(text, str) for text in item)]
        if wrong:
            raise TypeError(f"Metadata are text by name, and ({', '.join(map(shown, wrong[0]))}) came.")
        header[METADATA] = dict(metadata)
    at = 0
    for name in order:
        array = little[name]
        dtype = NAMES[array.dtype.newbyteorder("=")]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    if len(text) > MOST_HEADER:
        raise ValueError(
            f"The header would have {len(text)} bytes, and {MOST_HEADER} are allowed. Write two files."
        )
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(little[name].reshape(-1).view(np.uint8).data)


def _to_write(name: object, array: np.ndarray) -> np.ndarray:
    """The array in little-endian and in the order of C."""
    if not isinstance(name, str) or name == METADATA:
        raise ValueError(f"{shown(name)} cannot be the name of an array. Give it another.")
    array = np.asarray(array, order="C")
    if array.dtype.newbyteorder("=") not in NAMES:
        raise TypeError(
            f"{bounded(name)} is of {array.dtype}; floats of 16 to 64 bits, integers or bool were expected. Convert "
            "it: array.astype(np.float32)."
        )
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _read_header(path: str | os.PathLike) -> tuple[dict[str, _Place], dict[str, str], int]:
    """(arrays, metadata, where the values begin), all checked."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < 8:
                raise ValueError(f"it has {size} bytes, and the length of its header alone takes 8")
            length = int.from_bytes(file.read(8), "little")
            if length > min(size - 8, MOST_HEADER):
                raise ValueError(
                    f"its header is to have {length} bytes, in a file of {size} (at most {MOST_HEADER} are allowed)"
                )
            text = file.read(length)
        if text[:1] != b"{":
            raise ValueError("its header does not begin with {")
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_without_repeats)
        metadata = header.pop(METADATA, None)
        if metadata is None:  # The format's own reader takes null as well.
            metadata = {}
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError(f"{METADATA} is no text by name")
        places = {name: _place(name, entry) for name, entry in header.items()}
        _check_contiguous(places, size - 8 - length)
    except FileNotFoundError:
        raise ModelFormatError(f"There is no file {path}. Check the name.") from None
    except ModelFormatError as error:
        raise ModelFormatError(f"{Path(path)}: {error}") from None
    except (ValueError, RecursionError, OSError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise ModelFormatError(
            f"{Path(path)} is not a whole safetensors file: {error}. Copy or download it again."
        ) from None
    return places, metadata, 8 + length


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; two equal names, of which readers would take either, are an error."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in its header")
    return found


def _place(name: str, entry: Any) -> _Place:
    """An entry of the header, if it is one."""
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
        raise ValueError(f"{name!a} needs dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if isinstance(dtype, str) and re.fullmatch(r"F[468](_\w+)?", dtype):
        raise ModelFormatError(
            f"{name!a} has the dtype {dtype}: NumPy has no floats of 8 bits or fewer. Convert it to F16 or F32 where "
            "it was made."
        )
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{name!a} has the dtype {dtype!a}, and {', '.join(DTYPES)} are known")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise ValueError(f"the shape or the data_offsets of {name!a} are no whole numbers of at least 0")
    # A dimension of 0 leaves the others open: what NumPy cannot make is refused here.
    if len(shape) > 32 or 8 * math.prod(size for size in shape if size) >= 1 << 63:
        raise ValueError(f"the shape of {name!a} is beyond what an array can have")
    needed = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != needed:
        raise ValueError(
            f"{name!a} needs {needed} bytes, and its data_offsets are {offsets[0]} to {offsets[1]}"
        )
    return _Place(dtype, tuple(shape), *offsets)


def _whole_numbers(value: Any) -> bool:
    """Whether this is a list of whole numbers of at least 0; True and 1.0 are none."""
    return isinstance(value, list) and all(type(number) is int and number >= 0 for number in value)


def _check_contiguous(places: Mapping[str, _Place], there: int) -> None:
    """Raise ValueError unless the arrays fill the bytes that are ``there``, without holes or overlaps."""
    at = 0
    for name, place in sorted(places.items(), key=lambda item: (item[1].begin, item[1].end)):
        if place.begin != at:
            raise ValueError(f"the values of {name!a} begin at {place.begin}, where {at} was expected")
        at = place.end
    if at != there:
        raise ValueError(f"its arrays have {at} bytes together, and {there} are there")


def _array(path: str | os.PathLike, name: str, place: _Place, raw: np.ndarray) -> np.ndarray:
    """The array in the bytes ``raw``."""
    if place.dtype == "BOOL":
        if raw.size and raw.max() > 1:
            raise ModelFormatError(f"{path}: {name!a} is of BOOL and has bytes that are neither 0 nor 1.")
        return raw.view(bool).reshape(place.shape)
    array = raw.view(DTYPES[place.dtype])
    if not array.flags.aligned:
        array = array.copy()
    if place.dtype == "BF16":  # the upper half of a float32
        array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False).reshape(place.shape)
