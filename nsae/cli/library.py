"""The commands that look after a folder of photos: ``nsae index --update`` and ``nsae duplicates``.

Results go to stdout, progress and failures to stderr.  Each command returns its exit code.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

from nsae.cli.inputs import NothingWorked, check_root, report_left_out, skipped
from nsae.cli.outputs import as_json, printable, report
from nsae.cli.training_options import training_flags
from nsae.errors import UsageError
from nsae.images.library.duplicates import KINDS, RADIUS, SAME_SCENE
from nsae.images.library.image_library import ImageLibrary
from nsae.images.library.library_folder import read_library_folder
from nsae.retrieval.on_disk.index_folder import MANIFEST


def update_library(args: Namespace) -> int:
    """Bring an index in step with its folder: ``nsae index --update`` with ``args``.  The encoder stays as it is."""
    given = training_flags(args)
    given += [f"--{name}" for name in ("model", "metric", "whole", "force") if getattr(args, name)]
    if given:
        raise UsageError(
            f"--update keeps the index and its encoder, so {', '.join(given)} cannot be given too."
        )
    if not (Path(args.target) / MANIFEST).exists():
        raise FileNotFoundError(f"{args.target} is no index, so there is none to update. Leave out --update.")
    library = ImageLibrary.open(args.target, root=_root(args))
    library.exclude = tuple(dict.fromkeys((*library.exclude, *args.exclude)))
    found = library.update(prune=args.prune or None, verbose=not args.json)
    skipped(library.root, found.failed)
    report_left_out(found.left_out)
    files = vars(found) if args.json else found.counts()
    report(args.json, {"index": str(args.target), "rows": len(library), **files})
    if args.strict and found.failed:
        raise NothingWorked(
            f"{len(found.failed)} images and folders could not be read; --strict accepts none such. "
            "The others are up to date."
        )
    return 0


def _root(args: Namespace) -> str | None:
    """Where the photos are for an update: where --root says, or where they were, or in PHOTOS if that is it."""
    if args.data is not None and not os.path.exists(args.data):
        raise FileNotFoundError(f"{args.data} does not exist. Give the folder of photos that was indexed.")
    if args.data is not None and not os.path.isdir(args.data):
        raise ValueError(f"--update needs the folder of photos that was indexed, and {args.data} is none.")
    was = read_library_folder(args.target, mmap=True).root
    asked: str | None = args.data if args.root is None else args.root
    if asked is None or was is None or os.path.realpath(asked) == os.fspath(was):
        return asked
    if args.root is None and was.is_dir():
        raise ValueError(
            f"{args.target} is an index of {was}, and {args.data} is another folder, so nothing is changed. Update it "
            f"from {was}, or, if its photos have moved, say so: --root {args.data}."
        )
    return asked


def duplicates(args: Namespace) -> int:
    """Print groups of photos that show the same, as paths: ``nsae duplicates`` with ``args``."""
    if args.json and args.null:
        raise UsageError("--json and -0 are two forms of one answer. Choose one.")
    library = ImageLibrary.open(args.index, root=args.root)
    check_root(library.root)
    radius = (
        RADIUS if args.scenes and args.radius is None and library.index.metric == "cosine" else args.radius
    )
    found = library.duplicates(
        radius,
        kinds=KINDS if args.scenes else [kind for kind in KINDS if kind != SAME_SCENE],
        invariant=args.invariant,
        on_error=lambda error: print(f"nsae: not compared: {printable(str(error))}", file=sys.stderr),
        verbose=not args.json,
    )
    kinds = [group.kind for group in found]
    groups = [[{"id": id, "path": os.fspath(library.root / id)} for id in group.ids] for group in found]
    if args.json:
        answer = {"metric": library.index.metric, "radius": radius, "groups": groups, "kinds": kinds}
        print(as_json(answer))
    elif args.null:  # an empty name ends a group
        names = [b"".join(os.fsencode(photo["path"]) + b"\0" for photo in group) for group in groups]
        sys.stdout.buffer.write(b"".join(group + b"\0" for group in names))
    elif groups:
        named = zip(kinds, groups, strict=True)
        lines = [[f"{kind}:", *(printable(photo["path"]) for photo in group)] for kind, group in named]
        print("\n\n".join(map("\n".join, lines)))
    return 0
