"""check_gradients: are a model's gradients right, and does what trained it compute the same?"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.gradcheck import RIGHT, GradientCheck, compare_gradients, relative_error
from nsae.equations.layers import normalise_columns
from nsae.equations.optimizers import Adam
from nsae.errors import MissingExtraError
from nsae.system.backends import resolve_backend
from nsae.training.dead_units import treatment
from nsae.training.loop import PlainStep, make_step
from nsae.training.state import PARAMS, TrainingOptions, TrainingState
from nsae.validation import check_data


class Estimator(Protocol):
    """What is asked of an estimator: the autoencoder that it has fitted or would start from, and its training."""

    def core_for(self, X: np.ndarray) -> Autoencoder:
        """Return the autoencoder for data like X (n, d)."""

    def training_state(self) -> tuple[TrainingState, TrainingOptions] | None:
        """Return the state of training and its options, or None before there is a state."""


class StepCheck(NamedTuple):
    """How one step of the backend in use compares with a step of the definition, both in float64.

    Attributes
    ----------
    backend : str
        "numba": the compiled loops.  "numpy": the equations themselves, of which Adam alone is checked here.
    errors : dict of float
        Relative errors, as in :class:`GradientCheck`: of the loss; of the gradients "step W", … that the step
        gave to Adam; and of "Adam", the way from its moments to the new parameters, Eqs. (18)–(20).
    """

    backend: str
    errors: dict[str, float]

    @property
    def ok(self) -> bool:
        """Whether the step is the definition's."""
        return all(error <= RIGHT for error in self.errors.values())

    def __str__(self) -> str:
        who = "the compiled loops" if self.backend == "numba" else "the equations in NumPy"
        wrong = [f"{name} (error {error:.1e})" for name, error in self.errors.items() if not error <= RIGHT]
        if wrong:
            return f"step WRONG  one step of {who} differs from the definition in: {', '.join(wrong)}"
        return f"step right  one step of {who}: error {max(self.errors.values()):.1e}"


class GradientKeeper(Adam):
    """In place of Adam: it takes no step, and keeps the gradients that it was given, clipped by Eq. (34).

    Attributes
    ----------
    given : dict of arrays
    """

    given: dict[str, np.ndarray]

    def step(self, params: dict[str, np.ndarray], grads: dict[str, np.ndarray]) -> None:
        """Keep ``grads``; the ``params`` stay as they are."""
        factor = self.clip_factor(sum(float(np.vdot(g, g)) for g in grads.values()))
        self.given = {name: factor * g for name, g in grads.items()}


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
    X : (n, d) array
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
        X does not fit the model.
    """
    core = copy.deepcopy(model if isinstance(model, Autoencoder) else model.core_for(X))
    for layer in (core.encoder_layer, core.decoder_layer):
        layer.W, layer.b = layer.W.astype(np.float64), layer.b.astype(np.float64)
    width = core.encoder_layer.W.shape[1]
    return core, check_data(X, owner=type(model).__name__, n_features=width).astype(np.float64)


def check_step(state: TrainingState, options: TrainingOptions, X: np.ndarray) -> StepCheck:
    """Take one step on copies of ``state``, in float64, and compare it with a step of the definition.

    The gradient is read from Adam's first moment: by (16) it is (m1 after − β₁ m1 before)/(1 − β₁).

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
    before, taken, defined = (_in_float64(state, options.unit_norm) for _ in range(3))
    with make_step(taken, options, len(X)) as step:
        report = step(X)
    keeper = GradientKeeper(max_grad_norm=state.optimizer.max_grad_norm)
    expected = PlainStep(defined.model, keeper, options.unit_norm, treatment(defined, options))(X)
    errors = {"loss": relative_error(np.array(expected.loss), np.array(report.loss))}
    for name in PARAMS:
        errors[f"step {name}"] = relative_error(keeper.given[name], _gradient(name, before, taken))
    errors["Adam"] = max(_error_of_adam(name, before, taken, options.unit_norm) for name in PARAMS)
    return StepCheck(backend, errors)


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


def _gradient(name: str, before: TrainingState, after: TrainingState) -> np.ndarray:
    """The gradient of a parameter, from the first moments before and after a step: (16) solved for dθ."""
    beta1 = before.optimizer.beta1
    return (after.optimizer.m1[name] - beta1 * before.optimizer.m1[name]) / (1 - beta1)


def _error_of_adam(name: str, before: TrainingState, after: TrainingState, unit_norm: bool) -> float:
    """The relative error of a step, given its gradient: from (17), (18) and (19), written out once more."""
    adam, start = before.optimizer, before.model.params[name]
    t = adam.t + 1
    dtheta = _gradient(name, before, after)
    m1_hat = after.optimizer.m1[name] / (1 - adam.beta1**t)  # (18)
    m2_hat = (adam.beta2 * adam.m2[name] + (1 - adam.beta2) * dtheta**2) / (1 - adam.beta2**t)  # (17) (18)
    theta = start - adam.learning_rate * m1_hat / (np.sqrt(m2_hat) + adam.eps)  # (19)
    if unit_norm and name == "V":
        normalise_columns(theta)  # (20)
    return relative_error(theta - start, after.model.params[name] - start)
