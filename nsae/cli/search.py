"""The commands that ask an index about photos: similar, explain, units.

Results go to stdout, progress and failures to stderr.  Each command returns its exit code.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from dataclasses import asdict
from typing import Any

import numpy as np

from nsae.cli.inputs import check_root, open_folder
from nsae.cli.outputs import as_json, check_page, check_picture, printable, save_picture
from nsae.cli.pictures import draw_hits, draw_reasons, draw_units, write_page
from nsae.cli.queries import encode_queries, parse_queries, search
from nsae.codes import Codes
from nsae.errors import UsageError
from nsae.images.files import id_of
from nsae.images.library.library_folder import LibraryFolder
from nsae.images.library.scan import known_id
from nsae.retrieval import CodeIndex, Hits, expand, unit_catalogue
from nsae.retrieval.explain.contributions import explain as contributions_of

# ---- commands


def similar(args: Namespace) -> int:
    """Find each query's nearest photos: ``nsae similar`` with ``args``.

    They are printed as a table, JSON or paths, and drawn in a picture or a gallery.
    """
    if args.json and args.null:
        raise UsageError("--json and -0 are two forms of one answer. Choose one.")
    picture = check_picture(args.plot, args.force) if args.plot else None
    page = check_page(args.html, args.force) if args.html else None
    asked = parse_queries(args.query, args.plus, args.minus)
    opened = open_folder(args)
    options = {name: getattr(args, name) for name in ("keep", "require", "forbid") if getattr(args, name)}
    queries, codes = encode_queries(asked, opened, args.strict)
    if args.expand:
        first = search(queries, codes, opened, args.expand, **options)
        codes = expand(codes, first, opened.index)
    hits = search(queries, codes, opened, args.k, **options)
    if picture:
        save_picture(draw_hits(queries, hits, opened), picture, args.force)
    if page:
        write_page(page, queries, codes, hits, opened, keep=args.keep, overwrite=args.force)
    if args.null:
        _print_paths(hits, opened)
        return 0
    results: list[dict[str, Any]] = [
        {
            "query": query.name,
            "plus": list(map(os.fspath, query.plus)),
            "minus": list(map(os.fspath, query.minus)),
            "hits": _hits(hits, q, opened),
        }
        for q, query in enumerate(queries)
    ]
    if args.json:
        print(as_json({"metric": opened.index.metric, "results": results}))
        return 0
    for result in results:
        print(f"{printable(result['query'])}  ({opened.index.metric} distance)")
        for rank, hit in enumerate(result["hits"], start=1):
            print(f"{rank:4d}  {hit['distance']:.4f}  {printable(str(hit['id']))}")
    return 0


def explain(args: Namespace) -> int:
    """Print the units that a query shares with a photo, and those without which it is no hit.

    This is ``nsae explain`` with ``args``.
    """
    picture = check_picture(args.plot, args.force) if args.plot else None
    page = check_page(args.html, args.force) if args.html else None
    opened = open_folder(args)
    index = opened.index
    id = _id_in(args.hit, opened)
    (query,), code = encode_queries(parse_queries([args.query]), opened, True)
    options = {"keep": args.keep} if args.keep else {}
    ids = search([query], code, opened, args.k, **options).ids[0].tolist()
    own = known_id(query.plus[0], opened.root, opened.files or {})
    left_out = own if own in index and own != id else None
    cause = index.counterfactual(code, id, args.k, exclude=left_out, **options) if id in ids else None
    row_code = index.codes[index.row_of(id)]
    if args.keep:
        code, row_code = code.keep(args.keep), row_code.keep(args.keep)
    contributions = contributions_of(code, row_code, None, metric=index.metric)
    similarity = sum(contribution for _, contribution in contributions)
    distance = _distance(code, row_code, index.metric)
    shown = contributions[: args.top]
    if picture:
        save_picture(draw_reasons(query, id, distance, similarity, shown, opened), picture, args.force)
    if page:
        row = index.row_of(id)
        hits = Hits(
            np.array([[distance]], np.float32), np.array([[row]]), np.array([1]), np.array([[id]], object)
        )
        names = f"{query.plus[0].name} and {id}"
        words = {"title": f"What {names} have in common", "heading": "The photo that it is compared with"}
        write_page(page, [query], code, hits, opened, keep=args.keep, overwrite=args.force, **words)
    rows = {use.unit: use.rows for use in unit_catalogue(index, [unit for unit, _ in shown], top=0)}
    figures = {
        "query": query.name,
        "hit": id,
        "metric": index.metric,
        "distance": distance,
        "similarity": similarity,
        "k": args.k,
        "rank": ids.index(id) + 1 if id in ids else None,
        "shared": len(contributions),
        "contributions": [
            {"unit": unit, "contribution": contribution, "rows": rows[unit]} for unit, contribution in shown
        ],
        "counterfactual": cause and asdict(cause),
    }
    print(as_json(figures) if args.json else _reasons(figures))
    return 0


def units(args: Namespace) -> int:
    """Print how many photos have each unit, and which have most of it: ``nsae units`` with ``args``."""
    picture = check_picture(args.plot, args.force) if args.plot else None
    opened = open_folder(args)
    index = opened.index
    uses = unit_catalogue(index, sorted(set(args.unit)) or None, top=args.top, common=args.common)
    sort = args.sort or ("unit" if args.unit else "rows")
    if sort != "unit":
        uses = sorted(uses, key=lambda use: -getattr(use, sort))  # ties stay as they were: by unit
    if picture:
        save_picture(draw_units([use.unit for use in uses], opened), picture, args.force)
    if args.json:
        print(as_json({"rows": len(index), "common": args.common, "units": [asdict(use) for use in uses]}))
        return 0
    dead, common = sum(use.dead for use in uses), sum(use.common for use in uses)
    print(
        f"{len(uses)} of {index.n_units} units in {len(index)} rows: {dead} dead, "
        f"{common} common (in more than {args.common:.0%} of the rows)"
    )
    print(f"{'unit':>6}  {'rows':>7}  {'of all':>6}  {'mean':>8}          rows with most of it")
    for use in uses:
        flag = "dead" if use.dead else "common" if use.common else ""
        most = "  ".join(printable(str(id)) for id, _ in use.top)
        print(
            f"{use.unit:>6}  {use.rows:>7}  {use.fraction:>6.1%}  {use.mean:>8.4f}  {flag:<6}  {most}".rstrip()
        )
    return 0


# ---- small steps


def _print_paths(hits: Hits, opened: LibraryFolder) -> None:
    """Print the paths of all hits, each ended by NUL, but of photos that are no longer there."""
    check_root(opened.root)
    every = [hit["path"] or str(hit["id"]) for q in range(len(hits)) for hit in _hits(hits, q, opened)]
    there = [path for path in every if opened.root is None or os.path.lexists(path)]
    if len(there) < len(every):
        print(
            f"nsae: {len(every) - len(there)} of {len(every)} hits are left out: their files are gone. "
            "Bring the index in step: nsae index --update.",
            file=sys.stderr,
        )
    sys.stdout.buffer.write(b"".join(os.fsencode(path) + b"\0" for path in there))


def _hits(hits: Hits, q: int, opened: LibraryFolder) -> list[dict[str, Any]]:
    """The hits of query q, nearest first."""
    found = []
    for r in range(hits.counts[q]):
        id, path = hits.ids[q, r], opened.path_of(hits.ids[q, r])
        distance = float(hits.distances[q, r])
        found.append({"id": id, "path": None if path is None else os.fspath(path), "distance": distance})
    return found


def _id_in(photo: str, opened: LibraryFolder) -> int | str:
    """The id of a photo of the index, which is given as an id or as a path."""
    by_text = {str(id): id for id in opened.index.ids}
    id = by_text.get(photo, id_of(photo, opened.root))
    if id not in opened.index:
        raise ValueError(
            f"{photo} is not in this index of {len(opened.index)} photos. Give one of its ids, as "
            "'nsae similar' prints them, or the path of a photo that was indexed."
        )
    return id


def _distance(code: Codes, row_code: Codes, metric: str) -> float:
    alone = CodeIndex(code.n_units, metric=metric)
    alone.add(row_code)
    return float(alone.search(code, 1).distances[0, 0])


def _reasons(figures: dict[str, Any]) -> str:
    """What ``explain`` found, as text."""
    similarity = figures["similarity"]
    names = printable(f"{figures['query']} and {figures['hit']}")
    lines = [
        f"{names}: {figures['metric']} distance {figures['distance']:.4f}",
        f"{'unit':>6}  {'contribution':>12}  {'of all':>6}  photos with it",
    ]
    rest, others = similarity, figures["shared"] - len(figures["contributions"])
    for one in figures["contributions"]:
        rest -= one["contribution"]
        of_all = one["contribution"] / similarity
        lines.append(f"{one['unit']:>6}  {one['contribution']:>12.4f}  {of_all:>6.1%}  {one['rows']}")
    if others:
        lines.append(f"{others:>4} +  {rest:>12.4f}  {rest / similarity:>6.1%}")
    lines.append(f"{'all':>6}  {similarity:>12.4f}")
    k, cause = figures["k"], figures["counterfactual"]
    if figures["rank"] is None:
        lines.append(f"It is not among the {k} nearest.")
    elif cause is None:
        lines.append(f"It stays among the {k} nearest, whatever units are removed from the query.")
    else:
        removed = ", ".join(map(str, cause["units"]))
        least = "no smaller set does the same" if cause["minimal"] else "a smaller set may do the same"
        units = "unit" if len(cause["units"]) == 1 else "units"
        lines.append(f"Without {units} {removed} in the query, it is not among the {k} nearest ({least}).")
    return "\n".join(lines)
