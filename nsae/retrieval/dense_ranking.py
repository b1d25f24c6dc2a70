"""Ranking dense vectors: the baseline (raw pixels, pooled features) that codes are compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nsae.retrieval.hits import Hits, collect
from nsae.validation import one_of

BLOCK_DISTANCES = 1 << 24  # Distances held at once: 64 MB in float32.


def rank_dense(
    Q: np.ndarray, Z: np.ndarray, metric: str = "cosine", k: int = 10, *, exclude_self: bool = False
) -> Hits:
    """Return the k rows of ``Z`` nearest to each row of ``Q``, by matrix products over blocks of queries.

    It computes in float32, or in float64 where that came.  Ties and the distance of a row to itself are exact
    up to rounding only: a matrix product may round equal rows differently, and ‖q‖² + ‖z‖² − 2q·z cancels
    where q is close to z.  That is enough for a baseline; ``CodeIndex`` is exact on ties.

    Parameters
    ----------
    Q : (q, d) array
    Z : (n, d) array
    metric : "cosine", "l2" or "dot", Eqs. (23)–(25)
    k : int
        Hits for each query; above n, they are padded.
    exclude_self : bool
        Query i is row i of ``Z`` (leave-one-out) and is left out of its own hits.

    Returns
    -------
    Hits
        ``ids`` are row numbers.

    Raises
    ------
    ValueError
        If the widths differ, values are not finite or above 1e19 / √d, the metric is unknown, k < 1,
        or ``exclude_self`` is asked for with q ≠ n.
    """
    one_of("metric", metric, ("cosine", "l2", "dot"))
    Q, Z = np.atleast_2d(Q), np.atleast_2d(Z)
    if Q.ndim != 2 or Z.ndim != 2 or Q.shape[1] != Z.shape[1]:
        raise ValueError(
            f"Rows (q, d) and (n, d) of one width are expected, got {Q.shape} and {Z.shape}. "
            "Flatten images with X.reshape(len(X), -1)."
        )
    if exclude_self and len(Q) != len(Z):
        raise ValueError(f"exclude_self means query i is row i, but {len(Q)} queries and {len(Z)} rows came.")
    dtype = np.float64 if np.float64 in (Q.dtype, Z.dtype) else np.float32
    Q, Z = Q.astype(dtype, copy=False), Z.astype(dtype, copy=False)  # (q, d), (n, d)
    limit = 1e19 / max(1, Q.shape[1]) ** 0.5  # norms up to 1e19, whose squares fit float32; NaN fails as well
    if not ((np.abs(Q) <= limit).all() and (np.abs(Z) <= limit).all()):
        raise ValueError(
            f"Finite numbers up to {limit:.3g} are expected. Remove, fill or scale the rows first."
        )
    if metric == "cosine":
        Q, Z = _unit_rows(Q), _unit_rows(Z)
    return collect(_distances(Q, Z, metric, exclude_self), range(len(Z)), len(Q), k)


def _distances(Q: np.ndarray, Z: np.ndarray, metric: str, exclude_self: bool) -> Iterator[np.ndarray]:
    """Yield the distances of each query in turn, (n,) float32."""
    Z_squares = np.einsum("nd,nd->n", Z, Z)  # (n,)
    step = max(1, BLOCK_DISTANCES // max(1, len(Z)))
    for start in range(0, len(Q), step):
        block = Q[start : start + step]  # (b, d)
        D = block @ Z.T  # (b, n)
        if metric == "cosine":
            D = np.maximum(1 - D, 0)  # (23); rows are of unit norm, or 0 and at distance 1
        elif metric == "l2":
            squares = np.einsum("bd,bd->b", block, block)[:, None] + Z_squares - 2 * D  # (b, n)
            D = np.sqrt(np.maximum(squares, 0))  # (24)
        else:
            D = 0 - D  # (25)
        D = D.astype(np.float32, copy=False)  # (b, n)
        if exclude_self:
            here = np.arange(len(block))  # (b,)
            D[here, start + here] = np.inf
        yield from D


def _unit_rows(X: np.ndarray) -> np.ndarray:
    """Return X with rows scaled to norm 1; a zero row stays."""
    norms = np.linalg.norm(X, axis=1, keepdims=True)  # (n, 1)
    return np.divide(X, norms, out=np.zeros_like(X), where=norms > 0)
