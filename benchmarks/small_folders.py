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
- ``own_units_k32``: its patches and components, and a second autoencoder that learns from the folder;
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
from helpers import results
from helpers import retrieval_methods as methods
from helpers.ranking import PHOTO_SIDE, Rows, say
from helpers.second_layers import learned_units

import nsae
from nsae import CodeIndex, Codes, ImageEncoder
from nsae.cli import main as run_nsae
from nsae.datasets import archives, dead_leaves
from nsae.images.library.library_folder import read_library_folder
from nsae.retrieval import rank_dense

SIZES = (1, 5, 20, 100, 1000)
FEW = 200  # photos, below which made pictures are learned from, too
N_MADE = 100
Encode = Callable[[np.ndarray], Rows]  # images (n, side, side, 3) to codes or rows


class Folder(NamedTuple):
    """Photos, their kinds, and queries; ``own (q,)`` is the row of each query in the folder, −1 if it is in none."""

    images: np.ndarray
    labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray
    own: np.ndarray


def draw(images: np.ndarray, labels: np.ndarray, n: int, half: int, seed: int) -> Folder:
    """Return a folder of ``n`` photos with numbers of one half (0: even, 1: odd), the others of it as queries.

    A folder with more photos than a half has is all of them, and the half's are the queries.
    """
    mine = np.arange(half, len(images), 2)
    if n > len(mine) // 2:
        return Folder(images, labels, images[mine], labels[mine], mine)
    mixed = np.random.default_rng([seed, n]).permutation(mine)
    inside, asked = mixed[:n], np.sort(mixed[n:])
    outside = np.full(len(asked), -1)
    return Folder(images[inside], labels[inside], images[asked], labels[asked], outside)


def precision_at_1(folder: Folder, X: Rows, Q: Rows, metric: str = "cosine") -> float:
    """Return how often the nearest of rows X is of the kind of its query in Q, a query itself left out."""
    depth = 2 if (folder.own >= 0).any() else 1
    if isinstance(X, Codes):
        index = CodeIndex(X.n_units)
        index.add(X)
        rows = index.search(Q, depth).rows  # (q, depth)
    else:
        rows = rank_dense(Q, X, metric, depth).rows  # (q, depth)
    first = np.where(rows[:, 0] == folder.own, rows[:, -1], rows[:, 0])  # (q,)
    return float(np.mean(folder.labels[first] == folder.query_labels))


def judged(folder: Folder, encode: Encode, metric: str = "cosine") -> float:
    """Return :func:`precision_at_1` of what ``encode`` makes of photos and queries."""
    return precision_at_1(folder, encode(folder.images), encode(folder.queries), metric)


# ---- the rows


def indexed(folder: Folder) -> Encode:
    """Return the encoder of an index that ``nsae index`` makes of the photos, which it finds as files."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        photos.mkdir()
        for i, image in enumerate(folder.images):
            Image.fromarray(image).save(photos / f"{i:04}.png")  # which loses nothing
        target = str(Path(work) / "photos.nsae")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            if run_nsae(["index", str(photos), "-o", target, "--json"]):
                raise RuntimeError(said.getvalue())
        encoder = read_library_folder(target).photo_encoder()
    return lambda queries: nsae.encode_photos(encoder, list(queries))


def learned(folder: Folder, seed: int, quick: bool) -> Encode:
    """Return an encoder that learns from the folder alone, with made pictures beside where photos are few."""
    images = folder.images
    if len(images) < FEW:
        images = np.concatenate([images, dead_leaves(N_MADE, size=images.shape[1])])
    options: dict[str, Any] = {"epochs": 2, "n_patches": 10_000, "patch_units": 64} if quick else {}
    return ImageEncoder(random_state=seed, **options).fit(images).encode_images


def ways(pretrained: Any, seed: int) -> dict[str, Callable[[Folder], Encode]]:
    """Return what is quick to try, by name: a folder to an encoder."""
    table: dict[str, Callable[[Folder], Encode]] = {
        f"pretrained_k{k}": lambda _folder, k=k: pretrained.with_k(k).encode_images for k in (32, 64, 128)
    }
    table["own_units_k32"] = lambda folder: learned_units(pretrained.with_k(32), folder.images, seed)
    return table


# ---- all sizes


def histograms(images: np.ndarray, folders: list[Folder]) -> tuple[dict[str, Any], str]:
    """Return the settings and the metric of the histogram of colours that is best for these folders."""
    best: tuple[float, dict[str, Any], str] = (-1.0, {}, "")
    for options in methods.settings("histogram", images):
        encode = methods.histogram(images, 0, **options)
        for metric in ("cosine", "l2"):
            figure = float(np.mean([judged(folder, encode, metric) for folder in folders]))
            if figure > best[0]:
                best = figure, options, metric
    return best[1], best[2]


def of_size(
    images: np.ndarray, labels: np.ndarray, n: int, half: int, args: argparse.Namespace
) -> dict[str, Any]:
    """Return means over draws of folders with n photos, by row; "spread" is the largest less the smallest."""
    draws = args.draws if n <= len(images) // 4 else 1
    folders = [draw(images, labels, n, half, seed) for seed in range(draws)]
    options, metric = histograms(images, [draw(images, labels, n, 0, seed) for seed in range(draws)])
    encode = methods.histogram(images, 0, **options)
    found: dict[str, list[float]] = {"nsae": [], "histogram": []}
    pretrained = nsae.load_encoder(args.encoder)
    for seed, folder in enumerate(folders):
        found["histogram"].append(judged(folder, encode, metric))
        for name, way in ways(pretrained, seed).items():
            found.setdefault(name, []).append(judged(folder, way(folder)))
        if half or n < len(images):  # of all photos, one index is asked by both halves
            found["nsae"].append(judged(folder, indexed(folder)))
    for seed in range(args.learned):
        some = folders[seed % len(folders)]
        found.setdefault("learned", []).append(judged(some, learned(some, seed, args.quick)))
    possible = [np.mean(np.isin(folder.query_labels, folder.labels)) for folder in folders]
    row: dict[str, Any] = {name: float(np.mean(values)) for name, values in found.items() if values}
    spread = {name: float(np.ptp(values)) for name, values in found.items() if len(values) > 1}
    more = {"best_possible": float(np.mean(possible)), "draws": draws, "queries": len(folders[0].queries)}
    return {**row, **more, "spread": spread, "settings": {**options, "metric": metric}}


def print_table(title: str, table: dict[str, dict[str, Any]]) -> None:
    """Print a line for each row, with a column for each number of photos."""
    names = [name for name in next(iter(table.values())) if name not in ("spread", "settings")]
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
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="photos in a folder")
    parser.add_argument("--draws", type=int, help="folders of each size but the largest (20; 1 with --quick)")
    parser.add_argument(
        "--learned", type=int, help="of them, those that are learned from (2; 1 with --quick)"
    )
    parser.add_argument("--encoder", default="photos", help="as for nsae.load_encoder ('photos')")
    parser.add_argument("--quick", action="store_true", help="one draw, little learning: to see that it runs")
    args = parser.parse_args(argv)
    args.draws = args.draws or (1 if args.quick else 20)
    args.learned = args.learned if args.learned is not None else (1 if args.quick else 2)
    images, labels = archives.corel1k(PHOTO_SIDE)
    result: dict[str, Any] = {"chosen": {}, "corel1k": {}}
    for n in args.sizes:
        for half, part in enumerate(result):
            result[part][str(n)] = row = of_size(images, labels, n, half, args)
            say(f"  {part} {n}: " + "  ".join(f"{k} {v:.3f}" for k, v in row.items() if isinstance(v, float)))
    print_table("chosen by", result["chosen"])
    print_table("reported", result["corel1k"])
    results.finish(args, "small_folders", result, seeds=range(args.draws))
    return 0


if __name__ == "__main__":
    sys.exit(main())
