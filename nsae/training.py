"""The fit loop: minibatches, what an epoch reports, convergence, and Ctrl-C.

One step is: forward, loss, backward, Adam, with Eq. (20) around Adam if the decoder has unit norm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np

from nsae.autoencoder import Autoencoder, Loss
from nsae.layers import normalise_columns, tangent
from nsae.optimizers import Adam
from nsae.progress import Progress

History = dict[str, list[float]]


def minibatches(
    X: np.ndarray, batch_size: int, dtype: np.dtype | str, rng: np.random.Generator | None
) -> Iterator[np.ndarray]:
    """Batches (B, d) that hold every row of X once: in random order, or as they stand if ``rng`` is None.

    Only one batch is copied at a time.  The last one holds what is left.
    """
    n = len(X)
    order = None if rng is None else rng.permutation(n)
    for start in range(0, n, batch_size):
        stop = min(start + batch_size, n)
        rows = slice(start, stop) if order is None else order[start:stop]
        yield np.asarray(X[rows], dtype)  # (B, d)


def train_step(model: Autoencoder, optimizer: Adam, X: np.ndarray, *, unit_norm: bool, tally: Tally) -> None:
    """One step on the batch X (B, d); ``tally`` notes how the model did before it."""
    Z, U = model.forward(X)  # (B, h), (B, d)
    tally.add(model.losses(X, Z, U), X, Z, model.reconstruct(U))
    grads = model.backward(X, Z, U)
    if unit_norm:
        grads["V"] = tangent(grads["V"], model.decoder.W)  # (20) before the step
    optimizer.step(model.params, grads)
    if unit_norm:
        normalise_columns(model.decoder.W)  # (20) after the step


class Spread:
    """Σ‖x − mean‖², each feature about its own mean, gathered batch by batch."""

    def __init__(self) -> None:
        self.n = 0

    def add(self, X: np.ndarray) -> None:
        if not self.n:
            self.origin = X[0].astype(np.float64)  # (d,) sums from a point within the data cancel less
            self.sum, self.sum2 = np.zeros_like(self.origin), np.zeros_like(self.origin)
        D = X - self.origin  # (B, d)
        self.n += len(X)
        self.sum += D.sum(axis=0)  # (d,)
        self.sum2 += np.square(D).sum(axis=0)  # (d,)

    @property
    def total(self) -> float:
        return float((self.sum2 - self.sum**2 / self.n).sum())


class Tally:
    """The numbers of one epoch, gathered batch by batch, each batch as it was met (before its step).

    Every mean is over samples, and the variance is about each feature's own mean over the epoch, so
    no number depends on how the data was cut into batches.
    """

    def __init__(self, model: Autoencoder):
        h = model.decoder.W.shape[1]
        self.active_above = model.g.active_above
        self.n = 0
        self.parts = np.zeros(len(Loss._fields))
        self.active = 0
        self.ever_active = np.zeros(h, bool)
        self.spread = Spread()
        self.sum_error = 0.0

    def add(self, loss: Loss, X: np.ndarray, Z: np.ndarray, X_hat: np.ndarray) -> None:
        self.parts += len(X) * np.array(loss)
        on = Z > self.active_above  # (B, h)
        self.active += int(on.sum())
        self.ever_active |= on.any(axis=0)  # (h,)
        self.spread.add(X)
        self.sum_error += float(np.square(X_hat - X).sum(dtype=np.float64))
        self.n += len(X)

    def summary(self) -> dict[str, float]:
        """loss and its parts; l0, active units a sample; dead, the share of units that no sample
        switched on; explained_variance, 1 − Σ‖x − x̂‖² / Σ‖x − mean‖²."""
        parts, variance = self.parts / self.n, self.spread.total
        return {
            "loss": float(parts.sum()),
            **dict(zip(Loss._fields, map(float, parts), strict=True)),
            "l0": self.active / self.n,
            "dead": 1 - float(self.ever_active.mean()),
            "explained_variance": 1 - self.sum_error / variance if variance > 0 else math.nan,
        }


def train(
    model: Autoencoder,
    optimizer: Adam,
    X: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    rng: np.random.Generator | None,
    unit_norm: bool,
    tol: float,
    patience: int,
    history: History,
    verbose: bool,
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
    dtype = model.encoder.W.dtype
    tally = None
    try:
        with Progress("training", epochs, enabled=verbose) as progress:
            for _ in range(epochs):
                tally, started, epoch = Tally(model), time.perf_counter(), _recorded(history)
                for batch in minibatches(X, batch_size, dtype, rng):
                    train_step(model, optimizer, batch, unit_norm=unit_norm, tally=tally)
                loss = _record(history, tally, started)
                if not (math.isfinite(loss) and all(np.isfinite(p).all() for p in model.params.values())):
                    raise FloatingPointError(
                        f"The loss or a weight became NaN or infinite in epoch {len(history['loss'])} (loss "
                        f"{loss}) with learning_rate={optimizer.learning_rate}. Lower it, or scale the data to "
                        "about [0, 1]."
                    )
                progress.update(loss=loss, l0=history["l0"][-1], dead=history["dead"][-1])
                waited = waited + 1 if loss >= best * (1 - tol) else 0
                best = min(best, loss)
                if tol > 0 and waited >= patience:
                    return "converged"
    except KeyboardInterrupt:  # wherever it came, model and history are left whole
        for values in history.values():
            del values[_recorded(history) :]
        if tally is not None and tally.n and epoch == _recorded(history):
            _record(history, tally, started)
        if unit_norm:
            normalise_columns(model.decoder.W)  # (20)
        return "interrupted"
    return "epochs"


def _recorded(history: History) -> int:
    """How many epochs ``history`` holds whole: "seconds" is what is written last."""
    return len(history.get("seconds", ()))


def _record(history: History, tally: Tally, started: float) -> float:
    """Append the epoch's numbers to ``history``; its loss."""
    numbers = {**tally.summary(), "seconds": time.perf_counter() - started}
    for name, value in numbers.items():
        history.setdefault(name, []).append(value)
    return numbers["loss"]
