"""The gradient check, Eq. (22): is ∂J by hand the derivative of J?

For any loss and any parameter: :func:`compare_gradients` takes a function and a dict of arrays.
:func:`check_gradients` applies it to an autoencoder.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nsae.validation import check_data

Arrays = dict[str, np.ndarray]
RETRIES = 2  # with a smaller step each, where a kink is near: a smaller step costs digits


class GradientCheck(NamedTuple):
    """What a check found.

    Attributes
    ----------
    errors : dict of float
        ‖numeric − analytic‖ / ‖numeric + analytic‖ for each parameter array; 0 where both vanish, NaN
        where no direction could be compared.
    skipped : int
        Directions left out because J has a kink within ±ε along them (a unit switched on or off),
        however small ε was made: there the two-sided difference is no derivative.
    checked : int
        Directions compared.
    """

    errors: dict[str, float]
    skipped: int
    checked: int

    @property
    def max_error(self) -> float:
        """The largest of the errors; NaN, which is below no bound, if one of them is."""
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
    """Central differences of ``loss`` along directions p of each parameter, against ⟨∇J, p⟩: Eq. (22).

    Parameters
    ----------
    loss : callable
        J as a function of the arrays in ``params``, which are moved in place and put back.
    params, grads : dicts of float64 arrays with the same keys and shapes
    eps : float, optional
        Length of the step to either side.  By default 1e-5 along a coordinate, and 1e-4 along a random
        direction, which spreads that length over all coordinates and so may be longer.
    directions : int, optional
        How many random unit directions to try for each array; all its coordinates when None.
    pattern : callable, optional
        The on/off pattern of the units as an array.  A direction along which it changes is tried again
        with a tenth of the step, RETRIES times, and then skipped.
    rng : numpy.random.Generator, optional
        For random directions.
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
        for p in _directions(theta.shape, directions, rng):
            slope = _slope(loss, theta, p, eps, pattern)
            if slope is None:
                skipped += 1
                continue
            checked += 1
            numeric.append(slope)
            analytic.append(float(np.sum(grads[name] * p)))  # (22) ⟨∇J, p⟩
        errors[name] = _relative_error(np.array(numeric), np.array(analytic))
    return GradientCheck(errors, skipped, checked)


def _slope(
    loss: Callable[[], float],
    theta: np.ndarray,
    p: np.ndarray,
    eps: float,
    pattern: Callable[[], np.ndarray] | None,
) -> float | None:
    """The central difference of ``loss`` along p, or None if a kink is too near."""
    start = theta.copy()
    here = None if pattern is None else pattern()
    for _ in range(RETRIES + 1):
        J, smooth = [], True
        for side in (eps, -eps):
            theta[...] = start + side * p
            J.append(loss())
            smooth = smooth and (here is None or np.array_equal(pattern(), here))
        theta[...] = start
        if smooth:
            return (J[0] - J[1]) / (2 * eps)  # (22)
        eps /= 10
    return None


def check_gradients(
    model: object,
    X: np.ndarray,
    *,
    eps: float | None = None,
    directions: int | None = None,
    random_state: int | None = 0,
) -> GradientCheck:
    """Compare the gradients of a model by hand with central differences, Eq. (22), in float64.

    Parameters
    ----------
    model : SparseAutoencoder or Autoencoder
        A copy in float64 is checked; the model itself is not touched.  An estimator that is not
        fitted yet is checked at its initial weights for X.
    X : (n, d) array
        The batch.
    eps, directions, random_state
        As in :func:`compare_gradients`.  ``directions=20`` makes the check of a large model cheap.

    Returns
    -------
    GradientCheck
        ``max_error`` is below 1e-8 where the gradients are right and kinks are far, up to 1e-6 where the
        step had to be made smaller because of one, and around 1 where a term has the wrong sign.
    """
    core = copy.deepcopy(model.core_for(X) if hasattr(model, "core_for") else model)
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
    """Every coordinate direction, or so many random ones of length 1."""
    if directions is None:
        for i in np.ndindex(shape):
            p = np.zeros(shape)
            p[i] = 1
            yield p
    else:
        for _ in range(directions):
            p = rng.standard_normal(shape)
            yield p / np.linalg.norm(p)


def _relative_error(numeric: np.ndarray, analytic: np.ndarray) -> float:
    """‖numeric − analytic‖ / ‖numeric + analytic‖; 0 when both are zero, NaN when there is nothing."""
    if len(numeric) == 0:
        return float("nan")
    difference = float(np.linalg.norm(numeric - analytic))
    total = float(np.linalg.norm(numeric + analytic))
    if difference == 0:
        return 0.0
    return difference / total if total > 0 else float("inf")
