"""Training, as a loop: for each epoch, for each batch, forward, loss, backward, step.

Batches, schedules, dead units and the numbers of an epoch have files of their own beside this one.
"""

from __future__ import annotations

import math
from itertools import islice

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import KSparse, Sigmoid
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import normalise_columns, tangent
from nsae.equations.optimizers import Adam
from nsae.system.backends import resolve_backend
from nsae.system.progress import Progress
from nsae.training.batches import batch_buffer, batches_at_once, minibatches
from nsae.training.checkpoint import Checkpoint
from nsae.training.dead_units import DeadUnits, treatment
from nsae.training.history import Convergence, EpochLog
from nsae.training.schedules import Schedule
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import Step, StepReport


class PlainStep:
    """One training step in NumPy: the definition, which the compiled steps must equal.

    It trains ``model`` by ``optimizer``.  ``unit_norm`` keeps each column of V at norm 1, Eq. (20);
    ``dead_units`` are treated as :class:`DeadUnits` says.
    """

    at_once = 1  # batches that a call is given

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

        on = np.greater(Z, model.g.active_above)  # (B, h)
        error = X - model.reconstruct(U)  # e (B, d)
        squares = float(np.square(error).sum(dtype=np.float64))
        total = Z.sum(axis=0) if isinstance(model.g, Sigmoid) else None  # (h,), B ρ̂ of (8)
        report = StepReport(loss, on.any(axis=0), int(on.sum()), squares, total)
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
    checkpoint: Checkpoint | None = None,
) -> str:
    """Train ``state`` in place, and append the numbers of each epoch to its history.

    Parameters
    ----------
    state : TrainingState
    X : (n, d) array, or Codes
        The data.
    options : TrainingOptions
    epochs : int
        Passes over X.
    rng : numpy.random.Generator, optional
        It shuffles the rows in each epoch; without it they come in the order given.
    checkpoint : Checkpoint, optional
        It is written every so many minutes, and may bring what an earlier process has done.

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
    B, dtype = min(options.batch_size, len(X)), state.model.encoder_layer.W.dtype
    schedule = Schedule.of(state, options, len(X))
    convergence = Convergence(options.tol, options.patience)
    log, checkpoint = EpochLog(len(state.idle), len(X)), checkpoint or Checkpoint()
    checkpoint.resume(log, convergence, rng)
    ended = checkpoint.ended or "epochs"
    if not checkpoint.ended:
        schedule.warn_if_ended()
    try:
        schedule.prepare()  # a compiled step makes buffers for the k that it finds
        with (
            make_step(state, options, B, X, epochs) as step,
            Progress("training", epochs, enabled=options.verbose) as progress,
        ):
            for _ in range(len(log.epochs), 0 if checkpoint.ended else epochs):
                done = log.start_epoch()  # 0, unless an earlier process was stopped in this epoch
                checkpoint.note_order(rng)
                n = batches_at_once(step.at_once if schedule.rate_is_constant(done) else 1, X, done)
                batches = minibatches(X, n * options.batch_size, dtype, rng, batch_buffer(X, n * B, dtype))
                for batch in islice(batches, done // n, None):  # (B, d), or of small nets n of them
                    schedule.prepare()  # the learning rate and k of this step
                    report = step(batch)  # forward, loss, backward, Adam: as in PlainStep above
                    log.add(batch, report)
                    checkpoint.write_if_due(log, convergence, schedule)
                numbers = log.end_epoch()
                state.check_finite(numbers["loss"], len(log.epochs))
                progress.update(**{name: numbers[name] for name in ("loss", "l0", "dead")})
                if schedule.k_has_arrived and convergence.reached(numbers["loss"]):
                    ended = "converged"
                    break
        checkpoint.end(log, convergence, schedule, ended)
        return ended
    except KeyboardInterrupt:  # wherever it came, model and history are left whole
        if log.metrics.n:
            log.end_epoch()
        if options.unit_norm:
            normalise_columns(state.model.decoder_layer.W)  # (20)
        return "interrupted"
    finally:
        schedule.reset()
        state.record(log.epochs)


def make_step(
    state: TrainingState,
    options: TrainingOptions,
    batch_size: int,
    X: np.ndarray | Codes | None = None,
    epochs: int = 1,
) -> Step:
    """Return the fastest step that computes what ``PlainStep`` does, on the backend asked for.

    ``state.backend`` then says which.  A compiled step moves the parameters and moments of ``state`` to other
    arrays; see ``FlatState``.
    ``batch_size`` is the largest batch that will come, from the data ``X`` (n, d) in ``epochs`` passes.  Where
    this is little work, the backend "auto" of ``options`` is NumPy; without ``X`` much of it is assumed.
    """
    work = math.inf if X is None else float(epochs) * X.size * len(state.idle)
    model = state.model
    k_sparse, linear = isinstance(model.g, KSparse), model.output == "linear"
    compiled = resolve_backend(options.backend, work) == "numba"
    if not compiled or (k_sparse and not linear):  # images are rarely coded that way
        state.backend = "numpy"
        return PlainStep(model, state.optimizer, options.unit_norm, treatment(state, options))
    state.backend = "numba"
    if k_sparse:
        from nsae.training.ksparse_step import KSparseStep

        return KSparseStep(state, options, batch_size)
    from nsae.training.small_step import SmallStep, suits

    if not isinstance(X, Codes) and suits(state, options, batch_size):
        return SmallStep(state, options, batch_size)
    from nsae.training.dense_step import DenseStep

    return DenseStep(state, options, batch_size)
