"""A few rows, without the cost of a block of them.

A block of rows, in which a row has the same bits wherever it stands, costs a single row as much as all of them
together.  A smaller block may have the same bits: ``SmallBlock``.

A k-sparse code costs less still, one look at W.  Only k units are active, so a rough product of the row with all of
W names the few that may be, and the product with the block is made for these alone: ``FewRows``.

A BLAS may add up the rows of W in an order that depends on their place: OpenBLAS's float32 kernel for AVX2 has
groups of 12, and in a group not all are alike.  So each candidate stands at the place in a group that it has in W.
The order depends on the shape of a product, too: OpenBLAS has other kernels for small ones.  So all products of a
``FewRows`` have one shape, and free places hold rows of W that nobody asks for.  Whether bits are the same then is
tried out first, with that shape; where one differs, few rows go through a block as others do.
"""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import KSparse
from nsae.equations.layers import Dense
from nsae.system.threads import Threads

FEW = 4  # Rows; more of them are faster as a block.
GROUP = 12  # Rows of W; see above.
SMALLEST_BLOCKS = (4, 8)  # These may do, too, for all of W; FewRows gains nothing by them.
SMALLER_BLOCKS = (16, 32)  # Rows of a block that may do as well as a whole one.


class SmallBlock:
    """Multiplies up to ``FEW`` rows with all of W in the smallest block that has the bits of a whole one.

    To make one takes as long as two blocks.

    Parameters
    ----------
    layer : Dense
        W (h, d) and b (h,): they do not change any more.
    block_rows : int
        Rows of a whole block.
    """

    def __init__(self, layer: Dense, block_rows: int):
        self.layer = layer
        rng, d = np.random.default_rng(0), layer.W.shape[1]
        X = rng.standard_normal((FEW, d)).astype(layer.W.dtype)  # (FEW, d)
        expected = self._products(X, block_rows)  # (h, FEW)
        sizes = (*SMALLEST_BLOCKS, *SMALLER_BLOCKS)
        alike = (n for n in sizes if np.array_equal(self._products(X, n), expected))
        self.block_rows = next(alike, None)

    def pre_activations(self, X: np.ndarray) -> np.ndarray | None:
        """Return Y (n, h) of X (n, d), checked already, as a block has it bit by bit; None if no smaller one does."""
        if self.block_rows is None or len(X) > FEW:
            return None
        return self._products(X, self.block_rows).T + self.layer.b  # (1) (n, h)

    def _products(self, X: np.ndarray, block_rows: int) -> np.ndarray:
        """Return W Xᵀ (h, n) by way of a block with the rows X (n, d) first, and zeros."""
        W = self.layer.W
        block = np.zeros((block_rows, W.shape[1]), W.dtype)  # (block_rows, d)
        block[: len(X)] = X
        with Threads(1):
            return np.matmul(W, block.T)[:, : len(X)]


class FewRows:
    """Encodes up to ``FEW`` rows with a layer whose weights do not change any more.

    To make one takes as long as two blocks.

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
        self.layer, self.k, W = layer, k, layer.W
        self.m = 2 * k  # candidates
        mean = self.m / GROUP  # candidates at one place of a group, if all places are equally likely
        # Fewer than one in a thousand sets of candidates have more at one place: those go through a block.
        self.groups = 2 + int(mean + 4 * mean**0.5)
        self._tail = np.arange(len(W) - len(W) % GROUP, len(W))  # rows of W that do not fill a group
        sizes = self._sizes(block_rows) if 8 * self.m <= len(W) else []
        self.usable = bool(sizes)
        self.block_rows = sizes[0] if sizes else block_rows
        self._norm = float(np.sqrt(np.einsum("jl,jl->j", W, W).max())) if sizes else 0.0  # max ‖w‖

    def codes(self, X: np.ndarray) -> Codes | None:
        """Return the codes that a block gives X (n, d), checked already, bit by bit.

        None where bits would differ, where that is no gain, or where rounding could hide a unit of the code.
        """
        if not self.usable or len(X) > FEW:
            return None
        W, b = self.layer.W, self.layer.b
        h, d = W.shape
        parts = []
        with Threads(1):
            for place, row in enumerate(X):
                x = np.asarray(row, W.dtype)  # (d,)
                y = W @ x + b  # (h,), (1) in another order of summation than that of a block
                candidates = np.sort(np.argpartition(y, h - self.m)[h - self.m :])  # (m,)
                placed = self._placed(candidates)
                if placed is None:
                    return None
                rows, where = placed
                exact = self._products(x, place, rows, self.block_rows)[where] + b[candidates]  # (m,), (1)
                y[candidates] = -np.inf
                # Two sums of d products differ by less than 2 γ_d ‖w‖‖x‖ (Higham 2002, section 3.1).  Twice that
                # is safe.
                scale = self._norm * float(np.linalg.norm(x)) + float(np.abs(b).max())
                error = 4 * float(np.finfo(W.dtype).eps) * (d + 2) * scale
                kth = float(np.partition(exact, self.m - self.k)[self.m - self.k])
                if not max(kth, 0.0) > float(y.max()) + error:  # NaN is above nothing
                    return None
                z = KSparse(self.k)(exact[None])[0]  # (m,), (2)
                on = np.flatnonzero(z)
                parts.append(Codes(np.array([0, len(on)]), candidates[on].astype(np.int32), z[on], h))
        return Codes.concatenate(parts)

    def _placed(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the rows of W for a product, (groups * GROUP + tail,), and where in it the candidates (m,) stand.

        None if there are more at one place of a group than there are groups.
        """
        end = len(self.layer.W) - len(self._tail)
        in_groups = candidates[candidates < end]
        which = in_groups % GROUP  # the place in a group
        order = np.argsort(which, kind="stable")
        starts = np.searchsorted(which[order], np.arange(GROUP))
        group = np.empty(len(which), int)
        group[order] = np.arange(len(which)) - starts[which[order]]  # the first free one
        if group.max(initial=0) >= self.groups:
            return None
        rows = np.tile(np.arange(GROUP), (self.groups, 1))  # (groups, GROUP)
        rows[group, which] = in_groups
        last = candidates[len(in_groups) :] - end + rows.size
        return np.concatenate([rows.ravel(), self._tail]), np.concatenate([group * GROUP + which, last])

    def _products(self, x: np.ndarray, place: int, rows: np.ndarray, block_rows: int) -> np.ndarray:
        """Return the products of x (d,) with ``rows`` of W, as a block has them where x is at this place."""
        block = np.zeros((block_rows, len(x)), x.dtype)  # (block_rows, d)
        block[place] = x
        return (self.layer.W[rows] @ block.T)[:, place]

    def _sizes(self, block_rows: int) -> list[int]:
        """Return with how many rows in a block ``_products`` has the bits of a block of ``block_rows``, ascending."""
        W, rng = self.layer.W, np.random.default_rng(0)
        block = np.zeros((block_rows, W.shape[1]), W.dtype)  # (block_rows, d)
        block[:FEW] = rng.standard_normal((FEW, W.shape[1]))
        starts = GROUP * rng.integers(0, len(W) // GROUP, (FEW, self.groups, GROUP))
        some = (starts + np.arange(GROUP)).reshape(
            FEW, -1
        )  # (FEW, groups * GROUP) rows of W, each at its place
        rows = np.hstack([some, np.tile(self._tail, (FEW, 1))])
        with Threads(1):
            expected = W @ block.T  # (h, block_rows)
            return [
                n
                for n in (*SMALLER_BLOCKS, block_rows)
                if all(
                    np.array_equal(self._products(block[i], i, rows[i], n), expected[rows[i], i])
                    for i in range(FEW)
                )
            ]
