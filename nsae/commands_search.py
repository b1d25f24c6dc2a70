"""What each command that reads an index does: similar, evaluate.

``cli.py`` turns words into these calls.  Results go to stdout, progress and failures to stderr.  Each
returns the exit code.
"""

from __future__ import annotations

import os
import re
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from nsae.errors import ImageReadError
from nsae.images.files import id_of
from nsae.indexfiles import codes_of, open_index
from nsae.outputs import as_json, check_picture, printable, report, save_picture
from nsae.retrieval import CodeIndex, Hits
from nsae.retrieval.metrics import average_precision, precision_at, recall_at
from nsae.sources import read_images

MAX_DRAWN = 20  # hits a query, and queries, in one picture
BLOCK_PAIRS = 1 << 21  # hits that evaluate holds at a time, of some 30 bytes


# ---- commands


def similar(args: Namespace) -> int:
    """``nsae similar``: each query photo's nearest in an index, as a table, JSON, or a picture."""
    picture = check_picture(args.plot, args.force) if args.plot else None
    library, encoder, root = open_index(args.index)
    if encoder is None:
        raise ValueError(
            f"{args.index} holds codes without the encoder that made them, so photos cannot be compared to them. "
            "Index the photos with that model: nsae index PHOTOS --model MODEL -o INDEX."
        )
    if encoder.preprocessing is None:
        raise ValueError(f"{args.index} indexes rows of numbers, not images: use CodeIndex.load and .search.")
    X, kept = read_images([Path(query) for query in args.query], encoder.preprocessing, args.strict)
    own = [id_of(path, root) for path in kept]
    exclude = [id if id in library else None for id in own]  # a photo is no news to itself
    hits = library.search(codes_of(encoder, X), min(args.k, max(len(library), 1)), exclude=exclude)
    if picture:
        save_picture(_draw_hits(kept, hits, root), picture, args.force)
    results = [
        {"query": os.fspath(path), "hits": [_hit(hits, q, r, root) for r in range(hits.counts[q])]}
        for q, path in enumerate(kept)
    ]
    if args.json:
        print(as_json({"metric": library.metric, "results": results}))
        return 0
    for result in results:
        print(f"{printable(result['query'])}  ({library.metric} distance)")
        for rank, hit in enumerate(result["hits"], start=1):
            print(f"{rank:4d}  {hit['distance']:.4f}  {printable(str(hit['id']))}")
    return 0


def evaluate_index(args: Namespace) -> int:
    """``nsae evaluate``: every photo of an index is a query against all the others."""
    library, _, _ = open_index(args.index)
    labels = [label_of(str(id), args.labels) for id in library.ids]
    if len(set(labels)) < 2:
        raise ValueError(
            f"--labels {args.labels} gives every image the same label, {labels[:1]}. At least two classes are "
            "needed: use 'folder', 'name', or a regular expression with one group."
        )
    figures = leave_one_out(library, labels, [k for k in args.k if k < len(library)])
    report(args.json, {"images": len(library), "classes": len(set(labels)), **figures})
    return 0


# ---- small steps


def label_of(id: str, rule: str) -> str:
    """The class of an image by its name: its "folder", its "name" without number, or a pattern's group."""
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


def leave_one_out(
    library: CodeIndex, labels: list[str], depths: list[int], *, block_pairs: int = BLOCK_PAIRS
) -> dict[str, float]:
    """``evaluate`` of each row as a query against all the others.

    The queries come in blocks, because hits on the whole index take some 30 bytes a pair.
    """
    _, of_row = np.unique(labels, return_inverse=True)  # (n,)
    n_relevant = np.bincount(of_row)[of_row] - 1  # (n,): without itself
    matched = n_relevant > 0  # (n,)
    ids, n = library.ids, len(library)
    step = max(1, block_pairs // n)
    blocks = []
    for rows in (slice(start, start + step) for start in range(0, n, step)):
        hits = library.search(library.codes[rows], n - 1, exclude=ids[rows])
        relevant = (of_row[hits.rows] == of_row[rows, None]) & (hits.rows >= 0)  # (q, n − 1)
        blocks.append(
            {f"precision@{k}": precision_at(relevant, k) for k in depths}
            | {f"recall@{k}": recall_at(relevant, k, n_relevant[rows])[matched[rows]] for k in depths}
            | {"map": average_precision(relevant, n_relevant[rows])[matched[rows]]}
        )
    figures = {}
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])  # of all queries, or those with a match
        figures[name] = float(values.mean()) if len(values) else float("nan")
    if not matched.all():
        figures["queries_without_match"] = float(np.count_nonzero(~matched))
    return figures


def _hit(hits: Hits, q: int, r: int, root: Path | None) -> dict[str, Any]:
    id = hits.ids[q][r]
    path = os.fspath(root / id) if root is not None else None
    return {"id": id, "path": path, "distance": float(hits.distances[q, r])}


def _draw_hits(queries: list[Path], hits: Hits, root: Path | None) -> Any:
    from nsae import plots
    from nsae.images import load_image

    def thumbnail(path: Path | None) -> np.ndarray:
        try:
            if path is not None:
                return load_image(path, side=160)
        except ImageReadError:  # moved or deleted since it was indexed: still a hit
            pass
        return np.full((160, 160, 3), 0.8, np.float32)  # a grey square

    rows = range(min(len(queries), MAX_DRAWN))
    counts = np.minimum(hits.counts, MAX_DRAWN)  # (q,)
    if len(queries) > MAX_DRAWN or hits.counts.max() > MAX_DRAWN:
        print(
            f"nsae: the picture shows {MAX_DRAWN} hits a query and {MAX_DRAWN} queries at most",
            file=sys.stderr,
        )
    found = [hits.ids[q, : counts[q]] for q in rows]
    return plots.search_results(
        [thumbnail(queries[q]) for q in rows],
        [[thumbnail(None if root is None else root / id) for id in ids] for ids in found],
        [hits.distances[q, : counts[q]].tolist() for q in rows],
        names=[[printable(Path(str(id)).name) for id in ids] for ids in found],
        row_titles=[printable(queries[q].name) for q in rows],
        title="Each query and its nearest photos by sparse code, with their distances",
    )
