"""nsae in the sparse track of big-ann-benchmarks (https://github.com/harsha-simhadri/big-ann-benchmarks).

Copy this folder to neurips23/sparse/nsae there.  Vectors are sparse already, so there is no autoencoder: the search
by largest product is exact, and recall is 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae import CodeIndex, Codes
from nsae.interchange import from_scipy

try:
    from benchmark.datasets import DATASETS
    from neurips23.sparse.base import BaseSparseANN
except ImportError:  # Outside of that project, where tests and ann_speed.py use this file.
    BaseSparseANN, DATASETS = object, {}

ROWS = 100_000  # that are read from the data set at a time


class Exact(BaseSparseANN):
    """Exact search by the largest product over inverted lists.

    Parameters
    ----------
    metric : "ip"
    index_params : dict
        ``threads`` (1) that answer a batch.
    """

    def __init__(self, metric: str, index_params: dict[str, int] | None = None):
        if metric != "ip":
            raise NotImplementedError(f"Sparse vectors are searched by inner product (ip), not by {metric}.")
        self._threads = (index_params or {}).get("threads", 1)
        self.name = "nsae(exact)"

    def track(self) -> str:
        """Return the track that this takes part in."""
        return "sparse"

    def fit(self, dataset: str) -> None:
        """Index the vectors of the data set of that name."""
        self.index(DATASETS[dataset]().get_dataset_iterator(ROWS))

    def index(self, blocks: Any) -> None:
        """Index vectors that come in ``blocks`` of CSR matrices; the widest says how many units there are."""
        parts = [as_codes(block) for block in blocks]
        width = max((part.n_units for part in parts), default=1)
        codes = Codes.concatenate(as_codes(part, width) for part in parts)
        self._index = CodeIndex(codes.n_units, metric="dot")
        self._index.add(codes)
        self._index.search(codes[:1], 1, backend="numba")  # makes the lists

    def load_index(self, dataset: str) -> bool:
        """Return that no index of ``dataset`` is kept: it is made anew, which takes seconds."""
        return False

    def set_query_arguments(self, query_args: dict[str, int]) -> None:
        """Take ``threads`` from ``query_args``, if it is there."""
        self._threads = query_args.get("threads", self._threads)

    def query(self, X: Any, k: int) -> None:
        """Find the ``k`` rows of largest product with each row of a CSR matrix ``X``; see ``get_results``."""
        queries = as_codes(X, self._index.n_units)
        hits = self._index.search(queries, k, n_threads=self._threads, backend="numba")
        self.I = hits.rows.astype(np.int32)  # (q, k), −1 where there are fewer rows than k

    def get_results(self) -> np.ndarray:
        """Return the rows (q, k) int32 that the last query found."""
        return self.I

    def range_query(self, X: Any, radius: float) -> None:
        """Refuse: the sparse track has no search within a ``radius``.  ``X`` is not read."""
        raise NotImplementedError("The sparse track asks for k nearest rows only.")

    def get_additional(self) -> dict[str, float]:
        """Return what else is stored with a result: nothing."""
        return {}

    def done(self) -> None:
        """Let go of the index."""
        self.__dict__.pop("_index", None)

    def __str__(self) -> str:
        return self.name


def as_codes(X: Any, width: int | None = None) -> Codes:
    """Return a CSR matrix, or ``Codes``, ``X`` as codes over ``width`` units; without it, over as many as X has.

    Units from ``width`` on are left out: the index has them in no row, so they add to no product.
    """
    codes = X if isinstance(X, Codes) else from_scipy(X)
    if width is None or width == codes.n_units:
        return codes
    known = codes.units < width  # (nnz,)
    counts = np.bincount(codes.row_of_entry()[known], minlength=len(codes))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Codes(indptr, codes.units[known], codes.values[known], width)
