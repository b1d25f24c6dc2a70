"""Files with the ending ``.csr``, as the sparse track of BigANN benchmarks has them, mapped or read.

A file is the numbers of rows, columns and entries (int64), the row pointers (int64), the columns (int32) and the
values (float32), all little-endian, one after the other.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from nsae.codes import Codes, without_zeros
from nsae.errors import ModelFormatError
from nsae.interchange.canonical import MOST_UNITS, canonical_codes, real_values
from nsae.system.storage import atomic_file, refuse_existing

HEADER = 24  # bytes

Rows = Codes | np.ndarray


def read_csr(path: str | os.PathLike, *, mmap: bool = False) -> Codes:
    """Return the rows of a ``.csr`` file.

    Parameters
    ----------
    path : path
    mmap : bool
        Map the file instead of reading it: columns and values stay on the disk until they are used, so that only
        the row pointers are checked here.  ``CodeIndex.add`` checks the rest.  Without it, everything is checked,
        columns are sorted, those that come twice are added, and zeros are left out.

    Raises
    ------
    ModelFormatError
        The file is missing, is not as long as its header says, or has something in it that is no CSR matrix.
    """
    try:
        n, h, nnz = _checked_header(path)
        data = np.memmap(path, np.uint8, "r") if mmap else np.fromfile(path, np.uint8)
        ends = np.cumsum([HEADER, 8 * (n + 1), 4 * nnz, 4 * nnz])
        if len(data) != ends[-1]:
            raise ValueError("its length changed while it was read")
        parts = (np.asarray(data[start:end]) for start, end in pairwise(ends))
        indptr, units, values = (
            part.view(kind).astype(kind.lstrip("<"), copy=False)
            for part, kind in zip(parts, ("<i8", "<i4", "<f4"), strict=True)
        )
        if indptr[-1] != nnz:
            raise ValueError(f"its row pointers end at {indptr[-1]}, and it has {nnz} entries")
        if not mmap:
            return canonical_codes(indptr, units, values, (n, h))
        if (indptr[1:] < indptr[:-1]).any():
            raise ValueError("its row pointers decrease")
        return Codes(indptr, units, values, h)
    except FileNotFoundError:
        raise ModelFormatError(f"There is no file {path}. Check the name.") from None
    except (ValueError, OSError) as error:
        raise ModelFormatError(
            f"{Path(path)} is not a whole .csr file: {str(error).rstrip('.')}. Copy or download it again."
        ) from None


def _checked_header(path: str | os.PathLike) -> tuple[int, int, int]:
    """Rows, columns and entries of a file that is as long as they say."""
    with open(path, "rb") as file:
        size, head = os.fstat(file.fileno()).st_size, file.read(HEADER)
    if len(head) < HEADER:
        raise ValueError(f"it has {size} bytes, and its header takes {HEADER}")
    n, h, nnz = (int(number) for number in np.frombuffer(head, "<i8"))
    if min(n, nnz) < 0 or not 0 < h <= MOST_UNITS:
        raise ValueError(f"its header says {n} rows, {h} columns and {nnz} entries")
    expected = HEADER + 8 * (n + 1) + 8 * nnz
    if size != expected:
        raise ValueError(f"{n} rows with {nnz} entries take {expected} bytes, and it has {size}")
    return n, h, nnz


def write_csr(path: str | os.PathLike, codes: Rows | Iterable[Rows], *, overwrite: bool = False) -> None:
    """Write codes to a ``.csr`` file, atomically, values as float32.

    Parameters
    ----------
    path : path
    codes : Codes or dense array (n, h), or iterable of them
        An iterable is written part by part: beside one part, only the row pointers are held in memory.  Zeros, and
        values that are too small for float32, are left out.
    overwrite : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    FileExistsError
        The file is there and ``overwrite`` is False.
    ValueError
        The parts have different widths, there is none, or a value does not fit float32.
    TypeError
        A part is neither codes nor an array (n, h) of real numbers.
    """
    target = refuse_existing(path, overwrite)
    ends, n_entries, widths = [np.zeros(1, np.int64)], 0, set()
    folder = target.absolute().parent
    with tempfile.TemporaryFile(dir=folder) as units, tempfile.TemporaryFile(dir=folder) as values:
        # What is no iterable is refused as a part is.
        for some in codes if isinstance(codes, Iterable) and not isinstance(codes, Rows) else [codes]:
            part = _part(some)
            widths.add(part.n_units)
            if len(widths) > 1:
                raise ValueError(f"Codes of one width are expected, got n_units in {sorted(widths)}.")
            units.write(part.units.astype("<i4", copy=False).tobytes())
            values.write(part.values.tobytes())
            ends.append(part.indptr[1:] + n_entries)
            n_entries += len(part.units)
        if not widths:
            raise ValueError("There is nothing to write: at least one part was expected.")
        indptr = np.concatenate(ends).astype("<i8")  # (n + 1,)
        with atomic_file(target, overwrite=overwrite) as file:
            file.write(np.array([len(indptr) - 1, widths.pop(), indptr[-1]], "<i8").tobytes())
            file.write(indptr.tobytes())
            for spooled in (units, values):
                spooled.seek(0)
                shutil.copyfileobj(spooled, file, 1 << 20)


def _part(rows: object) -> Codes:
    """Codes as they are stored: float32, finite, without zeros."""
    if not isinstance(rows, Codes):
        if not isinstance(rows, np.ndarray) or rows.ndim != 2:
            kind = f"an array {rows.shape}" if isinstance(rows, np.ndarray) else f"a {type(rows).__name__}"
            raise TypeError(
                f"Codes, arrays (n, h), or an iterable of them were expected, and {kind} came. Of a sparse matrix: "
                "from_scipy(matrix)."
            )
        rows = Codes.from_dense(real_values(rows))
    with np.errstate(over="ignore"):
        values = rows.values.astype("<f4")  # (nnz,)
    if not np.isfinite(values).all():
        raise ValueError("Finite values that fit float32 were expected, and a part has others.")
    return without_zeros(Codes(rows.indptr, rows.units, values, rows.n_units))
