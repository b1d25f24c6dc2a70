"""Photos to codes: each file is read once, and what is hashed is what is decoded."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.errors import ImageReadError
from nsae.images.decoding import decode_image, read_whole
from nsae.images.encode_photos import BLOCK, PhotoEncoder
from nsae.images.files import read_ahead
from nsae.images.library.scan import Stamp, content_hash, stamp_of_content
from nsae.retrieval import CodeIndex
from nsae.system.threads import n_cpus

COPIES = 16  # times as many may wait for them, whose content is known


class Photo(NamedTuple):
    """A photo as it was read."""

    id: str
    stamp: Stamp | None  # None where the file cannot be opened: it is tried again next time
    pixels: np.ndarray | None  # as the encoder reads them; None where they are not needed, or cannot be had
    reason: str | None  # why they cannot
    lasting: bool = True  # whether that stays so until the file changes


@dataclass
class TakenIn:
    """What came of some photos.

    Attributes
    ----------
    codes : Codes
        Of ``ids``, a row each.
    stamps : dict of Stamp
        Of all files that need not be read again until they change, by id.
    failed : list of (id, reason)
        What is in the files' place.
    """

    codes: Codes
    ids: list[str] = field(default_factory=list)
    stamps: dict[str, Stamp] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)


class Intake:
    """Reads photos for a library, and encodes each content once.

    Parameters
    ----------
    encoder : PhotoEncoder
    root : Path
        The folder of the photos.
    index : CodeIndex
        Who goes through :meth:`blocks` adds each block to it before the next one: copies that come later
        take their codes from there.
    files : mapping of Stamp
        What is known of its photos, by id.
    decoded : mapping of Photo, optional
        Photos that were read before; they are read again only if their files have changed since.
    """

    def __init__(
        self,
        encoder: PhotoEncoder,
        root: Path,
        index: CodeIndex,
        files: Mapping[str, Stamp],
        decoded: Mapping[str, Photo] | None = None,
    ):
        self._encoder, self._root, self._index = encoder, root, index
        self._how: dict[str, Any] = encoder.preprocessing or {}
        self._decoded = decoded or {}
        self._known = {
            stamp.hash: (id, index.row_of(id)) for id, stamp in files.items() if stamp.hash and id in index
        }
        self._known_codes = index.codes  # as they were: a photo of the index may get another code on the way
        self._added: dict[str, str] = {}  # content -> id, of what was encoded since
        self._reasons: dict[
            str, tuple[str, bool]
        ] = {}  # content -> why it is no image, and whether that lasts
        self._first: dict[str, int] = {}  # content -> the first photo that decodes it
        self._lock = threading.Lock()

    def blocks(self, ids: Sequence[str], size: int = BLOCK) -> Iterator[TakenIn]:
        """Yield what came of photos, in their order.

        Parameters
        ----------
        ids : sequence of str
            Each once.
        size : int
            How many are encoded at a time.
        """
        photos: list[Photo] = []
        n_decoded = 0
        for future in read_ahead(self._read, enumerate(ids), n_cpus()):
            photo = future.result()
            if photo is None:
                continue
            photos.append(photo)
            n_decoded += photo.pixels is not None
            if n_decoded == size or len(photos) == COPIES * size:
                yield self._take_in(photos)
                photos, n_decoded = [], 0
        if photos:
            yield self._take_in(photos)

    def _read(self, numbered: tuple[int, str]) -> Photo | None:
        """Read one photo, in a thread; None if its file was removed meanwhile."""
        number, id = numbered
        path = self._root / id
        earlier = self._decoded.get(id)
        if earlier is not None and earlier.stamp is not None and _unchanged(path, earlier.stamp):
            return earlier

        def is_new(hash: str) -> bool:
            if self._known.get(hash, (id,))[0] != id:  # A photo is no copy of itself.
                return False
            with self._lock:
                first = self._first[hash] = min(number, self._first.get(hash, number))
            return first == number

        return read_photo(path, id, self._how, is_new)

    def _take_in(self, photos: list[Photo]) -> TakenIn:
        """Encode what is new among these photos, and find the codes of the others by their content."""
        fresh: dict[str, np.ndarray] = {}
        for photo in photos:
            hash = photo.stamp.hash if photo.stamp else None
            if hash is None or hash in self._added:
                continue
            if photo.pixels is not None:
                fresh.setdefault(hash, photo.pixels)
            elif photo.reason is not None:
                self._reasons.setdefault(hash, (photo.reason, photo.lasting))
        if fresh:
            taken = TakenIn(
                self._encoder.encode_images(np.stack(list(fresh.values())))
            )  # (new, side, side[, 3])
        else:
            taken = TakenIn(self._known_codes[[]])
        sources = _Sources({hash: row for row, hash in enumerate(fresh)})
        for photo in photos:
            if photo.stamp is None or photo.stamp.hash is None:
                taken.failed.append((photo.id, str(photo.reason)))
                continue
            hash = photo.stamp.hash
            if self._find(photo.id, hash, sources):
                taken.ids.append(photo.id)
                taken.stamps[photo.id] = photo.stamp
                self._added.setdefault(hash, photo.id)
                continue
            reason, lasting = self._reasons[hash]
            taken.failed.append((photo.id, reason))
            if lasting:
                taken.stamps[photo.id] = replace(photo.stamp, reason=reason)
        every = [taken.codes, self._known_codes[sources.known]]
        if sources.added:
            every.append(self._index.codes[sources.added])
        starts = np.cumsum([0, *map(len, every)])
        rows = [starts[kind] + row for kind, row in sources.found]
        taken.codes = Codes.concatenate(every)[np.array(rows, np.int64)]
        return taken

    def _find(self, id: str, hash: str, sources: _Sources) -> bool:
        """Note where the code of one content is; False if it is no image."""
        twin, row = self._known.get(hash, (id, -1))
        added = self._added.get(hash)
        if hash in sources.new:
            sources.found.append((0, sources.new[hash]))
        elif twin != id:
            sources.found.append((1, len(sources.known)))
            sources.known.append(row)
        elif added is not None:
            sources.found.append((2, len(sources.added)))
            sources.added.append(self._index.row_of(added))
        else:
            return False
        return True


@dataclass
class _Sources:
    """Where the codes of a block come from: which rows of which source."""

    new: dict[str, int]  # content -> row of the codes that were just made
    known: list[int] = field(default_factory=list)  # rows of the index as it was
    added: list[int] = field(default_factory=list)  # rows of the index as it is
    found: list[tuple[int, int]] = field(default_factory=list)  # (source, row) of each photo


def read_photo(path: Path, id: str, how: Mapping[str, Any], is_new: Any = None) -> Photo | None:
    """Read a file once: what is hashed is what is decoded.

    Parameters
    ----------
    path : Path
    id : str
    how : mapping
        How files become images: {"side": pixels, "color": bool} and perhaps {"dtype": "uint8"} for pixels of
        0 to 255, not of 0 to 1.
    is_new : callable, optional
        Tells by its hash whether a content is to be decoded; by default, all are.

    Returns
    -------
    Photo or None
        None where there is no such file.
    """
    try:
        before = os.stat(path)
        data = read_whole(path)
        stamp = stamp_of_content(before, os.stat(path), len(data), content_hash(data))
    except FileNotFoundError:
        return None
    except OSError as error:
        return Photo(id, None, None, f"cannot be opened ({error.strerror or error})")
    if is_new is not None and not is_new(stamp.hash):
        return Photo(id, stamp, None, None)
    try:
        pixels = decode_image(data, path, side=how["side"], color=how["color"])  # (side, side[, 3])
    except ImageReadError as error:  # Where the file is not at fault, it is tried again next time.
        return Photo(id, stamp, None, error.reason, error.lasting)
    if how.get("dtype") == "uint8":  # a quarter of the memory
        pixels = np.rint(pixels * 255).astype(np.uint8)
    return Photo(id, stamp, pixels, None)


def read_photos(root: Path, ids: Iterable[str], how: Mapping[str, Any]) -> Iterator[Photo]:
    """Yield photos in the order of ``ids``, of the folder ``root``; ``how`` is as for :func:`read_photo`."""

    def read(id: str) -> Photo:
        return read_photo(root / id, id, how) or Photo(id, None, None, "no such file")

    for future in read_ahead(read, ids, n_cpus()):
        yield future.result()


def _unchanged(path: Path, stamp: Stamp) -> bool:
    try:
        stat = os.stat(path)
    except OSError:
        return False
    return stamp.as_it_was(Stamp(stat.st_size, stat.st_mtime_ns))
