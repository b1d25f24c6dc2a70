"""How fast is an exact search of sparse codes, and beside what others do?

    python benchmarks/search_speed.py [--only PART] [--rounds N] [--codes FOLDER] [--quick] [--json]

Parts: fashion_60k (Fashion-MNIST, with the peers of search_peers.py), million (variants of its images),
scaling (from 10⁴ to 10⁶ codes), crossover (how sparse codes have to be), exact (are the hits those of the
definition?).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import time
from itertools import pairwise
from typing import Any

import numpy as np
from helpers import search_peers as peers
from helpers.ranking import say
from helpers.search_codes import ENCODERS, Coder, Images, fashion, pixels, variants

from nsae import CodeIndex, Codes
from nsae.retrieval import rank_dense
from nsae.retrieval.search.brute_force import METRICS

HITS = 10
TUNE = 2000  # queries that settings are chosen on; figures are of the others
ENOUGH = 0.985  # of the precision@1 of pixels, that a code must keep
KS = (4, 6, 8, 12, 16, 24, 32, 48, 64)
RECALLS = (0.9, 0.95, 0.99)
TURN = 1.0  # seconds that a contestant's turn should take: slow ones get fewer queries,
BATCH = 512  # but no fewer than these: FAISS is ten times slower with 64
K = 32  # active units of the million codes
DENSE = 1 << 15  # rows of the crossover


class Contestant:
    """Something that is timed: ``search(queries, k)`` over its own kind of queries."""

    def __init__(self, search: peers.Search, queries: Any, **about: Any):
        self.search, self.queries, self.about = search, queries, about
        self.rates: list[float] = []  # queries a second, by round

    def turn(self) -> None:
        started = time.perf_counter()
        self.search(self.queries, HITS)
        self.rates.append(len(self.queries) / (time.perf_counter() - started))

    def shorten(self) -> None:
        """Fewer queries, if a turn would take more than a second; and a first look at them, which warms up."""
        few = self.queries[:BATCH]
        self.search(few, HITS)
        started = time.perf_counter()
        self.search(few, HITS)
        rate = len(few) / (time.perf_counter() - started)
        self.queries = self.queries[: max(BATCH, int(rate * TURN))]


def race(contestants: dict[str, Contestant], rounds: int) -> None:
    """All take turns in every round."""
    for contestant in contestants.values():
        contestant.shorten()
    for _ in range(rounds):
        for contestant in contestants.values():
            contestant.turn()


def indexed(codes: Codes, metric: str = "cosine") -> CodeIndex:
    """Ready to be searched."""
    index = CodeIndex(codes.n_units, metric=metric)
    index.add(codes)
    index.search(codes[:1], k=1, backend="numba")  # makes the postings
    return index


def search_of(index: CodeIndex, n_threads: int = 1) -> peers.Search:
    return lambda Q, k: index.search(Q, k, n_threads=n_threads, backend="numba").rows


def one_by_one(index: CodeIndex, queries: Codes) -> np.ndarray:
    """(q,) milliseconds of each query on its own, from codes to hits."""
    singles = [queries[i] for i in range(len(queries))]
    milliseconds = np.empty(len(singles))
    for i, query in enumerate(singles):
        started = time.perf_counter()
        index.search(query, k=HITS, backend="numba")
        milliseconds[i] = (time.perf_counter() - started) * 1e3
    return milliseconds


def bytes_of(index: CodeIndex) -> tuple[int, float]:
    """Bytes of the folder that it is saved as, with all that is searched, and milliseconds to open it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "index")
        index.save(path)
        size = sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))
        opening = []
        for _ in range(9):
            started = time.perf_counter()
            opened = CodeIndex.load(path, mmap=True)
            opening.append((time.perf_counter() - started) * 1e3)
            del opened
    return size, float(np.median(opening))


# ---- the parts


def fashion_60k(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """60,000 images: nsae over codes, and peers over the same codes and over pixels."""
    tune = TUNE if len(images.queries) > 2 * TUNE else len(images.queries) // 4
    X, Q = pixels(images.database), pixels(images.queries)
    y, z = images.labels, images.query_labels
    say("pixels: true neighbours")
    true = rank_dense(Q, X, "cosine", HITS).rows  # (q, 10)

    def precision(rows: np.ndarray, queries: slice) -> float:
        return float((y[rows[:, 0]] == z[queries][: len(rows)]).mean())

    choose, report = slice(0, tune), slice(tune, None)

    def enough(rows: np.ndarray) -> bool:
        """Above the share of the pixels' precision@1 that is to be kept, by a standard error at least."""
        ours, pixels = (y[r[:, 0]] == z[choose] for r in (rows, true[choose]))
        margin = ours - ENOUGH * pixels  # (tune,)
        return bool(margin.mean() >= margin.std() / len(margin) ** 0.5)

    peers.one_thread()
    racing: dict[str, Contestant] = {}
    ours: dict[int, str] = {}  # labels of nsae's rows over image codes, by k
    for name in ENCODERS:
        coder = Coder(name, images.database, options.codes, options.quick)
        codes = coder.codes("database", lambda: iter([images.database]))
        queries = coder.codes("queries", lambda: iter([images.queries]))
        fewest = KS[-1]
        for k in reversed(KS):
            found = search_of(indexed(codes.keep(k)))(queries.keep(k)[choose], HITS)
            fewest = k if enough(found) else fewest
        for k in sorted({fewest, K}):
            index, kept = indexed(codes.keep(k)), queries.keep(k)[report]
            label = f"nsae, {name} codes, k={k}"
            hits = search_of(index)(kept, HITS)
            some = kept[:200]
            exact = index.search(some, HITS, backend="numpy").rows
            alone = one_by_one(index, kept[:2000])
            racing[label] = Contestant(
                search_of(index),
                kept,
                **{
                    "precision@1": precision(hits, report),
                    "recall": float((exact == hits[: len(some)]).mean()),
                    "bytes": bytes_of(index)[0] / len(codes),
                    "p50_ms": float(np.median(alone)),
                    "p99_ms": float(np.percentile(alone, 99)),
                },
            )
            racing[f"{label}, 2 threads"] = Contestant(search_of(index, 2), kept)
            if name == "image":
                ours[k] = label
                for peer, make in {
                    "NumPy, dense product": peers.numpy_codes,
                    "SciPy, sparse product": peers.scipy_codes,
                    "sparse_dot_topn": peers.sparse_dot_topn_codes,
                    "FAISS flat": peers.faiss_codes,
                }.items():
                    say(f"{peer}, k={k}")
                    if installed(peer):
                        racing[f"{peer}, the same codes, k={k}"] = Contestant(make(index.codes), kept)
    for peer, make in {"FAISS flat": peers.faiss_flat, "scikit-learn": peers.sklearn_brute}.items():
        if installed(peer):
            racing[f"{peer}, pixels"] = Contestant(
                make(X), Q[report], **{"precision@1": precision(true[report], report), "recall": 1.0}
            )
    for peer in peers.APPROXIMATE:
        if not installed(peer):
            continue
        say(f"{peer}: building")
        for least, search, chosen, built in peers.tuned(peer, X, Q[choose], true[choose], RECALLS):
            rows = search(Q[report], HITS)
            racing[f"{peer}, pixels, recall {least}"] = Contestant(
                search,
                Q[report],
                **{
                    "precision@1": precision(rows, report),
                    "recall": peers.recall(rows, true[report]),
                    "settings": chosen,
                    "build_s": built,
                },
            )
    say("racing")
    race(racing, options.rounds)
    print_race(f"{len(X)} images of Fashion-MNIST, {HITS} hits", racing)
    rows = {label: summary(contestant) for label, contestant in racing.items()}
    chosen = min(ours)
    row = rows[ours[chosen]]
    return {
        "k": chosen,
        "qps_1t": row["qps"],
        "qps_2t": rows[f"{ours[chosen]}, 2 threads"]["qps"],
        "faiss_flat_pixels_qps_1t": rows.get("FAISS flat, pixels", {"qps": None})["qps"],
        "precision@1": row["precision@1"],
        "raw_precision@1": precision(true[report], report),
        "recall": row["recall"],
        "rows": rows,
    }


def million(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """A million codes of k = 32: one query at a time, size, build, opening."""
    n = 50_000 if options.quick else 1_000_000
    peers.one_thread()
    result: dict[str, Any] = {}
    for name in ENCODERS:
        codes, queries = large(name, n, images, options)
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
        for peer, make in {
            "SciPy, sparse product": peers.scipy_codes,
            "sparse_dot_topn": peers.sparse_dot_topn_codes,
        }.items():
            if installed(peer):
                contestants[peer] = Contestant(make(codes), queries)
        race(contestants, max(3, options.rounds // 2))
        result[name] = {
            "p50_ms": float(np.median(alone)),
            "p99_ms": float(np.percentile(alone, 99)),
            "recall": float(same),
            "bytes_per_nonzero": size / len(codes.units),
            "build_s": build,
            "open_ms": opening,
            "rows": {label: summary(contestant) for label, contestant in contestants.items()},
        }
        print_race(f"{n} codes of k={K}, {name} codes, {HITS} hits", contestants)
        print("  " + ", ".join(f"{key} {value:.4g}" for key, value in result[name].items() if key != "rows"))
    return {"n": n, **result["image"], "pixel": result["pixel"]}


def scaling(images: Images, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of a query alone, by the number of codes; sizes take turns."""
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
    """Codes of more and more active units: inverted lists beside the dense product."""
    peers.one_thread()
    database = images.database[:DENSE]
    coder = Coder("image", database, options.codes, options.quick, most=512)
    codes = coder.codes("crossover", lambda: iter([database]))
    queries = coder.codes("crossover_queries", lambda: iter([images.queries[:2000]]))
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
    """The share of hits and distances that are the definition's, by metric, with ties and odd codes."""
    coder = Coder("pixel", images.database, options.codes, options.quick)
    codes = coder.codes("database", lambda: iter([images.database])).keep(8)
    queries = coder.codes("queries", lambda: iter([images.queries])).keep(8)
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
    print("  " + ", ".join(f"{metric} {share}" for metric, share in result.items()))
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
    """n codes of k = 32 of variants of the training images, and those of test images as queries."""
    coder = Coder(name, images.database, options.codes, options.quick)
    codes = coder.codes("million", lambda: variants(images.database, n))
    queries = coder.codes("queries", lambda: iter([images.queries]))
    return codes.keep(K), queries.keep(K)


def installed(peer: str) -> bool:
    packages = {"FAISS flat": "faiss", "scikit-learn": "sklearn", "SciPy, sparse product": "scipy"}
    package = packages.get(peer, peer)
    if peer.startswith("NumPy") or importlib.util.find_spec(package) is not None:
        return True
    say(f"{package} is not installed: left out")
    return False


def summary(contestant: Contestant) -> dict[str, Any]:
    return {"qps": float(np.median(contestant.rates)), **contestant.about}


def print_race(title: str, contestants: dict[str, Contestant]) -> None:
    print(f"\n{title}; queries/s in a batch, one thread unless said, median (range) of the rounds")
    for label, contestant in contestants.items():
        rates, about = contestant.rates, contestant.about
        shown = [f"{key} {about[key]:.4g}" for key in about if key != "settings"]
        shown += [about["settings"]] if "settings" in about else []
        print(
            f"  {label:52s} {np.median(rates):9.1f} ({min(rates):.0f} to {max(rates):.0f})  "
            + ", ".join(shown)
        )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="fewer images and rounds: to see that it runs")
    parser.add_argument("--only", choices=list(PARTS), help="this part alone")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant (7)")
    parser.add_argument("--codes", metavar="FOLDER", help="where codes are kept for another run")
    args = parser.parse_args(argv)
    if args.quick:
        args.rounds = min(args.rounds, 2)
    images = fashion(args.quick)
    result = {name: PARTS[name](images, args) for name in ([args.only] if args.only else PARTS)}
    if args.json:
        print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
