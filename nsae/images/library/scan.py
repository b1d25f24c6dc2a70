"""What has become of a folder of photos since it was last looked at.

Like rsync, it takes a file whose size and modification time are as they were for unchanged.  The content of
all others is hashed, so that a file that was only touched or moved is known for what it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from nsae.errors import ImageReadError, ModelFormatError
from nsae.images.files import find_images, id_of, is_excluded

HASH_BYTES = 16  # By chance, two of 10⁹ photos share such a hash with a probability of 10⁻²¹.
CHUNK = 1 << 20
UNSURE = -1  # a time or a size that no file has: the content decides next time
SETTLED_NS = 2 * 10**9  # FAT keeps times to 2 s; a file that is younger may change without another time


@dataclass(frozen=True)
class Stamp:
    """What is known of a file: ``size`` in bytes, ``mtime_ns``, and ``hash``, of its content."""

    size: int
    mtime_ns: int
    hash: str | None = None  # None until the content was read
    reason: str | None = None  # why the file is no image, if it is none

    def as_it_was(self, other: Stamp) -> bool:
        """Return whether size and time are those of the ``other`` one."""
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


@dataclass
class Found:
    """The image files of a folder.

    Attributes
    ----------
    files : dict of Stamp
        Size and time of each, by id, sorted by path.
    same_file : dict of str
        Other names of these files, links, by id: the id that stands for the file.
    unseen : list of str
        Ids of folders and files that cannot be looked at.  Of these, and of all below, nothing can be said.
    failed : list of (id, reason)
        Why.
    left_out : list of str
        Ids of images of kinds that cannot be read here.
    """

    files: dict[str, Stamp] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    same_file: dict[str, str] = field(default_factory=dict)
    unseen: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Changes:
    """What :func:`compare` found, by id; the values are what is known of the file now."""

    new: dict[str, Stamp] = field(default_factory=dict)
    changed: dict[str, Stamp] = field(default_factory=dict)
    touched: dict[str, Stamp] = field(default_factory=dict)  # another time, the same content
    moved: dict[str, tuple[str, Stamp]] = field(default_factory=dict)  # old id -> (new id, …)
    missing: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  # what cannot be listed or opened, and why
    same_file: dict[str, str] = field(default_factory=dict)  # as in Found
    left_out: list[str] = field(default_factory=list)  # as in Found


@dataclass
class UpdateReport:
    """What :meth:`ImageLibrary.update` did; files are named by their ids.

    Attributes
    ----------
    added, changed : list of str
        New files, and files with other content than before; both are in the index as they are now.
    moved : list of (old, new)
        The same content under another name; not encoded again.
    missing : list of str
        Files that are gone, and no longer in the index (unless ``prune=False``).
    failed : list of (id, reason)
        What was met this time and could not be read.
    left_out : list of str
        Images of kinds that cannot be read here, such as HEIC without its plugin for Pillow.
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many there are of each."""
        return {name: len(files) for name, files in vars(self).items()}

    def __str__(self) -> str:
        changed = {name: count for name, count in self.counts().items() if count and name != "left_out"}
        said = ", ".join(f"{count} {name}" for name, count in changed.items())
        return said or "nothing has changed"


def look(root: Path, known: Container[str] = (), exclude: Sequence[str] = ()) -> Found:
    """List the image files below a folder, each once.

    A file that has several names there, by links, has one id: one that is ``known`` before others, a name
    of its own before a symbolic link, and the first in order.

    Parameters
    ----------
    root : Path
        Resolved.  Where it is a file, that is the one result, and its id is its name.
    known : container of str
        Ids that the files had before.
    exclude : sequence of str
        Patterns of names to leave out, as for :func:`find_images`.

    Raises
    ------
    FileNotFoundError
        If ``root`` does not exist.
    """
    found = Found()
    top = root if root.is_dir() else root.parent

    def not_listed(error: ImageReadError) -> None:
        _not_seen(found, _id(Path(os.fsdecode(str(error.path))), top), error.reason)

    def not_readable(path: Path) -> None:
        found.left_out.append(_id(path, top))

    stats = []
    for path in find_images(root, exclude=exclude, on_error=not_listed, on_other=not_readable):
        try:
            stats.append((_id(path, top), path.is_symlink(), os.stat(path)))
        except OSError as error:
            if not isinstance(error, FileNotFoundError):  # removed meanwhile
                _not_seen(found, _id(path, top), f"cannot be looked at ({error.strerror})")
    name_of: dict[object, str] = {}
    for id, _, stat in sorted(stats, key=lambda one: (one[0] not in known, one[1])):
        file = (stat.st_dev, stat.st_ino) if stat.st_ino else id  # some systems do not number files
        if name_of.setdefault(file, id) != id:
            found.same_file[id] = name_of[file]
    found.files = {
        id: Stamp(stat.st_size, stat.st_mtime_ns) for id, _, stat in stats if id not in found.same_file
    }
    return found


def compare(root: Path, known: Mapping[str, Stamp], exclude: Sequence[str] = ()) -> Changes:
    """Look through a folder for what has changed.

    Files below a folder that cannot be listed, files that cannot be opened, and links to files that are away
    are not missing: what is known of them stays.  A file counts as moved if its old name is gone and one of
    the same content is new.

    Parameters
    ----------
    root : Path
        Resolved.
    known : mapping of Stamp
        What was known of its files, by id.
    exclude : sequence of str
        Patterns of names to leave out, as for :func:`find_images`.

    Raises
    ------
    FileNotFoundError
        If ``root`` does not exist.
    """
    found = look(root, known, exclude)
    changes = Changes(failed=found.failed, same_file=found.same_file, left_out=found.left_out)
    gone = _gone(root, known, found)
    gone_of_size: dict[int, dict[str | None, list[str]]] = defaultdict(lambda: defaultdict(list))
    for id in reversed(gone):  # so that pop() gives the first
        gone_of_size[known[id].size][known[id].hash].append(id)
    for id, now in found.files.items():
        before = known.get(id)
        if before is not None and now.as_it_was(before):
            continue
        if before is not None and now.size != before.size:
            changes.changed[id] = now
            continue
        if before is None and now.size not in gone_of_size:
            changes.new[id] = now
            continue
        try:
            now = hashed(root / id)
        except OSError as error:
            changes.failed.append((id, f"cannot be opened ({error.strerror})"))
            continue
        if before is not None:
            same = now.hash == before.hash
            where = changes.touched if same else changes.changed
            where[id] = replace(now, reason=before.reason if same else None)
        elif of_same_content := gone_of_size[now.size][now.hash]:
            old = of_same_content.pop()
            changes.moved[old] = id, replace(now, reason=known[old].reason)
        else:
            changes.new[id] = now
    changes.missing = [id for id in gone if id not in changes.moved]
    return changes


def check_folder(
    root: Path,
    changes: Changes,
    indexed: Sequence[str],
    exclude: Sequence[str],
    moved_from: Path | None,
    prune: bool,
) -> None:
    """Refuse a folder that is hardly the one that was indexed.

    Parameters
    ----------
    root : Path
        The folder.
    changes : Changes
        What :func:`compare` found there.
    indexed : sequence of str
        The ids of the photos in the index.
    exclude : sequence of str
        Patterns of names that are left out; these are not lost.
    moved_from : Path, optional
        Where the photos were, if another folder was given.
    prune : bool
        Whether more than a third may be gone.

    Raises
    ------
    FileNotFoundError
        If all photos are gone, or more than a third are without ``prune``.
    """
    known = set(indexed)
    lost = [
        id
        for id in changes.missing
        if id in known and id not in changes.same_file and not is_excluded(id, exclude)
    ]
    if moved_from is not None:  # In another folder, a photo of the same name may be another one.
        lost += [id for id in changes.changed if id in known]
    if not lost or (len(lost) < len(known) and (prune or 3 * len(lost) <= len(known))):
        return
    was = "" if moved_from is None else f" They were in {moved_from}."
    if len(lost) == len(known):
        raise FileNotFoundError(
            f"{root} holds none of the {len(known)} photos that are indexed, so they are kept.{was} Is it the right "
            "folder, and its drive there? If they are gone for good, index anew."
        )
    raise FileNotFoundError(
        f"{root} lacks {len(lost)} of the {len(known)} photos that are indexed, so nothing is changed.{was} Is it the "
        "right folder? If it is, and they are gone for good, drop them with prune=True."
    )


def _gone(root: Path, known: Mapping[str, Stamp], found: Found) -> list[str]:
    """The known ids whose files are no longer there; links that lead nowhere are told as failed instead."""
    if "." in found.unseen:  # the root itself
        return []
    below = tuple(f"{id}/" for id in found.unseen)
    gone = []
    for id in known:
        if id in found.files or id in found.unseen or id.startswith(below):
            continue
        if id not in found.same_file and os.path.islink(root / id):  # to a drive that is not there, perhaps
            found.failed.append((id, "a link that leads to no file"))
        else:
            gone.append(id)
    return gone


def _not_seen(found: Found, id: str, reason: str) -> None:
    found.unseen.append(id)
    found.failed.append((id, reason))


# ---- one file


def known_id(path: str | os.PathLike, root: Path | None, files: Mapping[str, Stamp]) -> str:
    """Return the id of a photo, also where ``path`` is another name of a file of the library, by a link.

    Parameters
    ----------
    path : str or PathLike
    root : Path or None
        The folder of the library, without links.
    files : mapping of Stamp
        What is known of its photos, by id.
    """
    id = id_of(path, root)
    if root is None or id in files:
        return id
    with suppress(OSError):
        stat = os.stat(path)
        behind = id_of(os.path.realpath(path), root)
        if behind in files:
            return behind
        if stat.st_nlink > 1:  # A file of several names has the size and the number of one in the library.
            for other, stamp in files.items():
                if stamp.size == stat.st_size and _number(root / other) == (stat.st_dev, stat.st_ino):
                    return other
    return id


def _number(path: Path) -> tuple[int, int] | None:
    """What names a file whatever its path; None where there is no such number."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino) if stat.st_ino else None


def hashed(path: str | os.PathLike) -> Stamp:
    """Return size, time and hash of the file ``path``; OSError if it cannot be read.

    The time is ``UNSURE`` where the file changed meanwhile, or did so a moment ago and may change again
    within the same tick of its clock.
    """
    before = os.stat(path)
    found = hashlib.blake2b(digest_size=HASH_BYTES)
    size = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            size += len(chunk)
    return stamp_of_content(before, os.stat(path), size, found.hexdigest())


def content_hash(data: bytes) -> str:
    """Return the BLAKE2b hash of the content ``data`` of a file."""
    return hashlib.blake2b(data, digest_size=HASH_BYTES).hexdigest()


def stamp_of_content(before: os.stat_result, after: os.stat_result, size: int, hash: str) -> Stamp:
    """Return the stamp of a content that was read.

    Parameters
    ----------
    before, after : os.stat_result
        What the file's name led to before it was read, and afterwards.
    size : int
        Bytes that were read.
    hash : str
        Of these bytes.
    """
    same = all(getattr(before, part) == getattr(after, part) for part in ("st_ino", "st_size", "st_mtime_ns"))
    settled = abs(time.time_ns() - after.st_mtime_ns) > SETTLED_NS
    return Stamp(size, after.st_mtime_ns if same and settled and size == after.st_size else UNSURE, hash)


# ---- on disk


def table_to_bytes(table: Mapping[str, Stamp]) -> bytes:
    """Return a ``table`` of files as JSON, in which names that are no UTF-8 are escaped."""
    rows = [[id, *asdict(stamp).values()] for id, stamp in table.items()]
    return json.dumps({"columns": ["id", *Stamp.__dataclass_fields__], "rows": rows}).encode()


def table_from_bytes(data: bytes) -> dict[str, Stamp]:
    """Return the table that :func:`table_to_bytes` wrote as ``data``; else raise ModelFormatError."""
    try:
        return {id: Stamp(*rest) for id, *rest in json.loads(data)["rows"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFormatError(
            f"The table of files of this library is not usable ({error}). Index the photos again."
        ) from error


def _id(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
