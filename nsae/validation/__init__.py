"""Checks of what comes in: data X, seeds, and the values of options.

Data is read in blocks of rows and never copied as a whole, so a memory-mapped file may be larger than memory.
"""

from __future__ import annotations

import mmap
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nsae.codes import check_not_masked

BLOCK_BYTES = 1 << 24  # Rows are checked 16 MiB at a time.
ROUNDING = 1e-6  # Data scaled to [0, 1] may end at 1 + 2e-16, or at 1 + 1e-7 in float32.
FLOAT_LIMIT = float(np.finfo(np.float32).max)
MAX_THREADS = 1024  # Each thread has buffers of its own.
SHOWN = 100  # Characters of a value in an error message.
INTEGER_LIMIT = 255  # Integers are taken for 8-bit pixels or counts.  Larger ones need scaling first.


def check_data(
    X: object,
    *,
    owner: str = "SparseAutoencoder",
    n_features: int | None = None,
    unit_interval: bool = False,
) -> np.ndarray:
    """Return ``X`` as a 2-D array of finite real numbers.  An array is not copied.

    Parameters
    ----------
    X : array-like (n, d)
        bool, integers in [−255, 255], or floats.
    owner : str
        The name of the caller, for the messages.
    n_features : int, optional
        The number d of columns that X must have.
    unit_interval : bool
        Whether values must lie in [0, 1], as cross-entropy needs.

    Raises
    ------
    TypeError
        If X is a sparse matrix, or has objects that are no numbers.
    ValueError
        If X has the wrong number of dimensions or columns, or no rows; if it has complex numbers, text, NaN
        or infinity (the message names row and column), integers beyond ±255, or, with ``unit_interval``,
        values outside [0, 1].
    """
    X = _as_array(X)
    if X.ndim != 2:
        raise ValueError(
            f"Expected a 2-D array (samples, features), got {X.ndim}-D of shape {X.shape}. Reshape your data: "
            "X.reshape(1, -1) for one sample, X.reshape(-1, 1) for one feature, X.reshape(len(X), -1) for images."
        )
    check_shape(X.shape, owner, n_features)
    if X.dtype.kind != "b":
        for start, block in row_blocks(X):
            check_entries(block, lambda at, start=start: (start + at[0], at[1]), unit_interval)
    return X


def check_shape(shape: tuple[int, ...], owner: str, n_features: int | None) -> None:
    """Raise ValueError if data of ``shape`` (n, d) is empty, or not as wide as ``owner`` expects: ``n_features``."""
    n, d = shape
    if n == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required.")
    if d == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required.")
    if n_features is not None and d != n_features:
        raise ValueError(
            f"X has {d} features, but {owner} is expecting {n_features} features as input: "
            "give it data of the width it was fitted on."
        )


def row_blocks(X: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first row, rows) of X in blocks of about ``BLOCK_BYTES``."""
    step = max(1, BLOCK_BYTES // max(1, X.shape[1] * X.dtype.itemsize))
    for start in range(0, len(X), step):
        yield start, X[start : start + step]
        drop_pages(X)


def _as_array(X: object) -> np.ndarray:
    if hasattr(X, "toarray") or hasattr(X, "indptr"):
        convert = "X.toarray()" if hasattr(X, "toarray") else "X.to_dense()"
        raise TypeError(
            f"A sparse matrix ({type(X).__name__}) came, a dense array was expected. Use {convert}."
        )
    check_not_masked(X)
    try:
        X = X if isinstance(X, np.memmap) else np.asarray(X)  # a memory-mapped array stays one
        if X.dtype.kind == "O":
            X = X.astype(np.float64)
    except TypeError as error:  # objects that are no numbers; text is a ValueError of its own
        raise TypeError(f"Numbers were expected, and not all of X can be read as such: {error}.") from None
    except ValueError as error:
        raise ValueError(f"A 2-D array of numbers was expected, got something else: {error}.") from None
    if X.dtype.kind == "c":
        raise ValueError("Complex data not supported: pass X.real, or the magnitude np.abs(X).")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"Numbers were expected, got an array of dtype {X.dtype}. Convert it to float32.")
    return X


def check_entries(
    entries: np.ndarray, place: Callable[..., tuple[int, int]], unit_interval: bool, kind: str | None = None
) -> None:
    """Raise ValueError if one of the ``entries`` of X cannot be used; the message says where it is.

    Parameters
    ----------
    entries : array of any shape
    place : callable
        ``place(index)`` is the row and the column in X of ``entries[index]``.
    unit_interval : bool
        Whether entries must be in [0, 1].
    kind : str, optional
        The kind of number that they were before they were converted: "i" and "u" are integers.
    """

    def first(bad: np.ndarray) -> tuple[str, Any]:
        index = tuple(map(int, np.argwhere(bad)[0]))
        row, column = place(index)
        return f"in row {row}, column {column}", entries[index]

    low, high = entries.min(), entries.max()  # NaN makes both NaN
    if not (np.isfinite(low) and np.isfinite(high)):
        where, value = first(~np.isfinite(entries))
        raise ValueError(
            f"X has {_shown(value)} {where}; finite numbers were expected. Remove that row, or fill the gap "
            "(np.nan_to_num, or the column's mean)."
        )
    low, high = float(low), float(high)
    if low < -FLOAT_LIMIT or high > FLOAT_LIMIT:
        where, value = first((entries < -FLOAT_LIMIT) | (entries > FLOAT_LIMIT))
        raise ValueError(
            f"X has {value} {where}; numbers that float32 can hold were expected. Scale the data to about [0, 1]."
        )
    if unit_interval and (low < -ROUNDING or high > 1 + ROUNDING):
        where, value = first((entries < -ROUNDING) | (entries > 1 + ROUNDING))
        raise ValueError(
            f"X has {value} {where}, but loss='cross_entropy' needs data in [0, 1]. Scale it (8-bit pixels: "
            "X / 255), or use loss='squared'."
        )
    if (kind or entries.dtype.kind) in "iu" and (low < -INTEGER_LIMIT or high > INTEGER_LIMIT):
        where, value = first((entries < -INTEGER_LIMIT) | (entries > INTEGER_LIMIT))
        raise ValueError(
            f"X has the integer {int(value)} {where}; integers were expected within ±{INTEGER_LIMIT}. Scale the data "
            "to about [0, 1] as floats (16-bit pixels: X / 65535)."
        )


def _shown(value: np.floating) -> str:
    """Return 'NaN', 'infinity' or '-infinity', the words that people search for."""
    if np.isnan(value):
        return "NaN"
    return "infinity" if value > 0 else "-infinity"


def drop_pages(X: np.ndarray) -> None:
    """Tell the system that the pages of a memory-mapped array X are not needed any more.

    Pages that were read count as memory of this process until then.  They are read again when they are
    used again.  An array in memory stays as it is.
    """
    mapping = getattr(X, "_mmap", None)
    if mapping is not None and getattr(X, "mode", "c") in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)  # Not with mode "c": changes would be lost.


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``allowed``, else raise a ValueError.

    The message calls the value by ``name`` and lists what is allowed.
    """
    if value not in allowed:
        raise ValueError(f"{name}={shown(value)} is not known. Use one of: {', '.join(map(repr, allowed))}.")
    return str(value)


def generator(random_state: Any) -> np.random.Generator:
    """Return a NumPy generator from ``random_state``: a seed, a generator, a ``RandomState``, or None."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise ValueError(
            f"random_state={shown(random_state)} is expected to be a whole number of at least 0, "
            "a numpy.random.Generator, or None."
        ) from None


def check_n_threads(n_threads: object) -> int | None:
    """Return the ``n_threads`` that a caller gave, as an int or None.

    Raises
    ------
    TypeError
        If it is neither a whole number nor None.
    ValueError
        If it is 0, less than −1, or more than ``MAX_THREADS``.
    """
    if n_threads is None:
        return None
    expected = "None, a whole number of at least 1, or -1 for all processors"
    if isinstance(n_threads, bool) or not isinstance(n_threads, numbers.Integral):
        raise TypeError(
            f"n_threads={shown(n_threads)} is of type {type(n_threads).__name__}; {expected} was expected."
        )
    n = int(n_threads)
    if n != -1 and not 1 <= n <= MAX_THREADS:
        raise ValueError(f"n_threads={shown(n)} was given; {expected}, up to {MAX_THREADS}, was expected.")
    return n


def at_least(name: str, value: object, low: float, *, whole: bool = False) -> None:
    """Raise an error if a hyperparameter is no finite number of at least ``low``.

    Parameters
    ----------
    name : str
        What the message calls it.
    value : object
    low : float
    whole : bool
        Whether it must be a whole number.

    Raises
    ------
    TypeError
        If ``value`` is of the wrong type.
    ValueError
        If it is less than ``low``, NaN or infinite.
    """
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, kind):
        expected = "a whole number" if whole else "a number"
        raise TypeError(f"{name}={shown(value)} is of type {type(value).__name__}; {expected} was expected.")
    if not low <= value < float("inf"):  # type: ignore[operator]
        raise ValueError(f"{name}={shown(value)} is expected to be finite and at least {low}.")


def shown(value: object) -> str:
    """Return the repr of ``value`` for an error message, cut to about 100 characters."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array {value.shape} of {value.dtype}"
    if isinstance(value, str | bytes) and len(value) > SHOWN:
        return f"{value[:SHOWN]!r}… ({len(value):,} characters)"
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"an integer of {value.bit_length():,} bits"
    if isinstance(value, list | tuple | dict | set | frozenset) and len(value) > 3:
        return f"a {type(value).__name__} of {len(value):,}"
    try:
        text = repr(value)
    except ValueError:  # An integer in it has more digits than Python writes.
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
