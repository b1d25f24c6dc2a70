"""What ``nsae evaluate`` does: how good an index ranks photos whose classes are known, beside raw pixels."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nsae.cli.inputs import NothingWorked, open_folder, read_images
from nsae.cli.outputs import as_json
from nsae.images.library.library_folder import LibraryFolder
from nsae.retrieval import CodeIndex
from nsae.retrieval.metrics import evaluate_blocks

BLOCK_PAIRS = 1 << 21  # hits held at a time, of some 30 bytes
PIXEL_BYTES = 1 << 30  # of float32 pixels that are compared at most: 9,700 photos at 96 × 96
SHORT = 1000  # depth of the second mAP


def evaluate_index(args: Namespace) -> int:
    """Print how well an index ranks: every photo is a query against all others.  ``args`` are the command's."""
    opened = open_folder(args)
    index = opened.index
    labels = [label_of(str(id), args.labels) for id in index.ids]
    if len(set(labels)) < 2:
        raise ValueError(
            f"--labels {args.labels} gives every image the same label, {labels[:1]}. At least two classes are "
            "needed: use 'folder', 'name', or a regular expression with one group."
        )
    depths = [k for k in args.k if k < len(index)]
    figures = leave_one_out(by_codes(index), labels, depths)
    columns = {"codes": {**figures, "bytes": bytes_of(index)}}
    pixels = None if args.no_pixels else pixels_of(opened)
    if pixels is not None:
        figures = leave_one_out(by_pixels(pixels), labels, depths)
        columns["raw pixels"] = {**figures, "bytes": float(pixels.shape[1])}
    counts = {"images": len(index), "classes": len(set(labels))}
    if args.json:
        raw = {"raw": columns["raw pixels"]} if pixels is not None else {}
        print(as_json({**counts, **columns["codes"], **raw}))
    else:
        print_columns(counts, columns)
    return 0


def label_of(id: str, rule: str) -> str:
    """Return the class of the image ``id`` by a ``rule``: "folder", "name", which is without its number, or a pattern.

    The class by a pattern is what its group matches.  Raises ValueError if there is none.
    """
    path = Path(id)
    if rule == "folder":
        return path.parent.as_posix()
    if rule == "name":
        return re.sub(r"[\W_]*\d+$", "", path.stem)
    try:
        found = re.search(rule, id)
    except re.error as error:
        raise ValueError(f"--labels {rule!r} is no regular expression: {error}.") from None
    if found is None or not found.groups():
        raise ValueError(f"--labels {rule!r} was expected to match {id!r} and to have one (group).")
    return str(found.group(1))


# ---- rankings of all others, for the rows of a slice


def by_codes(index: CodeIndex) -> Callable[[slice], np.ndarray]:
    """Return a function from a slice of the rows of ``index`` to all other rows (q, n − 1), nearest first."""
    ids, n = index.ids, len(index)
    return lambda rows: index.search(index.codes[rows], n - 1, exclude=ids[rows]).rows


def by_pixels(X: np.ndarray) -> Callable[[slice], np.ndarray]:
    """Return a function as :func:`by_codes` does, by the Euclidean distance of rows ``X (n, d)``."""
    Z = X.astype(np.float32)  # (n, d)
    Z -= Z.mean(axis=0)  # which leaves distances, and makes the squares below smaller
    half_squares = np.einsum("nd,nd->n", Z, Z) / 2  # (n,)

    def ranked(rows: slice) -> np.ndarray:
        S = Z[rows] @ Z.T - half_squares  # (q, n), falling as the distance grows
        own = np.arange(len(S))
        S[own, rows.start + own] = -np.inf
        return np.argsort(-S, axis=1, kind="stable")[:, :-1]

    return ranked


def leave_one_out(
    ranked: Callable[[slice], np.ndarray],
    labels: list[str],
    depths: list[int],
    *,
    block_pairs: int = BLOCK_PAIRS,
) -> dict[str, float]:
    """Return the figures of ``evaluate`` for each row as a query against all others, and mAP of the first 1,000.

    ``ranked`` gives the rankings of a slice of rows, ``labels`` are their classes, ``depths`` those of precision
    and recall.  The queries come in blocks of about ``block_pairs`` hits, of some 30 bytes each.
    """
    n = len(labels)
    step = max(1, block_pairs // n)
    rankings = (ranked(slice(start, start + step)) for start in range(0, n, step))
    return evaluate_blocks(rankings, np.array(labels), k=depths, map_at=(None, SHORT))


# ---- what is compared, and how it is shown


def bytes_of(index: CodeIndex) -> float:
    """Return the mean bytes of a code of ``index``: 4 for a value, and 2 or 4 for the number of its unit."""
    return float(index.codes.counts.mean()) * (4 + (2 if index.n_units <= 1 << 16 else 4))


def pixels_of(opened: LibraryFolder) -> np.ndarray | None:
    """Return the photos of ``opened`` as its encoder sees them, (n, d).

    Where they cannot be read, None is returned and the reason is printed on stderr.
    """
    encoder, root = opened.encoder, opened.root
    if encoder is None or encoder.preprocessing is None or root is None:
        return None  # there are no photos
    paths = [root / str(id) for id in opened.index.ids]
    side, color = encoder.preprocessing["side"], encoder.preprocessing["color"]
    needed = len(paths) * side * side * (3 if color else 1) * 4
    gone = sum(not path.is_file() for path in paths)
    if gone:
        reason = f"{gone} of {len(paths)} photos are not where they were"
    elif needed > PIXEL_BYTES:
        reason = f"they would take {needed >> 20} MiB, and {PIXEL_BYTES >> 20} are the limit"
    else:
        try:
            images, kept = read_images(paths, encoder.preprocessing, False)
        except NothingWorked as error:
            kept, reason = [], str(error)
        else:
            reason = f"{len(paths) - len(kept)} of {len(paths)} photos cannot be read any more"
        if len(kept) == len(paths):
            return images.reshape(len(images), -1)
    print(f"nsae: raw pixels are not compared: {reason}", file=sys.stderr)
    return None


def print_columns(counts: dict[str, int], columns: dict[str, dict[str, Any]]) -> None:
    """Print ``counts`` and then a line for each figure, with a column for each of what is compared, in ``columns``."""
    for name, value in counts.items():
        print(f"{name:<22}{value:>10}")
    print(f"{'':22}" + "".join(f"{head:>12}" for head in columns).rstrip())
    for name in columns["codes"]:
        form = ".0f" if name in ("bytes", "queries_without_match") else ".4f"
        print(f"{name:<22}" + "".join(f"{figures[name]:>12{form}}" for figures in columns.values()))
