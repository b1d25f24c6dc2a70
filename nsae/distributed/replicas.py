"""Replicas of a model on the workers: each takes the same steps, so that weights travel at the beginning alone.

A worker that has just started, or has missed a step, has no replica of the version that is asked for.  Its task then
returns ``NO_REPLICA``, and the client, whose own replica is the truth, sends the whole state.
"""

from __future__ import annotations

import copy
import threading
from typing import Any, NamedTuple

import numpy as np

from nsae.distributed.parts import SummedGradients
from nsae.system.threads import Threads
from nsae.training.state import TrainingOptions, TrainingState
from nsae.training.step import StepReport

NO_REPLICA = "no replica of this version"
_KEPT = 4  # fits at once; of more, the replica that has waited longest is dropped
_replicas: dict[str, Replica] = {}
_lock = threading.Lock()


class Snapshot(NamedTuple):
    """All that a replica is made from; ``version`` counts the steps that it has taken."""

    version: int
    state: TrainingState
    options: TrainingOptions
    batch_size: int
    compiled: bool


class Update(NamedTuple):
    """What brings a replica from ``version`` − 1 to ``version``: the combined parts of a batch of B rows."""

    version: int
    B: int
    learning_rate: float
    k: int | None
    content: Any


class Task(NamedTuple):
    """Of which fit, at which version, with which k and batch of B rows; ``rho_hat`` (h,) in KL's second round."""

    fit: str
    version: int
    k: int | None
    B: int
    rho_hat: np.ndarray | None
    only_total: bool  # KL's first round


class Replica:
    """A model with its optimizer, and how many steps it has taken.

    Parameters
    ----------
    snapshot : Snapshot
        Its state is used as it is: give a copy where it must not change.
    """

    def __init__(self, snapshot: Snapshot):
        self.version, self.state, options, batch_size, compiled = snapshot
        self.step: Any
        if compiled:
            from nsae.distributed.ksparse_parts import KSparseFactors

            self.step = KSparseFactors(self.state, options, batch_size)
        else:
            self.step = SummedGradients(self.state, options)

    def apply(self, update: Update) -> StepReport:
        """Take the step of ``update``."""
        self.state.optimizer.learning_rate = update.learning_rate
        self.set_k(update.k)
        report: StepReport = self.step.apply(update.content, update.B)
        self.version = update.version
        return report

    def set_k(self, k: int | None) -> None:
        """Set how many units may be active, ``k``, of a k-sparse model."""
        if k is not None:
            self.state.model.g.k = k  # type: ignore[union-attr]


def part_of_batch(
    task: Task, block: Any, rows: np.ndarray, update: Update | None, snapshot: Snapshot | None
) -> Any:
    """Compute on a worker what ``task`` asks for, of the ``rows`` (b,) of its ``block`` (m, d).

    Parameters
    ----------
    task : Task
    block : (m, d) array
    rows : (b,) int64
    update : Update, optional
        The last step, if this worker has not taken it.
    snapshot : Snapshot, optional
        The whole state, if the client knows that it is needed.

    Returns
    -------
    Sums, Factors, (h,) array, or NO_REPLICA
    """
    with Threads(1):
        with _lock:
            replica = _replica(task, update, snapshot)
        if replica is None:
            return NO_REPLICA
        replica.set_k(task.k)
        X = np.asarray(block[rows], replica.state.model.encoder_layer.W.dtype)  # (b, d)
        if task.only_total:
            return replica.step.total(X)
        return replica.step.part(X, task.B, task.rho_hat)


def _replica(task: Task, update: Update | None, snapshot: Snapshot | None) -> Replica | None:
    replica = _replicas.get(task.fit)
    if replica is not None and update is not None and replica.version == update.version - 1:
        del _replicas[task.fit]  # not there, should the step fail halfway
        replica.apply(update)
        _replicas[task.fit] = replica
    if (replica is None or replica.version != task.version) and snapshot is not None:
        _replicas.pop(task.fit, None)
        for fit in list(_replicas)[: max(0, len(_replicas) + 1 - _KEPT)]:
            del _replicas[fit]
        replica = _replicas[task.fit] = Replica(copy.deepcopy(snapshot))
    return replica if replica is not None and replica.version == task.version else None


def forget(fit: str) -> None:
    """Drop the replica of a ``fit`` that has ended, on the worker that runs this."""
    _replicas.pop(fit, None)
