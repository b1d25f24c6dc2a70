"""Dead units: how many a k-sparse autoencoder ends up with, and what each remedy does about them.

    python benchmarks/dead_units.py [--data NAME] [--only NAME ...] [--size h4096_k16] [--epochs N] [--seeds N]
                                    [--quick] [--json] [--save]

Each row is one training from the same seed, alike but for the remedy.  A unit counts as dead if no training
image activates it in the model as it ends.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np
from helpers import results, usage

from nsae import SparseAutoencoder, datasets

SIZES = [(2048, 8), (4096, 16)]  # (h, k)
REMEDIES = {
    "nothing": {},
    "auxiliary loss": {"aux_weight": 1.0},
    "k from 8 k down": {"k_start": 8},  # times k
    "resampling": {"resample": True, "dead_after": 60_000},
    "start from samples": {"init": "samples"},
    "start from samples, resampling": {"init": "samples", "resample": True, "dead_after": 60_000},
    "start from samples, resampling, falling rate": {
        "init": "samples",
        "resample": True,
        "dead_after": 60_000,
        "learning_rate": 2e-3,
        "lr_schedule": "linear",
    },
}


def load(name: str) -> np.ndarray:
    """Return (n, 784) float32 in [0, 1]."""
    if name == "glyphs":
        images = datasets.glyphs(10_000, random_state=0)[0]
    else:
        images = getattr(datasets, name)("train")[0]
    X = images.reshape(len(images), -1)
    return (X / 255 if X.dtype == np.uint8 else X).astype(np.float32)


def run(X: np.ndarray, h: int, k: int, options: dict, epochs: int, seed: int) -> dict[str, float]:
    """Train once.  Return the fraction of units that are dead at the end, explained variance, and seconds."""
    options = {**options, **({"k_start": options["k_start"] * k} if "k_start" in options else {})}
    started = time.perf_counter()
    model = SparseAutoencoder(h, k=k, epochs=epochs, random_state=seed, **options).fit(X)
    seconds = time.perf_counter() - started
    uses = np.bincount(model.encode(X).units, minlength=h)  # (h,)
    return {"dead": float(np.mean(uses == 0)), "explained_variance": model.score(X), "seconds": seconds}


def main(argv: list[str] | None = None) -> int:
    """Train with each remedy, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument(
        "--quick", action="store_true", help="glyphs, 300 units, 3 epochs: to see that it runs"
    )
    parser.add_argument("--data", default="fashion_mnist", choices=("fashion_mnist", "mnist", "glyphs"))
    parser.add_argument("--epochs", type=usage.positive, default=20)
    parser.add_argument("--seeds", type=usage.positive, default=1, help="medians over so many (1)")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=REMEDIES, help="these remedies alone")
    parser.add_argument("--size", choices=[f"h{h}_k{k}" for h, k in SIZES], help="this size alone")
    args = parser.parse_args(argv)
    sizes, epochs, data = ([(300, 4)], 3, "glyphs") if args.quick else (SIZES, args.epochs, args.data)
    if args.size and not args.quick:
        sizes = [(h, k) for h, k in SIZES if args.size == f"h{h}_k{k}"]

    X = load(data)
    print(f"{len(X)} images of {data}, {epochs} epochs in batches of 256; medians of {args.seeds} seed(s)")
    print(f"{'units':>6}{'k':>4}  {'remedy':46}{'dead':>8}{'expl. var.':>12}{'seconds':>9}")
    table: dict[str, dict[str, dict[str, float]]] = {}
    for h, k in sizes:
        for remedy, options in REMEDIES.items():
            if args.only and remedy not in args.only:
                continue
            runs = [run(X, h, k, options, epochs, seed) for seed in range(args.seeds)]
            row = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
            table.setdefault(f"h{h}_k{k}", {})[remedy] = row
            figures = f"{row['dead']:8.1%}{row['explained_variance']:12.4f}{row['seconds']:9.0f}"
            print(f"{h:6}{k:4}  {remedy:46}{figures}", flush=True)
    figures = {"data": data, "epochs": epochs, **table}
    results.finish(args, "dead_units", figures, seeds=range(args.seeds))
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
