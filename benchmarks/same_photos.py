"""What `nsae same` says of pairs of photos whose relation is known.

    python benchmarks/same_photos.py [--half choose|report] [--model FILE] [--quick] [--json] [--save]

The photos are Corel-1K's, of 10 subjects.  With --half choose, those with even numbers tell within which distance
1 of 100 pairs with different subjects lies: that is the radius of "alike".  With --half report, the default, those
with odd numbers tell how often pairs of each relation are called what.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from helpers import results, usage
from helpers.duplicate_pictures import EDITS, Picture, burst
from PIL import Image

from nsae import encode_photos, load_encoder
from nsae.cli.same import RADIUS
from nsae.datasets import data_folder
from nsae.images.compare_photos import VERDICTS, compare_photos
from nsae.retrieval.distances import cosine

FALSE = 0.01  # of the pairs with different subjects that may be alike, for --half choose


def cropped(photo: Picture, rng: np.random.Generator) -> Picture:
    """Return what is left where 10 to 40 % of the width and of the height are cut off."""
    w, h = photo.size
    kept = 1 - rng.uniform(0.1, 0.4, 2)
    left, top = (rng.uniform(0, 1 - kept) * photo.size).astype(int)
    return photo.crop((left, top, left + int(w * kept[0]), top + int(h * kept[1])))


EDITED: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    **EDITS,
    "cropped": cropped,
    "next of a burst": lambda photo, rng: burst(photo, rng)[1],
}


def photos(half: int, every: int) -> dict[int, Picture]:
    """Return the photos of Corel-1K whose number is even (half 0) or odd (1), each ``every``-th, by number."""
    with tarfile.open(data_folder() / "corel1k.tar") as archive:
        found = {int(Path(m.name).stem): archive.extractfile(m).read() for m in archive if m.isfile()}
    chosen = sorted(number for number in found if number % 2 == half)[::every]
    return {number: Image.open(io.BytesIO(found[number])).convert("RGB") for number in chosen}


def main(argv: list[str] | None = None) -> int:
    """Choose the radius, or print how often pairs of each relation get each verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="every 25th photo")
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--model", default="photos", help="as of 'nsae same' (%(default)s)")
    parser.add_argument(
        "--radius", type=usage.positive_number, default=RADIUS, help="as of 'nsae same' (%(default)s)"
    )
    args = parser.parse_args(argv)
    encoder, rng = load_encoder(args.model), np.random.default_rng(0)
    chosen = photos(int(args.half == "report"), 25 if args.quick else 1)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, photo in chosen.items():
            paths.append(Path(folder) / f"{number}.png")
            photo.save(paths[-1])
        Z = encode_photos(encoder, paths).to_dense()  # (n, n_units)
        distances = cosine(Z, Z)  # (n, n)
        subjects = np.array(list(chosen)) // 100  # (n,)
        of_one = subjects[:, None] == subjects  # (n, n)
        pairs = np.tri(len(Z), k=-1, dtype=bool)  # (n, n), each pair once
        figures: dict[str, object] = {
            "photos": len(Z),
            "radius": args.radius,
            "radius_of_1_percent": float(np.quantile(distances[pairs & ~of_one], FALSE)),
            "alike": {
                "different subjects": float((distances[pairs & ~of_one] <= args.radius).mean()),
                "one subject": float((distances[pairs & of_one] <= args.radius).mean()),
                "the nearest of its subject": float(
                    (
                        np.where(of_one & ~np.eye(len(Z), dtype=bool), distances, 2).min(axis=1)
                        <= args.radius
                    ).mean()
                ),
            },
        }
        edited = {}
        for name, edit in EDITED.items():
            counts = dict.fromkeys(VERDICTS, 0)
            for path, photo in zip(paths, chosen.values(), strict=True):
                other = path.with_suffix(".jpg")
                edit(photo, rng).save(other, quality=50 if name == "JPEG 50" else 92)
                counts[compare_photos(path, other, encoder, radius=args.radius).verdict] += 1
            edited[name] = {verdict: count / len(paths) for verdict, count in counts.items()}
        figures["edited"] = edited
    print(f"1 of 100 pairs with different subjects is within {figures['radius_of_1_percent']:.3f}")
    for name, fraction in figures["alike"].items():
        print(f"{name:<28}{fraction:8.1%} alike")
    print(" " * 28 + "".join(f"{verdict:>14}" for verdict in VERDICTS))
    for name, row in edited.items():
        print(f"{name:<28}" + "".join(f"{fraction:14.1%}" for fraction in row.values()))
    results.finish(args, "same_photos", figures, seeds=[0])
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
