"""Where training starts: the initial weights and biases."""

from __future__ import annotations

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense, normalise_columns
from nsae.validation import drop_pages

MEAN_RUNS, RUN_ROWS = 40, 256  # About 10,000 rows are enough for the mean that the biases start from.
SCALE_ROWS = 1024  # For one number, the scale of the encoder, fewer are enough.


def random_layers(d: int, h: int, rng: np.random.Generator, dtype: np.dtype | str) -> tuple[Dense, Dense]:
    """Return encoder and decoder layer with independent weights (Glorot and Bengio 2010) and zero biases.

    ``d`` and ``h`` are the numbers of features and units; the weights are drawn from ``rng``, in ``dtype``.
    """
    return Dense.random(d, h, rng, dtype), Dense.random(h, d, rng, dtype)


def tied_layers(
    X: np.ndarray,
    h: int,
    rng: np.random.Generator,
    dtype: np.dtype | str,
    *,
    centred_output: bool,
    from_samples: bool = False,
) -> tuple[Dense, Dense]:
    """Return encoder and decoder layer that start as each other's transpose, and are free afterwards.

    V = Wᵀ with columns of norm 1: an active unit adds to x̂ what it detects in x, from the first step on.
    With independent V, many units of a k-sparse code are never among the k largest (Gao et al. 2024).

    b = −W·mean, so that y = W(x − mean).  Without it the mean, which all samples share, would decide which
    units are active, and the others would die.

    Parameters
    ----------
    X : (n, d) array, or Codes
        The data.
    h : int
        Hidden units.
    rng : numpy.random.Generator
    dtype : dtype
        Of the weights.
    centred_output : bool
        Whether c starts at the mean of the data, or at 0.
    from_samples : bool
        Start each unit in the direction of a sample, less the mean, and not in a random direction.  It is then
        the largest unit of one sample at least.
    """
    W = rng.standard_normal((h, X.shape[1])).astype(dtype)  # (h, d)
    mean = sample_mean(X)  # (d,)
    if from_samples:
        rows = np.sort(rng.choice(len(X), h, replace=len(X) < h))  # ascending: a file is read faster so
        again = np.concatenate(
            [[False], rows[1:] == rows[:-1]]
        )  # a second unit of the same sample must differ
        W = np.where(again[:, None], W, (X[rows] - mean).astype(dtype))  # (h, d)
    V = np.ascontiguousarray(W.T)  # (d, h)
    normalise_columns(V)
    W = V.T.copy()  # (h, d)
    c = mean if centred_output else np.zeros_like(mean)  # (d,)
    return Dense(W, (-W @ mean).astype(dtype)), Dense(V, c.astype(dtype))


def scale_encoder(core: Autoencoder, X: np.ndarray) -> None:
    """Scale W and b of ``core`` so that reconstructions of X (n, d) start at the right length: least squares.

    This is for units that start from samples.  The k units that are most like x have nearly the same
    direction, and with W and V at norm 1 their sum is many times as long as x.  Training would spend its first
    epochs on that.  With many units of which few are active, the longer start keeps more units alive; so this
    is an option.
    """
    some = X[:: max(1, len(X) // SCALE_ROWS)][:SCALE_ROWS]  # spread over all rows: X may be sorted
    rows = some.astype(core.encoder_layer.W.dtype, copy=False)  # (rows, d)
    Z = core.g(core.encoder_layer.forward(rows))  # (1) (2) (rows, h)
    U = Z @ core.decoder_layer.W.T  # (rows, d), (3) less c
    square = float(np.vdot(U, U))
    if square > 0:
        scale = core.encoder_layer.W.dtype.type(abs(np.vdot(rows - core.decoder_layer.b, U)) / square)
        if scale > 0:
            core.encoder_layer.W *= scale
            core.encoder_layer.b *= scale


def sample_mean(X: np.ndarray) -> np.ndarray:
    """Return the mean (d,) of all rows of X (n, d), or of evenly spaced runs of rows if they are many.

    Runs and not single rows, since from a file a row costs as much to read as the run around it.
    """
    if len(X) <= MEAN_RUNS * RUN_ROWS:
        return X.sum(axis=0, dtype=np.float64) / len(X)
    total = np.zeros(X.shape[1])
    for run in range(MEAN_RUNS):
        start = run * len(X) // MEAN_RUNS
        total += X[start : start + RUN_ROWS].sum(axis=0, dtype=np.float64)
        drop_pages(X)
    return total / (MEAN_RUNS * RUN_ROWS)
