"""How fast is an exact search of sparse codes, and beside what others do?

    python benchmarks/search_speed.py [--only PART ...] [--from FILE ...] [--rounds N] [--codes DIR] [--quick] [--save]

Fashion-MNIST, 10 hits, float32.  Codes are of an ``ImageEncoder`` with k = 64 and else its defaults ("image
codes") and of one k-sparse layer of 1024 units on the pixels ("pixel codes"); of each, the k strongest units are kept.

fashion_60k
    60,000 training images are searched.  Settings, of nsae (k) and of the peers, are chosen on 2,000 test images;
    figures are of the other 8,000.  nsae runs at k = 32, and at the smallest k whose precision@1 is, with every
    larger k, above 98.5 % of that of pixels by two standard errors.  Peers search the same codes (NumPy's dense
    product, SciPy's sparse product, sparse_dot_topn, FAISS flat) or pixels, rows of norm 1 (FAISS flat,
    scikit-learn; hnswlib and pynndescent at their fastest setting that reaches a recall).  helpers/search_peers.py
    has them.  All run on one thread and take turns.
million
    A million image codes of k = 32, of training images that are shifted and scaled at random.  Encoding them takes
    some ten minutes on 2 cores: ``--codes`` keeps them for another run.
scaling
    A query alone among 10⁴ to 10⁶ of these.
crossover
    Codes of 8 to 512 active units, by inverted lists and by a dense product.
exact
    The fraction of hits and distances that are those of the definition, with ties, zero codes and codes of one unit.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from helpers import results, usage
from helpers import search_peers as peers
from helpers.ranking import say
from helpers.search_codes import ENCODERS, Coder, Images, fashion, pixels, variants, whole
from helpers.search_race import (
    FEW,
    HITS,
    Contestant,
    bytes_of,
    indexed,
    installed,
    one_by_one,
    print_race,
    race,
    search_of,
    summary,
)

from nsae import Codes
from nsae.retrieval import rank_dense
from nsae.retrieval.search.brute_force import METRICS

TUNE = 2000  # queries that settings are chosen on; figures are of the others
ENOUGH = 0.985  # of the precision@1 of pixels, that a code must keep
MARGIN = 2  # standard errors by which it must be above that
KS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
RECALLS = (0.9, 0.95, 0.99)
K = 32  # active units of the million codes
DENSE = 1 << 15  # rows of the crossover
OVER_CODES = {
    "NumPy, dense product": peers.numpy_codes,
    "SciPy, sparse product": peers.scipy_codes,
    "sparse_dot_topn": peers.sparse_dot_topn_codes,
    "FAISS flat": peers.faiss_codes,
}
OVER_PIXELS = {"FAISS flat": peers.faiss_flat, "scikit-learn": peers.sklearn_brute}
FROM = "take the other parts from what earlier runs saved"
PEERS = ["scipy", "sparse_dot_topn", "faiss-cpu", "scikit-learn", "hnswlib", "pynndescent", "threadpoolctl"]

Racing = dict[str, Contestant]  # by the label of its row


# ---- 60,000 images


class Fashion(NamedTuple):
    """Pixels of the database (n, d) and of the queries (q, d), their labels, and the true neighbours (q, 10)."""

    X: np.ndarray
    labels: np.ndarray
    Q: np.ndarray
    query_labels: np.ndarray
    true: np.ndarray
    choose: slice  # the queries that settings are chosen on
    report: slice  # those that figures are of

    @classmethod
    def of(cls, images: Images) -> Fashion:
        """Return the pixels as rows of norm 1, with their true neighbours."""
        tune = TUNE if len(images.queries) > 2 * TUNE else len(images.queries) // 4
        X, Q = pixels(images.database), pixels(images.queries)
        say("pixels: true neighbours")
        true = rank_dense(Q, X, "cosine", HITS).rows  # (q, 10)
        return cls(X, images.labels, Q, images.query_labels, true, slice(0, tune), slice(tune, None))

    def right(self, rows: np.ndarray, queries: slice) -> np.ndarray:
        """Return (q,): whether the first hit of each of these queries has its label."""
        return self.labels[rows[:, 0]] == self.query_labels[queries][: len(rows)]

    def precision(self, rows: np.ndarray) -> float:
        """Return the precision@1 of hits (q, 10) of the reported queries."""
        return float(self.right(rows, self.report).mean())

    def enough(self, rows: np.ndarray) -> bool:
        """Return whether hits keep enough of the pixels' precision@1, by MARGIN standard errors."""
        ours, theirs = (self.right(r, self.choose) for r in (rows, self.true[self.choose]))
        above = ours - ENOUGH * theirs  # (tune,)
        return bool(above.mean() >= MARGIN * above.std() / len(above) ** 0.5)


def fashion_60k(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Search 60,000 images: nsae over codes, and peers over the same codes and over pixels."""
    peers.one_thread()
    task = Fashion.of(images)
    racing: Racing = {}
    for name in ENCODERS:
        racing |= codes_in_the_race(name, task, images, options)
    racing |= pixels_in_the_race(task)
    say("racing")
    race(racing, options.rounds)
    print_race(f"{len(task.X)} images of Fashion-MNIST, {HITS} hits", racing)
    rows = {label: summary(contestant) for label, contestant in racing.items()}
    k = min(contestant.about["k"] for label, contestant in racing.items() if label.startswith("nsae, image"))
    row = rows[f"nsae, image codes, k={k}"]
    return {
        "k": k,
        "qps_1t": row["qps"],
        "qps_2t": rows[f"nsae, image codes, k={k}, 2 threads"]["qps"],
        "faiss_flat_pixels_qps_1t": rows.get("FAISS flat, pixels", {"qps": None})["qps"],
        "precision@1": row["precision@1"],
        "raw_precision@1": task.precision(task.true[task.report]),
        "recall": row["recall"],
        "rows": rows,
    }


def codes_in_the_race(name: str, task: Fashion, images: Images, options: argparse.Namespace) -> Racing:
    """Return nsae over the codes of one encoder, and the peers that search the same codes."""
    coder = Coder(name, images.database, options.codes, options.quick)
    codes = coder.codes("database", whole(images.database))
    queries = coder.codes("queries", whole(images.queries))
    racing: Racing = {}
    for k in sorted({fewest(task, codes, queries), K}):
        index, kept = indexed(codes.keep(k)), queries.keep(k)[task.report]
        hits, some = search_of(index)(kept, HITS), kept[:200]
        exact = index.search(some, HITS, backend="numpy").rows
        alone = one_by_one(index, kept[:2000])
        label = f"nsae, {name} codes, k={k}"
        about = {
            "k": k,
            "precision@1": task.precision(hits),
            "recall": float((exact == hits[: len(some)]).mean()),
            "bytes": bytes_of(index)[0] / len(codes),
            "p50_ms": float(np.median(alone)),
            "p99_ms": float(np.percentile(alone, 99)),
        }
        racing[label] = Contestant(search_of(index), kept, **about)
        racing[f"{label}, 2 threads"] = Contestant(search_of(index, 2), kept, k=k)
        for peer, make in OVER_CODES.items() if name == "image" else ():
            if installed(peer):
                say(f"{peer}, k={k}")
                racing[f"{peer}, the same codes, k={k}"] = Contestant(
                    make(index.codes), kept, least=FEW.get(peer)
                )
    return racing


def fewest(task: Fashion, codes: Codes, queries: Codes) -> int:
    """Return the smallest k that is enough, as every larger one is; the largest if none is."""
    found = KS[-1]
    for k in reversed(KS):
        if not task.enough(search_of(indexed(codes.keep(k)))(queries.keep(k)[task.choose], HITS)):
            break
        found = k
    return found


def pixels_in_the_race(task: Fashion) -> Racing:
    """Return the peers that search pixels."""
    racing: Racing = {}
    Q, true = task.Q[task.report], task.true[task.report]
    for peer, make in OVER_PIXELS.items():
        if installed(peer):
            about = {"precision@1": task.precision(true), "recall": 1.0}
            racing[f"{peer}, pixels"] = Contestant(make(task.X), Q, **about)
    for peer in peers.APPROXIMATE:
        if not installed(peer):
            continue
        say(f"{peer}: building")
        chosen_on = task.Q[task.choose], task.true[task.choose]
        for least, search, setting, built in peers.tuned(peer, task.X, *chosen_on, RECALLS):
            rows = search(Q, HITS)
            about = {
                "precision@1": task.precision(rows),
                "recall": peers.recall(rows, true),
                "settings": setting,
                "build_s": built,
            }
            racing[f"{peer}, pixels, recall {least}"] = Contestant(search, Q, **about)
    return racing


# ---- more codes, and fuller ones


def million(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Search a million codes of k = 32: in a batch, one query at a time; size, build, opening."""
    n = 50_000 if options.quick else 1_000_000
    peers.one_thread()
    codes, queries = large("image", n, images, options)
    indexed(codes[:1000])  # compiles the loops, which is no part of the build
    started = time.perf_counter()
    index = indexed(codes)
    build = time.perf_counter() - started
    one_by_one(index, queries[:50])
    alone = one_by_one(index, queries[: 200 if options.quick else 3000])
    few = queries[:20]
    same = np.mean(search_of(index)(few, HITS) == index.search(few, HITS, backend="numpy").rows)
    size, opening = bytes_of(index)
    contestants = {
        "nsae": Contestant(search_of(index), queries),
        "nsae, 2 threads": Contestant(search_of(index, 2), queries),
    }
    for peer in ("SciPy, sparse product", "sparse_dot_topn"):
        if installed(peer):
            contestants[peer] = Contestant(OVER_CODES[peer](codes), queries, least=FEW.get(peer))
    race(contestants, max(3, options.rounds // 2))
    result = {
        "n": n,
        "p50_ms": float(np.median(alone)),
        "p99_ms": float(np.percentile(alone, 99)),
        "recall": float(same),
        "bytes_per_nonzero": size / len(codes.units),
        "build_s": build,
        "open_ms": opening,
        "rows": {label: summary(contestant) for label, contestant in contestants.items()},
    }
    print_race(f"{n} codes of k={K}, image codes, {HITS} hits", contestants)
    print("  " + ", ".join(f"{key} {value:.4g}" for key, value in result.items() if key != "rows"))
    return result


def scaling(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Time a query alone among more and more codes; sizes take turns."""
    sizes = (10_000, 50_000) if options.quick else (10_000, 30_000, 100_000, 300_000, 1_000_000)
    peers.one_thread()
    result = {}
    for name in ENCODERS:
        codes, queries = large(name, sizes[-1], images, options)
        indexes = {n: indexed(codes[:n]) for n in sizes}
        found: dict[int, list[float]] = {n: [] for n in sizes}
        for turn in range(options.rounds + 1):
            for n, index in indexes.items():
                milliseconds = one_by_one(index, queries[turn * 100 : (turn + 1) * 100])
                if turn:
                    found[n].append(float(np.median(milliseconds)))
        medians = {n: float(np.median(values)) for n, values in found.items()}
        times = {f"{a} to {b}": medians[b] / medians[a] for a, b in pairwise(sizes)}
        print(f"\n{name} codes of k={K}: milliseconds a query, alone, by the number of codes")
        print("  " + ", ".join(f"{n}: {ms:.3f}" for n, ms in medians.items()))
        result[name] = {"ms": medians, "ratio": times}
        if 100_000 in medians and 1_000_000 in medians:
            result[name]["from_1e5_to_1e6"] = medians[1_000_000] / medians[100_000]
    return result


def crossover(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Search codes of more and more active units, by inverted lists and by a dense product."""
    peers.one_thread()
    database = images.database[:DENSE]
    coder = Coder("image", database, options.codes, options.quick, most=512)
    codes = coder.codes("crossover", whole(database))
    queries = coder.codes("crossover_queries", whole(images.queries[:2000]))
    result = {}
    print(f"\n{len(codes)} codes of {codes.n_units} units: queries/s by active units")
    for k in (8, 16, 32, 64, 128, 256, 512):
        kept, some = codes.keep(k), queries.keep(k)
        contestants = {
            "nsae": Contestant(search_of(indexed(kept)), some),
            "dense product": Contestant(peers.numpy_codes(kept), some),
        }
        race(contestants, max(3, options.rounds // 2))
        result[k] = {label: summary(contestant)["qps"] for label, contestant in contestants.items()}
        print(f"  {k:4d}  " + "  ".join(f"{label} {qps:8.0f}" for label, qps in result[k].items()))
    return result


def exact(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Compare hits and distances with the definition's, by metric, with ties and odd codes."""
    coder = Coder("pixel", images.database, options.codes, options.quick)
    codes = coder.codes("database", whole(images.database)).keep(8)
    queries = coder.codes("queries", whole(images.queries)).keep(8)
    zero, single = Codes.from_dense(np.zeros((2, codes.n_units), np.float32)), codes[:500].keep(1)
    rows = Codes.concatenate([codes[:20_000], zero, codes[:2000], single])  # with duplicates
    asked = Codes.concatenate([queries[:70], zero, single[:10], codes[:20]])
    result = {}
    for metric in METRICS:
        index = indexed(rows, metric)
        ours, theirs = (index.search(asked, 100, backend=backend) for backend in ("numba", "numpy"))
        same = (ours.rows == theirs.rows) & (ours.distances == theirs.distances)
        result[metric] = float(same.mean())
    pairs = len(rows) * len(asked)
    print(f"\nHits and distances equal to the definition's, over {pairs} pairs with ties")
    print("  " + ", ".join(f"{metric} {same}" for metric, same in result.items()))
    return {"pairs": pairs, **result}


PARTS = {
    "fashion_60k": fashion_60k,
    "million": million,
    "scaling": scaling,
    "crossover": crossover,
    "exact": exact,
}


# ---- helpers


def large(name: str, n: int, images: Images, options: argparse.Namespace) -> tuple[Codes, Codes]:
    """Return n codes of k = 32 of variants of the training images, and those of test images as queries."""
    coder = Coder(name, images.database, options.codes, options.quick)
    codes = coder.codes("million", variants(images.database, n))
    queries = coder.codes("queries", whole(images.queries))
    return codes.keep(K), queries.keep(K)


def main(argv: list[str] | None = None) -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds: to see that it runs")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="these parts alone")
    parser.add_argument("--from", dest="files", nargs="+", default=[], metavar="FILE", help=FROM)
    parser.add_argument("--rounds", type=usage.positive, default=7, help="turns of each contestant (7)")
    parser.add_argument(
        "--codes", type=usage.new_folder, metavar="FOLDER", help="where codes are kept for another run"
    )
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds = min(args.rounds, 2)
    result: dict[str, Any] = {}
    for file in args.files:
        result |= results.read("search_speed", file)["figures"]
    images = fashion(args.quick)
    for name in args.only or PARTS:
        result[name] = PARTS[name](images, args)
    results.finish(args, "search_speed", result, peers=PEERS, threads=1)
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
