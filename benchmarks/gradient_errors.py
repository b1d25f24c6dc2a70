"""Gradient errors: how large the relative error of Eq. (22) is for right gradients, and for each mistake.

    python benchmarks/gradient_errors.py [--seeds N] [--quick] [--json] [--save]

Every mistake is one term of backward that is missing, has the wrong sign or another factor (tests/mutations.py).
Each is made in models of several sizes with random weights and data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from helpers import results, usage

from nsae import check_gradients
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from combinations import legal_combinations
from mutations import MUTATIONS, broken_backward

SIZES = [(6, 5, 7), (3, 8, 4), (16, 4, 12)]  # (B, d, h)
KINDS = {  # by a word in the name of the mistake
    "a sign is wrong": ("sign",),
    "a factor is wrong": ("mean for sum", "sum for mean", "mean over features", "twice", "slope"),
    "a term is missing, or the wrong one": ("",),
}


def model_and_data(
    size: tuple[int, int, int], seed: int, g: object, options: dict
) -> tuple[Autoencoder, np.ndarray]:
    """Return an autoencoder of random float64 weights, and a batch, for ``size`` (B, d, h)."""
    B, d, h = size
    rng = np.random.default_rng(seed)
    options = dict(options)
    decay = options.pop("weight_decay", 0.0)
    encoder = Dense(rng.normal(size=(h, d)), rng.normal(size=h) * 0.3, decay)
    decoder = Dense(rng.normal(size=(d, h)), rng.normal(size=d) * 0.3, decay)
    return Autoencoder(encoder, decoder, g, **options), rng.random((B, d))


def errors(model: Autoencoder, X: np.ndarray) -> Iterator[float]:
    """Yield the error of each array that could be compared."""
    yield from (error for error in check_gradients(model, X).errors.values() if not np.isnan(error))


def kind_of(name: str) -> str:
    """Return the kind of a mistake, by its name."""
    return next(kind for kind, words in KINDS.items() if any(word in name for word in words))


def main(argv: list[str] | None = None) -> int:
    """Measure, and print the range of errors of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--seeds", type=usage.positive, default=20)
    parser.add_argument("--quick", action="store_true", help="one seed, one size: to see that it runs")
    args = parser.parse_args(argv)
    seeds, sizes = (1, SIZES[:1]) if args.quick else (args.seeds, SIZES)

    right: list[float] = []
    wrong: dict[str, list[float]] = {}
    for seed in range(seeds):
        for size in sizes:
            for g, options in legal_combinations():
                right += errors(*model_and_data(size, seed, g, options))
            for name, mutation in MUTATIONS.items():
                model, X = model_and_data(size, seed, mutation.g, mutation.options)
                with broken_backward(mutation):
                    found = [
                        error for error in errors(model, X) if error > 1e-6
                    ]  # of the arrays that it reaches
                wrong.setdefault(name, []).extend(found)
    kinds = {kind: [e for name in wrong if kind_of(name) == kind for e in wrong[name]] for kind in KINDS}
    figures = {
        "right": span(right),
        "wrong": {kind: span(values) for kind, values in kinds.items()},
        "mistakes": {name: span(values) for name, values in wrong.items()},
    }
    print(f"{'':40}{'smallest':>10}{'median':>10}{'largest':>10}{'arrays':>8}")
    for name, row in {"right": figures["right"], **figures["wrong"], **figures["mistakes"]}.items():
        print(f"{name:40}{row['min']:10.1e}{row['median']:10.1e}{row['max']:10.1e}{row['n']:8}")
    results.finish(args, "gradient_errors", figures, seeds=range(seeds))
    return 0


def span(values: list[float]) -> dict[str, float]:
    """Return the smallest, the median and the largest of ``values``, and how many there are."""
    return {
        "min": float(np.min(values)),
        "median": float(np.median(values)),
        "max": float(np.max(values)),
        "n": len(values),
    }


if __name__ == "__main__":
    sys.exit(usage.run(main))
