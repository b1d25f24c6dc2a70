"""What may come into a gradient check, Eq. (22), and what its outcome is called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nsae.validation import shown

RIGHT = 1e-6  # A relative error up to this is rounding, or a step made smaller near a kink: see Eq. (22).
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a sum of many numbers, relative to it


class Finding(NamedTuple):
    """What the check found about one array.

    Attributes
    ----------
    verdict : str
        "right", or in a few words what is wrong, or why nothing could be compared.
    entry : tuple of int, or None
        Where numeric and analytic value differ most; the number of a direction, if directions were random.
        None if nothing was compared.
    numeric, analytic : float
        The slope of the loss there by differences, and what the gradient says.
    """

    verdict: str
    entry: tuple[int, ...] | None
    numeric: float
    analytic: float

    @property
    def word(self) -> str:
        """Return "right", "WRONG" or "NOT COMPARED"."""
        return "right" if self.verdict == "right" else "WRONG" if self.entry is not None else "NOT COMPARED"

    def line(self, name: object, error: float, random: bool) -> str:
        """Return a line on the array ``name`` with its ``error``; ``random`` says whether directions were."""
        if self.entry is None:
            return f"{name!s:<4} {self.word}  {self.verdict}"
        text = f"{name!s:<4} {self.word}  error {error:.2g}"
        if self.word == "right":
            return text
        where = f"along direction {self.entry[0]}" if random else f"{name}[{', '.join(map(str, self.entry))}]"
        return f"{text}  {self.verdict}; {where}: numeric {self.numeric:.6g}, analytic {self.analytic:.6g}"


def relative_error(numeric: np.ndarray, analytic: np.ndarray) -> float:
    """Return ‖numeric − analytic‖ / ‖numeric + analytic‖: 0 if both are 0, NaN if both are empty."""
    if np.size(numeric) == 0:
        return float("nan")
    difference = float(np.linalg.norm(np.ravel(numeric - analytic)))
    total = float(np.linalg.norm(np.ravel(numeric + analytic)))
    return 0.0 if difference == 0 else difference / total if total > 0 else float("inf")


def finding_of(
    numeric: np.ndarray, analytic: np.ndarray, shape: tuple[int, ...] | None, noise: float
) -> Finding:
    """Return what the slopes of one array say.

    Parameters
    ----------
    numeric, analytic : (n,) arrays
        Slopes by differences, NaN where none could be computed, and by the gradient.
    shape : tuple of int, or None
        Of the array, if the slopes are along its coordinates.
    noise : float
        What rounding of the loss may do to one numeric slope.
    """
    on = np.isfinite(numeric)
    if not on.any():
        return Finding(
            "a unit switches on or off along every direction, or the step is lost in rounding",
            None,
            np.nan,
            np.nan,
        )
    i = int(np.argmax(np.where(on, np.abs(numeric - analytic), -1)))
    entry = (i,) if shape is None else tuple(map(int, np.unravel_index(i, shape)))
    n, a = numeric[on], analytic[on]
    right = relative_error(n, a) <= RIGHT or float(np.abs(n - a).max()) <= noise
    verdict = "right" if right else _mistake(n, a, shape if on.all() else None, noise)
    return Finding(verdict, entry, float(numeric[i]), float(analytic[i]))


def _mistake(numeric: np.ndarray, analytic: np.ndarray, shape: tuple[int, ...] | None, noise: float) -> str:
    """Return in a few words how the analytic slopes differ from the numeric ones."""
    if not numeric.any():
        return "loss() does not depend on this array: does it use the array itself, or a copy?"
    if not analytic.any():
        return "the gradient is 0 everywhere, and the slope is not"
    factor = float(analytic @ numeric / (numeric @ numeric))
    if relative_error(factor * numeric, analytic) <= RIGHT:
        return "the sign is wrong" if abs(factor + 1) < RIGHT else f"{factor:.6g} times what it should be"
    square = shape is not None and len(shape) == 2 and shape[0] == shape[1]
    if square and relative_error(numeric, analytic.reshape(shape).T.ravel()) <= RIGHT:
        return "it is transposed"
    differ = np.abs(numeric - analytic) > max(noise, RIGHT * float(np.abs(numeric).max()))
    what = "slopes differ" if shape is None else "entries differ"
    return f"{max(1, np.count_nonzero(differ))} of {len(numeric)} {what}"


def check_gradient_arrays(params: Any, grads: Any) -> None:
    """Check that ``params`` and ``grads`` are dicts of float64 arrays with the same keys and shapes.

    Raises
    ------
    TypeError
        One of them is no dict, or an array is not of float64.
    ValueError
        A gradient is missing, has another shape or is not finite, or a parameter cannot be changed in place.
    """
    for what, arrays in (("params", params), ("grads", grads)):
        if not isinstance(arrays, Mapping):
            raise TypeError(
                f"{what} came as {type(arrays).__name__}, where a dict of arrays was expected, such as {{'W': W}}."
            )
    if not params:
        raise ValueError("params is empty. Give the arrays that loss() depends on, such as {'W': W, 'b': b}.")
    missing, unknown = [n for n in params if n not in grads], [n for n in grads if n not in params]
    if missing or unknown:
        said = [f"grads has no {n!r}" for n in missing] + [
            f"params has no {n!r}, which grads has" for n in unknown
        ]
        raise ValueError(f"{'; '.join(said)}. Both need the same keys.")
    for name, theta in params.items():
        _check_float64(f"params[{name!r}]", theta)
        _check_float64(f"grads[{name!r}]", grads[name])
        of_theta, of_grad = theta.shape, grads[name].shape
        if of_theta != of_grad:
            transposed = ": it is transposed" if of_grad == of_theta[::-1] else ""
            raise ValueError(
                f"grads[{name!r}] has shape {of_grad}, and params[{name!r}] has {of_theta}{transposed}. A gradient "
                "has the shape of its parameter."
            )
        if theta.size == 0:
            raise ValueError(f"params[{name!r}] is empty (shape {of_theta}): there is nothing to check.")
        if not isinstance(theta, np.ndarray) or not theta.flags.writeable:
            raise ValueError(
                f"params[{name!r}] cannot be changed in place, as the check does it. Give the array itself that "
                "loss() uses, and not read-only."
            )
        if not np.isfinite(grads[name]).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(grads[name]))[0])
            raise ValueError(f"grads[{name!r}] holds NaN or infinity, first at {at}.")


def _check_float64(name: str, array: Any) -> None:
    """Raise TypeError unless ``array`` is an array of float64; the message says why that is needed."""
    plain = isinstance(array, (np.ndarray, np.float64)) and not isinstance(array, np.matrix)
    if not plain:  # the gradient at a single number may be a float64; a matrix multiplies in another way
        raise TypeError(
            f"{name} came as {type(array).__name__}, where a NumPy array was expected: it is changed in place, and "
            "compared entry by entry."
        )
    if array.dtype == np.float64:
        return
    if array.dtype.kind in "iub":
        reason = "a step of 1e-5 is lost in whole numbers"
    elif array.dtype.kind == "f":
        reason = "its rounding is as large as the differences that are compared"
    else:
        reason = "real numbers are compared"
    raise TypeError(
        f"{name} is {array.dtype}, and the check needs float64: {reason}. Convert parameters, data and gradients "
        "with .astype(np.float64)."
    )


def check_loss_value(loss: Any, *, again: bool = False) -> float:
    """Return ``loss()``, a finite number; with ``again``, a second call must give the same.

    Raises
    ------
    TypeError
        ``loss`` cannot be called, or does not return a number in double precision.
    ValueError
        The number is not finite, or the second call gives another.
    """
    if not callable(loss):
        raise TypeError(
            f"loss came as {type(loss).__name__}, where a function was expected: lambda: J, computed anew."
        )
    value = loss()
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer)):
        raise TypeError(
            f"loss() returned {type(value).__name__} {shown(value)}, where one number in double precision was "
            "expected, such as float(J). Use float64 throughout."
        )
    if not math.isfinite(value):
        raise ValueError(f"loss() returned {value}. Give parameters and data at which it is finite.")
    if again and (second := check_loss_value(loss)) != value:
        raise ValueError(
            f"loss() gave {value!r} and then {second!r} for the same parameters. Hold what is random: the batch, a "
            "seed, a dropout mask."
        )
    return float(value)
