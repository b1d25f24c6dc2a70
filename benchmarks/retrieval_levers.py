"""What each lever of ImageEncoder and of the search does to the ranking: one change at a time.

    python benchmarks/retrieval_levers.py [--data NAME] [--only NAME] [--seeds N] [--quick] [--json] [--save]
    python benchmarks/retrieval_levers.py --from FILE ... [--save]

Nothing here sees the queries that retrieval_quality.py reports: images come from its databases, some as
queries and others as a small database.  (Of Corel-1K, photos with even numbers, each against the others.)
Figures are differences to the defaults; with several seeds, their means, and in brackets how far apart the
seeds' are, largest less smallest: what is below that is nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.ranking import CRITERION, Problem, held_out, load, measures, quality, say
from helpers.retrieval_report import read
from helpers.retrieval_variants import second_layer, variants

from nsae import CodeIndex, Codes, ImageEncoder
from nsae.images.defaults import resolve_hyperparameters

SETS = ("fashion_mnist", "cifar10_jpeg", "corel1k")
SIZE, QUERIES = 5000, 1000
VARIANTS = "variants"  # what --only calls those of retrieval_variants.py
DEPTH = 100  # hits that are re-ranked

# ---- levers of the encoder


def levers(images: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return by name what is passed to ImageEncoder; the defaults first."""
    geometry, settled = resolve_hyperparameters(ImageEncoder(), images)
    pyramid, finest = len(geometry.grid) > 1, geometry.grid[-1]
    patch, units, m, eps = (
        settled[name] for name in ("patch_size", "patch_units", "n_components", "zca_eps")
    )
    table = {"defaults": {}}
    changes: dict[str, list] = {
        "k_fit": [2, 4, 32],
        "n_units": [settled["n_units"] // 2, 2 * settled["n_units"]],
        "neighbour_steps": [t for t in (0, 1, 2, 4) if t != settled["neighbour_steps"]],
        "n_components": [m // 2, 2 * m],
        "whitening_power": [0.0, 0.25, 0.75, 1.0],
        "contrast_eps": [0.03, 0.3],
        "zca_eps": [eps / 10, eps * 10],
        "patch_size": [patch - 2, patch + 2],
        "patch_units": [units // 2, 2 * units],
        "patch_k": [1, 16],
        "stride": [2 * geometry.stride],
        "grid": [(1,), (1, 2), (finest,)] if pyramid else [finest - 1, finest + 1, (1, 2, finest)],
        "epochs": [40],
    }
    changes["shrink_threshold"] = [0.0, 0.5, 0.8]
    if geometry.color:
        changes["color_weight"] = [0.0, 0.25, 0.75, 1.0] if settled["color_weight"] else [0.25]
    for name, values in changes.items():
        table |= {f"{name}={value}": {name: value} for value in values}
    return table


# ---- levers of the search: from the codes of the defaults to rankings


def weighted(codes: Codes, change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Return dense rows of codes whose values are changed: change(values (nnz,), units (nnz,))."""
    values = change(codes.values, codes.units).astype(np.float32)
    return Codes(codes.indptr, codes.units, values, codes.n_units).to_dense()


def rows_at_norm_1(codes: Codes) -> np.ndarray:
    """Return codes as dense rows (n, h) of norm 1."""
    Z = codes.to_dense()  # (n, h)
    return Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12)


def expanded(codes: Codes, hits: np.ndarray, others: Codes) -> np.ndarray:
    """Return the mean (q, h) of each code and of its hits' codes, hits (q, m) being rows of ``others``."""
    Z, Y = rows_at_norm_1(codes), rows_at_norm_1(others)
    return (Z + Y[hits].sum(axis=1)) / (1 + hits.shape[1])


def reranked(
    order: np.ndarray, S: np.ndarray, near: np.ndarray, mine: np.ndarray, weight: float
) -> np.ndarray:
    """Return rankings (q, n) with the first DEPTH in another order: by similarity and by neighbours in common.

    near (n, m) are the neighbours of each row of the database and mine (q, m) those of each query; what two
    lists have in common, over what either has (Jaccard), weighs ``weight``, the similarity the rest.
    """
    order = order.copy()
    for i, neighbours in enumerate(mine):
        top = order[i, :DEPTH].copy()  # (DEPTH,)
        common = np.isin(near[top], neighbours).sum(axis=1)  # (DEPTH,)
        jaccard = common / (2 * len(neighbours) - common)
        score = (1 - weight) * S[i, : len(top)] + weight * jaccard
        order[i, :DEPTH] = top[np.argsort(-score, kind="stable")]
    return order


def of_the_search(
    problem: Problem, codes: Codes, queries: Codes
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield figures of each query by lever, for codes of the database and of the queries."""

    def dense(Z: np.ndarray, Y: np.ndarray) -> dict[str, np.ndarray]:
        return quality(problem, Z, Y)

    Z, Y = codes.to_dense(), queries.to_dense()  # (n, h), (q, h)
    yield "only which units", dense(Z > 0, Y > 0)
    for name, change in {"values squared": np.square, "roots of values": np.sqrt}.items():
        yield name, dense(*(weighted(c, lambda v, _, change=change: change(v)) for c in (codes, queries)))
    idf = np.log(len(codes) / np.maximum(np.bincount(codes.units, minlength=codes.n_units), 1))  # (h,)
    yield "units by idf", dense(*(weighted(c, lambda v, u: v * idf[u]) for c in (codes, queries)))

    index = CodeIndex(codes.n_units)
    index.add(codes)
    n = len(codes)
    own = index.ids if problem.leave_one_out else None
    hits = index.search(queries, n - problem.leave_one_out, exclude=own)
    order, S = hits.rows, 1 - hits.distances[:, :DEPTH]  # (q, n), (q, DEPTH)
    for m in (1, 2, 5, 10, 20):
        yield f"query expansion, {m} hits", dense(Z, expanded(queries, order[:, :m], codes))
    near = index.search(codes, 50, exclude=index.ids).rows  # (n, 50)
    for m in (2, 5):
        means = Codes.from_dense(expanded(codes, near[:, :m], codes)).keep(32).to_dense()  # (n, h)
        # a query that is in the database has its own mean there, and is left out of its ranking as ever
        yield f"database expansion, {m} hits, 32 units", dense(means, means if problem.leave_one_out else Y)
    # each row is its own first neighbour, and so is a query that is in the database
    near = np.concatenate([np.arange(n)[:, None], near], axis=1)  # (n, 51)
    mine = near if problem.leave_one_out else order  # (q, 51 or more)
    for m in (10, 20, 50):
        for weight in (0.2, 0.5):
            found = measures(problem, reranked(order, S, near[:, :m], mine[:, :m], weight))
            yield f"re-ranking, {m} neighbours, {weight}", found


# ---- one set


def trial(name: str, quick: bool) -> Problem:
    """Return the held-out problem of a set."""
    return held_out(load(name, quick), SIZE, QUERIES)


def of_set(name: str, only: str, seed: int, quick: bool) -> dict[str, dict[str, float]]:
    """Return by lever means over queries.  A lever that changes the encoder is a model of its own."""
    problem, table = trial(name, quick), {}

    def add(lever: str, codes: Codes, queries: Codes) -> None:
        table[lever] = means(quality(problem, codes, queries))
        show(name, lever, table)

    def learn(images: np.ndarray, **change: Any) -> ImageEncoder:
        return ImageEncoder(**{**options, **change}).fit(images)

    options: dict[str, Any] = {"random_state": seed}
    if quick:
        options |= {"epochs": 3, "n_patches": 10_000, "patch_epochs": 1}
    for lever, change in levers(problem.database).items():
        if lever != "defaults" and only not in lever:
            continue
        encoder = learn(problem.database, **change)
        codes = encoder.encode(problem.database)
        queries = codes if problem.leave_one_out else encoder.encode(problem.queries)
        add(lever, codes, queries)
        if lever == "defaults":
            for variant, features in variants(encoder, problem.database, learn) if only in VARIANTS else ():
                F = features(problem.database)  # (n, f)
                add(variant, *second_layer(encoder, F, features(problem.queries), seed))
            for way, values in of_the_search(problem, codes, queries):
                if only in way:
                    table[way] = means(values)
                    show(name, way, table)
    return table


def means(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Return means over queries."""
    return {name: float(v.mean()) for name, v in values.items()}


def over_seeds(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """Return means.  "spread" is that of the differences to the defaults, and of the defaults themselves."""
    merged: dict[str, dict[str, Any]] = {}
    for lever, figures in runs[0].items():
        base = 0 if lever == "defaults" else 1
        merged[lever] = {key: float(np.mean([run[lever][key] for run in runs])) for key in figures}
        if len(runs) > 1:
            merged[lever]["spread"] = {
                key: float(np.ptp([run[lever][key] - base * run["defaults"][key] for run in runs]))
                for key in figures
            }
    return merged


def show(name: str, lever: str, table: dict[str, dict[str, float]]) -> None:
    """Print a lever as progress."""
    key = CRITERION.get(name, "map")
    say(f"  {name}  {lever:40} {key} {table[lever][key]:.4f}  precision@1 {table[lever]['precision@1']:.4f}")


def print_table(name: str, table: dict[str, dict[str, float]]) -> None:
    """Print figures of the defaults, and of the others what they add."""
    keys = tuple(dict.fromkeys((CRITERION.get(name, "map"), "map@1000", "precision@1", "precision@10")))
    print(f"\n{name:44}" + "".join(f"{key:>22}" for key in keys))
    for lever, figures in table.items():
        is_first = lever == "defaults"
        cells = [figures[key] - (0 if is_first else table["defaults"][key]) for key in keys]
        line = ""
        for key, cell in zip(keys, cells, strict=True):
            spread = f" ({figures['spread'][key]:.3f})" if "spread" in figures else " " * 8
            line += f"{cell:{'' if is_first else '+'}14.3f}{spread}"
        print(f"  {lever:42}{line}".rstrip(), flush=True)


def main(argv: list[str] | None = None) -> int:
    """Try the levers on each set, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="few images and epochs: to see that it runs")
    parser.add_argument("--data", choices=SETS, help="one set only")
    parser.add_argument("--only", default="", help="levers with this in their name, or 'variants'")
    parser.add_argument("--seeds", type=usage.positive, default=1, help="means over so many (1)")
    parser.add_argument(
        "--from",
        dest="files",
        nargs="+",
        metavar="FILE",
        help="compute nothing: put together what earlier runs saved with --save, or printed with --json",
    )
    args = parser.parse_args(argv)
    result = read(args.files) if args.files else {}
    for name, table in result.items():
        print_table(name, table)
    for name in () if args.files else [args.data] if args.data else SETS:
        try:
            runs = [of_set(name, args.only, seed, args.quick) for seed in range(args.seeds)]
        except FileNotFoundError as error:
            say(f"{name} is left out: {error}")
            continue
        result[name] = over_seeds(runs)
        if args.only and len(result[name]) == 1:
            say(f"{name}: no lever has {args.only!r} in its name, so this is the row of the defaults alone")
        print_table(name, result[name])
    results.finish(args, "retrieval_levers", result, seeds=range(args.seeds))
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
