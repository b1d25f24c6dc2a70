"""What has become of a folder of photos since it was last looked at.

Like rsync, it takes a file whose size and modification time are as they were for unchanged.  The content of
all others is hashed, so that a file that was only touched or moved is known for what it is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from nsae.errors import ImageReadError, ModelFormatError
from nsae.images.files import find_images

HASH_BYTES = 16  # by chance, two of 10⁹ photos share such a hash with a probability of 10⁻²¹
CHUNK = 1 << 20


@dataclass(frozen=True)
class Stamp:
    """What is known of a file: ``size`` in bytes, ``mtime_ns``, and ``hash``, of its content."""

    size: int
    mtime_ns: int
    hash: str | None = None  # None until the content was read
    reason: str | None = None  # why the file is no image, if it is none

    def as_it_was(self, other: Stamp) -> bool:
        """Whether size and time are equal."""
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


@dataclass
class Changes:
    """What ``compare`` found, by id; the values are what is known of the file now."""

    new: dict[str, Stamp] = field(default_factory=dict)
    changed: dict[str, Stamp] = field(default_factory=dict)
    touched: dict[str, Stamp] = field(default_factory=dict)  # another time, the same content
    moved: dict[str, tuple[str, Stamp]] = field(default_factory=dict)  # old id -> (new id, …)
    missing: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  # what cannot be listed or opened, and why
    n_found: int = 0  # image files in the folder


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
    """

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(files) for name, files in vars(self).items()}

    def __str__(self) -> str:
        said = ", ".join(f"{count} {name}" for name, count in self.counts().items() if count)
        return said or "nothing has changed"


def compare(root: Path, known: Mapping[str, Stamp]) -> Changes:
    """Look through ``root`` (a resolved path) for what differs from ``known``.

    Files below a folder that cannot be listed, files that cannot be opened, and links to files that are away
    are not missing: what is known of them stays.  A file counts as moved if its old name is gone and one of
    the same content is new.

    Raises FileNotFoundError if ``root`` does not exist.
    """
    changes = Changes()
    unseen: list[str] = []  # of these, and all below, nothing can be said

    def failed(path: object, reason: str) -> str:
        id = _id(Path(os.fsdecode(path)), root)  # type: ignore[arg-type]
        changes.failed.append((id, reason))
        return id

    def not_listed(error: ImageReadError) -> None:
        unseen.append(failed(error.path, error.reason))

    found: dict[str, Stamp] = {}
    for path in find_images(root, on_error=not_listed):
        try:
            stat = os.stat(path)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):  # removed meanwhile
                unseen.append(failed(path, f"cannot be looked at ({error.strerror})"))
            continue
        found[_id(path, root)] = Stamp(stat.st_size, stat.st_mtime_ns)
    changes.n_found = len(found)

    below = tuple(f"{id}/" for id in unseen)
    everywhere = "." in unseen  # the root itself
    gone = []
    for id in known:
        if id in found or everywhere or id in unseen or id.startswith(below):
            continue
        if os.path.islink(root / id):  # to a drive that is not there, perhaps
            failed(root / id, "a link that leads to no file")
        else:
            gone.append(id)
    gone_of_size: dict[int, dict[str | None, list[str]]] = defaultdict(lambda: defaultdict(list))
    for id in reversed(gone):  # so that pop() gives the first
        gone_of_size[known[id].size][known[id].hash].append(id)
    for id, now in found.items():
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
            now = replace(now, hash=content_hash(root / id))
        except OSError as error:
            failed(root / id, f"cannot be opened ({error.strerror})")
            continue
        if before is not None:
            same = now.hash == before.hash
            (changes.touched if same else changes.changed)[id] = replace(
                now, reason=before.reason if same else None
            )
        elif of_same_content := gone_of_size[now.size][now.hash]:
            old = of_same_content.pop()
            changes.moved[old] = id, replace(now, reason=known[old].reason)
        else:
            changes.new[id] = now
    changes.missing = [id for id in gone if id not in changes.moved]
    return changes


def content_hash(path: str | os.PathLike) -> str:
    """BLAKE2b of a file's content; OSError if it cannot be read."""
    hashed = hashlib.blake2b(digest_size=HASH_BYTES)
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()


def stamp_of(path: str | os.PathLike) -> Stamp | None:
    """Size and time of a file; None if it cannot be looked at."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return Stamp(stat.st_size, stat.st_mtime_ns)


def with_hashes(root: Path, stamps: Mapping[str, Stamp]) -> dict[str, Stamp]:
    """These stamps with hashes; files that cannot be opened (any longer) are left out."""
    table = {}
    for id, stamp in stamps.items():
        with suppress(OSError):
            table[id] = replace(stamp, hash=content_hash(root / id))
    return table


def table_to_bytes(table: Mapping[str, Stamp]) -> bytes:
    """As JSON, in which names that are no UTF-8 are escaped."""
    rows = [[id, *asdict(stamp).values()] for id, stamp in table.items()]
    return json.dumps({"columns": ["id", *Stamp.__dataclass_fields__], "rows": rows}).encode()


def table_from_bytes(data: bytes) -> dict[str, Stamp]:
    """What :func:`table_to_bytes` wrote; else ModelFormatError."""
    try:
        return {id: Stamp(*rest) for id, *rest in json.loads(data)["rows"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFormatError(
            f"The table of files of this library is not usable ({error}). Index the photos again."
        ) from error


def _id(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
