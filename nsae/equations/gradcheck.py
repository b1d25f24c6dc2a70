"""The gradient check, Eq. (22): are the gradients by hand the derivatives of J?

:func:`compare_gradients` works for any loss and any parameters: it takes a function and a dict of arrays.
:func:`check_gradients` applies it to an autoencoder.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.validation import check_data

Arrays = dict[str, np.ndarray]
RETRIES = 2  # near a kink, with a tenth of the step each; a smaller step costs digits


class HasAutoencoder(Protocol):
    """An estimator: it gives the autoencoder that it has fitted, or that it would start from."""

    def core_for(self, X: np.ndarray) -> Autoencoder:
        """Return the autoencoder for data like X (n, d)."""


class GradientCheck(NamedTuple):
    """The result of a gradient check.

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
    """

    errors: dict[str, float]
    skipped: int
    checked: int

    @property
    def max_error(self) -> float:
        """The largest of the errors.  It is NaN if one of them is: NaN is below no bound."""
        return float(np.max(list(self.errors.values())))


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
        back.
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

    Raises
    ------
    ValueError
        If ``directions`` is less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae import compare_gradients
    >>> params = {"a": np.array([1.0, 2.0])}
    >>> grads = {"a": 2 * params["a"]}
    >>> compare_gradients(lambda: float(np.sum(params["a"] ** 2)), params, grads).max_error < 1e-8
    True
    """
    if directions is not None and directions < 1:
        raise ValueError(
            f"directions={directions} is expected to be at least 1, or None for every coordinate."
        )
    rng = rng or np.random.default_rng(0)
    eps = eps or (1e-5 if directions is None else 1e-4)
    errors, skipped, checked = {}, 0, 0
    for name, theta in params.items():
        numeric, analytic = [], []
        for direction in _directions(theta.shape, directions, rng):
            slope = _slope(loss, theta, direction, eps, pattern)
            if slope is None:
                skipped += 1
                continue
            checked += 1
            numeric.append(slope)
            analytic.append(float(np.sum(grads[name] * direction)))  # (22) ⟨∇J, ξ⟩
        errors[name] = _relative_error(np.array(numeric), np.array(analytic))
    return GradientCheck(errors, skipped, checked)


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
    for _ in range(RETRIES + 1):
        J, smooth = [], True
        for side in (eps, -eps):
            theta[...] = start + side * direction
            J.append(loss())
            smooth = smooth and (pattern is None or np.array_equal(pattern(), here))
        theta[...] = start
        if smooth:
            return (J[0] - J[1]) / (2 * eps)  # (22)
        eps /= 10
    return None


def check_gradients(
    model: HasAutoencoder | Autoencoder,
    X: np.ndarray,
    *,
    eps: float | None = None,
    directions: int | None = None,
    random_state: int | None = 0,
) -> GradientCheck:
    """Compare a model's gradients by hand with central differences, Eq. (22), in float64.

    Parameters
    ----------
    model : SparseAutoencoder or Autoencoder
        A copy in float64 is checked, and the model itself stays as it is.  An estimator that is not
        fitted yet is checked at its initial weights for X.
    X : (n, d) array
        The batch.
    eps, directions : float, int
        See :func:`compare_gradients`.  ``directions=20`` makes the check of a large model cheap.
    random_state : int, optional
        Seed of the random directions.

    Returns
    -------
    GradientCheck
        ``max_error`` is below 1e-8 if the gradients are right and no kink is near, and up to 1e-6 if the
        step had to be made smaller because of a kink.  It is around 1 if a term has the wrong sign.
    """
    core = copy.deepcopy(model if isinstance(model, Autoencoder) else model.core_for(X))
    for layer in (core.encoder_layer, core.decoder_layer):
        layer.W, layer.b = layer.W.astype(np.float64), layer.b.astype(np.float64)
    X = check_data(X, owner="check_gradients", n_features=core.encoder_layer.W.shape[1]).astype(np.float64)
    grads = core.loss_and_grads(X)[1]
    return compare_gradients(
        lambda: core.losses(X, *core.forward(X)).total,
        core.params,
        grads,
        eps=eps,
        directions=directions,
        pattern=lambda: core.forward(X)[0] > 0,
        rng=np.random.default_rng(random_state),
    )


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


def _relative_error(numeric: np.ndarray, analytic: np.ndarray) -> float:
    """Return ‖numeric − analytic‖ / ‖numeric + analytic‖: 0 if both are 0, NaN if both are empty."""
    if len(numeric) == 0:
        return float("nan")
    difference = float(np.linalg.norm(numeric - analytic))
    total = float(np.linalg.norm(numeric + analytic))
    if difference == 0:
        return 0.0
    return difference / total if total > 0 else float("inf")
