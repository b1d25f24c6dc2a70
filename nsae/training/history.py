"""The numbers of an epoch: loss parts, active and dead units, explained variance."""

from __future__ import annotations

import math

import numpy as np

from nsae.equations.autoencoder import Loss
from nsae.training.step import Report

History = dict[str, list[float]]


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

    Every mean is over samples, and the variance is about each feature's own mean over all the data, so
    no number depends on how the data was cut into batches; but for KL, whose ρ̂ is a batch's own (8).
    """

    def __init__(self, h: int):
        self.n = 0
        self.parts = np.zeros(len(Loss._fields))
        self.active = 0.0
        self.ever_on = np.zeros(h, bool)
        self.error = 0.0

    def add(self, report: Report, B: int) -> None:
        self.parts += B * np.array(report.loss)
        self.active += report.active
        self.ever_on |= report.on > 0  # (h,)
        self.error += report.error
        self.n += B

    def summary(self, spread: Spread) -> dict[str, float]:
        """loss and its parts; l0, active units a sample; dead, the share of units that no sample
        switched on; explained_variance, 1 − Σ‖x − x̂‖² / Σ‖x − mean‖²."""
        parts, variance = self.parts / self.n, spread.total / spread.n
        return {
            "loss": float(parts.sum()),
            **dict(zip(Loss._fields, map(float, parts), strict=True)),
            "l0": self.active / self.n,
            "dead": 1 - float(self.ever_on.mean()),
            "explained_variance": 1 - self.error / self.n / variance if variance > 0 else math.nan,
        }
