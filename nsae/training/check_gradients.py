"""check_gradients: are a model's gradients right, and does what trained it compute the same?"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from nsae.equations.autoencoder import Autoencoder, Loss
from nsae.equations.gradcheck import GradientCheck, compare_gradients
from nsae.equations.layers import normalise_columns
from nsae.equations.optimizers import Adam
from nsae.errors import MissingExtraError
from nsae.system.backends import resolve_backend
from nsae.training.dead_units import treatment
from nsae.training.loop import make_step
from nsae.training.state import PARAMS, TrainingOptions, TrainingState
from nsae.validation.gradients import RIGHT, ROUNDING, relative_error
from nsae.validation.sparse import check_rows


class Estimator(Protocol):
    """What is asked of an estimator: the autoencoder that it has fitted or would start from, and its training."""

    def core_for(self, X: np.ndarray) -> Autoencoder:
        """Return the autoencoder for data like X (n, d)."""

    def training_state(self) -> tuple[TrainingState, TrainingOptions] | None:
        """Return the state of training and its options, or None before there is a state."""


class StepCheck(NamedTuple):
    """How one step of the backend in use compares with the definition, both in float64.

    Attributes
    ----------
    backend : str
        "numba": the compiled loops.  "numpy": the equations themselves.
    errors : dict of float
        Relative errors, as in :class:`GradientCheck`, of the loss; of each parameter's moments, "m1 W", …, which
        hold its gradient, Eqs. (16) and (17); and of the way from the moments to the new parameters, "Adam",
        Eqs. (18)–(20).
    """

    backend: str
    errors: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether the step is the definition's."""
        return all(error <= RIGHT for error in self.errors.values())

    def __str__(self) -> str:
        who = "the compiled loops" if self.backend == "numba" else "the equations in NumPy"
        wrong = [f"{name} (error {error:.2g})" for name, error in self.errors.items() if not error <= RIGHT]
        if wrong:
            return f"step WRONG  one step of {who} differs from the definition in: {', '.join(wrong)}"
        return f"step right  one step of {who}: error {max(self.errors.values()):.2g}"


def check_gradients(
    model: Estimator | Autoencoder,
    X: np.ndarray,
    *,
    eps: float | None = None,
    directions: int | None = None,
    random_state: int | None = 0,
) -> GradientCheck:
    """Compare a model's gradients by hand with central differences, Eq. (22), in float64.

    Of a fitted estimator, one step of the backend that trained it is compared with the step that the equations
    define.  So a fault in a compiled loop is noticed, which no gradient by hand would show.

    Parameters
    ----------
    model : SparseAutoencoder or Autoencoder
        A copy in float64 is checked, and the model itself stays as it is.  An estimator that is not
        fitted yet is checked at its initial weights for X.
    X : (n, d) array, Codes, or a sparse matrix by rows
        The batch.
    eps, directions : float, int
        See :func:`nsae.compare_gradients`.  ``directions=20`` makes the check of a large model cheap.
    random_state : int, optional
        Seed of the random directions.

    Returns
    -------
    GradientCheck
        ``ok`` says whether all is right; ``print`` it for a line on each array and on the step.  ``max_error`` is
        below 1e-8 if the gradients are right and no kink is near, and up to 1e-6 if the step had to be made
        smaller because of a kink.  What larger errors mean is in a table with Eq. (22).
    """
    core, X = autoencoder_in_float64(model, X)
    check = compare_gradients(
        lambda: core.losses(X, *core.forward(X)).total,
        core.params,
        core.loss_and_grads(X)[1],
        eps=eps,
        directions=directions,
        pattern=lambda: core.forward(X)[0] > 0,
        rng=np.random.default_rng(random_state),
    )
    training = None if isinstance(model, Autoencoder) else model.training_state()
    return check if training is None else check._replace(step=check_step(*training, X))


def autoencoder_in_float64(model: Estimator | Autoencoder, X: np.ndarray) -> tuple[Autoencoder, np.ndarray]:
    """Return a copy in float64 of the autoencoder of ``model``, and the batch ``X`` (n, d), checked, in float64.

    Of an estimator that is not fitted, it is the autoencoder that training on X would start from.

    Raises
    ------
    ValueError, TypeError
        X does not fit the model, or it is no model that is trained.
    """
    if not isinstance(model, Autoencoder) and not hasattr(model, "core_for"):
        raise TypeError(
            f"A SparseAutoencoder or an Autoencoder was expected, and {type(model).__name__} came. An Encoder has no "
            "loss, and so no gradients; of an ImageEncoder, check patch_model_ or model_."
        )
    core = copy.deepcopy(model if isinstance(model, Autoencoder) else model.core_for(X))
    for layer in (core.encoder_layer, core.decoder_layer):
        layer.W, layer.b = layer.W.astype(np.float64), layer.b.astype(np.float64)
    width, cross_entropy = core.encoder_layer.W.shape[1], core.loss == "cross_entropy"
    X = check_rows(X, owner=type(model).__name__, n_features=width, unit_interval=cross_entropy)
    return core, X.astype(np.float64)


def check_step(state: TrainingState, options: TrainingOptions, X: np.ndarray) -> StepCheck:
    """Take one step on copies of ``state``, in float64, and compare it with a step of the definition.

    The step is seen by what it leaves behind: both moments of Adam, which hold the gradients, and the parameters.

    Parameters
    ----------
    state : TrainingState
        It stays as it is.
    options : TrainingOptions
        Resampling, which is random, is left out.
    X : (n, d) float64 array
        The batch.
    """
    backend = _available(state.backend or "numpy")
    options = replace(options, backend=backend, resample=False)
    before, after, defined = (_in_float64(state, options.unit_norm) for _ in range(3))
    with make_step(after, options, len(X)) as step:
        report = step(X)
    loss, grads = _expected(defined, options, X)
    errors = {"loss": relative_error(np.array(loss), np.array(report.loss))}
    if after.optimizer.t != before.optimizer.t + 1:
        errors["t"] = math.inf
    for name in PARAMS:
        errors |= _errors_of_moments(name, grads[name], before.optimizer, after.optimizer)
    errors["Adam"] = max(_error_of_move(name, before, after, options.unit_norm) for name in PARAMS)
    return StepCheck(backend, errors)


def _expected(
    state: TrainingState, options: TrainingOptions, X: np.ndarray
) -> tuple[Loss, dict[str, np.ndarray]]:
    """The loss and the gradients that Adam should get: Eqs. (5)–(15), with (20), (21) and (34) if they are on."""
    model, G = state.model, state.optimizer.max_grad_norm
    Z, U = model.forward(X)
    loss, grads = model.losses(X, Z, U), model.backward(X, Z, U)
    dead_units = treatment(state, options)
    if dead_units is not None:
        on = np.greater(Z, model.g.active_above).any(axis=0)  # (h,)
        aux = dead_units.gradients(X, X - model.reconstruct(U), on)  # (21)
        if aux is not None:
            loss = loss._replace(auxiliary=aux.value)
            for name, more in (("W", aux.dW), ("b", aux.db), ("V", aux.dVt)):
                (grads[name].T if name == "V" else grads[name])[aux.units] += more
    if options.unit_norm:
        V = model.decoder_layer.W
        grads["V"] = grads["V"] - V * (V * grads["V"]).sum(axis=0)  # (20)
    norm = math.sqrt(sum(float(np.sum(g**2)) for g in grads.values()))
    scale = min(1.0, G / norm) if G is not None and norm > 0 else 1.0  # (34)
    return loss, {name: scale * g for name, g in grads.items()}


def _available(backend: str) -> str:
    """The backend, or "numpy" where Numba is not installed: a model may come from another machine."""
    try:
        return resolve_backend(backend)
    except MissingExtraError:
        return "numpy"


def _in_float64(state: TrainingState, unit_norm: bool) -> TrainingState:
    """A copy of the state in float64; with ``unit_norm``, columns that had norm 1 in float32 have it in float64."""
    state = copy.deepcopy(state)
    for layer in (state.model.encoder_layer, state.model.decoder_layer):
        layer.W, layer.b = layer.W.astype(np.float64), layer.b.astype(np.float64)
    if unit_norm:
        normalise_columns(state.model.decoder_layer.W)  # (20)
    adam = state.optimizer
    for moments in (adam.m1, adam.m2):
        moments.update({name: moment.astype(np.float64) for name, moment in moments.items()})
        for name, theta in state.model.params.items():  # before the first step there are none
            moments.setdefault(name, np.zeros_like(theta))
    return state


def _errors_of_moments(name: str, g: np.ndarray, before: Adam, after: Adam) -> dict[str, float]:
    """The errors of both moments of a parameter after the step, given its gradient: Eqs. (16) and (17)."""
    m1 = before.beta1 * before.m1[name] + (1 - before.beta1) * g  # (16)
    m2 = before.beta2 * before.m2[name] + (1 - before.beta2) * g**2  # (17)
    return {
        f"m1 {name}": relative_error(m1, after.m1[name]),
        f"m2 {name}": relative_error(m2, after.m2[name]),
    }


def _error_of_move(name: str, before: TrainingState, after: TrainingState, unit_norm: bool) -> float:
    """The error of a parameter's move, given the moments after the step: Eqs. (18), (19) and (20)."""
    adam, start, t = before.optimizer, before.model.params[name], before.optimizer.t + 1
    m1_hat = after.optimizer.m1[name] / (1 - adam.beta1**t)  # (18)
    m2_hat = after.optimizer.m2[name] / (1 - adam.beta2**t)  # (18)
    theta = start - adam.learning_rate * m1_hat / (np.sqrt(m2_hat) + adam.eps)  # (19)
    if unit_norm and name == "V":
        norms = np.linalg.norm(theta, axis=0)
        theta = theta / np.where(norms > 0, norms, 1)  # (20)
    found = after.model.params[name]
    rounding = ROUNDING * float(np.abs(start).max())  # a step may be as short as the rounding of θ
    if np.abs(theta - found).max() <= rounding:
        return 0.0
    return relative_error(theta - start, found - start)
