"""How much of the data a model reconstructs."""

from __future__ import annotations

import numpy as np

from nsae.models.encoder import BLOCK_ROWS, Encoder
from nsae.training.history import RunningVariance


def explained_variance(encoder: Encoder, X: np.ndarray) -> float:
    """Return 1 − Σ‖x − x̂‖² / Σ‖x − mean‖² of the rows of X (n, d): 1 is perfect, 0 is what the mean explains.

    Memory is bounded by a block of rows.  Of constant data it is 1 if ``encoder`` is perfect, and 0 otherwise.
    """
    variance, error = RunningVariance(), 0.0
    for start in range(0, len(X), BLOCK_ROWS):
        rows = X[start : start + BLOCK_ROWS].astype(np.float64)  # (rows, d)
        X_hat = encoder.inverse_transform(encoder.transform(rows))  # (rows, d)
        error += float(np.square(rows - X_hat).sum())
        variance.add(rows)
    return 1 - error / variance.total if variance.total > 0 else float(error == 0)
