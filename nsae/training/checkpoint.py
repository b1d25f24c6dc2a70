"""Checkpoints: how far a fit has come, written now and then, so that it can go on after its process was killed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nsae.training.history import Convergence, EpochLog
from nsae.training.schedules import Schedule

Entry = dict[str, Any]
Arrays = dict[str, np.ndarray]
Write = Callable[[Entry, Arrays], None]
LOG_ARRAYS = ("log_parts", "log_ever_on", "log_total", "log_origin", "log_sum", "log_sum2")


class Checkpoint:
    """Where a fit is between two steps: in which epoch, at which batch, in which order of rows.

    The state of training (weights, moments, idle counts, …) is not in here: ``write`` adds it.

    Parameters
    ----------
    write : callable, optional
        ``write(entry, arrays)`` writes the state of training, and beside it what says how far the fit is.
        Without it nothing is ever written.
    minutes : float
        From one time to the next.
    found : (dict, dict), optional
        What an earlier process has written, for :meth:`resume`.
    keep : bool
        Write once more when training has ended, so that calling it again does nothing.

    Attributes
    ----------
    ended : str or None
        Why training had ended when an earlier process wrote last; None if it had not.
    """

    def __init__(
        self,
        write: Write | None = None,
        minutes: float = 0.0,
        found: tuple[Entry, Arrays] | None = None,
        keep: bool = False,
    ):
        self._write, self._seconds, self._found, self._keep = write, 60 * minutes, found, keep
        self.ended: str | None = None if found is None else found[0]["ended"]
        self._last = time.monotonic()
        self._order: Entry | None = None

    def resume(self, log: EpochLog, convergence: Convergence, rng: np.random.Generator | None) -> None:
        """Bring ``log``, ``convergence`` and ``rng`` to where the earlier process was, if there was one.

        ``rng`` is set to the beginning of the epoch, whose order of rows it draws again.
        """
        if self._found is None:
            return
        entry, arrays = self._found
        convergence.best, convergence.waited = float(entry["best"]), int(entry["waited"])
        log.epochs = list(entry["epochs"])
        metrics, variance = log.metrics, log.variance
        metrics.n, metrics.batches = int(entry["n"]), int(entry["batches"])
        metrics.active, metrics.error = float(entry["active"]), float(entry["error"])
        metrics.started = time.perf_counter() - float(entry["seconds"])
        metrics.parts, metrics.ever_on = arrays["log_parts"], arrays["log_ever_on"]
        total = arrays.get("log_total", np.empty(0))  # (h,); older files do not have it
        metrics.total, metrics.n_total = (total, metrics.n) if total.size else (None, 0)
        variance.n = int(entry["rows"])
        variance.origin, variance.sum, variance.sum2 = (
            arrays[f"log_{name}"] for name in ("origin", "sum", "sum2")
        )
        if rng is not None:
            rng.bit_generator.state = _with_arrays(entry["order"])

    def note_order(self, rng: np.random.Generator | None) -> None:
        """Remember the state of ``rng`` at the beginning of an epoch, before it draws the order of rows."""
        if self._write is not None and rng is not None:
            self._order = _with_lists(rng.bit_generator.state)

    def write_if_due(self, log: EpochLog, convergence: Convergence, schedule: Schedule) -> None:
        """Write how far the fit is after a step, if it is time: ``log``, ``convergence`` and the ``schedule``."""
        if self._write is not None and time.monotonic() - self._last >= self._seconds:
            self._write_all(self._write, log, convergence, schedule)

    def end(self, log: EpochLog, convergence: Convergence, schedule: Schedule, ended: str) -> None:
        """Write once more, to keep it: training has ``ended``, with ``log``, ``convergence`` and ``schedule``."""
        self.ended = ended
        if self._write is not None and self._keep:
            self._write_all(self._write, log, convergence, schedule)

    def _write_all(self, write: Write, log: EpochLog, convergence: Convergence, schedule: Schedule) -> None:
        schedule.reset()  # the model is written with its own k and learning rate
        metrics, variance = log.metrics, log.variance
        entry = {
            "epochs": log.epochs,
            "n": metrics.n,
            "batches": metrics.batches,
            "active": float(metrics.active),
            "error": metrics.error,
            "seconds": time.perf_counter() - metrics.started,
            "rows": variance.n,
            "best": convergence.best,
            "waited": convergence.waited,
            "order": self._order,
            "ended": self.ended,
        }
        total = np.empty(0) if metrics.total is None else metrics.total  # (h,) of sigmoid units
        arrays = (metrics.parts, metrics.ever_on, total, variance.origin, variance.sum, variance.sum2)
        write(entry, dict(zip(LOG_ARRAYS, arrays, strict=True)))
        self._last = time.monotonic()


def _with_lists(state: Any) -> Any:
    """The state of a bit generator with lists in place of arrays, as JSON has them."""
    if isinstance(state, dict):
        return {name: _with_lists(value) for name, value in state.items()}
    return {"array": state.tolist(), "dtype": str(state.dtype)} if isinstance(state, np.ndarray) else state


def _with_arrays(state: Any) -> Any:
    """The inverse of ``_with_lists``."""
    if isinstance(state, dict) and "array" in state:
        return np.array(state["array"], state["dtype"])
    if isinstance(state, dict):
        return {name: _with_arrays(value) for name, value in state.items()}
    return state
