"""``nsae same``: whether two photos are the same picture, alike, or different.

The exit code is the answer, as with cmp and grep: 0 the same or alike, 1 different, 2 an error.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from nsae.cli.outputs import as_json, printable
from nsae.images.compare_photos import DIFFERENT, compare_photos
from nsae.images.load_encoder import PHOTOS, load_encoder

# Cosine distance of the codes of photos that are alike.  Of pairs of photos with different subjects, 1 of 100 is
# as near (0.532): chosen by benchmarks/same_photos.py on one half of its photos.
RADIUS = 0.53


def add_options(command: ArgumentParser) -> None:
    """Add the arguments of ``nsae same`` to its ``command``."""
    command.set_defaults(error_code=2)
    option = command.add_argument
    option("first", metavar="PHOTO", help="a photo")
    option("second", metavar="PHOTO", help="another one")
    option("-m", "--model", default=PHOTOS, help="a saved model, or 'photos', which comes with nsae")
    option("--invariant", action="store_true", help="mirrored and turned pictures are the same picture, too")
    option(
        "--radius",
        type=float,
        default=RADIUS,
        metavar="R",
        help="cosine distance of codes up to which photos are alike (%(default)s)",
    )


def same(args: Namespace) -> int:
    """Print the distance of two photos and a verdict: ``nsae same`` with ``args``."""
    found = compare_photos(
        args.first, args.second, load_encoder(args.model), radius=args.radius, invariant=args.invariant
    )
    if args.json:
        figures = {"first": args.first, "second": args.second, "verdict": found.verdict}
        print(as_json({**figures, "metric": "cosine", "distance": found.distance, "radius": args.radius}))
    else:
        names = f"{printable(args.first)} and {printable(args.second)}"
        print(f"{names}: {found.verdict}, cosine distance {found.distance:.4f}")
    return int(found.verdict == DIFFERENT)
