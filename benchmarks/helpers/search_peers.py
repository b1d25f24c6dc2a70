"""What search_speed.py compares nsae's search with: each peer over pixels or over the same codes.

A peer is made from what is searched, and finds rows for queries.  Those that approximate are made in several
ways and take a setting by which they trade recall for speed; both are chosen on queries of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from nsae import Codes

Search = Callable[..., np.ndarray]  # (queries, k[, setting]) -> rows (q, k)
PRODUCTS = 1 << 22  # of queries and rows that are held at a time: 16 MB

BUILDS = {
    "hnswlib": [{"M": 8}, {"M": 16}, {"M": 32}],
    "pynndescent": [{"n_neighbors": 15}, {"n_neighbors": 30}],
}
SETTINGS = {
    "hnswlib": [10, 12, 15, 20, 25, 30, 40, 60, 80, 120, 180, 260],  # ef
    "pynndescent": [0.0, 0.01, 0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4],  # epsilon
}


def one_thread() -> None:
    """Hold BLAS and every peer to one thread; those that ask for a number are given it below."""
    import numba
    from threadpoolctl import threadpool_limits

    numba.set_num_threads(1)
    threadpool_limits(1)


# ---- over codes


def csr(codes: Codes, unit_norm: bool = True) -> Any:
    """Return codes as a SciPy matrix, of rows of norm 1 or as they are."""
    from scipy.sparse import csr_matrix

    norms = np.maximum(codes.norms(), 1e-12) if unit_norm else np.ones(len(codes))  # (n,)
    values = (codes.values / norms[codes.row_of_entry()]).astype(np.float32)
    return csr_matrix((values, codes.units, codes.indptr), codes.shape)


def by_products(products: Callable[[Any], np.ndarray], Q: Any, k: int, n: int) -> np.ndarray:
    """Return rows (q, k) of the largest products (b, n) of queries, in blocks that stay in cache."""
    block, parts = max(1, PRODUCTS // n), []
    for start in range(0, Q.shape[0], block):
        S = products(Q[start : start + block])  # (b, n)
        rows = np.argpartition(S, -k, axis=1)[:, -k:]  # (b, k)
        order = np.argsort(-np.take_along_axis(S, rows, axis=1), axis=1)
        parts.append(np.take_along_axis(rows, order, axis=1))
    return np.concatenate(parts)


def numpy_codes(codes: Codes) -> Search:
    """Return products with all codes as dense rows, by BLAS, and a partition."""
    Zt = csr(codes).toarray().T  # (h, n)
    return lambda Q, k: by_products(lambda some: some.toarray() @ Zt, csr(Q), k, Zt.shape[1])


def scipy_codes(codes: Codes, unit_norm: bool = True) -> Search:
    """Return SciPy's product of sparse matrices, and for each query a partition of what is stored of its row."""
    Zt = csr(codes, unit_norm).T.tocsr()  # (h, n): by unit, as inverted lists are

    def search(queries: Codes, k: int) -> np.ndarray:
        rows = np.full((len(queries), k), -1, np.int64)  # (q, k)
        block = max(1, PRODUCTS // Zt.shape[1])
        Q = csr(queries, unit_norm)
        for start in range(0, len(queries), block):
            S = Q[start : start + block] @ Zt  # (b, n), sparse
            for i, (lo, hi) in enumerate(pairwise(S.indptr), start):
                products, found = S.data[lo:hi], S.indices[lo:hi]
                best = np.argpartition(products, -k)[-k:] if len(products) > k else np.arange(len(products))
                best = best[np.argsort(-products[best])]
                rows[i, : len(best)] = found[best]
        return rows

    return search


def sparse_dot_topn_codes(codes: Codes) -> Search:
    """Return ``sp_matmul_topn``."""
    from sparse_dot_topn import sp_matmul_topn

    Zt = csr(codes).T.tocsr()  # (h, n)

    def search(queries: Codes, k: int) -> np.ndarray:
        S = sp_matmul_topn(csr(queries), Zt, top_n=k, sort=True, n_threads=1)
        rows = np.full((len(queries), k), -1, np.int64)  # (q, k)
        place = np.arange(S.nnz) - np.repeat(S.indptr[:-1], np.diff(S.indptr))
        rows[np.repeat(np.arange(len(queries)), np.diff(S.indptr)), place] = S.indices
        return rows

    return search


def faiss_codes(codes: Codes) -> Search:
    """Return FAISS flat over codes as dense rows of norm 1, which L2 orders as the cosine does."""
    search = faiss_flat(csr(codes).toarray())
    return lambda Q, k: search(csr(Q).toarray(), k)


# ---- over pixels


def faiss_flat(X: np.ndarray) -> Search:
    """Return FAISS flat over pixels."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(X.shape[1])
    index.add(np.ascontiguousarray(X))
    return lambda Q, k: index.search(np.ascontiguousarray(Q), k)[1]


def sklearn_brute(X: np.ndarray) -> Search:
    """Return scikit-learn's brute-force neighbours over pixels."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(algorithm="brute", n_jobs=1).fit(X)
    return lambda Q, k: found.kneighbors(Q, k, return_distance=False)


def hnswlib(X: np.ndarray, M: int) -> Search:
    """Return hnswlib's graph over pixels; its setting is ef."""
    import hnswlib as library

    index = library.Index("l2", X.shape[1])
    index.init_index(len(X), M=M, ef_construction=200, random_seed=0)
    index.add_items(X, num_threads=2)

    def search(Q: np.ndarray, k: int, ef: int) -> np.ndarray:
        index.set_ef(max(ef, k))
        return index.knn_query(Q, k, num_threads=1)[0].astype(np.int64)

    return search


def pynndescent(X: np.ndarray, n_neighbors: int) -> Search:
    """Return pynndescent's graph over pixels; its setting is epsilon."""
    from pynndescent import NNDescent

    index = NNDescent(X, n_neighbors=n_neighbors, random_state=0, n_jobs=2)
    index.prepare()
    return lambda Q, k, epsilon: index.query(Q, k, epsilon=epsilon)[0]


APPROXIMATE = {"hnswlib": hnswlib, "pynndescent": pynndescent}


def tuned(
    name: str, X: np.ndarray, Q: np.ndarray, true: np.ndarray, recalls: tuple[float, ...]
) -> Iterator[tuple[float, Search, str, float]]:
    """Find for each recall the fastest way to reach it for queries Q whose true hits are known.

    Yield (recall, search, what was chosen, seconds that the build took).  A recall that no setting reaches
    is left out.
    """
    k, best = true.shape[1], {}
    APPROXIMATE[name](X[:1000], **BUILDS[name][0])(Q[:1], k, SETTINGS[name][0])  # pynndescent compiles
    for options in BUILDS[name]:
        started = time.perf_counter()
        search = APPROXIMATE[name](X, **options)
        built = time.perf_counter() - started
        search(Q, k, SETTINGS[name][0])  # loads what is loaded once
        left = list(recalls)
        for setting in SETTINGS[name]:
            started = time.perf_counter()
            reached = recall(search(Q, k, setting), true)
            seconds = time.perf_counter() - started
            for least in [least for least in left if least <= reached]:
                left.remove(least)
                if least not in best or seconds < best[least][0]:
                    chosen = ", ".join(f"{n}={v}" for n, v in {**options, "setting": setting}.items())
                    best[least] = seconds, _at(search, setting), chosen, built
    for least in recalls:
        if least in best:
            yield least, *best[least][1:]


def _at(search: Search, setting: Any) -> Search:
    return lambda Q, k: search(Q, k, setting)


def recall(found: np.ndarray, true: np.ndarray) -> float:
    """Return the fraction of the true rows (q, k) that were found."""
    return float((found[:, :, None] == true[:, None, :]).any(axis=1).mean())
