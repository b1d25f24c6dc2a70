"""How fast is an exact search of sparse text vectors, beside a plain linear scan?

    python benchmarks/text_search.py [--rows N ...] [--rounds N] [--quick] [--json] [--save]

No model of text and no text is needed: vectors are made with published statistics of SPLADE (helpers/text_vectors.py
says which, and how).  Rows are 100,000 and a million; 10 hits by the largest product, one thread.  Queries are of two
kinds: half of the units of a query are those of a passage, or all are drawn for themselves.  All take turns:

CodeIndex               in a batch, and one query at a time
plain inverted lists    a Numba loop that adds up the lists of a query's units, without bounds
linear scan             a Numba loop over all rows with a dense query, and the same with 8 queries together
SciPy                   a sparse product that stays sparse, and a partition of each row

"equal" is the fraction of hits that are the same as those of CodeIndex; "definition" compares CodeIndex with
``backend="numpy"``, rows and distances, bit by bit (100,000 rows).  The linear scans and lists sum in float32, so that
two rows whose products differ in the last digit may change places.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import numpy as np
from helpers import results, usage
from helpers import search_peers as peers
from helpers.ranking import say
from helpers.search_race import HITS, Contestant, indexed, installed, print_race, race, search_of, summary
from helpers.text_vectors import PASSAGES, QUERIES, held_by_largest, made, searches

from nsae import CodeIndex, Codes

RELATED = {"half of a passage": 0.5, "drawn alone": 0.0}
CHECKED = 200_000  # passages up to which the definition takes little time and memory
LEAST = 8  # queries in a turn, at least: a turn of the slow ones takes long enough


def alone(index: CodeIndex) -> peers.Search:
    """Return nsae's search, one query at a time."""

    def search(queries: Codes, k: int) -> np.ndarray:
        each = [index.search(queries[i], k, backend="numba").rows for i in range(len(queries))]
        return np.concatenate(each)

    return search


def contestants_of(passages: Codes, index: CodeIndex) -> dict[str, peers.Search]:
    """Return all searches of ``passages``, by name."""
    found = {"nsae": search_of(index), "nsae, one query at a time": alone(index), **searches(passages)}
    if installed("SciPy, sparse product"):
        found["SciPy, sparse product"] = peers.scipy_codes(passages, unit_norm=False)
    return found


def measured(
    contestants: dict[str, peers.Search], index: CodeIndex, queries: Codes, rounds: int
) -> dict[str, Any]:
    """Let all search for ``queries``, and return their figures."""
    passages, some = index.codes, queries[: 2 * LEAST]
    hits = index.search(some, HITS, backend="numba")
    result: dict[str, Any] = {}
    if len(passages) <= CHECKED:
        plain = index.search(some, HITS, backend="numpy")
        same = (hits.rows == plain.rows) & (hits.distances == plain.distances)
        result["definition"] = float(same.mean())
    racing = {}
    for name, search in contestants.items():
        equal = float((search(some, HITS) == hits.rows).mean())
        racing[name] = Contestant(search, queries, least=LEAST, equal=equal)
    race(racing, rounds)
    print_race(f"{len(passages)} passages", racing)
    frequencies = np.bincount(passages.units, minlength=passages.n_units)
    rows = {name: summary(contestant) for name, contestant in racing.items()}
    return {
        **result,
        "postings_a_query": float(frequencies[queries.units].sum() / len(queries)),
        "over_scan": rows["nsae"]["qps"] / rows["linear scan"]["qps"],
        "held_by_largest": held_by_largest(queries, QUERIES.largest),
        "rows": rows,
    }


def search_among(n: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of ``n`` passages."""
    say(f"making {n} passages")
    passages = made(PASSAGES, n, seed=0)
    indexed(passages[:1000], "dot")  # compiles the loops, which is no part of the build
    started = time.perf_counter()
    index = indexed(passages, "dot")
    result: dict[str, Any] = {
        "build_s": time.perf_counter() - started,
        "nonzeros_a_row": len(passages.units) / n,
        "held_by_largest": held_by_largest(passages[:10_000], PASSAGES.largest),
    }
    contestants = contestants_of(passages, index)
    for kind, related in RELATED.items():
        queries = made(QUERIES, 64 if options.quick else 1024, 1, passages, related)
        say(f"{n} passages, queries: {kind}")
        result[kind] = measured(contestants, index, queries, options.rounds)
    return result


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="fewer rows and queries: to see that it runs")
    parser.add_argument(
        "--rows", type=usage.positive, nargs="+", default=[100_000, 1_000_000], help="so many passages"
    )
    parser.add_argument("--rounds", type=usage.positive, default=5, help="turns of each contestant (5)")
    args = parser.parse_args(argv)
    if args.quick:
        args.rows, args.rounds = [5000], min(args.rounds, 2)
    peers.one_thread()
    figures = {str(n): search_among(n, args) for n in args.rows}
    results.finish(args, "text_search", figures, peers=["scipy", "threadpoolctl"], threads=1, seeds=(0, 1))
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
