"""Where training starts: the initial weights and biases."""

from __future__ import annotations

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense, normalise_columns
from nsae.validation import drop_pages

MEAN_RUNS, RUN_ROWS = 40, 256  # some 10,000 rows are enough to start the biases from
SCALE_ROWS = 1024  # and so many for one number


def random_layers(d: int, h: int, rng: np.random.Generator, dtype: np.dtype | str) -> tuple[Dense, Dense]:
    """Encoder and decoder with independent weights (Glorot and Bengio 2010) and zero biases."""
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
    """Encoder and decoder that start as each other's transpose, centred on the data; free afterwards.

    V = Wᵀ with columns of norm 1: a unit that is switched on writes what it reads, from the first step
    on.  With independent V, many units of a k-sparse code never win (Gao et al. 2024).

    b = −W·mean, so that y = W(x − mean): else the mean, which all samples share, decides which units win,
    and the others die.  With ``centred_output``, c = mean likewise.

    With ``from_samples``, each unit reads in the direction of a sample (less the mean) instead of any
    direction: it then has one sample at least for which it is the largest.
    """
    W = rng.standard_normal((h, X.shape[1])).astype(dtype)  # (h, d)
    mean = sample_mean(X)  # (d,)
    if from_samples:
        rows = np.sort(rng.choice(len(X), h, replace=len(X) < h))  # in order: of a file, that is faster
        again = np.concatenate([[False], rows[1:] == rows[:-1]])  # a sample's second unit must differ
        W = np.where(again[:, None], W, (X[rows] - mean).astype(dtype))  # (h, d)
    V = np.ascontiguousarray(W.T)  # (d, h)
    normalise_columns(V)
    W = V.T.copy()  # (h, d)
    c = mean if centred_output else np.zeros_like(mean)  # (d,)
    return Dense(W, (-W @ mean).astype(dtype)), Dense(V, c.astype(dtype))


def scale_encoder(core: Autoencoder, X: np.ndarray) -> None:
    """Scale W and b so that reconstructions of X start at the right length, by least squares.

    For units that start from samples.  The k of them that look most like x point all the same way, and
    with W and V at norm 1 their sum is many times as long as x: training would spend its first epochs on
    that.  (For many units and few of them active, that overshoot keeps more units alive, which is why it
    is not done unasked.)
    """
    some = X[:: max(1, len(X) // SCALE_ROWS)][:SCALE_ROWS]  # from all over: X may be sorted
    rows = np.asarray(some, core.encoder_layer.W.dtype)  # (rows, d)
    Z = core.g(core.encoder_layer.forward(rows))  # (1) (2) (rows, h)
    U = Z @ core.decoder_layer.W.T  # (rows, d), (3) less c
    square = float(np.vdot(U, U))
    if square > 0:
        scale = core.encoder_layer.W.dtype.type(abs(np.vdot(rows - core.decoder_layer.b, U)) / square)
        if scale > 0:
            core.encoder_layer.W *= scale
            core.encoder_layer.b *= scale


def sample_mean(X: np.ndarray) -> np.ndarray:
    """The mean (d,) of all rows of X, or of evenly spaced runs of rows if they are many.

    Runs and not single rows: of a file, a row costs as much to read as the run around it.
    """
    if len(X) <= MEAN_RUNS * RUN_ROWS:
        return X.mean(axis=0, dtype=np.float64)
    total = np.zeros(X.shape[1])
    for run in range(MEAN_RUNS):
        start = run * len(X) // MEAN_RUNS
        total += X[start : start + RUN_ROWS].sum(axis=0, dtype=np.float64)
        drop_pages(X)
    return total / (MEAN_RUNS * RUN_ROWS)
