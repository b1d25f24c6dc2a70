"""Learn the encoder that comes with nsae from Caltech-101, and judge it on photos that it never saw.

    NSAE_DATA=folder python benchmarks/pretrain_photos.py [--write FILE] [--json] [--save]

It learns from all 8,677 photos, without labels, and becomes nsae/images/pretrained/photos.npz, which
``nsae.load_encoder("photos")`` reads.  Without ``--write``, the file in nsae is judged.

The judge is Corel-1K, each photo against the others: its codes, the vectors that they are made from, and a colour
histogram, by cosine.  k and the numbers of units and components were chosen by photos with even numbers; those with
odd numbers are reported.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.ranking import Problem, quality, say
from helpers.retrieval_rows import row, show

import nsae
from nsae import ImageEncoder, datasets
from nsae.datasets import archives
from nsae.images.defaults import PHOTO_SIDE
from nsae.images.features.color_histogram import color_histogram
from nsae.images.load_encoder import PHOTOS, PRETRAINED
from nsae.images.pipeline import ImagePipeline

UNITS, K, COMPONENTS, PATCH_UNITS = 4096, 128, 128, 512  # in float16, they take less than 4 MB
SOURCE = "Caltech-101: Li, Andreetto, Ranzato and Perona, 2022, doi 10.22002/D1.20086, CC BY 4.0"
FIRST_CODE = """
import time
started = time.perf_counter()
import numpy as np
numpy = time.perf_counter()
import nsae
encoder = nsae.load_encoder("photos")
encoder.encode(np.random.default_rng(0).integers(0, 256, (1, 96, 96, 3), dtype=np.uint8))
print(time.perf_counter() - started, numpy - started)
"""


def learn(images: np.ndarray, **options: Any) -> ImagePipeline:
    """Return the encoder that was learned from the images (n, side, side, 3)."""
    encoder = ImageEncoder(
        **{
            "n_units": UNITS,
            "k": K,
            "n_components": COMPONENTS,
            "patch_units": PATCH_UNITS,
            "neighbour_steps": 0,
            "random_state": 0,
            **options,
        }
    )
    pipeline = encoder.fit(images).encoder()
    header = {name: value for name, value in pipeline.header.items() if name != "history"}
    return pipeline.with_header({**header, "learned_from": SOURCE})


def judge(pipeline: ImagePipeline, images: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, Any]]:
    """Return rows of its codes, of the vectors before them, and of a colour histogram."""
    codes = pipeline.encode(images)
    rows = {
        "nsae": (codes.to_dense(), 6 * pipeline.k),
        "nsae_k32": (pipeline.with_k(32).encode(images).to_dense(), 6 * 32),
        "vector": (pipeline.components(images), 4 * len(pipeline.pca.a)),
        "color_histogram": (np.array([color_histogram(image) for image in images]), 4 * 512),
    }
    problem = Problem(images, labels, images, labels, True)
    return {name: row(quality(problem, X, X), bytes=size) for name, (X, size) in rows.items()}


def first_code() -> dict[str, float]:
    """Return the seconds of a new process from its first import to its first code; the median of five."""
    path = os.pathsep.join([str(Path(nsae.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    seconds = []
    for _ in range(5):
        command = [sys.executable, "-c", FIRST_CODE]
        out = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
        )
        seconds.append([float(number) for number in out.stdout.split()])
    whole, numpy = np.median(seconds, axis=0)
    return {"seconds_to_first_code": float(whole), "of_which_numpy": float(numpy)}


def main(argv: list[str] | None = None) -> int:
    """Learn, if asked to; judge."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="every tenth photo: to see that it runs")
    parser.add_argument(
        "--write", type=usage.new_file, metavar="FILE", help="learn, and write the encoder here"
    )
    args = parser.parse_args(argv)
    result: dict[str, Any] = {}
    path: Path = args.write or PRETRAINED / f"{PHOTOS}.npz"
    if args.write:
        images, _ = datasets.caltech101(PHOTO_SIDE)
        started = time.perf_counter()
        pipeline = learn(images)
        pipeline.save(path, overwrite=True, half=True)
        result["fit_s"] = time.perf_counter() - started
        say(f"learned from {len(images)} photos in {result['fit_s']:.0f} s")
    pipeline = ImagePipeline.load(path)
    result |= {"bytes": path.stat().st_size, **first_code()}
    photos, labels = archives.corel1k(PHOTO_SIDE)
    if args.quick:
        photos, labels = photos[::10], labels[::10]
    for half, name in ((0, "chosen"), (1, "corel1k")):
        result[name] = judge(pipeline, photos[half::2], labels[half::2])
        for label, figures in result[name].items():
            show(f"{name} {label}", figures)
    say(f"{result['bytes']:,} bytes; first code after {result['seconds_to_first_code']:.2f} s")
    results.finish(args, "pretrain_photos", result)
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
