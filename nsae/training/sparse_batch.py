"""A sparse batch for the compiled steps: its product with W, Eq. (1), and the gradient dW, Eq. (15)."""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.codes import Codes
from nsae.kernels.records import SparseRows
from nsae.system.threads import Threads


def sparse_rows(X: Codes) -> SparseRows:
    """Return the arrays of the batch X (B, d) as compiled loops take them."""
    return SparseRows(*(np.ascontiguousarray(array) for array in (X.indptr, X.units, X.values)))


class SparseBatches:
    """Multiplies sparse batches, in a workspace that is made once.

    Parameters
    ----------
    threads : Threads
    W : (h, d) array
        The weights of the encoder.
    """

    def __init__(self, threads: Threads, W: np.ndarray):
        self.threads, self.W = threads, W
        self.features = np.zeros((threads.n, W.shape[1], kernels.LANES), W.dtype)

    def product(self, X: SparseRows, Y: np.ndarray) -> None:
        """Set ``Y`` (B, h) to X Wᵀ, Eq. (1) without b, for the batch ``X`` (B, d)."""
        self.threads.parallel_for(len(self.W), self._product, X, Y, work=Y.size)

    def _product(self, part: int, lo: int, hi: int, X: SparseRows, Y: np.ndarray) -> None:
        kernels.sparse_product(X, self.W, self.features[part], Y, lo, hi)

    def outer(self, part: int, dY: np.ndarray, X: SparseRows, dW: np.ndarray, lo: int, hi: int) -> None:
        """Set the rows lo:hi of ``dW`` (h, d) to dYᵀ X, Eq. (15), on the thread ``part``.

        ``dY`` is (B, h) and ``X`` (B, d).
        """
        kernels.sparse_outer(dY, X, self.features[part], dW, lo, hi)
