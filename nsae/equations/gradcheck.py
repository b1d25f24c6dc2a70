"""The gradient check, Eq. (22): are the gradients by hand the derivatives of the loss?

:func:`compare_gradients` works for any loss and any parameters: it takes a function and two dicts of arrays.
``nsae.check_gradients`` applies it to an autoencoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nsae.validation import check_gradient_arrays, check_loss_value

Arrays = Mapping[str, np.ndarray]
RETRIES = 2  # near a kink, with a tenth of the step each; a smaller step costs digits
RIGHT = 1e-6  # An error up to this is rounding, or a step made smaller near a kink: see Eq. (22).


class Finding(NamedTuple):
    """What the check found about one array.

    Attributes
    ----------
    verdict : str
        "right", or in a few words what is wrong.
    entry : tuple of int, or None
        Where numeric and analytic value differ most.  None if nothing was compared, or random directions were.
    numeric, analytic : float
        The slope of the loss there by differences, and what the gradient says.
    """

    verdict: str
    entry: tuple[int, ...] | None
    numeric: float
    analytic: float


class GradientCheck(NamedTuple):
    """The result of a gradient check; ``print`` it to see a line for each array.

    Attributes
    ----------
    errors : dict of float
        ‖numeric − analytic‖ / ‖numeric + analytic‖ for each parameter array.  It is 0 where both are 0,
        and NaN where no direction could be compared.
    skipped : int
        Directions left out because a unit switches on or off along them, even with the smallest step.
        J has a kink there, and the difference of two values is no derivative.
    checked : int
        Directions compared.
    findings : dict of Finding
        For each array: a verdict, and the entry that differs most.
    step : StepCheck or None
        Of a fitted model: how a step of the backend in use compares with the definition's.
    """

    errors: dict[str, float]
    skipped: int
    checked: int
    findings: dict[str, Finding]
    step: Any = None

    @property
    def max_error(self) -> float:
        """The largest error, those of the step included.  NaN if one of them is: NaN is below no bound."""
        return float(np.max([*self.errors.values(), *(self.step.errors.values() if self.step else ())]))

    @property
    def ok(self) -> bool:
        """Whether every array was compared and is right, and the step too."""
        return all(finding.verdict == "right" for finding in self.findings.values()) and (
            self.step is None or self.step.ok
        )

    def __str__(self) -> str:
        lines = []
        for name, finding in self.findings.items():
            word = "right" if finding.verdict == "right" else "WRONG"
            line = f"{name:<4} {word}  error {self.errors[name]:.2g}"
            if word == "WRONG":
                line += f"  {finding.verdict}"
                where = (
                    f"{name}[{', '.join(map(str, finding.entry))}]" if finding.entry is not None else "there"
                )
                line += f"; {where}: numeric {finding.numeric:.6g}, analytic {finding.analytic:.6g}"
            lines.append(line)
        return "\n".join(lines + ([] if self.step is None else [str(self.step)]))


def compare_gradients(
    loss: Callable[[], float],
    params: Arrays,
    grads: Arrays,
    *,
    eps: float | None = None,
    directions: int | None = None,
    pattern: Callable[[], np.ndarray] | None = None,
    rng: np.random.Generator | None = None,
) -> GradientCheck:
    """Compare gradients with central differences of the loss along directions ξ, Eq. (22).

    Parameters
    ----------
    loss : callable
        Returns J for the present values of the arrays in ``params``, which are changed in place and put
        back.  It must use these very arrays, and give the same number when nothing has changed.
    params, grads : dicts of float64 arrays
        Parameters and the gradients to check, with the same keys and shapes.
    eps : float, optional
        δ, the length of the step to either side.  By default 1e-5 along a coordinate.  A random direction
        spreads the step over all coordinates, so it may be longer: 1e-4.
    directions : int, optional
        How many random directions of length 1 to try for each array.  By default, all its coordinates.
    pattern : callable, optional
        Returns an array that says which units are on.  A direction along which it changes is tried again
        with a tenth of the step, ``RETRIES`` times, and then skipped.
    rng : numpy.random.Generator, optional
        For the random directions.

    Returns
    -------
    GradientCheck
        What an error means was measured on mistakes made on purpose; the table is with Eq. (22) in
        nsae/equations/README.md.

    Raises
    ------
    TypeError
        An array is not of float64, or no array, or the loss is no number.
    ValueError
        A gradient is missing, of another shape or not finite; the loss is not finite, or differs when it is
        called twice; ``directions`` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae import compare_gradients
    >>> params = {"a": np.array([1.0, 2.0])}
    >>> grads = {"a": 2 * params["a"]}
    >>> compare_gradients(lambda: float(np.sum(params["a"] ** 2)), params, grads).ok
    True
    """
    if directions is not None and directions < 1:
        raise ValueError(
            f"directions={directions} is expected to be at least 1, or None for every coordinate."
        )
    check_gradient_arrays(params, grads)
    check_loss_value(loss, again=True)
    rng = rng or np.random.default_rng(0)
    eps = eps or (1e-5 if directions is None else 1e-4)
    errors, findings, skipped, checked = {}, {}, 0, 0
    for name, theta in params.items():
        pairs = []
        for direction in _directions(theta.shape, directions, rng):
            slope = _slope(loss, theta, direction, eps, pattern)
            along = float(np.sum(grads[name] * direction))  # (22) ⟨∇J, ξ⟩
            pairs.append((np.nan if slope is None else slope, along))
        numeric, analytic = np.array(pairs).T  # (directions,) each
        on = np.isfinite(numeric)
        checked, skipped = checked + int(on.sum()), skipped + int((~on).sum())
        errors[name] = relative_error(numeric[on], analytic[on])
        shape = theta.shape if directions is None else None
        findings[name] = _finding(errors[name], numeric, analytic, shape)
    return GradientCheck(errors, skipped, checked, findings)


def _slope(
    loss: Callable[[], float],
    theta: np.ndarray,
    direction: np.ndarray,
    eps: float,
    pattern: Callable[[], np.ndarray] | None,
) -> float | None:
    """Return the central difference of ``loss`` along a direction, or None if a kink is too near."""
    start = theta.copy()
    here = np.empty(0) if pattern is None else pattern()
    try:
        for _ in range(RETRIES + 1):
            J, smooth = [], True
            for side in (eps, -eps):
                theta[...] = start + side * direction
                J.append(check_loss_value(loss))
                smooth = smooth and (pattern is None or np.array_equal(pattern(), here))
            if smooth:
                return (J[0] - J[1]) / (2 * eps)  # (22)
            eps /= 10
        return None
    finally:
        theta[...] = start


def _directions(
    shape: tuple[int, ...], directions: int | None, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield every coordinate direction, or as many random directions of length 1 as ``directions`` says."""
    if directions is None:
        for i in np.ndindex(shape):
            direction = np.zeros(shape)
            direction[i] = 1
            yield direction
    else:
        for _ in range(directions):
            direction = rng.standard_normal(shape)
            yield direction / np.linalg.norm(direction)


def relative_error(numeric: np.ndarray, analytic: np.ndarray) -> float:
    """Return ‖numeric − analytic‖ / ‖numeric + analytic‖: 0 if both are 0, NaN if both are empty."""
    if np.size(numeric) == 0:
        return float("nan")
    difference = float(np.linalg.norm(np.ravel(numeric - analytic)))
    total = float(np.linalg.norm(np.ravel(numeric + analytic)))
    return 0.0 if difference == 0 else difference / total if total > 0 else float("inf")


def _finding(
    error: float, numeric: np.ndarray, analytic: np.ndarray, shape: tuple[int, ...] | None
) -> Finding:
    """Return what one array's slopes say; ``shape`` is that of the array if they are along its coordinates."""
    on = np.isfinite(numeric)
    if not on.any():
        return Finding("not compared: a unit switches on or off along every direction", None, np.nan, np.nan)
    i = int(np.argmax(np.where(on, np.abs(numeric - analytic), -1)))
    entry = None if shape is None else tuple(map(int, np.unravel_index(i, shape)))
    verdict = "right" if error <= RIGHT else _mistake(numeric[on], analytic[on], shape if on.all() else None)
    return Finding(verdict, entry, float(numeric[i]), float(analytic[i]))


def _mistake(numeric: np.ndarray, analytic: np.ndarray, shape: tuple[int, ...] | None) -> str:
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
    size = np.abs(numeric).max()
    differ = np.abs(numeric - analytic) > 1e-5 * size
    what = "entries differ" if shape is not None else "slopes differ"
    return f"{np.count_nonzero(differ)} of {len(numeric)} {what}"
