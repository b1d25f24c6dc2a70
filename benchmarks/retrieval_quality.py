"""Do sparse codes find better neighbours than pixels?  Labels only judge: nothing here learns from them.

    python benchmarks/retrieval_quality.py [--data NAME] [--only METHOD] [--seeds N] [--quick] [--json] [--save]
    python benchmarks/retrieval_quality.py --from FILE ... [--plot FILE] [--save]

``ImageEncoder`` with its defaults, beside other ways to turn images into vectors (helpers/retrieval_methods.py).
Each method learns on the database alone.  MNIST and Fashion-MNIST have 1,000 queries, 100 a class, and the other
69,000 images as database; CIFAR-10 as JPEG has the test images as queries and the 50,000 others as database;
of Corel-1K, each photo is compared with the others.

**The others are tuned.**  Of the settings of a method and of cosine and L2, that is taken which ranks best for 500
queries held out of the database, against 6,000 other images of it (2,000 for methods that are slow to encode).
Of Corel-1K, photos with even numbers choose.  nsae's defaults were chosen in the same way.  Measures to choose by
are mAP, mAP@1000 for CIFAR-10, and precision@20 for Corel-1K.

**At equal bytes.**  A row NAME@192 is NAME cut to 96 principal components in float16: 192 bytes, as many as nsae's
32 units take.  Bytes are those of what is compared: 4 for a value, 2 in float16 and for the number of a unit, 1 for
a pixel, 1/8 for a bit.

**Rows of nsae.**  ``nsae`` is the code of k = 32 active units, ``nsae_binary`` only which units they are; ``_kK``
is the same for another k, from one model.  ``pooled_M`` is what the second autoencoder reads, M principal
components in float16.  In place of the second autoencoder: ``nsae_l1`` and ``nsae_kl`` (L1 or KL, of two weights
the better on held-out queries; ``_k32``: the 32 largest values) and ``kmeans_k32`` (the same number of k-means
centres on the same components; a code is the 32 nearest centres).

mAP is over the whole ranking, mAP@1000 over the first 1,000 hits, divided by the relevant ones among them.
``interval`` is a bootstrap interval of 95 % over queries, of the first seed.  Rows of nsae are means over
``seeds``; ``spread`` is the largest less the smallest.  ``queries`` tells how many judged: curves, L1, KL and
k-means take 2,000 of CIFAR-10's.  Search times are of a batch of 200 queries for 100 hits.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from helpers import results
from helpers import retrieval_methods as methods
from helpers.ranking import CRITERION, SETS, Problem, held_out, load, quality, say
from helpers.retrieval_report import KS, plot, print_table, read
from helpers.retrieval_rows import BYTES, dense, in_blocks, row, show, smaller, thinned
from helpers.second_layers import other_second_layers

from nsae import CodeIndex, ImageEncoder
from nsae.retrieval import rank_dense

CURVE = (16, 64, 256)  # components of the baselines' curves
TIMED = 200  # queries whose search is timed
SLOW = ("bag_of_words", "dictionary")  # to encode: fewer images are tried on


# ---- the others


def search_ms(X: np.ndarray, Q: np.ndarray, metric: str) -> float:
    """Return the milliseconds a query for 100 hits by matrix products, in a batch."""
    Q, k = Q[:TIMED], min(100, len(X))
    started = time.perf_counter()
    rank_dense(Q, X, metric, k)
    return (time.perf_counter() - started) / len(Q) * 1e3


def baseline(name: str, problem: Problem, criterion: str) -> dict[str, dict[str, Any]]:
    """Return the rows of a method: at its best setting, and the best in 192 bytes."""
    trial = held_out(problem, 2000 if name in SLOW else 6000)
    best: dict[str, tuple] = {}
    for options in methods.settings(name, problem.database):
        encode = methods.METHODS[name](trial.database, 0, **options)
        X = in_blocks(encode, trial.database)
        Q = X if trial.leave_one_out else in_blocks(encode, trial.queries)
        tries = {name: [(None, X, Q)]}
        if name not in ("raw", "itq", "random_projection"):
            tries[f"{name}@{BYTES}"] = [
                (whiten, reduce(X), reduce(Q))
                for whiten in (0.0, 0.5)
                for reduce in [smaller(X, BYTES // 2, whiten)]
            ]
        for label, some in tries.items():
            for whiten, X_, Q_ in some:
                for metric in ("cosine",) if name == "itq" else ("cosine", "l2"):
                    figure = quality(trial, X_, Q_, metric)[criterion].mean()
                    if label not in best or figure > best[label][0]:
                        best[label] = (figure, options, whiten, metric)
    rows = {}
    for label, (_, options, whiten, metric) in best.items():
        started = time.perf_counter()
        encode, reduce = methods.METHODS[name](problem.database, 0, **options), None
        if whiten is not None:
            reduce = smaller(
                in_blocks(encode, methods.some_of(problem.database, 0)[:5000]), BYTES // 2, whiten
            )
        fitted = time.perf_counter()
        X = in_blocks(encode, problem.database, reduce)
        rate = len(X) / (time.perf_counter() - fitted)
        Q = X if problem.leave_one_out else in_blocks(encode, problem.queries, reduce)
        size = {"raw": X.shape[1], "itq": X.shape[1] // 8}.get(
            name, X.shape[1] * (4 if whiten is None else 2)
        )
        rows[label] = row(
            quality(problem, X, Q, metric),
            bytes=size,
            images_per_s=rate,
            search_ms=search_ms(X, Q, metric),
            fit_s=fitted - started,
            settings={**options, "metric": metric, **({} if whiten is None else {"whiten": whiten})},
        )
        show(label, rows[label])
    return rows


def curve(problem: Problem) -> dict[str, dict[str, Any]]:
    """Return rows of more and more principal components and random projections in float16."""
    rows, problem = {}, thinned(problem)
    for m in CURVE:
        for name, learn in (
            ("pca", lambda m=m: methods.pca(problem.database, 0, n=m, whiten=0.0)),
            ("random_projection", lambda m=m: methods.random_projection(problem.database, 0, n=m)),
        ):
            encode = learn()
            X, Q = (
                in_blocks(encode, images).astype(np.float16).astype(np.float32)
                for images in (problem.database, problem.queries)
            )
            rows[f"{name}_{m}"] = row(quality(problem, X, Q), bytes=2 * m)
            show(f"{name}_{m}", rows[f"{name}_{m}"])
    return rows


# ---- nsae


def nsae(problem: Problem, seed: int, quick: bool, criterion: str) -> dict[str, dict[str, Any]]:
    """Return nsae's rows for one seed.  One model serves every k: it learns at k_fit, and k units are kept."""
    options: dict[str, Any] = {"epochs": 5, "n_patches": 20_000, "patch_units": 128} if quick else {}
    started = time.perf_counter()
    encoder = ImageEncoder(k=max(KS), random_state=seed, **options).fit(problem.database)
    seconds = time.perf_counter() - started
    every = encoder.encode(problem.database)
    all_queries = every if problem.leave_one_out else encoder.encode(problem.queries)
    rows, some = {}, thinned(problem)
    thin = slice(None, None, len(problem.queries) // len(some.queries))
    for k in KS if seed == 0 else (32, 128):
        codes, queries = every.keep(k), all_queries.keep(k)
        more: dict[str, Any] = {"fit_s": seconds}
        if k == 32:
            of_k = encoder.encoder().with_k(k)
            started = time.perf_counter()
            of_k.encode(problem.database[:20_000])
            more["images_per_s"] = min(20_000, len(problem.database)) / (time.perf_counter() - started)
            index = CodeIndex(codes.n_units)
            index.add(codes)
            timed = queries[:TIMED]
            index.search(timed[:2], min(100, len(index)))  # postings are made by the first search
            started = time.perf_counter()
            index.search(timed, min(100, len(index)))
            more["search_ms"] = (time.perf_counter() - started) / len(timed) * 1e3
        suffix = "" if k == 32 else f"_k{k}"
        for binary, label in ((False, f"nsae{suffix}"), (True, f"nsae_binary{suffix}")):
            X, Q = dense(codes, binary), dense(queries, binary)
            size = k * (2 if binary else 6)
            asked = (problem, X, Q) if k in (32, 128) else (some, X, Q[thin])
            rows[label] = row(quality(*asked), bytes=size, **more)
            show(label, rows[label])
    if seed == 0:
        rows |= other_second_layers(some, encoder, quick, criterion)
    return rows


def over_seeds(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over seeds, with the first one's interval; "spread" is the largest less the smallest."""
    figures = sorted(k for k in runs[0] if isinstance(runs[0][k], float))
    merged = {**runs[0], **{k: float(np.mean([run[k] for run in runs])) for k in figures}, "seeds": len(runs)}
    if len(runs) > 1:
        merged["spread"] = {k: float(np.ptp([run[k] for run in runs])) for k in figures}
    return merged


def evaluate_set(name: str, quick: bool, seeds: int, only: str | None = None) -> dict[str, dict[str, Any]]:
    """Return all rows of one set of images."""
    problem = load(name, quick)
    criterion = CRITERION.get(name, "map")
    say(f"{name}: {len(problem.queries)} queries, {len(problem.database)} images; chosen by {criterion}")
    table: dict[str, dict[str, Any]] = {}
    for method in methods.METHODS:
        if (quick and method in SLOW) or only not in (None, method):
            continue
        try:
            table |= baseline(method, problem, criterion)
        except ImportError as error:
            say(f"  {method} is left out: {error}")
    if not quick and only is None:
        table |= curve(problem)
    if only not in (None, "nsae"):
        return table
    runs = [nsae(problem, seed, quick, criterion) for seed in range(seeds)]
    for label in runs[0]:
        table[label] = over_seeds([run[label] for run in runs if label in run])
    return table


def main(argv: list[str] | None = None) -> int:
    """Evaluate the sets, or show earlier runs together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="few images and epochs: to see that it runs")
    parser.add_argument("--data", choices=SETS, help="one set only")
    parser.add_argument(
        "--only", choices=[*methods.METHODS, "nsae"], help="rows of one method, without curves"
    )
    parser.add_argument("--seeds", type=int, help="of nsae; means over so many (3; 1 with --quick)")
    parser.add_argument("--plot", metavar="FILE", help="draw quality against bytes")
    parser.add_argument(
        "--from",
        dest="files",
        nargs="+",
        metavar="FILE",
        help="compute nothing: show what earlier runs saved with --save, or printed with --json",
    )
    args = parser.parse_args(argv)
    seeds = args.seeds or (1 if args.quick else 3)
    result = read(args.files) if args.files else {}
    for name, table in result.items():
        print_table(name, table)
    for name in () if args.files else [args.data] if args.data else SETS:
        try:
            result[name] = evaluate_set(name, args.quick, seeds, args.only)
        except FileNotFoundError as error:
            say(f"{name} is left out: {error}")
            continue
        print_table(name, result[name])
    if args.plot and result:
        plot(result, args.plot)
    results.finish(args, "retrieval_quality", result, peers=["scikit-learn"], seeds=range(seeds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
