"""The fit loop: what an epoch reports, convergence, and Ctrl-C.  Batches and steps have files of their own."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from functools import partial

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import normalise_columns
from nsae.equations.optimizers import Adam
from nsae.system.backends import resolve_backend
from nsae.system.interrupts import defer_interrupts
from nsae.system.progress import Progress
from nsae.training.batches import minibatches
from nsae.training.dead_units import DeadUnits
from nsae.training.history import History, Spread, Tally
from nsae.training.schedules import Schedule
from nsae.training.step import make_step


def train(
    model: Autoencoder,
    optimizer: Adam,
    X: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator | None,
    unit_norm: bool,
    dead_units: DeadUnits | None,
    warmup_steps: int,
    lr_schedule: str,
    k_start: int | None,
    tol: float,
    patience: int,
    history: History,
    verbose: bool,
    backend: str,
    n_threads: int | None,
) -> str:
    """Train in place for some epochs and append each one's numbers to ``history``.

    Returns
    -------
    str
        Why it ended: "epochs", "converged" (the loss fell by less than the fraction ``tol`` in
        ``patience`` epochs running; never if ``tol`` is 0) or "interrupted" (Ctrl-C; the model is as
        its last whole step left it, give or take one).

    Raises
    ------
    FloatingPointError
        The loss or a weight became NaN or infinite.
    """
    best, waited = math.inf, 0
    h, d = model.encoder_layer.W.shape
    dtype = model.encoder_layer.W.dtype
    batch_size, epochs = int(batch_size), int(epochs)  # a NumPy integer may be too small to count with
    steps = epochs * -(-len(X) // batch_size)
    backend = resolve_backend(backend, epochs * len(X) * h * d)
    buffer = np.empty((min(batch_size, len(X)), d), dtype)  # (B, d)
    tally, spread, compiles = None, Spread(), backend == "numba"  # the first step does, or it loads
    make = partial(
        make_step, unit_norm=unit_norm, dead_units=dead_units, backend=backend, n_threads=n_threads
    )
    try:
        with (
            Schedule(
                model,
                optimizer,
                steps,
                warmup_steps=warmup_steps,
                lr_schedule=lr_schedule,
                k_start=k_start,
            ) as schedule,
            make(model, optimizer, len(buffer)) as step,
            Progress("training", epochs, enabled=verbose) as progress,
        ):
            for _ in range(epochs):
                tally, started, epoch = Tally(h), time.perf_counter(), _recorded(history)
                for batch in minibatches(X, batch_size, dtype, rng, buffer):
                    if spread.n < len(X):  # it is of the data alone: the first epoch tells
                        spread.add(batch)
                    schedule.advance()
                    with defer_interrupts() if compiles else nullcontext():
                        report = step(batch)
                    tally.add(report, len(batch))
                    compiles = False
                loss = _record(history, tally, spread, started)
                if not (math.isfinite(loss) and all(np.isfinite(p).all() for p in model.params.values())):
                    raise FloatingPointError(
                        f"The loss or a weight became NaN or infinite in epoch {len(history['loss'])} (loss "
                        f"{loss}) with learning_rate={optimizer.learning_rate}. Lower it, or scale the data to "
                        "about [0, 1]."
                    )
                progress.update(loss=loss, l0=history["l0"][-1], dead=history["dead"][-1])
                if schedule.settled:
                    waited = waited + 1 if loss >= best * (1 - tol) else 0
                    best = min(best, loss)
                if tol > 0 and waited >= patience:
                    return "converged"
    except KeyboardInterrupt:  # wherever it came, model and history are left whole
        for values in history.values():
            del values[_recorded(history) :]
        if tally is not None and tally.n and epoch == _recorded(history):
            _record(history, tally, spread, started)
        if unit_norm:
            normalise_columns(model.decoder_layer.W)  # (20)
        return "interrupted"
    return "epochs"


def _recorded(history: History) -> int:
    """How many epochs ``history`` holds whole: "seconds" is what is written last."""
    return len(history.get("seconds", ()))


def _record(history: History, tally: Tally, spread: Spread, started: float) -> float:
    """Append the epoch's numbers to ``history``; its loss."""
    numbers = {**tally.summary(spread), "seconds": time.perf_counter() - started}
    for name, value in numbers.items():
        history.setdefault(name, []).append(value)
    return numbers["loss"]
