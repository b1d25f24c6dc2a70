"""What stands in every file that ``export_encoder`` writes.  These functions are copied, so they need NumPy alone."""

from __future__ import annotations

import base64
import math
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from nsae.models.layer_codes import BLOCK_ROWS
from nsae.system.numpy_blas import blas_thread_functions

_lock = threading.Lock()


def codes_of_rows(
    X: np.ndarray, W: np.ndarray, b: np.ndarray, g: Callable[[np.ndarray], np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the codes z = g(W x + b) of the rows x of X (n, d), Eqs. (1) and (2), for 128 rows at a time.

    W (h, d) and b (h,) are the weights, and g is the activation, Eq. (4).  Each array has the shape (rows, h).
    The last block is filled with zeros, because a BLAS sums in an order that depends on the shape.
    """
    block = np.zeros((BLOCK_ROWS, W.shape[1]), W.dtype)  # (128, d)
    for start in range(0, len(X), BLOCK_ROWS):
        rows = X[start : start + BLOCK_ROWS]
        block[: len(rows)], block[len(rows) :] = rows, 0
        with one_blas_thread():
            Yt = np.matmul(W, block.T)  # (h, 128)
        Y = np.ascontiguousarray(Yt.T) + b  # (1) (128, h)
        yield g(Y[: len(rows)])  # (2) (rows, h)


def as_pairs(blocks: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entries of codes that are not 0 as (indptr, units, values), the arrays of a csr_matrix of SciPy.

    Row i has the values ``values[indptr[i]:indptr[i + 1]]`` in the units ``units[indptr[i]:indptr[i + 1]]``.
    The codes come in ``blocks`` (rows, h).
    """
    counts, units, values = [np.zeros(1, np.int64)], [], []
    for Z in blocks:
        rows, columns = np.nonzero(Z)  # row by row
        counts.append(np.bincount(rows, minlength=len(Z)))
        units.append(columns.astype(np.int32))
        values.append(Z[rows, columns])
    return np.cumsum(np.concatenate(counts)), np.concatenate(units), np.concatenate(values)


def check_rows(X: object, d: int) -> np.ndarray:
    """Return X as an array (n, d) of finite numbers, or raise a ValueError that says what was expected."""
    if hasattr(X, "toarray") or hasattr(X, "indptr"):
        raise ValueError(
            f"X is sparse ({type(X).__name__}); an array was expected. Use X.toarray(), or X.to_dense() of Codes."
        )
    rows = np.asarray(X)
    if rows.ndim != 2 or rows.shape[1] != d or not len(rows) or rows.dtype.kind not in "biuf":
        raise ValueError(
            f"X has shape {rows.shape} of {rows.dtype}; numbers of shape (n, {d}) were expected."
        )
    if not np.isfinite(rows).all():
        raise ValueError("X has NaN or infinity; finite numbers were expected.")
    return rows


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let OpenBLAS use one thread within the block: with more, it sums in another order."""
    functions = blas_thread_functions()
    if functions is None:  # Another BLAS: codes may differ in the last digit.
        yield
        return
    get_threads, set_threads = functions
    with _lock:
        before = get_threads()
        set_threads(1)
        try:
            yield
        finally:
            set_threads(before)


def unpacked(text: str, kinds: Sequence[tuple[str, tuple[int, ...]]]) -> list[np.ndarray]:
    """Return the arrays in a ``text`` of base64, one after the other; ``kinds`` has the dtype and shape of each."""
    data, arrays, at = zlib.decompress(base64.b64decode(text)), [], 0
    for dtype, shape in kinds:
        array = np.frombuffer(data, dtype, math.prod(shape), at).reshape(shape)
        arrays.append(array.astype(array.dtype.newbyteorder("=")))
        at += array.nbytes
    return arrays


def main(encode: Callable[[np.ndarray], np.ndarray]) -> None:
    """Write what ``encode`` returns for the rows in one .npy file to another one: the command line of this file."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} INPUT.npy CODES.npy")
    try:
        Z = encode(np.load(sys.argv[1], allow_pickle=False))
        with open(sys.argv[2], "xb") as file:
            np.save(file, Z)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(
        f"{sys.argv[2]}: {len(Z)} codes of {Z.shape[1]} units, {np.count_nonzero(Z) / len(Z):.4g} active in each"
    )
