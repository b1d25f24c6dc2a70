"""explain_step: one training step, number by number, with the equations and the gradient check beside."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nsae import plots
from nsae.codes import Codes
from nsae.equations.autoencoder import Autoencoder, Loss
from nsae.equations.gradcheck import compare_gradients
from nsae.equations.optimizers import Adam
from nsae.equations.sparsity import mean_activation
from nsae.training.check_gradients import autoencoder_in_float64
from nsae.training.dead_units import treatment
from nsae.training.loop import PlainStep
from nsae.training.schedules import Schedule
from nsae.training.state import PARAMS, TrainingOptions, TrainingState

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIRECTIONS = 20  # along which each gradient is compared with differences
LOSSES = {
    "l1": "(7)",
    "kl": "(8)",
    "weight_decay": "(9)",
    "auxiliary": "(21)",
}  # (5) or (6) is the reconstruction


class Line(NamedTuple):
    """One array, or one number, of a training step.

    Attributes
    ----------
    name : str
        As in the equations: Y, dU, …
    equation : str
        The equations that give it.
    value : array, or float
    error : float or None
        Of a gradient: its relative error against differences of J, Eq. (22).
    """

    name: str
    equation: str
    value: np.ndarray
    error: float | None = None

    def __str__(self) -> str:
        value = np.asarray(self.value)
        text = f"{self.name:<16}{self.equation:<12}"
        if value.ndim == 0:
            return f"{text}{'':14}{float(value):>12.6g}"
        zeros = float(np.mean(value == 0))
        text += f"{value.shape!s:<14}{value.min():>12.4g}{value.max():>12.4g}{zeros:>8.0%}"
        return text if self.error is None else f"{text}{self.error:>10.1e}"


class StepExplanation:
    """The lines of one training step; ``print`` it, or look at its arrays by name.

    Attributes
    ----------
    parts : dict of lists of Line
        "forward", "loss", "backward" and "step".
    figure : Figure or None
    """

    def __init__(self, parts: dict[str, list[Line]], figure: Figure | None = None):
        self.parts, self.figure = parts, figure

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the array, or the number, of a ``name`` such as "dU"; KeyError if there is none."""
        values = {line.name: line.value for lines in self.parts.values() for line in lines}
        if name not in values:
            raise KeyError(f"{name!r} is not here. There are: {', '.join(values)}.")
        return values[name]

    def __str__(self) -> str:
        head = f"{'':16}{'equation':<12}{'shape':<14}{'smallest':>12}{'largest':>12}{'zeros':>8}"
        text = []
        for part, lines in self.parts.items():
            first = f"{head}{'error (22)':>12}" if part == "backward" else head
            text += [f"{part.upper():<16}{first[16:]}", *map(str, lines), ""]
        return "\n".join(text).rstrip()

    def __repr__(self) -> str:
        return f"<StepExplanation of {sum(map(len, self.parts.values()))} arrays and numbers>"


def explain_step(model: Any, X: np.ndarray, *, figure: bool = False) -> StepExplanation:
    """Print one training step on a batch: each intermediate with its equation, shape, range and share of zeros.

    Each gradient, also those of U, Z and Y, is compared with differences of J along random directions, Eq. (22).
    The step is the one that training would take next on this batch, with the options that the model has now: its
    learning rate, unit norm, clipping and auxiliary loss.  (Resampling, which is random, is left out, and the
    gradients are those of J without (21).)  It is computed in float64 on a copy; the model stays as it is.

    Parameters
    ----------
    model : SparseAutoencoder or Autoencoder
        A fitted estimator goes on with the moments that its optimizer has, and one that is not fitted starts as
        ``fit(X)`` would.  An Autoencoder gets a new Adam with the defaults of the paper.
    X : (B, d) array, Codes, or a sparse matrix by rows
        The batch; a few rows are enough.
    figure : bool
        Also draw the arrays, which needs matplotlib: ``.figure`` of the result.

    Returns
    -------
    StepExplanation
        What was printed, and each array by its name: ``explain_step(model, X)["dU"]``.

    Raises
    ------
    ValueError, TypeError
        X does not fit the model.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae import SparseAutoencoder, explain_step
    >>> X = np.random.default_rng(0).random((4, 6))
    >>> step = explain_step(SparseAutoencoder(5, k=2, random_state=0), X)  # doctest: +ELLIPSIS
    FORWARD         equation    shape             smallest     largest   zeros
    X               ...
    >>> step["Z"].shape
    (4, 5)
    """
    core, X = autoencoder_in_float64(model, X)
    if isinstance(X, Codes):
        X = X.to_dense()  # (B, d): what is shown is few rows
    moved, loss, norm = _step(model, core, X)
    parts = {
        "forward": _forward(core, X),
        "loss": _loss(core, X, loss),
        "backward": _backward(core, X),
        "step": [Line(f"Δ{name}", f"(16)–({20 if norm else 19})", moved[name]) for name in PARAMS],
    }
    explanation = StepExplanation(parts)
    if figure:
        lines = [line for name in ("forward", "backward") for line in parts[name] if np.ndim(line.value) == 2]
        explanation.figure = plots.arrays([(line.name, line.equation, line.value) for line in lines])
    print(explanation)
    return explanation


def _forward(core: Autoencoder, X: np.ndarray) -> list[Line]:
    Y = core.encoder_layer.forward(X)  # (1) (B, h)
    Z, U = core.forward(X)  # (2) (3) (B, h), (B, d)
    X_hat = core.reconstruct(U)  # (3) (B, d)
    lines = [Line("X", "given", X), Line("W", "given", core.encoder_layer.W), Line("Y", "(1)", Y)]
    return [*lines, Line("Z", "(2) (4)", Z), Line("U", "(3)", U), Line("X_hat", "(3)", X_hat)]


def _loss(core: Autoencoder, X: np.ndarray, loss: Loss) -> list[Line]:
    Z = core.forward(X)[0]
    number = "(5)" if core.loss == "squared" else "(6)"
    lines = [Line("reconstruction", number, np.float64(loss.reconstruction))]
    if core.kl:
        lines.append(Line("rho_hat", "(8)", mean_activation(Z)))  # (8) (h,)
    for name, equation in LOSSES.items():
        if getattr(loss, name):
            lines.append(Line(name, equation, np.float64(getattr(loss, name))))
    return [*lines, Line("J", "(10)", np.float64(loss.total))]


def _backward(core: Autoencoder, X: np.ndarray) -> list[Line]:
    """The gradients, each with its error: J as a function of U, of Z, of Y and of the parameters."""
    Y, (Z, U) = core.encoder_layer.forward(X), core.forward(X)
    dU = core._output_grad(X, U)  # (11) (B, d)
    dZ = core.decoder_layer.input_grad(dU) + core._sparsity_grad(Z)  # (13) (B, h)
    dY = dZ * core.g.grad(Z)  # (14) (B, h)
    grads = core.backward(X, Z, U)  # (12) (15)

    def of_code(Z: np.ndarray) -> float:
        return core.losses(X, Z, core.decoder_layer.forward(Z)).total

    errors = _errors(lambda: core.losses(X, Z, U).total, {"U": U}, {"U": dU})
    errors |= _errors(lambda: of_code(Z), {"Z": Z}, {"Z": dZ})
    errors |= _errors(lambda: of_code(core.g(Y)), {"Y": Y}, {"Y": dY}, lambda: core.g(Y) > 0)
    whole = lambda: core.losses(X, *core.forward(X)).total  # noqa: E731
    errors |= _errors(whole, core.params, grads, lambda: core.forward(X)[0] > 0)
    lines = [("U", "(11)", dU), ("V", "(12)", grads["V"]), ("c", "(12)", grads["c"]), ("Z", "(13)", dZ)]
    lines += [("Y", "(14)", dY), ("W", "(15)", grads["W"]), ("b", "(15)", grads["b"])]
    return [Line(f"d{name}", equation, value, errors[name]) for name, equation, value in lines]


def _errors(
    loss: Any, params: dict[str, np.ndarray], grads: dict[str, np.ndarray], pattern: Any = None
) -> dict[str, float]:
    return compare_gradients(loss, params, grads, directions=DIRECTIONS, pattern=pattern).errors


def _step(model: Any, core: Autoencoder, X: np.ndarray) -> tuple[dict[str, np.ndarray], Loss, bool]:
    """How far a step moves each parameter of ``core``, J before it, and whether (20) is on."""
    if isinstance(model, Autoencoder):
        state, options = TrainingState.start(core, Adam()), TrainingOptions()
    else:
        state, options = model.training_state(X)
        state = copy.copy(state)
    state = dataclasses.replace(state, model=copy.deepcopy(core), optimizer=copy.deepcopy(state.optimizer))
    state.idle = state.idle.copy()
    for moments in (state.optimizer.m1, state.optimizer.m2):
        moments.update({name: moment.astype(np.float64) for name, moment in moments.items()})
    Schedule.of(state, options, len(X)).prepare()  # the learning rate of the next step
    step = PlainStep(
        state.model,
        state.optimizer,
        options.unit_norm,
        treatment(state, dataclasses.replace(options, resample=False)),
    )
    loss = step(X).loss
    return (
        {name: state.model.params[name] - theta for name, theta in core.params.items()},
        loss,
        options.unit_norm,
    )
