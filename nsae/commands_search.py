"""What each command that reads an index does: similar, explain, units, evaluate.

``cli.py`` turns words into these calls.  Results go to stdout, progress and failures to stderr.  Each
returns the exit code.
"""

from __future__ import annotations

import os
import re
import sys
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.errors import ImageReadError, UsageError
from nsae.images.files import id_of
from nsae.indexfiles import Opened, open_index
from nsae.outputs import as_json, check_page, check_picture, printable, report, save_picture
from nsae.queries import Query, encode_queries, parse_queries, picture_of, search
from nsae.retrieval import CodeIndex, Counterfactual, Hits, unit_catalogue
from nsae.retrieval.explain import explain as shares_of
from nsae.retrieval.metrics import average_precision, precision_at, recall_at

MAX_DRAWN = 20  # hits a query, and queries, in one picture
BLOCK_PAIRS = 1 << 21  # hits that evaluate holds at a time, of some 30 bytes


# ---- commands


def similar(args: Namespace) -> int:
    """``nsae similar``: each query's nearest photos, as a table, JSON, paths, a picture, or a gallery."""
    if args.json and args.null:
        raise UsageError("--json and -0 are two forms of one answer. Choose one.")
    picture = check_picture(args.plot, args.force) if args.plot else None
    page = check_page(args.html, args.force) if args.html else None
    asked = parse_queries(args.query, args.plus, args.minus)
    opened = open_index(args.index)
    options = {name: getattr(args, name) for name in ("keep", "require", "forbid") if getattr(args, name)}
    queries, codes = encode_queries(asked, opened, args.strict)
    hits = search(queries, codes, opened, args.k, **options)
    if picture:
        save_picture(_draw_hits(queries, hits, opened), picture, args.force)
    if page:
        _write_page(page, queries, codes, hits, opened, args)
    if args.null:
        paths = [hit["path"] or str(hit["id"]) for q in range(len(hits)) for hit in _hits(hits, q, opened)]
        sys.stdout.buffer.write(b"".join(os.fsencode(path) + b"\0" for path in paths))
        return 0
    results = [
        {
            "query": query.name,
            "plus": list(map(os.fspath, query.plus)),
            "minus": list(map(os.fspath, query.minus)),
            "hits": _hits(hits, q, opened),
        }
        for q, query in enumerate(queries)
    ]
    if args.json:
        print(as_json({"metric": opened.library.metric, "results": results}))
        return 0
    for result in results:
        print(f"{printable(result['query'])}  ({opened.library.metric} distance)")
        for rank, hit in enumerate(result["hits"], start=1):
            print(f"{rank:4d}  {hit['distance']:.4f}  {printable(str(hit['id']))}")
    return 0


def explain(args: Namespace) -> int:
    """``nsae explain``: the units that a query shares with a photo, and which of them it hangs on."""
    picture = check_picture(args.plot, args.force) if args.plot else None
    page = check_page(args.html, args.force) if args.html else None
    opened = open_index(args.index)
    library = opened.library
    id = _id_in(args.hit, opened)
    (query,), code = encode_queries(parse_queries([args.query]), opened, True)
    options = {"keep": args.keep} if args.keep else {}
    ids = search([query], code, opened, args.k, **options).ids[0].tolist()
    own = id_of(query.plus[0], opened.root)
    left_out = own if own in library and own != id else None
    cause = library.counterfactual(code, id, args.k, exclude=left_out, **options) if id in ids else None
    row_code = library.codes[library.row_of(id)]
    if args.keep:
        code, row_code = code.keep(args.keep), row_code.keep(args.keep)
    shares = shares_of(code, row_code, None, metric=library.metric)
    similarity = sum(share for _, share in shares)
    distance = _distance(code, row_code, library.metric)
    shown = shares[: args.top]
    uses = {use.unit: use.rows for use in unit_catalogue(library, [unit for unit, _ in shown], top=0)}
    if picture:
        save_picture(_draw_reasons(query, id, distance, similarity, shown, opened), picture, args.force)
    if page:
        row = library.row_of(id)
        hits = Hits(np.float32([[distance]]), np.array([[row]]), np.array([1]), np.array([[id]], object))
        names = f"{query.plus[0].name} and {Path(str(id)).name}"
        words = {"title": f"What {names} have in common", "heading": "The photo that it is compared with"}
        _write_page(page, [query], code, hits, opened, args, **words)
    if args.json:
        figures = {
            "query": query.name,
            "hit": id,
            "metric": library.metric,
            "distance": distance,
            "similarity": similarity,
            "k": args.k,
            "rank": ids.index(id) + 1 if id in ids else None,
            "shared": len(shares),
            "shares": [{"unit": unit, "share": share, "rows": uses[unit]} for unit, share in shown],
            "counterfactual": cause and {"units": cause.units, "minimal": cause.minimal},
        }
        print(as_json(figures))
        return 0
    print(f"{printable(query.name)} and {printable(str(id))}: {library.metric} distance {distance:.4f}")
    print(f"{'unit':>6}  {'share':>8}  {'of all':>6}  photos with it")
    for unit, share in shown:
        print(f"{unit:>6}  {share:>8.4f}  {share / similarity:>6.1%}  {uses[unit]}")
    rest = similarity - sum(share for _, share in shown)
    if len(shares) > len(shown):
        print(f"{len(shares) - len(shown):>4} +  {rest:>8.4f}  {rest / similarity:>6.1%}")
    print(f"{'all':>6}  {similarity:>8.4f}")
    print(_in_words(cause, id in ids, args.k))
    return 0


def units(args: Namespace) -> int:
    """``nsae units``: how many photos have each unit, and which have most of it."""
    picture = check_picture(args.plot, args.force) if args.plot else None
    opened = open_index(args.index)
    library = opened.library
    uses = unit_catalogue(library, sorted(set(args.unit)) or None, top=args.top, common=args.common)
    sort = args.sort or ("unit" if args.unit else "rows")
    if sort != "unit":
        uses = sorted(uses, key=lambda use: -getattr(use, sort))  # ties stay as they were: by unit
    if picture:
        save_picture(_draw_units([use.unit for use in uses], opened), picture, args.force)
    if args.json:
        print(as_json({"rows": len(library), "common": args.common, "units": [asdict(use) for use in uses]}))
        return 0
    dead, common = sum(use.dead for use in uses), sum(use.common for use in uses)
    print(
        f"{len(uses)} of {library.n_units} units in {len(library)} rows: {dead} dead, "
        f"{common} common (in more than {args.common:.0%} of the rows)"
    )
    print(f"{'unit':>6}  {'rows':>7}  {'share':>6}  {'mean':>8}          rows with most of it")
    for use in uses:
        flag = "dead" if use.dead else "common" if use.common else ""
        most = "  ".join(printable(str(id)) for id, _ in use.top)
        print(
            f"{use.unit:>6}  {use.rows:>7}  {use.share:>6.1%}  {use.mean:>8.4f}  {flag:<6}  {most}".rstrip()
        )
    return 0


def evaluate_index(args: Namespace) -> int:
    """``nsae evaluate``: every photo of an index is a query against all the others."""
    library = open_index(args.index).library
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


def _hits(hits: Hits, q: int, opened: Opened) -> list[dict[str, Any]]:
    """The hits of query q, nearest first."""
    found = []
    for r in range(hits.counts[q]):
        id, path = hits.ids[q, r], opened.path_of(hits.ids[q, r])
        distance = float(hits.distances[q, r])
        found.append({"id": id, "path": None if path is None else os.fspath(path), "distance": distance})
    return found


def _id_in(photo: str, opened: Opened) -> int | str:
    """The id of a photo of the index, which is given as an id or as a path."""
    by_text = {str(id): id for id in opened.library.ids}
    id = by_text.get(photo, id_of(photo, opened.root))
    if id not in opened.library:
        raise ValueError(
            f"{photo} is not in this index of {len(opened.library)} photos. Give one of its ids, as "
            "'nsae similar' prints them, or the path of a photo that was indexed."
        )
    return id


def _distance(code: Codes, row_code: Codes, metric: str) -> float:
    alone = CodeIndex(code.n_units, metric=metric)
    alone.add(row_code)
    return float(alone.search(code, 1).distances[0, 0])


def _in_words(cause: Counterfactual | None, is_hit: bool, k: int) -> str:
    if not is_hit:
        return f"It is not among the {k} nearest."
    if cause is None:
        return f"It stays among the {k} nearest, whatever units are removed from the query."
    removed = ", ".join(map(str, cause.units))
    least = "no smaller set does the same" if cause.minimal else "a smaller set may do the same"
    units = "unit" if len(cause.units) == 1 else "units"
    return f"Without {units} {removed} in the query, it is not among the {k} nearest ({least})."


def _write_page(
    page: Path,
    queries: list[Query],
    codes: Codes,
    hits: Hits,
    opened: Opened,
    args: Namespace,
    **words: str,
) -> None:
    from nsae.images.gallery import THUMBNAIL, write_gallery

    single = [len(query.photos) == 1 for query in queries]
    write_gallery(
        page,
        [q.plus[0] if one else picture_of(q, THUMBNAIL) for q, one in zip(queries, single, strict=True)],
        hits,
        index=opened.library,
        codes=codes,
        encoder=opened.encoder,
        root=opened.root,
        names=[q.plus[0].name if one else q.name for q, one in zip(queries, single, strict=True)],
        keep=args.keep,
        overwrite=args.force,
        **words,
    )


def _few(items: list, what: str) -> list:
    """As many as fit into a picture."""
    if len(items) > MAX_DRAWN:
        print(f"nsae: the picture shows {MAX_DRAWN} {what} of {len(items)}", file=sys.stderr)
    return items[:MAX_DRAWN]


def _draw_units(numbers: list[int], opened: Opened) -> Any:
    from nsae import plots
    from nsae.images.unit_pictures import unit_pictures

    library, encoder, root = opened
    few = _few(numbers, "units")
    pictures = unit_pictures(few, index=library, encoder=encoder, root=root, photos=8, height=144)
    rows = {use.unit: use.rows for use in unit_catalogue(library, few, top=0)}
    shown = [(f"unit {u}, in {rows[u]} of {len(library)}", pictures[u].image) for u in few if u in pictures]
    if not shown:
        raise ValueError(
            "There is nothing to draw: no unit has a pattern, and no photo of theirs can be read."
        )
    return plots.strips(shown, title="What units stand for: the photos that have most of each")


def _draw_reasons(
    query: Query,
    id: int | str,
    distance: float,
    similarity: float,
    shares: list[tuple[int, float]],
    opened: Opened,
) -> Any:
    from nsae import plots
    from nsae.images.montage import in_a_row
    from nsae.images.unit_pictures import unit_pictures

    library, encoder, root = opened
    pair = in_a_row([_thumbnail(query.plus[0], 144), _thumbnail(opened.path_of(id), 144)])
    rows = [(f"the query and the hit: {library.metric} distance {distance:.4f}", pair)]
    few = _few(shares, "units")
    units = [unit for unit, _ in few]
    pictures = unit_pictures(units, index=library, encoder=encoder, root=root, photos=6, height=144)
    rows += [
        (f"unit {unit}: {share / similarity:.1%} of what they share", pictures[unit].image)
        for unit, share in few
        if unit in pictures
    ]
    return plots.strips(rows)


def _draw_hits(queries: list[Query], hits: Hits, opened: Opened) -> Any:
    from nsae import plots

    few = _few(queries, "queries")
    counts = np.minimum(hits.counts, MAX_DRAWN)  # (q,)
    if hits.counts.max() > MAX_DRAWN:
        print(f"nsae: the picture shows {MAX_DRAWN} hits a query", file=sys.stderr)
    found = [hits.ids[q, : counts[q]] for q in range(len(few))]
    return plots.search_results(
        [_thumbnail(q.plus[0], 160) if len(q.photos) == 1 else picture_of(q, 160) for q in few],
        [[_thumbnail(opened.path_of(id), 160) for id in ids] for ids in found],
        [hits.distances[q, : counts[q]].tolist() for q in range(len(few))],
        names=[[printable(Path(str(id)).name) for id in ids] for ids in found],
        row_titles=[printable(q.plus[0].name if len(q.photos) == 1 else q.name) for q in few],
        title="Each query and its nearest photos by sparse code, with their distances",
    )


def _thumbnail(path: Path | None, side: int) -> np.ndarray:
    """A photo as uint8 (side, side, 3); a grey square if it was moved or deleted since it was indexed."""
    from nsae.images import load_image

    try:
        if path is not None:
            return np.rint(load_image(path, side=side) * 255).astype(np.uint8)
    except ImageReadError:
        pass
    return np.full((side, side, 3), 204, np.uint8)
