"""Groups of photos that show the same, and in what way."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from nsae.images.decoding import read_whole
from nsae.images.files import OnError
from nsae.images.library.disjoint_sets import DisjointSets
from nsae.images.library.near_duplicates import near_pairs
from nsae.images.library.same_picture import join_same_pictures
from nsae.images.library.scan import Stamp, content_hash
from nsae.retrieval import CodeIndex
from nsae.system.progress import Progress

SAME_FILE, SAME_PICTURE, SAME_SCENE = KINDS = ("same file", "same picture", "same scene")
RADIUS = 0.03  # cosine distance of the codes of two photos of one scene
MANY = 100  # photos whose reading is shown as progress


@dataclass(frozen=True)
class DuplicateGroup:
    """Photos that show the same.

    Attributes
    ----------
    kind : str
        "same file": their files have the same content.  "same picture": some were resized or compressed
        anew, or, if that was asked for, mirrored or turned.  "same scene": the encoder gives some nearly the
        same code, and their pixels differ.  It is the weakest that holds the group together.
    ids : tuple of str
        Two or more, in the order of the index.
    """

    kind: str
    ids: tuple[str, ...]


def find_duplicates(
    index: CodeIndex,
    root: Path,
    files: Mapping[str, Stamp],
    *,
    radius: float | None = None,
    kinds: Collection[str] = (SAME_FILE, SAME_PICTURE),
    invariant: bool = False,
    on_error: OnError | None = None,
    verbose: bool = False,
) -> list[DuplicateGroup]:
    """Return the groups of an index's photos that show the same; see ``ImageLibrary.duplicates``.

    Parameters
    ----------
    index : CodeIndex
        Its ids are paths below ``root``.
    root : Path
    files : mapping of Stamp
        What is known of each file, by id.
    radius, kinds, invariant, on_error, verbose
        As of ``ImageLibrary.duplicates``.
    """
    kinds = _checked_kinds(kinds, radius)
    radius = _checked_radius(radius, kinds, index.metric)
    ids = [str(id) for id in index.ids]
    usable, links = _usable(ids, root, files)
    sets, weakest = DisjointSets(len(ids)), [0] * len(ids)  # the latter by the root of a group

    def join(i: int, j: int, kind: int) -> None:
        a, b = sets.root_of(i), sets.root_of(j)
        if a != b:
            sets.join(a, b)
            weakest[sets.root_of(a)] = max(weakest[a], weakest[b], kind)

    for link, row in links:
        join(link, row, KINDS.index(SAME_FILE))
    by_content: dict[str, int] = {}
    for row, content in usable.items():
        if content is not None:
            join(by_content.setdefault(content, row), row, KINDS.index(SAME_FILE))
    if not {SAME_PICTURE, SAME_SCENE}.isdisjoint(kinds):
        rows = [row for row in usable if sets.root_of(row) == row]  # one of each content
        paths = [root / ids[row] for row in rows]
        with Progress("comparing photos", len(rows), enabled=verbose and len(rows) > MANY) as progress:
            join_same_pictures(
                paths,
                lambda i, j: join(rows[i], rows[j], KINDS.index(SAME_PICTURE)),
                invariant=invariant,
                on_error=on_error,
                progress=progress.update,
            )
    if radius is not None:
        for i, j in near_pairs(index, radius).tolist():
            join(i, j, KINDS.index(SAME_SCENE))
    found = []
    for group in sets.groups():
        kind, shown = KINDS[weakest[group[0]]], tuple(ids[row] for row in group if row in usable)
        if kind in kinds and len(shown) > 1:
            found.append(DuplicateGroup(kind, shown))
    return found


def _checked_kinds(kinds: Collection[str], radius: float | None) -> set[str]:
    """The kinds that are asked for; a radius asks for scenes."""
    if isinstance(kinds, str) or not set(kinds) <= set(KINDS) or not len(kinds):
        raise ValueError(f"kinds={kinds!r} is expected to be some of {', '.join(map(repr, KINDS))}.")
    return set(kinds) | (set() if radius is None else {SAME_SCENE})


def _checked_radius(radius: float | None, kinds: Collection[str], metric: str) -> float | None:
    """The radius within which photos are of one scene; None if scenes are not asked for."""
    if SAME_SCENE not in kinds:
        return None
    if radius is None and metric == "cosine":
        return RADIUS
    if radius is None or not radius >= 0:
        raise ValueError(
            f"radius={radius} is expected to be a {metric} distance of 0 or more: how far apart the codes of "
            "two photos of one scene may be."
        )
    return radius


def _usable(
    ids: list[str], root: Path, files: Mapping[str, Stamp]
) -> tuple[dict[int, str | None], list[tuple[int, int]]]:
    """The rows whose files are there, with a hash of what is in them now; and links, with their rows.

    A symbolic or hard link to a file is another name of it, and no duplicate: who deletes one of two names
    may lose both.
    """
    rows: dict[int, str | None] = {}
    links: list[tuple[int, int]] = []
    first: dict[object, int] = {}
    for row, id in enumerate(ids):
        try:
            stat = os.stat(root / id)
        except OSError:  # moved or deleted since it was indexed
            continue
        file = (stat.st_dev, stat.st_ino) if stat.st_ino else id  # some systems do not number files
        if first.setdefault(file, row) != row:
            links.append((row, first[file]))
        else:
            known = files.get(id)
            unchanged = known is not None and known.as_it_was(Stamp(stat.st_size, stat.st_mtime_ns))
            rows[row] = known.hash if known is not None and unchanged else _hash_now(root / id)
    return rows, links


def _hash_now(path: Path) -> str | None:
    """The hash of a file; None if it cannot be read."""
    try:
        return content_hash(read_whole(path))
    except OSError:
        return None
