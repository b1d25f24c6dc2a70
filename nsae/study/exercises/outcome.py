"""One call of a function: what came of it, and whether two calls came to the same."""

from __future__ import annotations

import copy
import re
import warnings
from typing import Any, NamedTuple

import numpy as np

from nsae.study.exercises.exercise import Case, Function, Task, UnreadableError

# Relative to the largest entry.  Someone may add 1e-8 to a norm or 1e-12 to a logarithm, which is not wrong.
TOLERANCE = {"float64": 1e-6, "float32": 2e-5, "float16": 2e-3}
FLOATS = ("overflow", "invalid value", "divide by zero")  # what NumPy warns of
UNUSABLE = "unusable"  # the kind of a result that is no array of numbers


class Outcome(NamedTuple):
    """What came of a call.

    Attributes
    ----------
    values : tuple of float arrays
        What was returned; empty if there is a ``failure``.
    failure : tuple
        Empty, or what tells one failure from another: the kind of error, and its message.
    error : BaseException or None
        What was raised.
    changed : tuple of str
        The arguments that the call changed in place.
    warned : frozenset of str
        What NumPy warned of: "overflow" and the like.
    dtypes : tuple of str
        Of the values, as they were returned.
    """

    values: tuple[np.ndarray, ...] = ()
    failure: tuple[Any, ...] = ()
    error: BaseException | None = None
    changed: tuple[str, ...] = ()
    warned: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = ()


def call(task: Task, function: Function, case: Case) -> Outcome:
    """Call ``function`` on a copy of the ``case`` of a ``task``; whatever it raises is caught."""
    given = copy.deepcopy(case)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if task.observe:
                returned = task.observe(function, given)
            else:
                returned = function(*given.values())
        except KeyboardInterrupt:
            raise
        except UnreadableError as error:
            return Outcome(failure=(UNUSABLE, str(error)))
        except BaseException as error:  # a learner's file may call exit()
            return Outcome(failure=_kind_of(error), error=error)
    warned = {name for name in FLOATS for warning in caught if name in str(warning.message)}
    changed = tuple(name for name in case if not _equal(case[name], given[name]))
    if task.read and returned is not None:
        try:
            returned = task.read(returned)
        except Exception:
            return Outcome(failure=(UNUSABLE, described(returned)))
    outcome = _read(task, returned)
    return outcome._replace(warned=frozenset(warned), changed=changed)


def same(task: Task, one: Outcome, other: Outcome) -> bool:
    """Whether two calls of functions for one ``task`` came to the same: ``one`` and the ``other``."""
    if one.failure or other.failure:
        return one.failure == other.failure
    if task.watch_overflow and one.warned != other.warned:
        return False
    return all(map(close, one.values, other.values, one.dtypes, other.dtypes))


def close(one: np.ndarray, other: np.ndarray, dtype: str = "float64", other_dtype: str = "float64") -> bool:
    """Whether two arrays are equal up to rounding.

    ``one`` was of type ``dtype`` and the ``other`` of type ``other_dtype`` before both became float64.
    """
    if one.size == other.size == 1 and 0 in (one.ndim, other.ndim):
        one, other = one.reshape(()), other.reshape(())  # a number may come as an array of one entry
    if one.shape != other.shape:
        return False
    finite = np.isfinite(other)
    if not np.array_equal(finite, np.isfinite(one)):
        return False
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return False
    scale = np.max(np.abs(other[finite]), initial=0.0)
    tolerance = max(TOLERANCE.get(dtype, 1e-6), TOLERANCE.get(other_dtype, 1e-6))
    return bool(np.all(np.abs(one[finite] - other[finite]) <= tolerance * scale))


def _read(task: Task, returned: Any) -> Outcome:
    """Return the outcome of a call that ``returned`` something, as arrays of numbers."""
    if returned is None:
        return Outcome(failure=(UNUSABLE, "None"))
    values = (returned,) if len(task.outputs) == 1 else returned
    if not isinstance(values, tuple | list) or len(values) != len(task.outputs):
        return Outcome(failure=(UNUSABLE, described(returned)))
    arrays, dtypes = [], []
    for name, value in zip(task.outputs, values, strict=True):
        try:
            array = np.asarray(value)
        except Exception:
            array = np.asarray(None)
        if array.dtype.kind not in "biuf":
            return Outcome(failure=(UNUSABLE, described(value), name))
        if isinstance(value, np.matrix) and len(task.shapes.get(name, "")) == 1:
            array = array.ravel()  # a matrix has always two axes
        if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
            return Outcome(failure=(UNUSABLE, described(value), name))
        arrays.append(array.astype(np.float64))
        dtypes.append(str(array.dtype))
    return Outcome(values=tuple(arrays), dtypes=tuple(dtypes))


def described(value: Any) -> str:
    """Return in a few words what a ``value`` is."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        kind = {"O": "an array of Python objects", "c": "an array of complex numbers"}
        return kind.get(value.dtype.kind, f"one array of shape {value.shape}")
    if isinstance(value, tuple | list):
        arrays = any(isinstance(part, np.ndarray) for part in value)
        return f"a {type(value).__name__} of {len(value)}{' arrays' if arrays else ''}"
    if isinstance(value, bool | int | float | np.number):
        return f"one number, {value}"
    if isinstance(value, dict):
        return f"a dict of {len(value)}"
    return f"something of type {type(value).__name__}"


def _kind_of(error: BaseException) -> tuple[Any, ...]:
    """Return what tells one error from another: of a product that does not fit, the two inner sizes."""
    message = str(error)
    product = re.search(r"\(size (\d+) is different from (\d+)\)", message)
    if product:
        return "product", int(product[2]), int(product[1])
    product = re.search(r": (\d+) \(dim \d\) != (\d+)", message)  # np.dot says it in its own way
    if product:
        return "product", int(product[1]), int(product[2])
    return type(error).__name__, message


def _equal(one: Any, other: Any) -> bool:
    """Whether an argument is what it was."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and np.array_equal(one, other, equal_nan=True)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return not isinstance(one, int | float | str) or one == other
