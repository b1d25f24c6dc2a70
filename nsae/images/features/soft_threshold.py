"""The soft threshold (36): weak units weigh less in a code."""

from __future__ import annotations

import numpy as np

from nsae.models.sparse_autoencoder import SparseAutoencoder


def usual_threshold(model: SparseAutoencoder, T: np.ndarray, fraction: float) -> float:
    """Return τ of Eq. (36): a fraction of the usual largest activation; ``with_threshold`` subtracts it.

    Parameters
    ----------
    model : SparseAutoencoder
        Fitted.
    T : (n, d) array
        What it learned from.  The median of the rows' largest activations is the usual one.
    fraction : float
        φ, at least 0.  An image whose largest activation is below τ will get a code of zeros.
    """
    if fraction == 0:
        return 0.0
    largest = model.encode(T).keep(1).values  # one for each row that a unit is active in
    return float(fraction * np.median(largest)) if len(largest) else 0.0  # (36)
