"""The k largest units of a batch without its pre-activation: a product of bytes says which ones are worth a look."""

from __future__ import annotations

import numpy as np

from nsae import kernels
from nsae.kernels.records import ActiveUnits, RowBounds, UnitBounds
from nsae.system.threads import Threads

SUMS = 1 << 19  # products of bytes that a thread makes at a time: they stay in a cache
MOST_ROWS = 480
# Where it pays: the product must be worth the rounding to bytes, also where BLAS has loops for AVX-512; without
# these, half as many units would do.  With more features, sums leave 32 bits.
FEWEST_UNITS, FEWEST_FEATURES, MOST_FEATURES, FEWEST_ROWS = 2048, 64, 1 << 16, 128


class BoundedSelection:
    """Selects the k largest positive units of samples, Eq. (4), for weights that change from batch to batch.

    Parameters
    ----------
    threads : Threads
    W, b : (h, d) and (h,) arrays
        The encoder's; read again by each :meth:`read_weights`.
    """

    def __init__(self, threads: Threads, W: np.ndarray, b: np.ndarray):
        self.threads, self.W, self.b = threads, W, b
        (h, d), n, panel = W.shape, threads.n, kernels.PANEL
        panels, groups = -(-h // panel), -(-d // 4)
        self.panels = np.zeros((panels, groups, panel), np.int32)
        zeros = np.zeros((5, panels * panel), np.float32)
        self.units = UnitBounds(zeros[0], np.zeros(panels * panel, np.int32), *zeros[1:])
        self.units.high[h:] = self.units.low[h:] = -np.inf  # no unit
        tile = kernels.TILE_ROWS
        self.rows = tile * max(1, min(MOST_ROWS, SUMS // (panels * panel)) // tile)
        self.A = np.zeros((n, self.rows, 4 * groups), np.uint8)
        self.S = np.empty((n, self.rows, panels * panel), np.int32)
        norms = np.zeros((n, 3, self.rows), np.float32)
        zero = np.zeros((n, self.rows), np.int32)
        self.row_bounds = [RowBounds(norms[i, 0], zero[i], norms[i, 1], norms[i, 2]) for i in range(n)]

    @staticmethod
    def pays(W: np.ndarray, k: int, batch_size: int) -> bool:
        """Return whether it is faster than a product with ``W`` (h, d): on this processor, at these sizes.

        ``k`` is the number of active units of a sample, ``batch_size`` that of samples for one reading of ``W``.
        """
        h, d = W.shape
        return (
            kernels.BYTE_PRODUCTS
            and h >= FEWEST_UNITS
            and FEWEST_FEATURES <= d < MOST_FEATURES
            and k <= kernels.MAXIMA // 2
            and batch_size >= FEWEST_ROWS
        )

    def read_weights(self) -> None:
        """Make bytes of the weights as they are now."""
        self.threads.parallel_for(len(self.W), self._read, work=self.W.size)

    def _read(self, part: int, lo: int, hi: int) -> None:
        kernels.byte_units(self.W, self.b, self.panels, self.units, lo, hi)

    def select(self, part: int, X: np.ndarray, code: ActiveUnits, found: np.ndarray) -> None:
        """Set the units and values of ``code`` (n, k) to those of X (n, d), unsorted, and ``found`` (n,), Eqs. (1) (4).

        ``part`` is the thread, whose workspace is used.
        """
        tile = kernels.TILE_ROWS
        for start in range(0, len(X), self.rows):
            some = slice(start, min(start + self.rows, len(X)))
            n = some.stop - start
            A, S, rows = self.A[part, : -(-n // tile) * tile], self.S[part], self.row_bounds[part]
            kernels.byte_rows(X[some], A, rows)
            kernels.byte_product(A, self.panels, S[: len(A)])
            its_code = ActiveUnits(code.units[some], code.values[some])
            W, b = self.W, self.b
            kernels.select_bounded(S, X[some], W, b, rows, self.units, its_code, found[some])  # (1) (4)
