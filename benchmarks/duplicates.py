"""What `nsae duplicates` finds of edits, and what it takes for duplicates though it is none.

    python benchmarks/duplicates.py [--edits N] [--half choose|report] [--quick] [--json] [--save]

A folder of photos and of edits of them (resized, JPEG at quality 50, mirrored, turned by 90°), of pages of text
and line drawings with their edits, and of bursts, in which nothing is a duplicate.  "before" is what groups were
made of: codes within 0.03, and equal files.  Limits were chosen on one half of the photos (--half choose, which
also prints how far true and false pairs are from them), and figures are of the other half.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from helpers import results, usage
from helpers.duplicate_pictures import EDITS, TURNED, burst, drawing, page, photos

from nsae import ImageEncoder, ImageLibrary
from nsae.images.library import same_picture
from nsae.images.library.disjoint_sets import DisjointSets
from nsae.images.library.near_duplicates import near_pairs

RADIUS = 0.03  # of codes, for "before"


class Made(NamedTuple):
    """A picture of the folder."""

    kind: str  # photos, pages, drawings, bursts
    original: str  # id of the picture that it is, or is an edit of
    edit: str  # "" for an original


def make_folder(root: Path, n_edits: int, half: int, seed: int) -> dict[str, Made]:
    """Write the pictures, and return what each is, by id."""
    rng, made = np.random.default_rng(seed), {}
    n_text = max(20, n_edits // 10)
    sources = {
        "photos": photos(2 * n_edits, half),
        "pages": [page(rng) for _ in range(n_text)],
        "drawings": [drawing(rng) for _ in range(n_text)],
    }
    for kind, images in sources.items():
        names = list(EDITS)
        edited = n_edits if kind == "photos" else n_text
        for i, image in enumerate(images):
            id = f"{kind}{i:04}.png"
            image.save(root / id)
            made[id] = Made(kind, id, "")
            if i < edited:
                edit = names[i % len(names)]
                other = f"{kind}{i:04}e.jpg"
                EDITS[edit](image, rng).save(root / other, quality=50 if edit == "JPEG 50" else 92)
                made[other] = Made(kind, id, edit)
    for i, image in enumerate(sources["photos"][n_edits : n_edits + n_text]):
        for k, one in enumerate(burst(image, rng)):
            id = f"bursts{i:04}{'abc'[k]}.jpg"
            one.save(root / id, quality=92)
            made[id] = Made("bursts", id, "")
    return made


def before(library: ImageLibrary) -> list[list[str]]:
    """Return groups as they were: of near codes."""
    sets = DisjointSets(len(library))
    for i, j in near_pairs(library.index, RADIUS).tolist():
        sets.join(i, j)
    return [[str(library.index.ids[row]) for row in group] for group in sets.groups()]


def judged(groups: Iterable[Sequence[str]], made: dict[str, Made]) -> dict[str, dict[str, float]]:
    """Return, by kind, the fraction of edits found, of pairs that are right, and the size of the largest group."""
    group_of = {id: g for g, ids in enumerate(groups) for id in ids}
    pairs = {kind: [0, 0] for kind in ("photos", "pages", "drawings", "bursts")}
    largest = dict.fromkeys(pairs, 0)
    for ids in groups:
        for kind in pairs:
            largest[kind] = max(largest[kind], sum(made[id].kind == kind for id in ids))
        for a, b in combinations(ids, 2):
            for kind in {made[a].kind, made[b].kind}:
                pairs[kind][0] += 1
                pairs[kind][1] += made[a].original == made[b].original
    figures: dict[str, dict[str, float]] = {}
    for kind, (grouped, right) in pairs.items():
        row: dict[str, float] = {"precision": right / grouped if grouped else 1.0, "largest": largest[kind]}
        for edit in EDITS:
            asked = [id for id, one in made.items() if one.kind == kind and one.edit == edit]
            if asked:
                found = [group_of.get(id, -1) == group_of.get(made[id].original, -2) for id in asked]
                row[edit] = float(np.mean(found))
        figures[kind] = row
    return figures


def differences(root: Path, made: dict[str, Made]) -> dict[str, dict[str, float]]:
    """Return how far pairs are from the limits of blocks: the largest of edits, the smallest of other pairs."""
    signatures = {id: same_picture.signature_of(root / id) for id in made}
    true = [(made[id].original, id) for id, one in made.items() if one.edit and one.edit not in TURNED]
    originals = [id for id, one in made.items() if not one.edit]
    coarse = np.stack([signatures[id].grey[::8, ::8].ravel() for id in originals]).astype(np.float32)
    false = []
    for i, id in enumerate(originals):
        nearest = np.argsort(np.square(coarse - coarse[i]).mean(axis=1))[1:4]
        false += [(id, originals[j]) for j in nearest]
    table = {}
    for fraction, limit in same_picture.BLOCK_LIMITS:
        values = [
            [
                np.quantile(same_picture.block_differences(signatures[a], signatures[b]), fraction)
                for a, b in pairs
            ]
            for pairs in (true, false)
        ]
        row = {"limit": limit, "99 % of edits": np.quantile(values[0], 0.99)}
        row |= {
            "edits": max(values[0]),
            "1 % of others": np.quantile(values[1], 0.01),
            "others": min(values[1]),
        }
        table[f"{fraction:.0%} of blocks"] = {name: float(value) for name, value in row.items()}
    return table


def show(title: str, figures: dict[str, dict[str, float]]) -> None:
    """Print one table."""
    head = "".join(f"{name:>15}" for name in ("precision", "largest group", *EDITS))
    print(f"\n{title:22}{head}")
    for kind, row in figures.items():
        cells = f"{row['precision']:15.1%}{row['largest']:15.0f}"
        cells += "".join(f"{row[edit]:15.1%}" if edit in row else " " * 15 for edit in EDITS)
        print(f"  {kind:20}{cells}".rstrip(), flush=True)


def main(argv: list[str] | None = None) -> int:
    """Make a folder, index it, and print what is found before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument(
        "--quick", action="store_true", help="12 edits and a small encoder: to see that it runs"
    )
    parser.add_argument("--edits", type=usage.positive, default=300, help="of photos (300)")
    parser.add_argument("--half", choices=("choose", "report"), default="report")
    parser.add_argument("--seed", type=usage.from_zero, default=0)
    args = parser.parse_args(argv)
    options = {"epochs": 2, "n_patches": 5000, "patch_units": 64, "n_units": 128} if args.quick else {}
    n_edits = 12 if args.quick else args.edits
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = make_folder(root, n_edits, int(args.half == "report"), args.seed)
        if not any(one.kind == "photos" for one in made.values()):
            print("no photos: NSAE_DATA has none of the archives; pages and drawings alone", file=sys.stderr)
        encoder = ImageEncoder(random_state=args.seed, **options).fit(sorted(root.iterdir()))
        library = ImageLibrary(encoder, root)
        library.update()
        figures = {"before": judged(before(library), made)}
        for name, invariant in (("after", False), ("after, --invariant", True)):
            started = time.perf_counter()
            groups = [group.ids for group in library.duplicates(invariant=invariant)]
            figures[name] = judged(groups, made)
            figures[name]["all"] = {"seconds": time.perf_counter() - started, "pictures": len(made)}
        for name in figures:
            show(name, {kind: row for kind, row in figures[name].items() if kind != "all"})
        if args.half == "choose":
            figures["differences"] = differences(root, made)
            for blocks, row in figures["differences"].items():
                print(f"{blocks}: " + ", ".join(f"{name} {value:.2f}" for name, value in row.items()))
    results.finish(args, "duplicates", figures, seeds=[args.seed])
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
