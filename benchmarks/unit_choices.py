"""How many units, how many steps to the neighbours, how large a threshold?  On images that are held out.

    NSAE_DATA=folder python benchmarks/unit_choices.py [--data NAME ...] [--json] [--save]

What ``ImageEncoder`` has as defaults for its second autoencoder was chosen by this kind of table.  Nothing here
sees the queries that retrieval_quality.py reports: queries are 1,000 images of its database (of Corel-1K, the photos
with even numbers, each against the others), searched among up to 20,000 others, which the encoder learns from.

The features are learned once.  Then each row learns the second autoencoder anew, with one seed.  A row is named by
units, k, steps t of Eq. (38) and φ of Eq. (36), and has two figures: precision at 1 and at 10 say whether the nearest
images are right, mAP whether whole kinds come first (mAP@1000 where there are colours).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.ranking import SETS, Problem, held_out, load, quality, say
from helpers.retrieval_rows import row

from nsae import Codes, ImageEncoder, SparseAutoencoder
from nsae.equations.layers import Dense
from nsae.images.features.image_threshold import thresholded_codes
from nsae.images.features.neighbours import NeighbourMap, unit_rows

IMAGES, QUERIES = 20_000, 1000
STEPS, THRESHOLDS = (0, 1, 2, 4), (0.0, 0.5, 0.9)
UNITS = {  # per set: from few to as many as there are images
    "mnist": (320, 640, 1024, 4096),
    "fashion_mnist": (320, 640, 1024, 4096),
    "cifar10_jpeg": (1024, 4096, 16384),
    "corel1k": (128, 256, 500),
    "caltech101": (1024, 4096, 7000),
}


def components(problem: Problem, seed: int = 0, **options: Any) -> Problem:
    """Return the problem with principal components of norm 1 in place of images; they are learned here."""
    encoder = ImageEncoder(64, random_state=seed, neighbour_steps=0, epochs=1, **options).fit(
        problem.database
    )
    X = encoder.components(problem.database)
    return problem._replace(
        database=X, queries=X if problem.leave_one_out else encoder.components(problem.queries)
    )


def figures(problem: Problem, X: Codes | np.ndarray, Q: Codes | np.ndarray) -> dict[str, Any]:
    """Return the row of codes or vectors X of the database and Q of the queries."""
    return row(quality(problem, X, Q), bytes=0)


def choices(name: str, quick: bool) -> dict[str, dict[str, Any]]:
    """Return the rows of one set."""
    problem = components(held_out(load(name, quick), IMAGES, QUERIES))
    rows: dict[str, dict[str, Any]] = {}

    def learn(X: np.ndarray, h: int) -> Dense:
        model = SparseAutoencoder(
            h, k=1, init="scaled samples", epochs=20, batch_size=256, lr_schedule="linear", random_state=0
        )
        W = unit_rows(model.fit(X).encoder().encoder_layer.W)  # (37) (h, m)
        return Dense(W, np.zeros(h, np.float32))

    def judge(label: str, layer: Dense, X: np.ndarray, Q: np.ndarray, k: int, phi: float) -> None:
        codes, asked = (thresholded_codes(layer, rows, k, phi) for rows in (X, Q))  # (36)
        rows[label] = figures(problem, codes, asked)
        shown = ", ".join(
            f"{m} {rows[label][m]:.3f}" for m in ("precision@1", "precision@10", "map", "map@1000")
        )
        say(f"  {label:44} {shown}")

    units = [min(h, len(problem.database)) for h in UNITS[name]]
    for steps in STEPS:
        neighbours = NeighbourMap.fit(problem.database, steps, np.random.default_rng(0))
        if steps and neighbours is None:
            continue
        X, Q = (A if neighbours is None else neighbours(A) for A in (problem.database, problem.queries))
        rows[f"vector, t = {steps}"] = figures(problem, X, Q)
        for h in units:
            layer = learn(X, h)
            for k in (32, 128) if h >= 256 else (32,):
                judge(f"{h} units, k = {k}, t = {steps}, phi = 0.9", layer, X, Q, k, 0.9)
            if steps == 0:
                for phi in THRESHOLDS[:-1]:
                    judge(f"{h} units, k = 32, t = 0, phi = {phi}", layer, X, Q, 32, phi)
    return rows


def main(argv: list[str] | None = None) -> int:
    """Try all of them on each set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--data", choices=SETS, nargs="+", default=list(SETS), help="some of the sets only")
    parser.add_argument("--quick", action="store_true", help="few images: to see that it runs")
    args = parser.parse_args(argv)
    result = {}
    for name in args.data:
        say(name)
        try:
            result[name] = choices(name, args.quick)
        except FileNotFoundError as error:
            say(f"{name} is left out: {error}")
    results.finish(args, "unit_choices", result)
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
