"""Do sparse codes find better neighbours than pixels?  Labels only judge: nothing here learns from them.

    python benchmarks/retrieval_quality.py [--data SET ...] [--only GROUP ...] [--seeds N] [--quick] [--json] [--save]
    python benchmarks/retrieval_quality.py --from FILE ... [--plot FILE] [--save]

``ImageEncoder`` with its defaults, beside other ways to turn images into vectors (helpers/retrieval_methods.py).
Each method learns on the database alone.  MNIST and Fashion-MNIST have 1,000 queries, 100 a class, and the other
69,000 images as database; CIFAR-10 as JPEG has the test images as queries and the 50,000 others as database;
of Corel-1K, each photo is compared with the others; of Caltech-101 every tenth photo is a query.

**In pieces.**  ``--data`` and ``--only`` take some sets and some groups of rows; ``--from`` puts what ``--json``
printed or ``--save`` wrote together.  The group ``nsae`` has the rows of nsae, ``vector`` and k-means.

**The others are tuned.**  Of the settings of a method and of cosine and L2, that is taken which ranks best for 500
queries held out of the database, against 6,000 other images of it (2,000 for methods that are slow to encode).
Of Corel-1K, photos with even numbers choose.  nsae's defaults were chosen in the same way.  Measures to choose by
are mAP, mAP@1000 for CIFAR-10, precision@20 for Corel-1K and precision@10 for Caltech-101.

**At equal bytes.**  A row NAME@192 is NAME cut to 96 principal components in float16: 192 bytes, as many as nsae's
32 units take.  Bytes are those of what is compared: 4 for a value, 2 in float16 and for the number of a unit, 1 for
a pixel, 1/8 for a bit.

**Rows of nsae.**  ``vector`` is what the second autoencoder reads, in float32, compared by cosine: components, and
where ImageEncoder predicts neighbours (38), the prediction beside them; ``components`` is then the former alone.
``nsae`` is the code of k = 32 active units, ``nsae_binary`` only which units they are; ``_kK`` is the same for
another k, from one model.  ``retention@1``, ``retention@10`` and ``retention_map@1000`` are precision and mAP@1000
over the vector's.  ``pooled_96`` is the first 96 components in float16.

**What the second autoencoder adds.**  ``kmeans`` and ``kmeans_k128`` have spherical k-means with as many centres in
its place, on the same components, and the same threshold and k.  ``samples`` learns nothing there: as many of the
images are its units.  (Of few images each is a unit, and then k-means is the same.)  ``second_layer_s`` is how long
each learned, ``explained_variance`` how much of the components its code gives back.  The group ``sparsities`` has
``nsae_l1`` and ``nsae_kl``: L1 or KL with at most 1,024 units, of two weights the better on held-out queries;
``_k32``: the 32 largest values.

mAP is over the whole ranking, mAP@1000 over the first 1,000 hits, divided by the relevant ones among them.
``soft_knn`` is Eq. (39), ``linear_probe`` Eq. (40), learned from at most 20,000 rows of the database; of Corel-1K
from four fifths for the other fifth.  ``interval`` is a bootstrap interval of 95 % over queries, of the first seed.
Rows of the group ``nsae`` are means over ``seeds``; ``spread`` is the largest less the smallest.  ``queries`` tells
how many judged: curves, L1 and KL take 2,000 of CIFAR-10's.  Search times are of a batch of 200 queries for 100 hits.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from helpers import results, usage
from helpers import retrieval_methods as methods
from helpers.ranking import CRITERION, SETS, Problem, held_out, load, probe, quality, say
from helpers.retrieval_report import KS, plot, print_table, read
from helpers.retrieval_rows import BYTES, in_blocks, row, show, smaller, thinned
from helpers.second_layers import (
    code_rows,
    codes_of,
    decoder_of,
    sparsities,
    spherical_k_means,
    vector_rows,
    with_centres,
)

from nsae import CodeIndex, ImageEncoder
from nsae.images.pipeline import ImagePipeline
from nsae.retrieval import rank_dense

CURVE = (16, 64, 256)  # components of the baselines' curves
TIMED = 200  # queries whose search is timed
SLOW = ("bag_of_words", "dictionary")  # to encode: fewer images are tried on
# in the order in which they are run: what matters most, then what is fast
GROUPS = (
    "raw",
    "pca",
    "nsae",
    "histogram",
    "dct",
    "haar",
    "random_projection",
    "itq",
    "sparsities",
    *SLOW,
    "curves",
)


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
            linear_probe=probe(problem, X, Q),
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
            about = {"bytes": 2 * m, "linear_probe": probe(problem, X, Q)}
            rows[f"{name}_{m}"] = row(quality(problem, X, Q), **about)
            show(f"{name}_{m}", rows[f"{name}_{m}"])
    return rows


# ---- nsae


def learned(problem: Problem, seed: int, quick: bool) -> tuple[ImageEncoder, float]:
    """Return an encoder of the database and the seconds that it took.  It serves every k."""
    options: dict[str, Any] = {"epochs": 5, "n_patches": 20_000, "patch_units": 128} if quick else {}
    started = time.perf_counter()
    encoder = ImageEncoder(k=max(KS), random_state=seed, **options).fit(problem.database)
    return encoder, time.perf_counter() - started


def on_components(problem: Problem, encoder: ImageEncoder) -> Problem:
    """Return the problem with components in place of images."""
    X = encoder.components(problem.database)  # (n, m)
    Q = X if problem.leave_one_out else encoder.components(problem.queries)  # (q, m)
    return problem._replace(database=X, queries=Q)


def nsae(problem: Problem, seed: int, quick: bool) -> dict[str, dict[str, Any]]:
    """Return the rows of one seed: nsae's, of the vector before the second autoencoder, and of k-means."""
    encoder, seconds = learned(problem, seed, quick)
    pipeline, on_T = encoder.encoder(), on_components(problem, encoder)
    rows, vector = vector_rows(on_T, pipeline.neighbours is not None)
    second = sum(encoder.model_.history_["seconds"])
    decoder = decoder_of(encoder)  # (h, m)
    some = thinned(on_T)
    step = len(on_T.queries) // len(some.queries)
    for k in KS if seed == 0 else (32, 128):
        of_k = pipeline.with_k(k)
        more: dict[str, Any] = {"fit_s": seconds, "second_layer_s": second, "n_units": pipeline.n_units}
        if k == 32:
            more |= speed(problem.database[:20_000], of_k, on_T)
        if k in (32, 128):
            rows |= code_rows("nsae", on_T, of_k, vector, decoder, **more)
        else:
            thin = {name: values[::step] for name, values in vector.items()}
            rows |= code_rows("nsae", some, of_k, thin, decoder, **more)
    learned_from = methods.some_of(on_T.database, seed)  # (n, m)
    C, second = spherical_k_means(learned_from, pipeline.n_units, seed)
    for k in (32, 128):
        more = {"second_layer_s": second, "n_units": len(C)}
        rows |= code_rows("kmeans", on_T, with_centres(pipeline, C).with_k(k), vector, C, **more)
    S = learned_from[np.random.default_rng(seed).permutation(len(learned_from))[: len(C)]]
    samples = with_centres(pipeline, S).with_k(32)
    rows |= code_rows("samples", on_T, samples, vector, S, second_layer_s=0.0, n_units=len(S))
    if seed == 0:
        m = min(BYTES // 2, on_T.database.shape[1])
        half = [A[:, :m].astype(np.float16).astype(np.float32) for A in (on_T.database, on_T.queries)]
        about = {"bytes": 2 * m, "linear_probe": probe(on_T, *half)}
        rows[f"pooled_{m}"] = row(quality(on_T, *half), **about)
        show(f"pooled_{m}", rows[f"pooled_{m}"])
    return rows


def speed(images: np.ndarray, pipeline: ImagePipeline, on_T: Problem) -> dict[str, float]:
    """Return images encoded a second, and milliseconds of a search for 100 hits in a batch."""
    started = time.perf_counter()
    pipeline.encode(images)
    rate = len(images) / (time.perf_counter() - started)
    index = CodeIndex(pipeline.n_units)
    index.add(codes_of(pipeline, on_T.database))
    timed = codes_of(pipeline, on_T.queries[:TIMED])
    index.search(timed[:2], min(100, len(index)))  # postings are made by the first search
    started = time.perf_counter()
    index.search(timed, min(100, len(index)))
    return {"images_per_s": rate, "search_ms": (time.perf_counter() - started) / len(timed) * 1e3}


def over_seeds(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over seeds, with the first one's interval; "spread" is the largest less the smallest."""
    figures = sorted(k for k in runs[0] if isinstance(runs[0][k], float))
    merged = {**runs[0], **{k: float(np.mean([run[k] for run in runs])) for k in figures}, "seeds": len(runs)}
    if len(runs) > 1:
        merged["spread"] = {k: float(np.ptp([run[k] for run in runs])) for k in figures}
    return merged


def evaluate_set(
    name: str, quick: bool, seeds: int, only: list[str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the rows of one set of images, those of ``only`` or all, what is asked for first at the top."""
    problem = load(name, quick)
    criterion = CRITERION.get(name, "map")
    say(f"{name}: {len(problem.queries)} queries, {len(problem.database)} images; chosen by {criterion}")
    table: dict[str, dict[str, Any]] = {}
    for group in only or [g for g in GROUPS if not (quick and g in (*SLOW, "curves"))]:
        try:
            if group == "nsae":
                runs = [nsae(problem, seed, quick) for seed in range(seeds)]
                for label in runs[0]:
                    table[label] = over_seeds([run[label] for run in runs if label in run])
            elif group == "sparsities":
                encoder = learned(problem, 0, quick)[0]
                table |= sparsities(thinned(on_components(problem, encoder)), encoder, quick, criterion)
            elif group == "curves":
                table |= curve(problem)
            else:
                table |= baseline(group, problem, criterion)
        except ImportError as error:
            say(f"  {group} is left out: {error}")
    return table


def main(argv: list[str] | None = None) -> int:
    """Evaluate the sets, or show earlier runs together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="few images and epochs: to see that it runs")
    parser.add_argument("--data", choices=SETS, nargs="+", help="some of the sets only")
    parser.add_argument("--only", choices=GROUPS, nargs="+", help="some of the groups of rows, in this order")
    parser.add_argument(
        "--seeds", type=usage.positive, help="of nsae; means over so many (3; 1 with --quick)"
    )
    parser.add_argument("--plot", type=usage.picture, metavar="FILE", help="draw quality against bytes")
    parser.add_argument(
        "--from",
        dest="files",
        nargs="+",
        metavar="FILE",
        help="compute nothing: show what earlier runs saved with --save, or printed with --json",
    )
    args = parser.parse_args(argv)
    args.seeds = seeds = args.seeds or (1 if args.quick else 3)
    result = read(args.files) if args.files else {}
    for name, table in result.items():
        print_table(name, table)
    for name in () if args.files else args.data or SETS:
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
    sys.exit(usage.run(main))
