"""fit on a Dask array: the batches of ``SparseAutoencoder.fit``, each cut into parts that workers compute.

The rows stay where they are.  They are cut into ``parts`` blocks of consecutive rows, and each batch takes from a
block those of its rows that lie there.  So any order of rows is possible without moving one, and the same one is
taken as in memory: ``random_state`` gives the same batches, whatever the number of workers.

A step: each part is computed where its block lies; the client combines the parts in the order of the blocks, takes
the step on its own replica, and sends what it combined to all workers, which take the same step with the next
part.  The client's replica is the truth: a worker that has lost its own gets the whole state again, and Dask
computes a lost block again from its source.
"""

from __future__ import annotations

import copy
import dataclasses
import os
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from nsae.distributed.blocks import Blocks
from nsae.distributed.cluster import client_of, dask_part, sent_once, tells_of_lost_workers
from nsae.distributed.replicas import (
    NO_REPLICA,
    Replica,
    Snapshot,
    Task,
    Update,
    forget,
    part_of_batch,
)
from nsae.equations.activations import KSparse
from nsae.equations.layers import normalise_columns
from nsae.equations.sparsity import within_unit_interval
from nsae.models.building import initial_autoencoder, new_state, training_options
from nsae.models.checkpoint_file import CheckpointFile
from nsae.models.collapse import warn_of_collapse, warn_of_scale
from nsae.models.hyperparameters import check_hyperparameters
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.system.backends import resolve_backend
from nsae.system.interrupts import called_from_main
from nsae.system.progress import Progress
from nsae.system.threads import Threads
from nsae.training.checkpoint import Checkpoint
from nsae.training.history import Convergence, EpochLog
from nsae.training.schedules import Schedule
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport
from nsae.validation import at_least, generator

ATTEMPTS = 10  # at one step, each with a fresh state for the workers that have none
WAIT = 60.0  # seconds for a worker to come back


class StepTraffic(NamedTuple):
    """What one step has sent, counted in the arrays of its messages.

    Attributes
    ----------
    step : int
        From 1.
    up : int
        Bytes from the workers to the client: all parts.
    down : int
        Bytes from the client to one worker; each gets as many.
    states_sent : int
        How often the whole state was sent again so far, to workers that had lost theirs.
    """

    step: int
    up: int
    down: int
    states_sent: int


@tells_of_lost_workers
def fit(
    estimator: SparseAutoencoder,
    X: Any,
    *,
    client: Any = None,
    parts: int | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_minutes: float = 10.0,
    on_step: Callable[[StepTraffic], None] | None = None,
) -> SparseAutoencoder:
    """Fit ``estimator`` to a Dask array, by exact and synchronous gradients, and return it.

    It takes the steps that ``estimator.fit(X.compute())`` takes, with the same batches and the same random numbers.
    Sums are added in another order, so that weights agree to rounding (1e-10 in float64, where training does not
    make it larger), and with the same ``parts`` to the bit for any number of equal workers.  With
    ``shuffle=False`` a batch lies in one block, or two, and one worker computes at a time.

    Up to four fits may run on a cluster at once.  Of more, workers drop the replicas of the oldest step, which are
    then sent whole at nearly each step: the result is the same, and takes far longer.

    Every hyperparameter is kept.  Two ask for what is only there with k-sparse units, a linear output and Numba:
    ``aux_weight`` and ``resample``, which need all rows of a batch in one place.

    Parameters
    ----------
    estimator : SparseAutoencoder
        It becomes what ``fit`` makes of it.
    X : dask.array.Array (n, d)
        Each worker holds some blocks of it in memory, in the dtype of the array.
    client : distributed.Client, optional
        By default the one made last.
    parts : int, optional
        Blocks of rows.  By default as many as the cluster has threads when ``fit`` begins.
    checkpoint, checkpoint_minutes
        As in ``SparseAutoencoder.fit``: the client writes the file.
    on_step : callable, optional
        Is given a ``StepTraffic`` after each step.

    Raises
    ------
    MissingExtraError
        Dask is not installed.
    ValueError, TypeError
        As ``SparseAutoencoder.fit``; a bad chunk is named.
    FloatingPointError
        The loss became NaN or infinite.
    RuntimeError
        Workers were lost again and again in one step.
    KeyboardInterrupt
        As ``estimator.on_interrupt`` says.
    """
    if not isinstance(estimator, SparseAutoencoder):
        raise TypeError(f"A SparseAutoencoder was expected, got {type(estimator).__name__}.")
    client = client_of(client)
    check_hyperparameters(estimator)
    at_least("checkpoint_minutes", checkpoint_minutes, 0)
    blocks = Blocks(client, X, parts, unit_interval=estimator.loss == "cross_entropy")
    options = _options(estimator, blocks)
    warn_of_scale(estimator, blocks)  # type: ignore[arg-type]
    rng = generator(estimator.random_state)
    file = None if checkpoint is None else CheckpointFile(checkpoint, estimator, blocks)  # type: ignore[arg-type]
    state = None if file is None else file.read()
    if state is None:
        core = initial_autoencoder(estimator, blocks, rng)  # type: ignore[arg-type]
        state = new_state(estimator, core, rng)
    keeper = Checkpoint() if file is None else file.checkpoint(state, checkpoint_minutes, False)
    order = rng if estimator.shuffle else None
    stopped = _train(_Cluster(client, blocks, options, on_step), state, options, order, keeper)
    if file is not None and stopped != "interrupted":
        file.remove()
    estimator._adopt(state, stopped)
    estimator.preprocessing_ = None
    if stopped == "interrupted":
        estimator._answer_interrupt(returns=called_from_main())
    else:
        warn_of_collapse(estimator, blocks)  # type: ignore[arg-type]
    return estimator


def _options(estimator: SparseAutoencoder, blocks: Blocks) -> TrainingOptions:
    """Return the options of training, with the backend resolved: "numba" is for ``KSparseFactors`` alone."""
    options = training_options(estimator)
    work = options.epochs * len(blocks) * blocks.shape[1] * estimator.n_units
    compiled = resolve_backend(options.backend, work) == "numba"
    compiled = compiled and estimator.k is not None and estimator.output == "linear"
    for name in ("aux_weight", "resample"):
        if getattr(estimator, name) and not compiled:
            raise ValueError(
                f"{name}={getattr(estimator, name)} needs all rows of a batch in one place. nsae.distributed.fit has "
                "them with k, output='linear' and backend='numba' alone: set these, or leave it out."
            )
    return dataclasses.replace(options, backend="numba" if compiled else "numpy")


class _Cluster:
    """Takes steps: parts on the workers, the sum on the client."""

    def __init__(
        self,
        client: Any,
        blocks: Blocks,
        options: TrainingOptions,
        on_step: Callable[[StepTraffic], None] | None,
    ):
        self.client, self.blocks, self.options, self.on_step = client, blocks, options, on_step
        self.fit, self.states_sent = uuid.uuid4().hex, -1  # the first time is not again
        self.lost: BaseException | None = None

    def start(self, state: TrainingState) -> None:
        """Make the client's replica of ``state``, which it changes in place, and send it to all workers."""
        size = min(self.options.batch_size, len(self.blocks))
        self.replica = Replica(Snapshot(0, state, self.options, size, self.options.backend == "numba"))
        state.backend = self.options.backend
        self.snapshot, self.update = sent_once(self._snapshot(), self.client), None
        self.states_sent += 1

    def step(self, numbers: np.ndarray) -> StepReport:
        """Take the step on the batch of the rows ``numbers`` (B,), with the state's learning rate and k."""
        state, B = self.replica.state, len(numbers)
        model, pieces = state.model, list(self.blocks.split(numbers))
        k = model.g.k if isinstance(model.g, KSparse) else None
        task = Task(self.fit, self.replica.version, k, B, None, False)
        if model.kl:
            totals = self._run(task._replace(only_total=True), pieces)
            task = task._replace(rho_hat=within_unit_interval(np.sum(totals, axis=0) / B))  # (8) (h,)
        parts = self._run(task, pieces)
        content = self.replica.step.combine(parts, [positions for _, positions, _ in pieces])
        update = Update(task.version + 1, B, state.optimizer.learning_rate, k, content)
        self.update, self.snapshot = sent_once(update, self.client), None
        with Threads(1):  # as on the workers: BLAS may add in another order with more
            report = self.replica.apply(update)
        if self.on_step is not None:
            up, down = sum(map(_nbytes, parts)), _nbytes(content)
            self.on_step(StepTraffic(update.version, up, down, self.states_sent))
        return report

    def end(self) -> None:
        """Drop the replicas of the workers."""
        self.update = self.snapshot = None
        with suppress(Exception):  # The cluster may be gone.
            self.client.run(forget, self.fit, on_error="ignore")

    def _run(self, task: Task, pieces: list[tuple[int, np.ndarray, np.ndarray]]) -> list[Any]:
        """Return what the workers make of ``task`` for each of the ``pieces``, in their order."""
        results: list[Any] = [NO_REPLICA] * len(pieces)
        update, snapshot = self.update, self.snapshot
        for _ in range(ATTEMPTS):
            futures = {
                i: self.client.submit(
                    part_of_batch, task, self.blocks.futures[block], local, update, snapshot, pure=False
                )
                for i, (block, _, local) in enumerate(pieces)
                if results[i] is NO_REPLICA
            }
            for i, future in futures.items():
                result = self._result(future)
                results[i] = NO_REPLICA if isinstance(result, str) else result
            if all(result is not NO_REPLICA for result in results):
                return results
            self.client.wait_for_workers(1, timeout=WAIT)
            self.snapshot = update = None
            snapshot = self.snapshot = sent_once(self._snapshot(), self.client)
            self.states_sent += 1
        raise RuntimeError(
            f"Workers, or what they held, were lost {ATTEMPTS} times in one step. Look at their logs: they may be "
            "short of memory, or the source of the array may be gone."
        ) from self.lost

    def _result(self, future: Any) -> Any:
        """Return a result, or NO_REPLICA if what the task needed was lost with a worker."""
        try:
            return future.result()
        except (CancelledError, OSError, dask_part("distributed").KilledWorker) as error:
            self.lost = error
            return NO_REPLICA

    def _snapshot(self) -> Snapshot:
        replica = self.replica
        state = copy.deepcopy(dataclasses.replace(replica.state, history={}))
        size = min(self.options.batch_size, len(self.blocks))
        return Snapshot(replica.version, state, self.options, size, self.options.backend == "numba")


def _nbytes(message: Any) -> int:
    return sum(np.asarray(part).nbytes for part in message if part is not None)


def _train(
    cluster: _Cluster,
    state: TrainingState,
    options: TrainingOptions,
    rng: np.random.Generator | None,
    checkpoint: Checkpoint,
) -> str:
    """Do what ``nsae.training.loop.train`` does, with the steps of ``cluster``; return why it ended."""
    n = len(cluster.blocks)
    schedule = Schedule.of(state, options, n)
    convergence, log = Convergence(options.tol, options.patience), EpochLog(len(state.idle), n)
    cluster.blocks.add_to(log)
    checkpoint.resume(log, convergence, rng)
    ended = checkpoint.ended or "epochs"
    if not checkpoint.ended:
        schedule.warn_if_ended()
    try:
        schedule.prepare()
        cluster.start(state)
        with Progress("training", options.epochs, enabled=options.verbose) as progress:
            for _ in range(len(log.epochs), 0 if checkpoint.ended else options.epochs):
                done = log.start_epoch()  # 0, unless an earlier process was stopped in this epoch
                checkpoint.note_order(rng)
                order = np.arange(n) if rng is None else rng.permutation(n)
                for first in range(done * options.batch_size, n, options.batch_size):
                    schedule.prepare()  # the learning rate and k of this step
                    batch = order[first : first + options.batch_size]
                    log.metrics.add(cluster.step(batch), len(batch))
                    checkpoint.write_if_due(log, convergence, schedule)
                numbers = log.end_epoch()
                state.check_finite(numbers["loss"], len(log.epochs))
                progress.update(**{name: numbers[name] for name in ("loss", "l0", "dead")})
                if schedule.k_has_arrived and convergence.reached(numbers["loss"]):
                    ended = "converged"
                    break
        return ended
    except KeyboardInterrupt:
        if log.metrics.n:
            log.end_epoch()
        if options.unit_norm:
            normalise_columns(state.model.decoder_layer.W)  # (20)
        return "interrupted"
    finally:
        schedule.reset()
        state.record(log.epochs)
        cluster.end()
