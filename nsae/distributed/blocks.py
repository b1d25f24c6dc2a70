"""The rows of a Dask array in blocks on the workers: checked, held, and read a few at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from nsae.distributed.cluster import dask_part, whole_rows
from nsae.training.history import EpochLog
from nsae.validation import at_least, check_data


class Blocks:
    """The rows of a Dask array in blocks on the workers.  It can be read like an array, a few rows at a time.

    Parameters
    ----------
    client : distributed.Client
    X : dask.array.Array (n, d)
    parts : int, optional
        Blocks; by default one for each thread of the cluster.
    unit_interval : bool
        Whether numbers must lie in [0, 1].

    Attributes
    ----------
    shape, dtype
        As of an array.
    futures : list of Future
        The blocks.
    """

    def __init__(self, client: Any, X: Any, parts: int | None, *, unit_interval: bool = False):
        da = dask_part("dask.array")
        if not isinstance(X, da.Array) or X.ndim != 2:
            shape = f" of shape {X.shape}" if hasattr(X, "shape") else ""
            raise TypeError(
                f"A Dask array (n, d) was expected, got {type(X).__name__}{shape}. An array in memory becomes one by "
                "dask.array.from_array(X, chunks=(rows, -1)); SparseAutoencoder.fit takes it as it is."
            )
        if hasattr(X._meta, "toarray"):
            raise TypeError(
                f"Chunks are sparse ({type(X._meta).__name__}), dense ones were expected. Use "
                "X.map_blocks(lambda chunk: chunk.toarray()); SparseAutoencoder.fit takes sparse rows on one machine."
            )
        if parts is not None:
            at_least("parts", parts, 1, whole=True)
        if any(math.isnan(size) for axis in X.chunks for size in axis):
            with client.as_current():
                X = X.compute_chunk_sizes()
        self.client, self.shape, self.dtype = client, X.shape, X.dtype
        n, d = X.shape
        if not n or not d:
            raise ValueError(f"The array has shape {X.shape}: one row and one column are needed at least.")
        checked = whole_rows(X).map_blocks(_checked_chunk, d, unit_interval, dtype=X.dtype, meta=X._meta)
        if parts is None:
            parts = sum(client.nthreads().values()) or 1
        self.rows = -(-n // int(parts))  # of a block; the last one may have fewer
        self.futures = client.compute(list(checked.rechunk((self.rows, d)).to_delayed().ravel()))
        for future in self.futures:
            error = future.exception()  # after it is done
            if error is not None:
                raise error

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: Any) -> np.ndarray:
        numbers = np.arange(len(self))[rows]
        some = list(self.split(numbers))
        found = [self.client.submit(_rows_of, self.futures[block], local) for block, _, local in some]
        out = np.empty((len(numbers), self.shape[1]), self.dtype)
        for (_, positions, _), part in zip(some, self.client.gather(found), strict=True):
            out[positions] = part
        return out

    def sum(self, axis: int, dtype: Any) -> np.ndarray:
        """Return the sum of all rows as NumPy does, with its ``axis`` and ``dtype``: asked for few rows alone."""
        total: np.ndarray = self[:].sum(axis=axis, dtype=dtype)
        return total

    def split(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield, for the rows ``numbers`` (B,), (block, their places among ``numbers``, their places in the block)."""
        block_of = numbers // self.rows  # (B,)
        for block in np.unique(block_of):
            positions = np.flatnonzero(block_of == block)
            yield int(block), positions, numbers[positions] - block * self.rows

    def add_to(self, log: EpochLog) -> None:
        """Give ``log`` the variance of all rows, which it would otherwise gather in the first epoch."""
        variance = log.variance
        variance.n, variance.origin = len(self), self[:1][0].astype(np.float64)
        found = [self.client.submit(_moments, future, variance.origin) for future in self.futures]
        variance.sum, variance.sum2 = np.sum(self.client.gather(found), axis=0)


def _checked_chunk(
    chunk: Any, d: int, unit_interval: bool, block_id: tuple[int, ...] | None = None
) -> np.ndarray:
    if not chunk.shape[0]:  # a sparse chunk has no len
        return chunk
    try:
        check_data(chunk, n_features=d, unit_interval=unit_interval)
    except (TypeError, ValueError) as error:
        number = block_id[0] if block_id else 0
        raise type(error)(
            f"Chunk {number} of the array (rows are counted from its first one): {error}"
        ) from error
    return chunk


def _rows_of(block: np.ndarray, local: np.ndarray) -> np.ndarray:
    return block[local]


def _moments(block: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Return Σ and Σ of squares (2, d) of a block's rows about ``origin`` (d,)."""
    D = block - origin
    return np.stack([D.sum(axis=0), np.square(D).sum(axis=0)])
