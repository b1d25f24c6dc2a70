"""The k-sparse codes of a few rows, at the cost of one look at W for each.

A block of rows, in which a row has the same bits wherever it stands, costs a single row as much as all of them
together.  But only k units are active, so a rough product of the row with all of W names the few that may be, and
the product with the block is made for these alone.
"""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import KSparse
from nsae.equations.layers import Dense
from nsae.system.threads import Threads

FEW = 4  # Rows; more of them are faster as a block.
TILE = 64  # Candidates come in multiples of this, so that a BLAS adds up all of them alike.


def largest_norm(W: np.ndarray) -> float:
    """Return the largest norm of the rows of W (h, d)."""
    return float(np.sqrt(np.einsum("jl,jl->j", W, W).max()))


def few_rows_codes(layer: Dense, k: int, X: np.ndarray, norm: float, block_rows: int) -> Codes | None:
    """Return the codes that a block gives, to the bit where a BLAS adds up all rows of a tile alike.

    Parameters
    ----------
    layer : Dense
        W (h, d) and b (h,).
    k : int
        Active units.
    X : (n, d) array
        Checked already.
    norm : float
        ``largest_norm(W)``.
    block_rows : int
        Rows of a block.

    Returns
    -------
    Codes, or None
        None where that is no gain, or where rounding could hide a unit of the code: it has to be a block then.
    """
    W, b = layer.W, layer.b
    h, d = W.shape
    m = -(-2 * k // TILE) * TILE  # candidates
    if len(X) > FEW or 4 * m > h:
        return None
    block = np.zeros((block_rows, d), W.dtype)  # (block_rows, d)
    parts = []
    with Threads(1):
        for x in X:
            block[0] = x
            y = W @ block[0] + b  # (h,), (1) in another order of summation than that of a block
            candidates = np.sort(np.argpartition(y, h - m)[h - m :])  # (m,)
            exact = (W[candidates] @ block.T)[:, 0] + b[candidates]  # (m,), (1) as in a block
            y[candidates] = -np.inf
            # Two sums of d products differ by less than 2 γ_d ‖w‖‖x‖ (Higham 2002, section 3.1); twice that is safe.
            scale = norm * float(np.linalg.norm(block[0])) + float(np.abs(b).max())
            error = 4 * float(np.finfo(W.dtype).eps) * (d + 2) * scale
            kth = float(np.partition(exact, m - k)[m - k])
            if not max(kth, 0.0) > float(y.max()) + error:  # NaN is above nothing
                return None
            z = KSparse(k)(exact[None])[0]  # (m,), (2)
            on = np.flatnonzero(z)
            parts.append(Codes(np.array([0, len(on)]), candidates[on].astype(np.int32), z[on], h))
    return Codes.concatenate(parts)
