"""Reading ``.npy`` and ``.npz`` content that may be damaged or forged: nothing is allocated that the bytes do not fill.

NumPy's own reader trusts the header: a file of a hundred bytes that announces 10¹² numbers makes it ask the system
for terabytes.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

HEADER_BYTES = 1 << 16  # No header is longer.
MOST_EXPANSION = (
    64  # A member of an archive may be so many times as large as the whole file, if it is compressed.
)


def array_from_npy(data: bytes | mmap.mmap, *, kinds: str = "biuf", copy: bool = True) -> np.ndarray:
    """Return the array of the ``.npy`` content ``data``, of any shape and a dtype of these ``kinds`` of NumPy.

    With ``copy=False`` it is a view of ``data``, which cannot be written to and may be mapped from a file.

    Raises
    ------
    ValueError
        It is no ``.npy`` of version 1 or 2, holds another kind of values, or announces another size
        than it has.
    """
    file = io.BytesIO(data[:HEADER_BYTES])
    version = np.lib.format.read_magic(file)
    readers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    if version[0] not in readers:
        raise ValueError(f"its .npy version is {version[0]}, where 1 or 2 was expected")
    shape, by_columns, dtype = readers[version[0]](file)
    if dtype.kind not in kinds:
        raise ValueError(f"it holds values of dtype {dtype}")
    if any(extent < 0 for extent in shape):
        raise ValueError(f"its shape is {shape}")
    announced, there = math.prod(shape) * dtype.itemsize, len(data) - file.tell()
    if announced != there:
        raise ValueError(f"its header announces {announced} bytes of values, and {there} are there")
    flat = np.frombuffer(data, dtype, offset=file.tell())
    array = flat.reshape(shape, order="F" if by_columns else "C")
    return array.copy(order="K") if copy else array


def forget_pages(*arrays: np.ndarray) -> None:
    """Let the system take back the memory of what was read of, or written to, mapped ``arrays``.

    They stay as they are, and what was written is in the files: a page that is needed again comes from there.
    Without this, the memory of a process grows to the size of all files that it walks through.
    """
    for array in arrays:
        owner: object = array
        while isinstance(owner, np.ndarray):
            owner = owner.base
        mapped = owner.obj if isinstance(owner, memoryview) else owner
        if isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):  # Windows has none
            mapped.madvise(mmap.MADV_DONTNEED)


def arrays_from_npz(path: str | os.PathLike | io.BytesIO, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return by name those arrays of ``names`` that the ``.npz`` file ``path``, or one in memory, has.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError, zipfile.BadZipFile and others of zipfile
        The archive is damaged, or a member cannot be an array: see :func:`array_from_npy`.
    """
    # zipfile gets the bytes and not the file: a forged directory can ask for a gigabyte, and of bytes Python
    # gives no more than there are.
    file = path if isinstance(path, io.BytesIO) else io.BytesIO(Path(path).read_bytes())
    size = len(file.getbuffer())
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        for name in names:
            member = members.get(f"{name}.npy")
            if member is None:
                continue
            if member.file_size > MOST_EXPANSION * size:
                raise ValueError(f"{name} is {member.file_size} bytes large in a file of {size}")
            try:
                arrays[name] = array_from_npy(archive.read(member))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
    return arrays
