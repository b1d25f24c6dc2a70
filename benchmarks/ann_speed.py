"""What do nsae's modules for ann-benchmarks and big-ann-benchmarks reach, beside brute force?

    python benchmarks/ann_speed.py [--only PART ...] [--rounds N] [--quick] [--json] [--save]

The classes are those of ann_benchmarks/module.py and big_ann_benchmarks/exact.py, called as these projects call them.
One thread, 10 hits; all take turns.

dense
    Fashion-MNIST, 784 dimensions, Euclidean: 60,000 training images are searched, 1,000 test images are queries.
    Codes of 1,024 units and k = 32, searched exactly by their 8 to 32 strongest units ("keep"), and so many nearest
    codes re-ranked by the pixels.  Recall is of the true 10 neighbours in pixels.  A query includes its encoding.
    "query" is one at a time, as ann-benchmarks asks by default, "batch" is all at once.  Beside them NumPy's product
    with all rows and a partition, and FAISS flat if it is there.
sparse
    100,000 made vectors with the statistics of SPLADE (helpers/text_vectors.py), largest product, in a batch, beside
    linear scans.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ann_benchmarks.module import SparseCodes
from big_ann_benchmarks.exact import Exact
from helpers import results, usage
from helpers import search_peers as peers
from helpers.ranking import say
from helpers.search_race import HITS, Contestant, installed, print_race, race, summary
from helpers.text_vectors import PASSAGES, QUERIES, made, searches

from nsae import CodeIndex, Codes, datasets

KEEPS = (8, 16, 32)
RERANKS = (0, 100, 300, 1000)
QUICK_OPTIONS = {"n_units": 128, "epochs": 1}
BLOCK = 128  # queries of a product of brute force: its distances stay in a few tens of MB
LEAST = 16  # queries in a turn, at least, of what answers them one at a time

Batch = Callable[[np.ndarray, int], np.ndarray]  # (queries, k) -> rows (q, k)


def dense(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of dense vectors: recall@10, and queries/s one at a time and in a batch."""
    X, Q = (
        datasets.fashion_mnist(split)[0].reshape(-1, 784).astype(np.float32) for split in ("train", "test")
    )
    X, Q = (X[:4000], Q[:100]) if options.quick else (X, Q[:1000])
    brute = numpy_flat(X)
    true = brute(Q, HITS)
    say(f"learning and encoding {len(X)} images")
    algo = SparseCodes("euclidean", QUICK_OPTIONS if options.quick else None)
    started = time.perf_counter()
    algo.fit(X)
    built = time.perf_counter() - started
    batches: dict[str, Batch] = {"NumPy, brute force": brute}
    if installed("FAISS flat"):
        batches["FAISS flat"] = peers.faiss_flat(X)
    for keep in KEEPS:
        for rerank, search in reranked(algo, keep).items():
            batches[f"nsae, keep={keep}, rerank={rerank}"] = search
    racing, rows = {}, {}
    for name, search in batches.items():
        rows[name] = {"recall": peers.recall(search(Q, HITS), true)}
        racing[f"{name}: batch"] = Contestant(search, Q, **rows[name])  # FAISS and BLAS need large batches
        racing[f"{name}: query"] = Contestant(one_at_a_time(search), Q, least=LEAST)
    race(racing, options.rounds)
    print_race(f"{len(X)} images", racing)
    for label, contestant in racing.items():
        name, _, way = label.rpartition(": ")
        rows[name][f"{way}_qps"] = summary(contestant)["qps"]
    return {"build_s": built, "rows": rows}


def reranked(algo: SparseCodes, keep: int) -> dict[int, Batch]:
    """Return the searches of ``algo`` at one ``keep`` by ``rerank``.

    An index has its lists at one ``keep`` ready, and makes them anew at another.  Contestants take turns, so each
    ``keep`` gets an index of its own.
    """
    index = CodeIndex(algo._index.n_units, metric=algo._index.metric)
    index.add(algo._index.codes)
    found = {}
    for rerank in RERANKS:
        twin = SparseCodes("euclidean")
        twin.__dict__.update(algo.__dict__, _index=index)
        twin.set_query_arguments(keep, rerank)
        found[rerank] = batch_of(twin)
    return found


def batch_of(algo: SparseCodes) -> Batch:
    """Return a batch search as ann-benchmarks makes it."""

    def search(Q: np.ndarray, k: int) -> np.ndarray:
        algo.batch_query(Q, k)
        return np.array(algo.get_batch_results())

    return search


def one_at_a_time(search: Batch) -> Batch:
    """Return a search of each query for itself."""
    return lambda Q, k: np.concatenate([search(Q[i : i + 1], k) for i in range(len(Q))])


def numpy_flat(X: np.ndarray) -> Batch:
    """Return brute force: ‖x‖² − 2 q·x of all rows by a product, and a partition."""
    squares = np.einsum("nd,nd->n", X, X)  # (n,)

    def search(Q: np.ndarray, k: int) -> np.ndarray:
        parts = []
        for start in range(0, len(Q), BLOCK):
            D = squares - 2 * (Q[start : start + BLOCK] @ X.T)  # (b, n)
            rows = np.argpartition(D, k - 1, axis=1)[:, :k]  # (b, k)
            order = np.argsort(np.take_along_axis(D, rows, axis=1), axis=1)
            parts.append(np.take_along_axis(rows, order, axis=1))
        return np.concatenate(parts)

    return search


def sparse(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of sparse vectors: recall@10, and queries/s in a batch."""
    n, q = (5000, 32) if options.quick else (100_000, 1024)
    say(f"making {n} sparse vectors")
    passages = made(PASSAGES, n, seed=0)
    queries = made(QUERIES, q, 1, passages, related=0.5)
    algo = Exact("ip", {"threads": 1})
    started = time.perf_counter()
    algo.index([peers.csr(passages, unit_norm=False)])
    built = time.perf_counter() - started

    def search(some: Codes, k: int) -> np.ndarray:
        algo.query(peers.csr(some, unit_norm=False), k)
        return algo.get_results()

    plain = {name: found for name, found in searches(passages).items() if name.startswith("linear scan")}
    true = plain["linear scan"](queries[: 4 * LEAST], HITS)
    recall = peers.recall(search(queries[: len(true)], HITS), true)
    racing = {"nsae": Contestant(search, queries, least=LEAST, recall=recall)}
    for name, found in plain.items():
        racing[name] = Contestant(found, queries, least=LEAST, recall=1.0)
    race(racing, options.rounds)
    print_race(f"{n} sparse vectors", racing)
    return {"build_s": built, "rows": {name: summary(contestant) for name, contestant in racing.items()}}


PARTS = {"dense": dense, "sparse": sparse}


def main(argv: list[str] | None = None) -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="fewer vectors and rounds: to see that it runs")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="these parts alone")
    parser.add_argument("--rounds", type=usage.positive, default=5, help="turns of each contestant (5)")
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds = min(args.rounds, 2)
    peers.one_thread()
    figures = {name: PARTS[name](args) for name in args.only or PARTS}
    results.finish(
        args, "ann_speed", figures, peers=["scipy", "faiss-cpu", "threadpoolctl"], threads=1, seeds=(0, 1)
    )
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
