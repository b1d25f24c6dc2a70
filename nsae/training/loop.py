"""Training, as a loop: for each epoch, for each batch, forward, loss, backward, step.

Batches, schedules, dead units and the numbers of an epoch have files of their own beside this one.
"""

from __future__ import annotations

import math

import numpy as np

from nsae.equations.activations import KSparse
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import normalise_columns, tangent
from nsae.equations.optimizers import Adam
from nsae.system.backends import resolve_backend
from nsae.system.progress import Progress
from nsae.training.batches import minibatches
from nsae.training.dead_units import DeadUnits, treatment
from nsae.training.history import Convergence, EpochMetrics, RunningVariance
from nsae.training.schedules import Schedule
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import Step, StepReport


class PlainStep:
    """One training step in NumPy: the definition, which the compiled steps must equal.

    Parameters
    ----------
    model : Autoencoder
    optimizer : Adam
    unit_norm : bool
        Keep each column of V at norm 1, Eq. (20).
    dead_units : DeadUnits, optional
    """

    def __init__(
        self, model: Autoencoder, optimizer: Adam, unit_norm: bool, dead_units: DeadUnits | None = None
    ):
        self.model, self.optimizer, self.unit_norm = model, optimizer, unit_norm
        self.dead_units = dead_units

    def __call__(self, X: np.ndarray) -> StepReport:
        """Take a step on the batch X (B, d)."""
        model = self.model
        Z, U = model.forward(X)  # (1)–(3) (B, h), (B, d)
        loss = model.losses(X, Z, U)  # (5)–(10)
        grads = model.backward(X, Z, U)  # (11)–(15)

        on = model.g.active_above < Z  # (B, h)
        error = X - model.reconstruct(U)  # e (B, d)
        squares = float(np.square(error).sum(dtype=np.float64))
        report = StepReport(loss, on.any(axis=0), int(on.sum()), squares)
        if self.dead_units is not None:
            aux = self.dead_units.gradients(X, error, report.on)  # (21)
            if aux is not None:
                report = report.with_auxiliary(aux.value)
                grads["W"][aux.units] += aux.dW
                grads["b"][aux.units] += aux.db
                grads["V"].T[aux.units] += aux.dVt
        if self.unit_norm:
            grads["V"] = tangent(grads["V"], model.decoder_layer.W)  # (20) before the step
        self.optimizer.step(model.params, grads)  # (16)–(19)
        if self.unit_norm:
            normalise_columns(model.decoder_layer.W)  # (20) after the step
        if self.dead_units is not None:
            self.dead_units.renew(X, error)
        return report

    def __enter__(self) -> PlainStep:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def train(
    state: TrainingState,
    X: np.ndarray,
    options: TrainingOptions,
    *,
    epochs: int,
    rng: np.random.Generator | None = None,
) -> str:
    """Train ``state`` in place, and append the numbers of each epoch to its history.

    Parameters
    ----------
    state : TrainingState
    X : (n, d) array
        The data.
    options : TrainingOptions
    epochs : int
        Passes over X.
    rng : numpy.random.Generator, optional
        It shuffles the rows in each epoch; without it they come in the order given.

    Returns
    -------
    str
        Why it ended: "epochs", "converged", or "interrupted" by Ctrl-C.  After an interruption, the model is
        as its last whole step left it; a step that was interrupted may have been taken in part.

    Raises
    ------
    FloatingPointError
        The loss or a weight became NaN or infinite.
    """
    model, h = state.model, len(state.idle)
    buffer = np.empty((min(options.batch_size, len(X)), X.shape[1]), model.encoder_layer.W.dtype)  # (B, d)
    schedule = Schedule.of(state, options, len(X))
    convergence = Convergence(options.tol, options.patience)
    variance = RunningVariance()
    metrics: EpochMetrics | None = None
    numbers: list[dict[str, float]] = []  # of each epoch
    try:
        schedule.prepare()  # a compiled step makes buffers for the k that it finds
        with (
            make_step(state, options, len(buffer), work=epochs * X.size * h) as step,
            Progress("training", epochs, enabled=options.verbose) as progress,
        ):
            for _ in range(epochs):
                metrics = EpochMetrics(h)
                for batch in minibatches(X, options.batch_size, buffer.dtype, rng, buffer):  # (B, d)
                    if variance.n < len(X):  # the first epoch sees all the data
                        variance.add(batch)
                    schedule.prepare()  # the learning rate and k of this step
                    report = step(batch)  # forward, loss, backward, Adam: as in PlainStep above
                    metrics.add(report, len(batch))
                _append(numbers, metrics, variance)
                loss = numbers[-1]["loss"]
                _check_finite(state, loss, len(numbers))
                progress.update(loss=loss, l0=numbers[-1]["l0"], dead=numbers[-1]["dead"])
                if schedule.k_has_arrived and convergence.reached(loss):
                    return "converged"
        return "epochs"
    except KeyboardInterrupt:  # wherever it came, model and history are left whole
        if metrics is not None and metrics.n:
            _append(numbers, metrics, variance)
        if options.unit_norm:
            normalise_columns(model.decoder_layer.W)  # (20)
        return "interrupted"
    finally:
        schedule.reset()
        state.record(numbers)


def make_step(
    state: TrainingState, options: TrainingOptions, batch_size: int, *, work: float = math.inf
) -> Step:
    """Return the fastest step that computes what ``PlainStep`` does, on the backend asked for.

    Parameters
    ----------
    state : TrainingState
        A compiled step moves its parameters and moments to other arrays; see ``FlatState``.
    options : TrainingOptions
    batch_size : int
        The largest batch that will come.
    work : float
        Multiplications of one product with W in all steps together: for little work, the backend "auto" is
        NumPy.
    """
    model = state.model
    k_sparse, linear = isinstance(model.g, KSparse), model.output == "linear"
    compiled = resolve_backend(options.backend, work) == "numba"
    if not compiled or (k_sparse and not linear):  # images are rarely coded that way
        return PlainStep(model, state.optimizer, options.unit_norm, treatment(state, options))
    if k_sparse:
        from nsae.training.ksparse_step import KSparseStep

        return KSparseStep(state, options, batch_size)
    from nsae.training.dense_step import DenseStep

    return DenseStep(state, options, batch_size)


def _append(numbers: list[dict[str, float]], metrics: EpochMetrics, variance: RunningVariance) -> None:
    """Append the numbers of an epoch, unless that has been done: Ctrl-C may have come right after it."""
    summary = metrics.summary(variance)
    if not numbers or numbers[-1] is not summary:
        numbers.append(summary)


def _check_finite(state: TrainingState, loss: float, epoch: int) -> None:
    if math.isfinite(loss) and all(np.isfinite(theta).all() for theta in state.model.params.values()):
        return
    epoch += len(state.history.get("loss", ()))
    raise FloatingPointError(
        f"The loss or a weight became NaN or infinite in epoch {epoch} (loss {loss}) with "
        f"learning_rate={state.optimizer.learning_rate}. Lower it, or scale the data to about [0, 1]."
    )
