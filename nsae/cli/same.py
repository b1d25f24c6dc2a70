"""``nsae same``: whether two photos are the same picture, alike, or different.

The exit code is the answer, as with cmp and grep: 0 the same or alike, 1 different, 2 an error.
"""

from __future__ import annotations

from argparse import Namespace

from nsae.cli.outputs import as_json, printable
from nsae.images.compare_photos import DIFFERENT, compare_photos
from nsae.images.load_encoder import load_encoder

# Cosine distance of the codes of photos that are alike.  Of pairs of photos with different subjects, 1 of 100 is
# as near: benchmarks/same_photos.py.
RADIUS = 0.5


def same(args: Namespace) -> int:
    """Print the distance of two photos and a verdict: ``nsae same`` with ``args``."""
    found = compare_photos(
        args.first, args.second, load_encoder(args.model), radius=args.radius, invariant=args.invariant
    )
    if args.json:
        figures = {"first": args.first, "second": args.second, "verdict": found.verdict}
        print(as_json({**figures, "metric": "cosine", "distance": found.distance, "radius": args.radius}))
    else:
        print(f"{printable(args.first)} and {printable(args.second)}: {found.verdict}")
        print(f"cosine distance {found.distance:.4f}")
    return int(found.verdict == DIFFERENT)
