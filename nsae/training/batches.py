"""Minibatches over any 2-D array, one batch copied at a time; a file larger than memory is read in blocks.

Of sparse data, a batch is ``Codes`` of the chosen rows: it is never made dense.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nsae.codes import Codes
from nsae.validation import drop_pages

POOL_BYTES = 1 << 26  # A memory-mapped array larger than this is shuffled through a pool of this size.


def minibatches(
    X: np.ndarray,
    batch_size: int,
    dtype: np.dtype | str,
    rng: np.random.Generator | None,
    buffer: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Yield batches (B, d) that together hold every row of X once.  The last one may be smaller.

    Parameters
    ----------
    X : (n, d) array, or Codes
        It may be memory-mapped.
    batch_size : int
        B.
    dtype : dtype
        Of the batches.
    rng : numpy.random.Generator or None
        It shuffles the rows; with None they come in the order given.
    buffer : (batch_size, d) array, optional
        Each dense batch is copied into it, so that a batch is overwritten by the next one.
    """
    batches: Iterator[tuple[np.ndarray, Rows]]
    if rng is not None and isinstance(X, np.memmap) and X.nbytes > POOL_BYTES:
        batches = _through_a_pool(X, batch_size, rng)
    else:
        batches = _rows_in_order(X, batch_size, rng)
    for source, rows in batches:
        if isinstance(X, Codes):
            yield X[rows].astype(dtype)  # (B, d)
        elif buffer is None:
            yield np.asarray(source[rows], dtype)  # (B, d)
        elif isinstance(rows, np.ndarray) and source.dtype == buffer.dtype:
            batch = buffer[: len(rows)]  # (B, d)
            np.take(source, rows, axis=0, out=batch, mode="clip")  # "raise" would make a copy first
            yield batch
        else:
            batch = source[rows]  # (B, d)
            buffer[: len(batch)] = batch
            yield buffer[: len(batch)]


def batches_at_once(most: int, X: np.ndarray, done: int) -> int:
    """Return how many batches of X (n, d) may come as one in an epoch, one below the other: 1 or ``most``.

    They come alone from a large file, which has an order of its own, and after ``done`` batches of the epoch,
    where these are no whole number of such heaps.
    """
    return 1 if done % most or (isinstance(X, np.memmap) and X.nbytes > POOL_BYTES) else most


def batch_buffer(X: np.ndarray, batch_size: int, dtype: np.dtype) -> np.ndarray | None:
    """Return a buffer (B, d) in ``dtype`` for the minibatches of X (n, d), B at most ``batch_size``.

    None for ``Codes``: a batch of them takes its nonzeros alone.
    """
    return None if isinstance(X, Codes) else np.empty((min(batch_size, len(X)), X.shape[1]), dtype)


Rows = slice | np.ndarray


def _rows_in_order(
    X: np.ndarray, batch_size: int, rng: np.random.Generator | None
) -> Iterator[tuple[np.ndarray, Rows]]:
    order = None if rng is None else rng.permutation(len(X))
    for start in range(0, len(X), batch_size):
        rows = slice(start, min(start + batch_size, len(X)))
        yield X, rows if order is None else order[rows]


def _through_a_pool(
    X: np.memmap, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, Rows]]:
    """Read runs of ``batch_size`` rows in random order into a pool, shuffle the pool, and cut it into batches.

    A disk reads a run of rows much faster than single rows.  A batch has rows of all runs in the pool, and
    each epoch has other pools.
    """
    n, d = X.shape
    runs = rng.permutation(n // batch_size) * batch_size  # first rows; a short run is left over at the end
    per_pool = max(1, POOL_BYTES // (batch_size * X.itemsize * d))
    pools = [runs[i : i + per_pool] for i in range(0, len(runs), per_pool)] or [runs]
    left = n % batch_size
    held = np.empty((min(n, per_pool * batch_size + left), d), X.dtype)  # (rows of the pool, d)
    for number, pool in enumerate(pools):
        rows = 0
        for start in (*pool, *([n - left] if left and number == len(pools) - 1 else [])):
            run = X[start : start + batch_size]
            held[rows : rows + len(run)] = run
            rows += len(run)
            drop_pages(X)
        order = rng.permutation(rows)
        for start in range(0, rows, batch_size):
            yield held, order[start : start + batch_size]
