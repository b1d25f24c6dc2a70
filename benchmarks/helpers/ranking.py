"""Ranking a database for queries, and how good the rankings are: what the retrieval benchmarks share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from nsae import CodeIndex, Codes, datasets
from nsae.datasets import archives
from nsae.retrieval.classification import NEIGHBOURS, linear_probe, winners
from nsae.retrieval.metrics import figures_of_queries, relevant_hits

from .retrieval_report import CRITERION as CRITERION

SETS = ("mnist", "fashion_mnist", "cifar10_jpeg", "corel1k", "caltech101")
DEPTHS = (1, 10, 20, 100)
BLOCK = 50  # queries ranked at a time
QUERIES_A_CLASS = 100
PHOTO_SIDE = 96  # of Corel-1K and Caltech-101
PROBED = 20_000  # rows that a linear probe learns from, at most
Rows = Codes | np.ndarray


class Problem(NamedTuple):
    """Images (n, H, W[, 3]) uint8 and labels; a query that is in the database is left out of its ranking."""

    database: np.ndarray
    labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray
    leave_one_out: bool


def load(name: str, quick: bool = False) -> Problem:
    """Return the problem that is reported: nothing was chosen by its queries.

    Of Corel-1K, all photos are queries; of Caltech-101 every tenth.
    """
    if name == "corel1k":
        images, labels = archives.corel1k(PHOTO_SIDE)
        if quick:
            images, labels = images[::4], labels[::4]
        return Problem(images, labels, images, labels, True)
    if name == "caltech101":
        images, labels = archives.caltech101(PHOTO_SIDE)
        asked = np.arange(len(images)) % 10 == 0
        (X, y), (Q, z) = ((images[some], labels[some]) for some in (~asked, asked))
    elif name == "cifar10_jpeg":
        (X, y), (Q, z) = (archives.cifar10_jpeg(split) for split in ("train", "test"))
    else:
        parts = [getattr(datasets, name)(split) for split in ("train", "test")]
        X, y = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        rng = np.random.default_rng(0)
        chosen = np.concatenate(
            [rng.permutation(np.flatnonzero(y == label))[:QUERIES_A_CLASS] for label in range(10)]
        )
        Q, z = X[chosen], y[chosen]
        X, y = np.delete(X, chosen, axis=0), np.delete(y, chosen)
    mixed = np.random.default_rng(1).permutation(len(X))  # ties go to the first: no class may come first
    X, y = X[mixed], y[mixed]
    if quick:
        X, y, Q, z = X[:1500], y[:1500], Q[:: len(Q) // 200], z[:: len(z) // 200]
    return Problem(X, y, Q, z, False)


def held_out(problem: Problem, size: int, queries: int = 500) -> Problem:
    """Return a part of the database as a problem of its own, to choose settings by; of Corel-1K every other photo."""
    if problem.leave_one_out:
        X, y = problem.database[::2], problem.labels[::2]
        return Problem(X, y, X, y, True)
    queries = min(queries, len(problem.database) // 4)
    chosen = np.random.default_rng(2).permutation(len(problem.database))[: size + queries]
    q, rows = chosen[:queries], chosen[queries:]
    X, y = problem.database, problem.labels
    return Problem(X[rows], y[rows], X[q], y[q], False)


def ranking(S: np.ndarray) -> np.ndarray:
    """Return (q, n) rows by descending score S (q, n) float32, ties by lowest row.

    One sort of numbers that hold the score above and the row below: NumPy sorts those faster than it
    argsorts, and no two are equal.
    """
    bits = (-S).astype(np.float32).view(np.uint32)
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))  # now ordered as the floats are
    keys = (bits.astype(np.uint64) << np.uint64(32)) | np.arange(S.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def quality(problem: Problem, X: Rows, Q: Rows, metric: str = "cosine") -> dict[str, np.ndarray]:
    """Return precision@1 …, map, map@1000 and soft_knn of each query, as (q,) arrays.

    Parameters
    ----------
    problem
        Its labels judge.
    X, Q
        Of the database and of the queries: codes, which are searched as ``CodeIndex`` does, or rows (n, d), (q, d).
    metric
        Cosine or L2; codes are compared by cosine.  Soft neighbours go by the cosine, whichever it is.
    """
    rankings = _of_codes(problem, X, Q) if isinstance(X, Codes) else _of_rows(problem, X, Q, metric)

    def block(start: int) -> dict[str, np.ndarray]:
        rows = slice(start, start + BLOCK)
        order, near, cosines = rankings(rows)
        soft = winners(near, cosines, problem.labels) == problem.query_labels[rows]  # (b,)
        return {**measures(problem, order, rows), "soft_knn": soft.astype(float)}

    with ThreadPoolExecutor(2) as pool:  # sorting and products let go of Python's lock
        parts = list(pool.map(block, range(0, len(Q), BLOCK)))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


# What ranks a block of queries: whole rankings (b, n), and the nearest by cosine (b, 30) with their cosines.
Ranked = tuple[np.ndarray, np.ndarray, np.ndarray]


def _of_codes(problem: Problem, X: Codes, Q: Codes) -> Callable[[slice], Ranked]:
    index = CodeIndex(X.n_units)
    index.add(X)
    ids, n = index.ids, len(index) - problem.leave_one_out
    index.search(Q[:1], 1)  # what it prepares is prepared before there are threads

    def ranked(rows: slice) -> Ranked:
        hits = index.search(Q[rows], n, exclude=ids[rows] if problem.leave_one_out else None)
        return hits.rows, hits.rows[:, :NEIGHBOURS], 1 - hits.distances[:, :NEIGHBOURS].astype(np.float64)

    return ranked


def _of_rows(problem: Problem, X: np.ndarray, Q: np.ndarray, metric: str) -> Callable[[slice], Ranked]:
    units = [A / np.maximum(np.linalg.norm(A, axis=1, keepdims=True), 1e-12) for A in (X, Q)]
    half_squares = np.einsum("nd,nd->n", X, X) / 2  # (n,)
    depth = min(NEIGHBOURS, len(X) - problem.leave_one_out)

    def ranked(rows: slice) -> Ranked:
        cosines = units[1][rows] @ units[0].T  # (b, n)
        S = Q[rows] @ X.T - half_squares if metric == "l2" else cosines  # (b, n)
        if problem.leave_one_out:
            own = np.arange(len(S))
            S[own, rows.start + own] = cosines[own, rows.start + own] = -np.inf
        order = ranking(S)[:, : len(X) - problem.leave_one_out]
        near = order[:, :depth] if metric == "cosine" else np.argpartition(-cosines, depth - 1)[:, :depth]
        return order, near, np.take_along_axis(cosines, near, axis=1).astype(np.float64)

    return ranked


def probe(problem: Problem, X: Rows, Q: Rows) -> float:
    """Return the accuracy of a linear probe learned from at most PROBED of the rows of the database."""
    if problem.leave_one_out:
        return linear_probe(X, problem.labels)
    some = np.sort(np.random.default_rng(3).permutation(len(X))[:PROBED])
    return linear_probe(X[some], problem.labels[some], Q, problem.query_labels)


def measures(problem: Problem, order: np.ndarray, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    """Return the same for the queries in ``rows``, from whole rankings (b, n): row numbers, nearest first."""
    labels, query_labels = problem.labels, problem.query_labels[rows]
    relevant = relevant_hits(order, labels, query_labels)  # (b, n)
    n_relevant = (labels == query_labels[:, None]).sum(axis=1) - problem.leave_one_out  # (b,)
    figures = figures_of_queries(relevant, n_relevant, k=DEPTHS, map_at=(None, 1000))
    # A query without any match counts as 0 here.
    return {name: np.nan_to_num(of) for name, of in figures.items() if not name.startswith("recall")}


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)
