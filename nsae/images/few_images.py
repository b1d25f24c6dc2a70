"""One image, or a few, without the cost of a block of rows.

What comes after pooling are products with rows in blocks of one fixed shape, in which a row has the same bits wherever
it stands.  A single image costs as much there as all images of a block together.  A smaller block may have the same
bits: that is tried out, once an image comes alone for the second time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nsae.codes import Codes
from nsae.equations.layers import Dense
from nsae.images.features.neighbours import unit_rows
from nsae.images.features.pca import BLOCK_ROWS
from nsae.models.few_rows import FEW, SMALLER_BLOCKS, SMALLEST_BLOCKS, FewRows
from nsae.system.threads import Threads


class FewImages:
    """What encodes up to ``FEW`` pooled vectors with the bits that a whole block has.

    To make one takes as long as some blocks.

    Parameters
    ----------
    components : callable
        ``components(F, block_rows)`` makes the rows (n, m) of a code from pooled vectors F (n, n_features), in blocks
        of so many rows.
    n_features : int
    layer : Dense
        W (n_units, m) and b (n_units,): they do not change any more.
    k : int
        Active units.

    Attributes
    ----------
    block_rows : int
        Rows of the smallest block with the bits of a whole one.
    """

    def __init__(
        self,
        components: Callable[[np.ndarray, int], np.ndarray],
        n_features: int,
        layer: Dense,
        k: int,
    ):
        F = unit_rows(np.random.default_rng(0).random((FEW, n_features), np.float32))  # (FEW, n_features)
        with Threads(1):
            expected = components(F, BLOCK_ROWS)  # (FEW, m)
            sizes = (*SMALLEST_BLOCKS, *SMALLER_BLOCKS)
            alike = (n for n in sizes if np.array_equal(components(F, n), expected))
            self.block_rows = next(alike, BLOCK_ROWS)
        self._rows = FewRows(layer, k, BLOCK_ROWS)

    def codes(self, X: np.ndarray) -> Codes | None:
        """Return the k-sparse codes of rows X (n, m), bit by bit as a block has them; None where a block must do."""
        return self._rows.codes(X)
