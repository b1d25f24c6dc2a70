"""What ``nsae evaluate`` does: how good an index ranks photos whose classes are known.

Beside the codes: the vectors that an image encoder makes them from, and raw pixels.
"""

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
from nsae.codes import Codes
from nsae.images.encode_photos import PhotoEncoder
from nsae.images.library.library_folder import LibraryFolder
from nsae.images.pipeline import ImagePipeline
from nsae.retrieval import CodeIndex, evaluate_blocks, linear_probe, rank_dense, soft_knn
from nsae.retrieval.classification import FEWEST, NEIGHBOURS

BLOCK_PAIRS = 1 << 21  # hits held at a time, of some 30 bytes
PIXEL_BYTES = 1 << 30  # of float32 pixels that are compared at most: 9,700 photos at 96 × 96
SHORT = 1000  # depth of the second mAP
RETAINED = (1, 10)  # depths at which codes are compared with the vectors they are made from


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
    judged = sorted({*depths, *(k for k in RETAINED if k < len(index))})
    figures = leave_one_out(by_codes(index), labels, judged)
    columns = {"codes": {**figures, **told_apart(index.codes, labels)}}
    images = None if args.no_pixels else images_of(opened)
    if images is not None:
        pixels = images.reshape(len(images), -1)  # (n, d)
        vectors = vectors_of(opened.encoder, images)  # (n, m)
        if vectors is not None:
            figures = leave_one_out(by_pixels(vectors), labels, judged)
            columns["vector"] = {**figures, **told_apart(vectors, labels), "bytes": 4.0 * vectors.shape[1]}
            columns["codes"] |= retention(columns["codes"], figures)
        figures = leave_one_out(by_pixels(pixels), labels, judged)
        columns["raw pixels"] = {**figures, "bytes": float(pixels.shape[1])}
    columns["codes"]["bytes"] = bytes_of(index)
    for k in set(judged).difference(depths):  # was needed, but was not asked for
        for column in columns.values():
            del column[f"precision@{k}"], column[f"recall@{k}"]
    counts = {"images": len(index), "classes": len(set(labels))}
    if args.json:
        others = {name.split()[0]: column for name, column in columns.items() if name != "codes"}
        print(as_json({**counts, **columns["codes"], **others}))
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


# ---- other figures


def told_apart(rows: Codes | np.ndarray, labels: list[str]) -> dict[str, float]:
    """Return ``soft_knn`` and ``linear_probe`` of codes or vectors, NaN where there are too few rows for a probe.

    Of ``rows (n, d)`` each is judged by the others, and ``labels`` are their classes.  Both go by the cosine,
    whatever the metric of the index is.
    """
    depth = min(NEIGHBOURS, len(labels) - 1)
    if isinstance(rows, Codes):
        index = CodeIndex(rows.n_units)
        index.add(rows)
        hits = index.search(rows, depth, exclude=index.ids)
    else:
        hits = rank_dense(rows, rows, "cosine", depth, exclude_self=True)
    classes = np.array(labels)
    probe = linear_probe(rows, classes) if len(labels) >= FEWEST else float("nan")
    return {"soft_knn": soft_knn(hits, classes), "linear_probe": probe}


def retention(codes: dict[str, float], vectors: dict[str, float]) -> dict[str, float]:
    """Return the precision of ``codes`` over that of the ``vectors`` they are made from; NaN where that is 0."""
    names = {f"retention@{k}": f"precision@{k}" for k in RETAINED if f"precision@{k}" in codes}
    return {
        name: codes[key] / vectors[key] if vectors[key] > 0 else float("nan") for name, key in names.items()
    }


# ---- what is compared, and how it is shown


def bytes_of(index: CodeIndex) -> float:
    """Return the mean bytes of a code of ``index``: 4 for a value, and 2 or 4 for the number of its unit."""
    return float(index.codes.counts.mean()) * (4 + (2 if index.n_units <= 1 << 16 else 4))


def vectors_of(encoder: PhotoEncoder | None, images: np.ndarray) -> np.ndarray | None:
    """Return what the second autoencoder of an image ``encoder`` reads of ``images``, at norm 1, (n, m) float32.

    None for another encoder, which has no such thing.
    """
    if not isinstance(encoder, ImagePipeline):
        return None
    return encoder.components(images)


def images_of(opened: LibraryFolder) -> np.ndarray | None:
    """Return the photos of ``opened`` as its encoder sees them, (n, side, side[, 3]).

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
            return images
    print(
        f"nsae: photos are not read again, so that pixels and vectors are not compared: {reason}",
        file=sys.stderr,
    )
    return None


def print_columns(counts: dict[str, int], columns: dict[str, dict[str, Any]]) -> None:
    """Print ``counts`` and then a line for each figure, with a column for each of what is compared, in ``columns``."""
    for name, value in counts.items():
        print(f"{name:<22}{value:>10}")
    print(f"{'':22}" + "".join(f"{head:>12}" for head in columns).rstrip())
    for name in columns["codes"]:
        form = ".0f" if name in ("bytes", "queries_without_match") else ".4f"
        cells = (
            f"{figures[name]:>12{form}}" if name in figures else " " * 12 for figures in columns.values()
        )
        print(f"{name:<22}{''.join(cells)}".rstrip())
