"""Shrunk activations (36): weak units weigh less in a code."""

from __future__ import annotations

import numpy as np

from nsae.models.sparse_autoencoder import SparseAutoencoder


def shrink(model: SparseAutoencoder, T: np.ndarray, share: float) -> None:
    """Lower all activations of a fitted k-sparse model, in place, by a share of the usual largest one: Eq. (36).

    Parameters
    ----------
    model : SparseAutoencoder
        Its reconstructions are of shrunk codes from then on, and so too small.
    T : (n, d) array
        What it learned from; the median of their largest activations is the usual one.
    share : float
        φ, at least 0.  An image whose largest activation is below φ times the usual one gets a code of zeros.
    """
    if share == 0:
        return
    largest = model.encode(T).keep(1).values  # one for each row that a unit is active in
    if len(largest):
        model.autoencoder_.encoder_layer.b -= np.float32(share * np.median(largest))  # (36)
