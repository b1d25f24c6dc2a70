"""The numbers of an epoch: loss parts, active and dead units, explained variance."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.autoencoder import Loss
from nsae.training.step import StepReport


class RunningVariance:
    """Σ‖x − mean‖², each feature about its own mean, summed batch by batch.

    Attributes
    ----------
    n : int
        Rows so far.
    """

    def __init__(self) -> None:
        self.n = 0

    def add(self, X: np.ndarray) -> None:
        """Add the rows of X (B, d), an array or Codes."""
        if not self.n:
            # Sums from a point within the data cancel less.  Most of sparse data is at 0.
            self.origin = np.zeros(X.shape[1]) if isinstance(X, Codes) else X[0].astype(np.float64)  # (d,)
            self.sum, self.sum2 = np.zeros_like(self.origin), np.zeros_like(self.origin)
        self.n += len(X)
        if isinstance(X, Codes):
            self.sum += X.sum(axis=0)  # (d,)
            self.sum2 += X.square().sum(axis=0)  # (d,)
            return
        D = X - self.origin  # (B, d)
        self.sum += D.sum(axis=0)  # (d,)
        self.sum2 += np.square(D).sum(axis=0)  # (d,)

    @property
    def total(self) -> float:
        """Σ‖x − mean‖² of all rows so far."""
        return float((self.sum2 - self.sum**2 / self.n).sum())


class EpochMetrics:
    """The numbers of one epoch, summed batch by batch; each batch counts as it was before its step.

    Every mean is over samples, and the variance is about each feature's own mean over all the data.  So no
    number depends on how the data was cut into batches, with one exception: KL, whose ρ̂ is a mean over one
    batch (8).

    Parameters
    ----------
    h : int
        Hidden units.

    Attributes
    ----------
    n, batches : int
        Samples and batches so far.
    """

    def __init__(self, h: int):
        self.n = self.batches = 0
        self.numbers: dict[str, Any] = {}
        self.started = time.perf_counter()
        self.parts = np.zeros(len(Loss._fields))
        self.active = 0.0
        self.ever_on = np.zeros(h, bool)
        self.error = 0.0
        self.total: np.ndarray | None = None  # (h,), Σz of sigmoid units …
        self.n_total = 0  # … over so many samples

    def add(self, report: StepReport, B: int) -> None:
        """Add the ``report`` of ``B`` samples."""
        self.parts += B * np.array(report.loss)
        self.active += report.active
        self.ever_on |= report.on > 0  # (h,)
        self.error += report.error
        if report.total is not None:
            self.total = report.total + (0.0 if self.total is None else self.total)  # (h,)
            self.n_total += B
        self.n += B
        self.batches += report.batches

    def summary(self, variance: RunningVariance) -> dict[str, Any]:
        """Return the numbers of the epoch, given the ``variance`` of the data; again the same ones if asked again.

        Returns
        -------
        dict
            loss and its parts; l0, the active units of a sample; dead, the fraction of units that no sample
            activated; explained_variance, 1 − Σ‖x − x̂‖² / Σ‖x − mean‖²; seconds; and of sigmoid units rho_hat,
            a list of h numbers: the mean activation of each unit.
        """
        if self.numbers:
            return self.numbers
        parts, of_data = self.parts / self.n, variance.total / variance.n
        self.numbers = {
            "loss": float(parts.sum()),
            **dict(zip(Loss._fields, map(float, parts), strict=True)),
            "l0": self.active / self.n,
            "dead": 1 - float(self.ever_on.mean()),
            "explained_variance": 1 - self.error / self.n / of_data if of_data > 0 else math.nan,
            "seconds": time.perf_counter() - self.started,
        }
        if self.total is not None:
            self.numbers["rho_hat"] = (
                (self.total / self.n_total).astype(np.float32).tolist()
            )  # (8), h numbers
        return self.numbers


class EpochLog:
    """The numbers of each epoch of a call of ``train``, gathered batch by batch.

    Parameters
    ----------
    h : int
        Hidden units.
    n_rows : int
        Rows of the data.

    Attributes
    ----------
    epochs : list of dict
        The numbers of each epoch that has ended.
    """

    def __init__(self, h: int, n_rows: int):
        self.h, self.n_rows = h, n_rows
        self.variance = RunningVariance()
        self.metrics = EpochMetrics(h)
        self.epochs: list[dict[str, Any]] = []

    def start_epoch(self) -> int:
        """Begin to count anew, unless a checkpoint has brought a part of this epoch; return its batches so far."""
        if self.metrics.numbers or not self.metrics.n:
            self.metrics = EpochMetrics(self.h)
        return self.metrics.batches

    def add(self, X: np.ndarray, report: StepReport) -> None:
        """Add the batch ``X`` (B, d) and its ``report``."""
        if self.variance.n < self.n_rows:  # the first epoch sees all the data
            self.variance.add(X)
        self.metrics.add(report, len(X))

    def end_epoch(self) -> dict[str, Any]:
        """Append the numbers of the epoch and return them; if called again, as after Ctrl-C, it appends nothing."""
        numbers = self.metrics.summary(self.variance)
        if not self.epochs or self.epochs[-1] is not numbers:
            self.epochs.append(numbers)
        return numbers


class Convergence:
    """Tells when the loss has fallen by less than the fraction ``tol`` in ``patience`` epochs running.

    Parameters
    ----------
    tol : float
        0 is never.
    patience : int
    """

    def __init__(self, tol: float, patience: int):
        self.tol, self.patience = tol, patience
        self.best, self.waited = math.inf, 0

    def reached(self, loss: float) -> bool:
        """Count one more epoch with its ``loss``; return whether it was the last one needed."""
        self.waited = self.waited + 1 if loss >= self.best * (1 - self.tol) else 0
        self.best = min(self.best, loss)
        return self.tol > 0 and self.waited >= self.patience
