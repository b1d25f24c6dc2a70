"""The k-sparse codes of a few rows, at the cost of one look at W for each.

A block of rows, in which a row has the same bits wherever it stands, costs a single row as much as all of them
together.  But only k units are active, so a rough product of the row with all of W names the few that may be, and
the product with the block is made for these alone.

That is the same code only where a BLAS adds up all rows and columns of a product alike.  So it is tried out first,
and where one bit differs, as with OpenBLAS's float32 kernel for AVX2, few rows go through a block as others do.
"""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import KSparse
from nsae.equations.layers import Dense
from nsae.system.threads import Threads

FEW = 4  # Rows; more of them are faster as a block.
TILE = 64  # Candidates come in multiples of this, so that a BLAS computes full tiles.
PROBES = 2  # Rows with which it is tried out whether bits are the same.


class FewRows:
    """Encodes up to ``FEW`` rows with a layer whose weights do not change any more.

    To make one takes as long as a few blocks.

    Parameters
    ----------
    layer : Dense
        W (h, d) and b (h,).
    k : int
        Active units.
    block_rows : int
        Rows of a block.
    """

    def __init__(self, layer: Dense, k: int, block_rows: int):
        self.layer, self.k, self.block_rows = layer, k, block_rows
        self.m = -(-2 * k // TILE) * TILE  # candidates
        self.usable = 4 * self.m <= len(layer.b) and self._same_bits()
        W = layer.W
        self._norm = float(np.sqrt(np.einsum("jl,jl->j", W, W).max())) if self.usable else 0.0  # max ‖w‖

    def codes(self, X: np.ndarray) -> Codes | None:
        """Return the codes that a block gives X (n, d), checked already, bit by bit.

        None where bits would differ, where that is no gain, or where rounding could hide a unit of the code.
        """
        if not self.usable or len(X) > FEW:
            return None
        W, b = self.layer.W, self.layer.b
        h, d = W.shape
        block = np.zeros((self.block_rows, d), W.dtype)  # (block_rows, d)
        parts = []
        with Threads(1):
            for x in X:
                block[0] = x
                y = W @ block[0] + b  # (h,), (1) in another order of summation than that of a block
                candidates = np.sort(np.argpartition(y, h - self.m)[h - self.m :])  # (m,)
                exact = (W[candidates] @ block.T)[:, 0] + b[candidates]  # (m,), (1) as in a block
                y[candidates] = -np.inf
                # Two sums of d products differ by less than 2 γ_d ‖w‖‖x‖ (Higham 2002, section 3.1).  Twice that
                # is safe.
                scale = self._norm * float(np.linalg.norm(block[0])) + float(np.abs(b).max())
                error = 4 * float(np.finfo(W.dtype).eps) * (d + 2) * scale
                kth = float(np.partition(exact, self.m - self.k)[self.m - self.k])
                if not max(kth, 0.0) > float(y.max()) + error:  # NaN is above nothing
                    return None
                z = KSparse(self.k)(exact[None])[0]  # (m,), (2)
                on = np.flatnonzero(z)
                parts.append(Codes(np.array([0, len(on)]), candidates[on].astype(np.int32), z[on], h))
        return Codes.concatenate(parts)

    def _same_bits(self) -> bool:
        """Tell whether the product of W with a block has the bits of the products that ``codes`` makes."""
        W = self.layer.W
        rng = np.random.default_rng(0)
        with Threads(1):
            for _ in range(PROBES):
                x = rng.standard_normal((W.shape[1],)).astype(W.dtype)  # (d,)
                block = np.zeros((self.block_rows, len(x)), W.dtype)  # (block_rows, d)
                block[0] = x
                some = np.sort(rng.choice(len(W), self.m, replace=False))  # (m,)
                alone = (W[some] @ block.T)[:, 0]  # (m,)
                block[:] = x
                everywhere = (W @ block.T)[some]  # (m, block_rows)
                if not np.array_equal(everywhere, np.repeat(alone[:, None], self.block_rows, axis=1)):
                    return False
        return True
