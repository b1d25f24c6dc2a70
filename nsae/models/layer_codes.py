"""The codes of many rows by one layer, in blocks.

The code of a row does not depend on the rows beside it: ``encode(X)[i]`` and ``encode(X[i:i + 1])`` are the
same bits.  A BLAS alone does not promise that.  It chooses its order of summation by the shape of a product
and by the place of a row in it, and two pre-activations that are nearly equal may then change places.

So rows go through in blocks of one fixed shape, the last block padded with zeros, and as the columns of
W Xᵀ, where a BLAS computes full tiles that are all summed alike.  Tests hold this for OpenBLAS's kernels for
AVX-512, and for float64 on AVX2.  The float32 kernel for AVX2 sums in an order that depends on the place
even so; there, codes agree to rounding.

A BLAS puts W in order anew for each product, which costs less in a larger block.  Where a trial shows that a BLAS
sums alike in larger blocks, k-sparse codes of many rows are made in these: the same bits, sooner.

Sparse rows are no matter of BLAS: their products are added one by one.  Their codes agree with those of the same
rows as a dense array to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import FrozenActivation, KSparse
from nsae.equations.layers import Dense
from nsae.system.backends import resolve_backend
from nsae.system.threads import Threads

BLOCK_ROWS = (
    128  # Rows that are encoded at once: with fewer the product is slower, with more a single row is.
)
LARGE_ROWS, LARGE_BLOCK = 512, 1 << 23  # Rows of a large block, and entries of its pre-activation.
MANY = 8  # Large blocks for a thread; with fewer, a trial does not pay.
SPARSE_ROWS, SPARSE_BLOCK = 2048, 1 << 23  # Sparse rows at once, and entries of their pre-activation.


def layer_codes(layer: Dense, g: FrozenActivation, X: np.ndarray, *, backend: str = "auto") -> Codes:
    """Return the codes g(X Wᵀ + b) of one layer, as (unit, value) pairs.

    Parameters
    ----------
    layer : Dense
        W (h, d) and b (h,).
    g : Activation or JumpReLU
        Eq. (4) or (48).
    X : (n, d) array, or Codes
        Checked already.  Memory is bounded by one block of rows and the result.
    backend : "auto", "numpy" or "numba"
        What selects the k largest units, and multiplies sparse rows.  Codes are the same bits with each.
    """
    h = len(layer.b)
    backend = resolve_backend(backend, h * X.size)
    if isinstance(g, KSparse) and backend == "numba":
        return _k_sparse_codes(layer, g.k, X)
    blocks: dict[int, Codes] = {}

    def take(rows: slice, Y: np.ndarray) -> None:
        blocks[rows.start] = Codes.from_dense(g(Y))  # (2)

    for_each_block(layer, X, take, backend)
    return Codes.concatenate([blocks[start] for start in sorted(blocks)])


def for_each_block(
    layer: Dense, X: np.ndarray, take: Callable[[slice, np.ndarray], None], backend: str = "auto"
) -> None:
    """Call ``take(rows, Y)`` with the pre-activation Y (rows, h) of every block of rows, on all threads.

    Parameters
    ----------
    layer : Dense
        W (h, d) and b (h,).
    X : (n, d) array, or Codes
        Checked already.
    take : callable
        May be called by several threads at once.
    backend : "auto", "numpy" or "numba"
        What multiplies sparse rows; dense ones are a matter of BLAS.
    """
    if isinstance(X, Codes):
        _for_each_sparse_block(layer, X, take, backend)
        return
    W, b = layer.W, layer.b

    def begin() -> Callable[[slice, np.ndarray], None]:
        Y = np.empty((BLOCK_ROWS, len(b)), W.dtype)  # (BLOCK_ROWS, h)
        return lambda rows, Yt: take(rows, np.add(Yt.T, b, out=Y)[: rows.stop - rows.start])  # (1)

    _for_each_product(W, X, begin)


def _for_each_product(
    W: np.ndarray,
    X: np.ndarray,
    begin: Callable[[], Callable[[slice, np.ndarray], None]],
    large: bool = False,
) -> None:
    """Multiply W (h, d) with blocks of the rows of X (n, d), on all threads.

    Each thread calls ``take = begin()``, and then ``take(rows, Yt)`` for each of its blocks, where Yt (h, columns) is
    W Xᵀ of these rows, and of zeros behind them.  If ``large``, blocks have up to ``LARGE_ROWS`` where that pays and
    has the same bits, and else BLOCK_ROWS.
    """
    h, d = W.shape
    with Threads() as threads:
        many = large and len(X) >= MANY * LARGE_ROWS * threads.n and h * LARGE_ROWS <= LARGE_BLOCK
        size = LARGE_ROWS if many and _sums_alike(W.dtype, h, d) else BLOCK_ROWS

        def blocks(_part: int, lo: int, hi: int) -> None:
            take, buffer = begin(), np.empty(h * size, W.dtype)
            padded = np.zeros((BLOCK_ROWS, d), W.dtype)  # (BLOCK_ROWS, d)
            start, end = lo * BLOCK_ROWS, min(hi * BLOCK_ROWS, len(X))
            while start < end:
                columns = size if end - start >= size else BLOCK_ROWS
                rows = slice(start, min(start + columns, end))
                block = np.ascontiguousarray(X[rows], W.dtype)  # (rows, d)
                if len(block) < columns:
                    padded[: len(block)] = block
                    block = padded
                Yt = buffer[: h * columns].reshape(h, columns)  # (h, columns)
                take(rows, np.matmul(W, block.T, out=Yt))
                start = rows.stop

        threads.parallel_for(-(-len(X) // BLOCK_ROWS), blocks, work=len(X) * h)


@cache
def _sums_alike(dtype: np.dtype, h: int, d: int) -> bool:
    """Return whether a product with a large block has the bits of those with blocks of ``BLOCK_ROWS``: a trial."""
    rng = np.random.default_rng(0)
    W, X = (rng.random((n, d)).astype(dtype) for n in (h, LARGE_ROWS))
    whole = np.matmul(W, X.T)  # (h, LARGE_ROWS)
    return all(
        np.array_equal(np.matmul(W, X[start : start + BLOCK_ROWS].T), whole[:, start : start + BLOCK_ROWS])
        for start in range(0, LARGE_ROWS, BLOCK_ROWS)
    )


def _for_each_sparse_block(
    layer: Dense, X: Codes, take: Callable[[slice, np.ndarray], None], backend: str
) -> None:
    """Do what ``for_each_block`` does, for sparse rows: each costs h multiplications for each of its nonzeros.

    Products are added in the order of features, by both backends, so that blocks may have any number of rows.
    """
    W, b = layer.W, layer.b
    h, d = W.shape
    compiled = resolve_backend(backend, h * X.size) == "numba"
    with Threads() as threads:
        share = -(-len(X) // threads.n)  # W is read once for a block
        size = max(1, min(share, SPARSE_ROWS, SPARSE_BLOCK // h))

        def blocks(_part: int, lo: int, hi: int) -> None:
            if compiled:
                from nsae import kernels
                from nsae.kernels.records import SparseRows

                features = np.zeros((d, kernels.LANES), W.dtype)  # (d, LANES)
                buffer = np.empty((size, h), W.dtype)  # (size, h)
            for start in range(lo * size, min(hi * size, len(X)), size):
                rows = slice(start, min(start + size, len(X)))
                some = X[rows].astype(W.dtype)  # (rows, d)
                if compiled:
                    Y = buffer[: len(some)]  # (rows, h)
                    arrays = (np.array(some.indptr), np.array(some.units), some.values)
                    kernels.sparse_product(SparseRows(*arrays), W, features, Y, 0, h)
                else:
                    Y = some @ W.T  # (rows, h)
                Y += b
                take(rows, Y)

        threads.parallel_for(-(-len(X) // size), blocks, work=X.size * h)


def _k_sparse_codes(layer: Dense, k: int, X: np.ndarray) -> Codes:
    """Do what ``layer_codes`` does, with the compiled selection: no dense code is made."""
    from nsae import kernels
    from nsae.kernels.records import column_scratch

    W, b = layer.W, np.array(layer.b)  # A loop is compiled anew for an array that cannot be written to.
    n, h = len(X), len(b)
    k = min(k, h)
    units = np.empty((n, k), np.int32)
    values = np.empty((n, k), W.dtype)
    if isinstance(X, Codes):
        found, no_bias = np.zeros(n, np.int64), np.zeros_like(b)

        def select(rows: slice, Y: np.ndarray) -> None:  # Y has the bias already
            kernels.top_k(Y, no_bias, 0, units[rows], values[rows], found[rows], 0, len(Y))  # (2)
            kernels.by_unit(units, values, found, rows.start, rows.stop)

        _for_each_sparse_block(layer, X, select, "numba")
    else:

        def begin() -> Callable[[slice, np.ndarray], None]:
            scratch = column_scratch(h, k, W.dtype, kernels.TILE)

            def take(rows: slice, Yt: np.ndarray) -> None:
                n_rows = rows.stop - rows.start
                kernels.top_k_columns(Yt, b, units[rows], values[rows], scratch, 0, n_rows)  # (1) (2)

            return take

        _for_each_product(W, X, begin, large=True)
    on = values > 0  # (n, k)
    indptr = np.concatenate([[0], np.cumsum(on.sum(axis=1))])
    return Codes(indptr, units[on], values[on], h)
