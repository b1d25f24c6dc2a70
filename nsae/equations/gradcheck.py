"""The gradient check, Eq. (22): are the gradients by hand the derivatives of the loss?

:func:`compare_gradients` works for any loss and any parameters: it takes a function and two dicts of arrays.
``nsae.check_gradients`` applies it to an autoencoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from nsae.validation import at_least
from nsae.validation.gradients import (
    ROUNDING,
    Finding,
    check_gradient_arrays,
    check_loss_value,
    finding_of,
    relative_error,
)

Arrays = Mapping[str, np.ndarray]
RETRIES = 2  # near a kink, with a tenth of the step each; a smaller step costs digits


class GradientCheck(NamedTuple):
    """The result of a gradient check; shown as a line for each array.

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
    random : bool
        Whether directions were random, and not all coordinates.
    step : StepCheck or None
        Of a fitted model: how a step of the backend in use compares with the definition's.
    """

    errors: dict[str, float]
    skipped: int
    checked: int
    findings: dict[str, Finding]
    random: bool = False
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

    def __repr__(self) -> str:
        random = self.random
        lines = [finding.line(name, self.errors[name], random) for name, finding in self.findings.items()]
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
        called twice; ``directions`` is less than 1, or ``eps`` less than 1e-9.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae import compare_gradients
    >>> params = {"a": np.array([1.0, 2.0])}
    >>> grads = {"a": 2 * params["a"]}
    >>> compare_gradients(lambda: float(np.sum(params["a"] ** 2)), params, grads).ok
    True
    """
    if directions is not None:
        at_least("directions", directions, 1, whole=True)
    eps = (1e-5 if directions is None else 1e-4) if eps is None else eps
    at_least("eps", eps, 1e-9)  # a shorter step is lost in the rounding of the loss
    check_gradient_arrays(params, grads)
    J = check_loss_value(loss, again=True)
    noise = ROUNDING * (abs(J) / eps + 1)  # of one slope: differences as small as this are rounding
    rng = rng or np.random.default_rng(0)
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
        findings[name] = finding_of(numeric, analytic, shape, noise)
    return GradientCheck(errors, skipped, checked, findings, directions is not None)


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
            J, moved, smooth = [], [], True
            for side in (eps, -eps):
                theta[...] = start + side * direction
                moved.append(np.sum((theta - start) * direction))  # δ, less what a large θ rounds away
                J.append(check_loss_value(loss))
                smooth = smooth and (pattern is None or np.array_equal(pattern(), here))
            if smooth and moved[0] > moved[1]:
                return float((J[0] - J[1]) / (moved[0] - moved[1]))  # (22)
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
