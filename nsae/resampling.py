"""Resampling: a dead unit starts anew, from a sample that the others reconstruct badly.

After Bricken et al. 2023, "Towards Monosemanticity", appendix on neuron resampling, made gentle: a newcomer
reads its sample as strongly as the sample's largest unit does, and writes nothing until it has learned
what.  Newcomers that write at once push the error up for samples they were not made for, which makes the
next newcomers larger still.
"""

from __future__ import annotations

import numpy as np

from nsae.autoencoder import Autoencoder
from nsae.optimizers import Adam

SHARE = 0.02  # of a batch: so many units at most start anew in a step


class Resampling:
    """Moves dead units, in place, together with Adam's moments of their weights.

    Parameters
    ----------
    model : Autoencoder
        With exact zeros in its code: ReLU or k-sparse.
    optimizer : Adam
    unit_norm : bool
        Whether columns of V are to have norm 1, Eq. (20): then a newcomer writes what it reads.
    rng : numpy.random.Generator
    """

    def __init__(self, model: Autoencoder, optimizer: Adam, unit_norm: bool, rng: np.random.Generator):
        self.model, self.optimizer, self.unit_norm, self.rng = model, optimizer, unit_norm, rng

    def __call__(self, X: np.ndarray, error: np.ndarray, dead: np.ndarray) -> np.ndarray:
        """Start some of the dead units (m,) anew; which.  X (B, d) is the batch, and e = x − x̂ (B, d)."""
        encoder, decoder = self.model.encoder, self.model.decoder
        squares = np.square(error, dtype=np.float64).sum(axis=1)  # (B,)
        total = squares.sum()
        if not (np.isfinite(total) and total > 0):
            return dead[:0]
        n = min(len(dead), max(1, int(SHARE * len(X))), np.count_nonzero(squares))
        units = self.rng.choice(dead, n, replace=False)  # (n,)
        samples = X[self.rng.choice(len(X), n, replace=False, p=squares / total)]  # (n, d)

        centre = decoder.b if self.model.output == "linear" else 0 * decoder.b  # a logit is no image
        A = samples - centre  # (n, d)
        length2 = np.maximum(np.square(A).sum(axis=1), np.finfo(A.dtype).tiny)  # (n,)
        largest = self.model.g(encoder.forward(samples)).max(axis=1)  # (n,)
        reach = np.where(largest > 0, largest, 1) / length2  # (n,)
        W = reach[:, None].astype(A.dtype) * A  # (n, d)
        encoder.W[units], encoder.b[units] = W, -W @ centre  # so that y of its sample is the largest
        decoder.W.T[units] = A / np.sqrt(length2)[:, None] if self.unit_norm else 0
        self._reset_moments(units, np.setdiff1d(np.arange(len(encoder.b)), dead))
        return units

    def _reset_moments(self, units: np.ndarray, alive: np.ndarray) -> None:
        """m1 = 0, and m2 as it is on average: from m2 = 0, too, the first steps would be three times as long."""
        for name, axis in (("W", 0), ("b", 0), ("V", 1)):
            m1, m2 = (
                np.moveaxis(moments[name], axis, 0) for moments in (self.optimizer.m1, self.optimizer.m2)
            )
            m1[units] = 0
            m2[units] = m2[alive].mean(axis=0) if len(alive) else 0
