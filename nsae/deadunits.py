"""Units that no sample activates any more: how they are counted, and what is done about them."""

from __future__ import annotations

import numpy as np

from nsae.auxiliary import AuxiliaryGradients, AuxiliaryLoss
from nsae.resampling import Resampling


class DeadUnits:
    """What a training step asks about its dead units: their gradients before it, new starts after it.

    Parameters
    ----------
    idle : (h,) int64
        Samples since each unit was last active; counted on in place.
    dead_after : int
        A unit is dead when so many samples (not steps) in a row have not activated it.
    auxiliary : AuxiliaryLoss, optional
    resampling : Resampling, optional
    """

    def __init__(
        self,
        idle: np.ndarray,
        dead_after: int,
        auxiliary: AuxiliaryLoss | None = None,
        resampling: Resampling | None = None,
    ):
        self.idle, self.dead_after = idle, dead_after
        self.auxiliary, self.resampling = auxiliary, resampling
        self.dead = np.flatnonzero(idle >= dead_after)  # (m,)

    def gradients(self, X: np.ndarray, error: np.ndarray, on: np.ndarray) -> AuxiliaryGradients | None:
        """Count the batch X (B, d), which activated the units on > 0 (h,); (21) and its gradients.

        ``error`` is e = x − x̂ (B, d).  None if no unit is dead or no auxiliary loss is wanted.
        """
        self.idle += len(X)
        self.idle[on > 0] = 0
        self.dead = np.flatnonzero(self.idle >= self.dead_after)  # (m,)
        if self.auxiliary is None or not len(self.dead):
            return None
        return self.auxiliary(X, error, self.dead)

    def renew(self, X: np.ndarray, error: np.ndarray) -> None:
        """After the step: some of the dead start anew, if that is wanted."""
        if self.resampling is not None and len(self.dead):
            self.idle[self.resampling(X, error, self.dead)] = 0
