"""How much of the data a model reconstructs."""

from __future__ import annotations

import numpy as np

from nsae.models.encoder import Encoder
from nsae.models.layer_codes import BLOCK_ROWS
from nsae.training.history import RunningVariance

ENTRIES = 1 << 20  # of x̂ at once, 8 MiB of float64: of wide rows that are sparse, x̂ alone is dense


def explained_variance(encoder: Encoder, X: np.ndarray) -> float:
    """Return 1 − Σ‖x − x̂‖² / Σ‖x − mean‖² of the rows of X (n, d): 1 is perfect, 0 is what the mean explains.

    Memory is bounded by what a block of rows takes to encode, and a few arrays of 8 MiB or, if that is more, of one
    row.  Of constant data it is 1 if ``encoder`` is perfect, and 0 otherwise.
    """
    variance, error = RunningVariance(), 0.0
    size = min(BLOCK_ROWS, max(1, ENTRIES // X.shape[1]))
    for start in range(0, len(X), BLOCK_ROWS):
        block = X[start : start + BLOCK_ROWS]  # (≤ BLOCK_ROWS, d)
        Z = encoder.transform(block)  # (≤ BLOCK_ROWS, h)
        for lo in range(0, len(block), size):
            rows = block[lo : lo + size].astype(np.float64)  # (rows, d)
            D = rows - encoder.inverse_transform(Z[lo : lo + size])  # (rows, d)
            error += float(np.square(D, out=D).sum())
            variance.add(rows)
    return 1 - error / variance.total if variance.total > 0 else float(error == 0)
