"""How well are photos found in a folder of 1, 5, 20, 100 or 1,000 of them?

    python benchmarks/small_folders.py [--sizes N ...] [--draws N] [--learned N] [--encoder FILE]
                                       [--quick] [--json] [--save]

Photos of Corel-1K are drawn at random, written to a folder, and indexed by ``nsae index`` with its defaults.  Other
photos are the queries.  The figure is precision@1: how often the nearest photo of the folder is of the query's kind,
of ten.  Of 1,000 photos, each is a query against the 999 others.

With one photo there is one hit, whatever the code is: .1 for everything, which is chance.  Few photos lack kinds, too:
``best_possible`` is how many queries have a photo of their kind in the folder.

**Rows.**  ``nsae`` is what the index answers.  ``histogram`` is a histogram of colours, at the best of its settings
(helpers/retrieval_methods.py).  The others are what ``nsae index`` could do:

- ``pretrained_k32``, ``_k64``, ``_k128``: the encoder of the package, with so many active units;
- ``own_units_k8``, ``_k32``: its patches and components, with the directions of k-means on the folder's as units; of a
  folder with fewer photos than units, each photo is a unit;
- ``learned``: an encoder that learns from the folder, with pictures of ``datasets.dead_leaves`` where photos are few.
  It takes seconds to learn, so that only ``--learned`` of the draws are tried.

**Chosen and reported.**  ``chosen`` has the same figures where photos with even numbers are queries and folders,
and settings are chosen by it.  What is reported has those with odd numbers.  (The folder of 1,000 has both; the
queries are of one half.)  Draws of one size are the same photos for every row.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from helpers import results, usage
from helpers import retrieval_methods as methods
from helpers.ranking import PHOTO_SIDE, Rows, say
from helpers.second_layers import codes_of, spherical_k_means, with_centres

import nsae
from nsae import CodeIndex, Codes, ImageEncoder
from nsae.cli import main as run_nsae
from nsae.datasets import archives, dead_leaves
from nsae.images.few_photos import ENOUGH
from nsae.images.library.library_folder import read_library_folder
from nsae.images.pipeline import ImagePipeline
from nsae.retrieval import rank_dense

SIZES = (1, 5, 20, 100, 200, 1000)
N_MADE = 100
PRETRAINED_K = (32, 64, 128)
OWN_K = (8, 32)


class Folder(NamedTuple):
    """Numbers of the photos in a folder (n,) and of the queries (q,); a query that is in it is left out of its hits."""

    inside: np.ndarray
    asked: np.ndarray


class Photos(NamedTuple):
    """Photos (n, side, side, 3) and their kinds, and what the encoder of the package makes of them all."""

    images: np.ndarray
    labels: np.ndarray
    pretrained: ImagePipeline
    components: np.ndarray


def draw(n_photos: int, n: int, half: int, seed: int) -> Folder:
    """Return a folder of ``n`` photos with numbers of one half (0: even, 1: odd), the others of it as queries.

    A folder with more photos than half of them is all of them, and the half's are the queries.
    """
    mine = np.arange(half, n_photos, 2)
    if n > len(mine) // 2:
        return Folder(np.arange(n_photos), mine)
    mixed = np.random.default_rng([seed, n]).permutation(mine)
    return Folder(mixed[:n], np.sort(mixed[n:]))


def precision_at_1(folder: Folder, labels: np.ndarray, X: Rows, Q: Rows, metric: str = "cosine") -> float:
    """Return how often the nearest of rows X, of the folder, is of the kind of its query in Q."""
    depth = min(2, len(folder.inside))
    if isinstance(X, Codes):
        index = CodeIndex(X.n_units)
        index.add(X)
        rows = index.search(Q, depth).rows  # (q, depth)
    else:
        rows = rank_dense(Q, X, metric, depth).rows  # (q, depth)
    hits = folder.inside[rows]  # (q, depth), numbers of photos
    first = np.where(hits[:, 0] == folder.asked, hits[:, -1], hits[:, 0])  # (q,)
    return float(np.mean(labels[first] == labels[folder.asked]))


# ---- the rows


def indexed(images: np.ndarray) -> Callable[[np.ndarray], Codes]:
    """Return what encodes for an index that ``nsae index`` makes of these photos, which it finds as files."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        photos.mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(photos / f"{i:04}.png")  # which loses nothing
        target = str(Path(work) / "photos.nsae")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            if run_nsae(["index", str(photos), "-o", target, "--json"]):
                raise RuntimeError(said.getvalue())
        encoder = read_library_folder(target).photo_encoder()
    return lambda queries: nsae.encode_photos(encoder, list(queries))


def learned(images: np.ndarray, seed: int, quick: bool) -> Callable[[np.ndarray], Codes]:
    """Return an encoder that learns from the folder alone, with made pictures beside where photos are few."""
    if len(images) < ENOUGH:
        images = np.concatenate([images, dead_leaves(N_MADE, size=images.shape[1])])
    options: dict[str, Any] = {"epochs": 2, "n_patches": 10_000, "patch_units": 64} if quick else {}
    return ImageEncoder(random_state=seed, **options).fit(images).encode_images


def rows_of(photos: Photos, folder: Folder, seed: int) -> dict[str, float]:
    """Return what is quick to try on a folder, by name."""
    T = photos.components
    found = {}
    for k in PRETRAINED_K:
        codes = codes_of(photos.pretrained.with_k(k), T)
        pair = codes[folder.inside], codes[folder.asked]
        found[f"pretrained_k{k}"] = precision_at_1(folder, photos.labels, *pair)
    C, _seconds = spherical_k_means(T[folder.inside], photos.pretrained.n_units, seed)
    for k in OWN_K:
        own = with_centres(photos.pretrained.with_k(min(k, len(C))), C)
        pair = codes_of(own, T[folder.inside]), codes_of(own, T[folder.asked])
        found[f"own_units_k{k}"] = precision_at_1(folder, photos.labels, *pair)
    return found


# ---- all sizes


def best_histogram(
    images: np.ndarray, labels: np.ndarray, folders: list[Folder]
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return histograms of the colours of all photos, by the settings and the metric that suit these folders best."""
    best: tuple[float, np.ndarray, dict[str, Any]] = (-1.0, images, {})
    for options in methods.settings("histogram", images):
        F = methods.histogram(images, 0, **options)(images)
        for metric in ("cosine", "l2"):
            of = [
                precision_at_1(folder, labels, F[folder.inside], F[folder.asked], metric)
                for folder in folders
            ]
            if np.mean(of) > best[0]:
                best = float(np.mean(of)), F, {**options, "metric": metric}
    return best[1], best[2]


def of_size(photos: Photos, n: int, half: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return means over draws of folders with n photos, by row; "spread" is the largest less the smallest."""
    images, labels, n_photos = photos.images, photos.labels, len(photos.images)
    draws = args.draws if n <= n_photos // 4 else 1
    folders = [draw(n_photos, n, half, seed) for seed in range(draws)]
    F, settings = best_histogram(images, labels, [draw(n_photos, n, 0, seed) for seed in range(draws)])
    found: dict[str, list[float]] = {"nsae": [], "histogram": []}

    def judge(name: str, folder: Folder, encode: Callable[[np.ndarray], Codes]) -> None:
        pair = encode(images[folder.inside]), encode(images[folder.asked])
        found.setdefault(name, []).append(precision_at_1(folder, labels, *pair))

    for seed, folder in enumerate(folders):
        of = precision_at_1(folder, labels, F[folder.inside], F[folder.asked], settings["metric"])
        found["histogram"].append(of)
        for name, value in rows_of(photos, folder, seed).items():
            found.setdefault(name, []).append(value)
        if half:  # what is reported
            judge("nsae", folder, indexed(images[folder.inside]))
    for seed in range(args.learned):
        folder = folders[seed % len(folders)]
        judge("learned", folder, learned(images[folder.inside], seed, args.quick))
    possible = [np.mean(np.isin(labels[f.asked], labels[f.inside])) for f in folders]
    row: dict[str, Any] = {name: float(np.mean(values)) for name, values in found.items() if values}
    spread = {name: float(np.ptp(values)) for name, values in found.items() if len(values) > 1}
    more = {"best_possible": float(np.mean(possible)), "draws": draws, "queries": len(folders[0].asked)}
    return {**row, **more, "spread": spread, "settings": settings}


def print_table(title: str, table: dict[str, dict[str, Any]]) -> None:
    """Print a line for each row, with a column for each number of photos."""
    names = list(dict.fromkeys(name for row in table.values() for name in row))
    names = [name for name in names if name not in ("spread", "settings")]
    print(f"\n{title:24}" + "".join(f"{n:>10}" for n in table))
    for name in names:
        form = ".0f" if name in ("draws", "queries") else ".3f"
        print(
            f"  {name:22}"
            + "".join(f"{row[name]:>10{form}}" if name in row else " " * 10 for row in table.values())
        )


def main(argv: list[str] | None = None) -> int:
    """Try folders of each size, of both halves of the photos."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument(
        "--sizes", type=usage.positive, nargs="+", default=list(SIZES), help="photos in a folder"
    )
    parser.add_argument(
        "--draws", type=usage.positive, help="folders of each size but the largest (20; 1 with --quick)"
    )
    parser.add_argument(
        "--learned", type=usage.from_zero, help="of them, those that are learned from (2; 1 with --quick)"
    )
    parser.add_argument("--encoder", default="photos", help="as for nsae.load_encoder ('photos')")
    parser.add_argument("--quick", action="store_true", help="one draw, little learning: to see that it runs")
    args = parser.parse_args(argv)
    args.draws = args.draws or (1 if args.quick else 20)
    args.learned = args.learned if args.learned is not None else (1 if args.quick else 2)
    images, labels = archives.corel1k(PHOTO_SIDE)
    if max(args.sizes) > len(images):
        parser.error(
            f"--sizes {max(args.sizes)}: Corel-1K has {len(images):,} photos, and a folder no more than these"
        )
    pretrained = nsae.load_encoder(args.encoder)
    photos = Photos(images, labels, pretrained, pretrained.components(images))
    result: dict[str, Any] = {"chosen": {}, "corel1k": {}}
    for n in args.sizes:
        for half, part in enumerate(result):
            result[part][str(n)] = row = of_size(photos, n, half, args)
            say(f"  {part} {n}: " + "  ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float)))
    print_table("chosen by", result["chosen"])
    print_table("reported", result["corel1k"])
    results.finish(args, "small_folders", result, seeds=range(args.draws))
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
