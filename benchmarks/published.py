"""Published results beside ours: theirs, ours, the protocol, seeds and minutes.

    python benchmarks/published.py [--only NAME ...] [--seeds N] [--units N] [--quick] [--json] [--save]

Each task is measured on the test set once a seed; what had to be chosen was chosen by held-out training images.
With --only, tasks that are not run are kept from the committed result.  --units is for cifar_linear, whose pooled
codes take 0.8 MB for a thousand images and 50 units.  docs/published.md has the protocols.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from helpers import published_digits, published_photos, results, usage

TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "self_taught": published_digits.self_taught,
    "stacked": published_digits.stacked,
    "k_sparse": published_digits.k_sparse,
    "natural_patches": published_photos.natural_patches,
    "sparsity": published_digits.sparsity,
    "cifar_linear": published_photos.cifar_linear,
}


def median(runs: list[Any]) -> Any:
    """Return the median of each number over runs whose dicts have the same keys, and of each word the first."""
    if isinstance(runs[0], dict):
        return {key: median([run[key] for run in runs]) for key in runs[0]}
    return runs[0] if isinstance(runs[0], str) else statistics.median(runs)


def main(argv: list[str] | None = None) -> int:
    """Run the tasks, and print what they find."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="characters, few epochs: to see that it runs")
    parser.add_argument("--only", nargs="+", choices=TASKS, metavar="NAME", help="some of the tasks")
    parser.add_argument("--seeds", type=usage.positive, default=1, help="medians over so many (1)")
    parser.add_argument("--units", type=usage.positive, default=1600, help="of cifar_linear (1600)")
    parser.add_argument("--pictures", type=usage.new_folder, metavar="FOLDER", help="draw into this folder")
    args = parser.parse_args(argv)

    measured: dict[str, Any] = {}
    for name in args.only or TASKS:
        task = TASKS[name]
        if name == "cifar_linear":
            task = partial(task, units=24 if args.quick else args.units)
        if name == "natural_patches":
            task = partial(task, pictures=args.pictures)
        started = time.perf_counter()
        try:
            row = median([task(args.quick, seed) for seed in range(args.seeds)])
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
            continue
        row |= {"seeds": args.seeds, "minutes": (time.perf_counter() - started) / 60}
        measured[name] = row
        print(f"{name}: {results.rounded(row)}", flush=True)
    before = (
        (results.load("published", results.RESULTS) or {}).get("figures", {})
        if args.only and not args.quick
        else {}
    )
    figures = {**before, **measured}
    if "cifar_linear" in measured:  # other numbers of units stay beside the new one
        figures["cifar_linear"] = {**before.get("cifar_linear", {}), **measured["cifar_linear"]}
    results.finish(args, "published", figures, seeds=range(args.seeds))
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
