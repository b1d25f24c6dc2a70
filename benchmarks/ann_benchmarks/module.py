"""nsae in ann-benchmarks (https://github.com/erikbern/ann-benchmarks): copy this folder to algorithms/nsae there.

``SparseCodes`` is for dense vectors.  It encodes them by a k-sparse autoencoder and searches the codes.  That
search is exact, but over codes: they keep less than the vectors, so recall is below 1, unless many candidates are
re-ranked by the vectors themselves.  ``Sets`` is for sets of numbers and for bits, which are sparse already: it is
exact.
"""

from __future__ import annotations

import numpy as np

from nsae import CodeIndex, Codes, SparseAutoencoder

try:
    from ..base.module import BaseANN
except ImportError:  # Outside of that project, where tests and ann_speed.py use this file.
    BaseANN = object

BLOCK = 256  # queries whose candidates are re-ranked together
KINDS = "Whole numbers from 0, each once, were expected for a set; or bits, as a 2-D array of 0 and 1, or of bool."
UNKNOWN = 4096  # So many numbers of a query may be above all that the index has.


class _Nsae(BaseANN):
    """What both have in common: one thread, and results of a batch that are kept until they are asked for."""

    def query(self, q: np.ndarray, n: int) -> np.ndarray:
        """Return the rows of the ``n`` nearest vectors to ``q (d,)``, nearest first."""
        return self._rows([q], n)[0]

    def batch_query(self, X: np.ndarray, n: int) -> None:
        """Find the ``n`` nearest of each row of ``X``; ``get_batch_results`` returns them."""
        self.res = self._rows(X, n)

    def get_batch_results(self) -> list[np.ndarray]:
        """Return what the last ``batch_query`` found, an array of rows for each query."""
        return self.res

    get_results = get_batch_results

    def get_memory_usage(self) -> float | None:
        """Return the kilobytes that this process has in memory, or None where the system does not tell."""
        try:
            with open("/proc/self/status", encoding="ascii") as status:
                return float(next(line for line in status if line.startswith("VmRSS")).split()[1])
        except (OSError, StopIteration):
            return None

    def get_additional(self) -> dict[str, float]:
        """Return what else is stored with a result: nothing."""
        return {}

    def done(self) -> None:
        """Let go of what was built."""
        for name in ("_index", "_model", "_X", "_squares"):
            self.__dict__.pop(name, None)

    def __str__(self) -> str:
        return self.name


class SparseCodes(_Nsae):
    """Dense vectors as codes of a k-sparse autoencoder, and an exact search of these.

    Parameters
    ----------
    metric : "angular" or "euclidean"
    options : dict, optional
        ``n_units`` (1024) and ``k`` (32): the width of a code, and how many of its units are active; ``epochs`` (5)
        that the autoencoder learns.
    """

    def __init__(self, metric: str, options: dict | None = None):
        if metric not in ("angular", "euclidean"):
            raise NotImplementedError(
                f"SparseCodes is for angular and euclidean distances, not for {metric}."
            )
        self._metric = metric
        self._options = {"n_units": 1024, "k": 32, "epochs": 5, **(options or {})}
        self.set_query_arguments()

    def fit(self, X: np.ndarray) -> None:
        """Learn the autoencoder from the vectors ``X (n, d)``, and index their codes."""
        self._X = self._comparable(X)  # (n, d)
        self._squares = np.einsum("nd,nd->n", self._X, self._X)  # (n,)
        self._mean = self._X.mean(axis=0)  # (d,)
        centred = self._X - self._mean  # (n, d)
        # One scale for all keeps distances in proportion.  Entries are then about 1, as the learning rate expects.
        self._scale = np.float32(1 / max(np.sqrt(np.mean(centred * centred)), 1e-12))
        self._model = SparseAutoencoder(**self._options, random_state=0, n_threads=1).fit(
            centred * self._scale
        )
        # The decoder is about orthonormal, so that codes are about as far from each other as vectors are.
        self._index = CodeIndex(self._options["n_units"], metric="l2")
        self._index.add(self._model.encode(centred * self._scale))
        self.set_query_arguments(self._keep, self._rerank)

    def set_query_arguments(self, keep: int | None = None, rerank: int = 100) -> None:
        """Set how a query is answered.

        Parameters
        ----------
        keep : int, optional
            Active units, the strongest, of each code; all by default.  Fewer are faster and find less.
        rerank : int
            So many nearest codes are ranked anew by the vectors themselves; 0: the order of the codes counts.
        """
        self._keep, self._rerank = keep, rerank
        self.name = "nsae({n_units} units, k={k})".format(**self._options) + f", keep={keep}, rerank={rerank}"
        if "_index" in self.__dict__:  # Lists of so many units are made now, not by the first query.
            self._index.search(self._index.codes[:1], 1, keep=keep, backend="numba")

    def _rows(self, queries: np.ndarray | list[np.ndarray], n: int) -> list[np.ndarray]:
        """Return the ``n`` nearest rows of each of the ``queries (q, d)``."""
        Q = self._comparable(queries)  # (q, d)
        codes = self._model.encode((Q - self._mean) * self._scale)
        hits = self._index.search(codes, max(n, self._rerank), keep=self._keep, n_threads=1, backend="numba")
        rows = hits.rows[:, : max(1, int(hits.counts.max(initial=0)))]  # (q, m): each query has as many hits
        if self._rerank:
            for start in range(0, len(Q), BLOCK):
                some = slice(start, start + BLOCK)
                rows[some] = self._reranked(Q[some], rows[some])
        return list(rows[:, :n])

    def _reranked(self, Q: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the candidates ``rows (q, m)``, ordered by their vectors' distances to the queries ``Q (q, d)``."""
        distances = np.empty(rows.shape, np.float32)  # (q, m), without ‖q‖², which is the same for all
        for i, q in enumerate(Q):
            distances[i] = self._squares[rows[i]] - 2 * (self._X[rows[i]] @ q)  # (m,)
        return np.take_along_axis(rows, np.argsort(distances, axis=1, kind="stable"), axis=1)

    def _comparable(self, X: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """Return a copy of vectors as float32, at norm 1 for the angle: Euclidean distances rank these alike."""
        X = np.array(X, np.float32)  # (n, d)
        if self._metric == "angular":
            X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
        return X


class Sets(_Nsae):
    """Sets of numbers (Jaccard) or rows of bits (Hamming, Jaccard): exact, without an autoencoder.

    Parameters
    ----------
    metric : "jaccard" or "hamming"
    """

    def __init__(self, metric: str):
        if metric not in ("jaccard", "hamming"):
            raise NotImplementedError(f"Sets is for jaccard and hamming distances, not for {metric}.")
        self._metric = metric
        self.name = "nsae(exact)"

    def fit(self, X: np.ndarray | list[np.ndarray]) -> None:
        """Index sets, each an array of its numbers, or bits: an array ``(n, d)`` of bool, or of 0 and 1.

        Raises
        ------
        ValueError
            It is not clear which of both ``X`` is, or a number is negative or not whole.
        """
        columns = X.shape[1] if isinstance(X, np.ndarray) and X.ndim == 2 else 0
        self._bits = columns if columns and _zeros_and_ones(X) else 0
        sets = [_members(row, self._bits) for row in X]
        if columns and not self._bits and any(len(row) < columns for row in sets):
            raise ValueError(f"A row of {columns} numbers has one of them twice. {KINDS}")
        width = max((int(row[-1]) + 1 for row in sets if len(row)), default=1)
        self._width = max(width, columns)
        # A number that no set has still makes a union larger.  It gets one of the units above the width.
        self._index = CodeIndex(self._width + UNKNOWN, metric=self._metric)
        self._index.add(self._as_codes(sets))
        self._index.search(self._index.codes[:1], 1, backend="numba")  # makes the lists

    def _rows(self, queries: np.ndarray | list[np.ndarray], n: int) -> list[np.ndarray]:
        """Return the ``n`` nearest rows of each of the ``queries``."""
        codes = self._as_codes([_members(row, self._bits) for row in queries])
        hits = self._index.search(codes, n, n_threads=1, backend="numba")
        return [rows[:count] for rows, count in zip(hits.rows, hits.counts, strict=True)]

    def _as_codes(self, sets: list[np.ndarray]) -> Codes:
        """Return sets, each ascending, as codes of ones."""
        above = [row - row.clip(max=self._width - 1) for row in sets]  # 0 for numbers that are units
        ranks = [np.cumsum(a > 0) for a in above]  # of the numbers above, within their set
        if max((int(rank[-1]) for rank in ranks if len(rank)), default=0) > UNKNOWN:
            raise ValueError(
                f"More than {UNKNOWN} numbers of a query are above {self._width - 1}, the index's last."
            )
        known = [
            np.where(a > 0, self._width - 1 + r, row) for a, r, row in zip(above, ranks, sets, strict=True)
        ]
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in sets])]).astype(np.int64)
        units = np.concatenate([*known, np.empty(0, np.int64)]).astype(np.int32)
        return Codes(indptr, units, np.ones(len(units), np.float32), self._width + UNKNOWN)


def _zeros_and_ones(X: np.ndarray) -> bool:
    return X.dtype == bool or bool(((X == 0) | (X == 1)).all())


def _members(row: np.ndarray, bits: int) -> np.ndarray:
    """Return the numbers of a set, ascending, each once; of bits the positions of those that are set.

    Bits are of bool, or 0 and 1 in a row as long as those of the index, ``bits``.  ValueError if a row of another
    length looks like bits, or a number is negative or not whole.
    """
    row = np.asarray(row)
    if row.dtype == bool or (len(row) == bits and _zeros_and_ones(row)):
        return np.flatnonzero(row)
    members = np.unique(row)
    if len(members) and (members[0] < 0 or (members.dtype.kind == "f" and (members % 1).any())):
        raise ValueError(f"A set has {members[0]} to {members[-1]}. {KINDS}")
    if len(members) < len(row) and members[-1] <= 1:
        raise ValueError(f"A row of {len(row)} has 0 and 1 alone, and not each once. {KINDS}")
    return members.astype(np.int64)
