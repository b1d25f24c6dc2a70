"""An index of 10⁵ to 10⁷ codes: how long it takes to build, to open and to ask, and how much memory it needs.

    python benchmarks/large_index.py [--sizes N ...] [--queries Q] [--codes DIR] [--quick] [--json] [--save]

Ten million images would take hours to encode.  So the codes are variants of real ones: of Fashion-MNIST's 60,000
training images by an ``ImageEncoder`` with k = 64 and else its defaults, of which the 32 strongest units are kept.
A variant keeps 24 of the units of a code, takes up to 8 others from one of the code's ten nearest neighbours, and
all its values are multiplied by 1 ± 0.05.  Where that neighbour has fewer others, the variant has fewer than 32
units: the result says how many they are on average.  So lists are nearly as long as those of real codes and as
unequal, and neighbours share about as many units.  Queries are codes of test images, one alone and in a batch,
cosine, 10 hits, one thread.  Some answers are compared with those of a search row by row.  Memory is what the
process of that size had at its peak, codes and all.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.ranking import say
from helpers.search_codes import Coder, fashion, whole

from nsae import CodeIndex, Codes

K, KEPT, NEAR = (
    32,
    24,
    10,
)  # units of a code, those that a variant keeps, and neighbours that it takes others from
NOISE = 0.05
BLOCK = 200_000  # variants that are made at once
HITS, CHECKED = 10, 5


def padded(codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Return units and values of ``codes``, (n, K) each; places that are not needed hold unit −1."""
    units, values = np.full((len(codes), K), -1, np.int32), np.zeros((len(codes), K), np.float32)
    place = np.arange(len(codes.units)) - np.repeat(codes.indptr[:-1], codes.counts)  # (nnz,)
    rows = codes.row_of_entry()
    units[rows, place], values[rows, place] = codes.units, codes.values
    return units, values


def some_of(valid: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return a mask of up to ``most`` random places of each row among the ``valid`` (n, m)."""
    order = np.where(valid, rng.random(valid.shape, np.float32), 2.0)  # (n, m)
    return valid & (np.argsort(np.argsort(order, axis=1), axis=1) < most)


def variants(codes: Codes, neighbours: np.ndarray, n: int, rng: np.random.Generator) -> Codes:
    """Return ``n`` variants of random rows of ``codes``, whose ``neighbours`` are (rows, NEAR)."""
    units, values = padded(codes)
    row = rng.integers(len(codes), size=n)  # (n,)
    other = neighbours[row, rng.integers(NEAR, size=n)]  # (n,)
    own, its = units[row], units[other]  # (n, K) each
    base = np.arange(n, dtype=np.int64)[:, None] * codes.n_units
    new = (its >= 0) & ~np.isin(its + base, own + base).reshape(its.shape)
    keep = np.concatenate([some_of(own >= 0, KEPT, rng), some_of(new, K - KEPT, rng)], axis=1)  # (n, 2K)
    all_units = np.concatenate([own, its], axis=1)
    all_values = np.concatenate([values[row], values[other]], axis=1)
    all_values *= 1 + NOISE * rng.uniform(-1, 1, all_values.shape).astype(np.float32)
    order = np.argsort(np.where(keep, all_units, codes.n_units), axis=1, kind="stable")
    keep = np.take_along_axis(keep, order, axis=1)
    indptr = np.concatenate([[0], np.cumsum(keep.sum(axis=1))]).astype(np.int64)
    picked = [np.take_along_axis(a, order, axis=1)[keep] for a in (all_units, all_values)]
    return Codes(indptr, picked[0], picked[1], codes.n_units)


def peak_mb() -> float:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work: Any) -> tuple[float, Any]:
    """Return the seconds of ``work``, and its result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def single_queries(index: CodeIndex, queries: Codes) -> np.ndarray:
    """Return the milliseconds of each of the ``queries``, asked alone."""
    return np.array([timed(lambda i=i: index.search(queries[i], HITS))[0] for i in range(len(queries))]) * 1e3


def measure(n: int, codes: Codes, queries: Codes, folder: Path) -> dict[str, Any]:
    """Return the figures of an index of ``n`` variants of ``codes``."""
    rng = np.random.default_rng(0)
    neighbours = base_neighbours(codes)
    index = CodeIndex(codes.n_units)
    adding = 0.0
    for start in range(0, n, BLOCK):
        some = variants(codes, neighbours, min(BLOCK, n - start), rng)
        adding += timed(lambda some=some: index.add(some))[0]
    building, _ = timed(index.warm_up)
    alone = single_queries(index, queries)
    batch, hits = timed(lambda: index.search(queries, HITS))
    one_by_one = dict.fromkeys(range(codes.n_units), 1.0)  # weights of 1 ask for a search row by row
    expected = index.search(queries[:CHECKED], HITS, weights=one_by_one)
    same = bool(
        np.array_equal(expected.rows, hits.rows[:CHECKED])
        and np.array_equal(expected.distances, hits.distances[:CHECKED])
    )
    saving, _ = timed(lambda: index.save(folder / "index"))
    size = sum(file.stat().st_size for file in (folder / "index").iterdir())
    peak = peak_mb()
    # Numba compiles the loops for mapped arrays once after the installation, which is no part of a first query.
    CodeIndex.load(folder / "index", mmap=True).search(queries[0], HITS)
    opening, mapped = timed(lambda: CodeIndex.load(folder / "index", mmap=True))
    first, _ = timed(lambda: mapped.search(queries[0], HITS))
    return {
        "rows": n,
        "units_a_row": round(float(len(some.units) / len(some)), 2),
        "adding_s": adding,
        "building_s": building,
        "ms_p50": float(np.median(alone)),
        "ms_p95": float(np.percentile(alone, 95)),
        "qps_batch": len(queries) / batch,
        "exact": same,
        "saving_s": saving,
        "opening_ms": opening * 1e3,
        "first_mapped_query_ms": first * 1e3,
        "disk_mb": size / 1e6,
        "bytes_a_row": size / n,
        "peak_mb": peak,
    }


def base_neighbours(codes: Codes) -> np.ndarray:
    """Return the NEAR nearest other rows of each of the ``codes``, (n, NEAR)."""
    index = CodeIndex(codes.n_units)
    index.add(codes)
    return index.search(codes, NEAR + 1, n_threads=None).rows[:, 1:]


def main(argv: list[str] | None = None) -> int:
    """Measure each size in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument(
        "--sizes", type=usage.positive, nargs="+", default=[100_000, 1_000_000, 10_000_000], metavar="N"
    )
    parser.add_argument(
        "--queries", type=usage.positive, default=1000, help="test images that are asked for (1000)"
    )
    parser.add_argument(
        "--codes", type=usage.new_folder, help="a folder where real codes are kept for another run"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # how a process of one size is called
    args = parser.parse_args(argv)
    if args.quick:
        args.sizes, args.queries = [2_000, 20_000], 50
    if args.one:
        with np.load(args.one) as file, tempfile.TemporaryDirectory() as folder:
            codes, queries = (Codes(*(file[f"{name}{i}"] for i in range(3)), int(file["h"])) for name in "cq")
            print(json.dumps(measure(args.sizes[0], codes, queries[: args.queries], Path(folder))))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        images = fashion(args.quick)
        coder = Coder("image", images.database, args.codes, args.quick)
        codes = coder.codes("database", whole(images.database)).keep(K)
        queries = coder.codes("queries", whole(images.queries)).keep(K)
        args.queries = min(args.queries, len(queries))
        path = Path(folder) / "codes.npz"
        parts = {
            f"{name}{i}": array
            for name, some in (("c", codes), ("q", queries))
            for i, array in enumerate((some.indptr, some.units, some.values))
        }
        np.savez(path, h=codes.n_units, **parts)
        rows = []
        for n in args.sizes:
            command = [sys.executable, __file__, "--one", str(path), "--sizes", str(n)]
            done = subprocess.run(
                [*command, "--queries", str(args.queries)], stdout=subprocess.PIPE, text=True, check=True
            )
            rows.append(json.loads(done.stdout))
            say(f"{n:,} codes: one query {rows[-1]['ms_p50']:.2f} ms, {rows[-1]['qps_batch']:,.0f} queries/s")
    del args.one  # no setting
    figures = {
        "units": codes.n_units,
        "queries": args.queries,
        "sizes": {str(row["rows"]): row for row in rows},
    }
    print(
        f"{'codes':>12}{'one query':>12}{'95 %':>9}{'batch':>12}{'build':>9}{'open':>9}{'disk':>10}{'peak':>10}"
    )
    for row in rows:
        print(
            f"{row['rows']:12,}{row['ms_p50']:9.2f} ms{row['ms_p95']:6.2f} ms{row['qps_batch']:9,.0f}/s"
            f"{row['building_s']:7.1f} s{row['opening_ms']:6.1f} ms{row['disk_mb']:7,.0f} MB{row['peak_mb']:7,.0f} MB"
        )
    results.finish(args, "large_index", figures, threads=1, seeds=[0])
    return 0 if all(row["exact"] for row in rows) else 1


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(usage.run(main))
