"""An index on disk: a folder of ``.npy`` files that can be mapped, and a manifest.

=====================================  =============================================================
``indptr.npy units.npy values.npy``    the codes; units are uint16 where that is wide enough
``ids.npy``                            integer ids, int64
``ids_utf8.npy ids_ends.npy``          ids that are strings
``ids.json``                           ids of both kinds, or beyond int64
``search_….npy``                       the search structure, which can be made again from the codes
``changes_….npy``                      rows that came to the codes since, or went
``manifest.json``                      sizes and checksums of all these, and what is said of the index
=====================================  =============================================================

Where few of many rows have changed since a folder was written, the codes and the search structure stay, and
``changes_indptr.npy changes_units.npy changes_values.npy`` hold the rows that came, ``changes_rows.npy`` which rows
they are now, and ``changes_removed.npy`` which rows of the codes are gone.  The ids are always those of all rows as
they are now.  ``manifest.py`` tells how a folder is replaced, and what a reader may rely on.
"""

from __future__ import annotations

import hashlib
import json
import mmap as mapping
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.errors import ModelFormatError
from nsae.retrieval.ids import Ids, Texts
from nsae.retrieval.on_disk.changes import Changes
from nsae.retrieval.on_disk.manifest import (
    CHANGED_VERSION,
    MANIFEST,
    Contents,
    Kept,
    NotKeptError,
    is_plain,
    kept_files,
    read_whole,
    unusable,
    use_file,
    write_files,
)
from nsae.retrieval.search.postings import FILES
from nsae.system.npy import array_from_npy
from nsae.validation import shown

CODES: dict[str, tuple[type, ...]] = {
    "indptr.npy": (np.int64,),
    "units.npy": (np.int32, np.uint16),
    "values.npy": (np.float32,),
}
CHANGES = {
    **{f"changes_{name}": dtypes for name, dtypes in CODES.items()},
    "changes_rows.npy": (np.int64,),
    "changes_removed.npy": (np.int64,),
}
IDS = ("ids.npy", "ids_utf8.npy", "ids_ends.npy", "ids.json")
SEARCH_PREFIX = "search_"
OURS = {*CODES, *CHANGES, *IDS, *(f"{SEARCH_PREFIX}{name}.npy" for name in FILES.values())}
READ_BYTES = 1 << 16  # A file of up to so many bytes is read and checked also where it could be mapped.


class Stored(NamedTuple):
    """What an index folder holds.

    Attributes
    ----------
    manifest : dict
    before : Codes
        The codes, without changes that were saved since.
    changes : Changes or None
        By which they are the rows of the index.
    ids : Ids
        Of the rows of the index.
    search : dict of array or None
        The search structure of ``before``.  None where it is missing, damaged, or of another version.
    kept : dict of Kept
        The files of ``before`` and of ``search``; empty where there is no ``search``.
    """

    manifest: dict[str, Any]
    before: Codes
    changes: Changes | None
    ids: Ids
    search: dict[str, np.ndarray] | None
    kept: Mapping[str, Kept]

    def n_entries(self) -> int:
        """Return how many units are active in all rows of the index together."""
        entries = len(self.before.units)
        if self.changes is not None:
            gone = self.changes.removed
            entries -= int((self.before.indptr[gone + 1] - self.before.indptr[gone]).sum())
            entries += len(self.changes.added.units)
        return entries

    def rows(self, start: int, stop: int) -> Codes:
        """Return rows ``start:stop`` of the index, without the others in memory where the codes are mapped.

        Raises ValueError where codes with changes are damaged.
        """
        if self.changes is None:
            return self.before[start:stop]
        n = len(self.before)
        source = self.changes.source_of(start, stop, n)
        old = source < n  # (rows,)
        left, come = source[old], source[~old] - n
        first, last = (left[0], left[-1] + 1) if len(left) else (0, 0)
        run = self.before[first:last]
        if (run.counts < 0).any():
            raise ValueError("indptr must not decrease.")
        place = np.empty(len(source), np.int64)
        place[old], place[~old] = np.arange(len(left)), len(left) + np.arange(len(come))
        return Codes.concatenate([run[left - first], self.changes.added[come]])[place]


def write_folder(
    path: str | os.PathLike,
    codes: Codes,
    ids: Ids,
    header: Mapping[str, object],
    *,
    overwrite: bool,
    extra_files: Mapping[str, bytes],
    search: Mapping[str, np.ndarray] | None = None,
    search_version: int | None = None,
) -> dict[str, Kept]:
    """Write the folder of an index; see ``CodeIndex.save`` for errors.

    Parameters
    ----------
    path : str or PathLike
    codes : Codes
    ids : Ids
    header : mapping
        Entries of the manifest.
    overwrite : bool
    extra_files : mapping of file name to bytes
    search : mapping of name to array, optional
        The search structure, of the version ``search_version``.
    search_version : int, optional

    Returns
    -------
    dict of file name to Kept
        For ``write_changes``.  Empty without ``search``: few rows are written as fast as changes of them.
    """
    derived = {f"{SEARCH_PREFIX}{name}.npy": array for name, array in (search or {}).items()}
    contents = {**_codes_files(codes), **_ids_files(ids), **derived}
    header = {**header, "rows": len(codes), "search_version": search_version}
    files = write_files(
        path, header, {**contents, **_checked_extra(extra_files, contents)}, ours=OURS, overwrite=overwrite
    )
    return _base(files) if search else {}


def write_changes(
    path: str | os.PathLike,
    changes: Changes,
    ids: Ids,
    header: Mapping[str, object],
    *,
    kept: Mapping[str, Kept],
    overwrite: bool,
    extra_files: Mapping[str, bytes],
) -> bool:
    """Write the changes beside the codes of an index folder that is there, and return whether that was possible.

    It is not where the files of these codes are not in the folder, or may be others.  Then nothing is written.

    Parameters
    ----------
    path : str or PathLike
    changes : Changes
        Of the codes that ``kept`` holds, whatever changes of them the folder has now.
    ids : Ids
        Of all rows.
    header : mapping
        Entries of the manifest, among them "search_version".
    kept : mapping of file name to Kept
        From ``write_folder`` or ``read_folder``.
    overwrite : bool
    extra_files : mapping of file name to bytes
    """
    header, contents = {**header, "rows": len(ids)}, _ids_files(ids)
    if len(changes.rows) or len(changes.removed):
        header["version"] = CHANGED_VERSION
        added = {f"changes_{name}": array for name, array in _codes_files(changes.added).items()}
        rows = {"changes_rows.npy": changes.rows, "changes_removed.npy": changes.removed}
        contents = {**added, **rows, **contents}
    contents = {**contents, **_checked_extra(extra_files, {**kept, **contents})}
    try:
        write_files(path, header, contents, kept=kept, ours=OURS, overwrite=overwrite)
    except NotKeptError:
        return False
    return True


def _codes_files(codes: Codes) -> dict[str, np.ndarray | bytes]:
    units = codes.units.astype(np.uint16, copy=False) if codes.n_units <= 1 << 16 else codes.units
    return dict(zip(CODES, [codes.indptr, units, codes.values], strict=True))


def _checked_extra(extra_files: Mapping[str, bytes], contents: Mapping[str, object]) -> dict[str, bytes]:
    """Return ``extra_files``; ValueError if a name of them is not free beside ``contents``."""
    for name in extra_files:
        ours = name in (*contents, *CODES, *CHANGES, *IDS, MANIFEST) or str(name).startswith(SEARCH_PREFIX)
        if not isinstance(name, str) or not is_plain(name) or ours:
            raise ValueError(
                f"extra_files: {shown(name)} is not a file name that is free here. Choose another."
            )
    return {name: bytes(data) for name, data in extra_files.items()}


def _base(files: Mapping[str, Kept]) -> dict[str, Kept]:
    """Return those ``files`` that stay while changes are written beside them; none if one of them is not there."""
    base = {name: one for name, one in files.items() if name in CODES or name.startswith(SEARCH_PREFIX)}
    return base if base.keys() > CODES.keys() else {}


def read_folder(
    path: str | os.PathLike,
    *,
    mmap: bool,
    search_version: int | None = None,
    need_search: bool = False,
) -> Stored:
    """Return what ``write_folder`` wrote.

    Parameters
    ----------
    path : str or PathLike
    mmap : bool
        Map files above 64 KiB, and check only their sizes.
    search_version : int, optional
        The version of the search structure that can be used; others are left out.
    need_search : bool
        Refuse a damaged search structure, which else is left out.

    Raises
    ------
    ModelFormatError
        If the folder is not one of an index, or is damaged.
    """
    folder = Path(path)

    def read(
        manifest: dict[str, Any],
    ) -> tuple[Codes, Changes | None, Ids, dict[str, np.ndarray] | None, Mapping[str, Kept]]:
        derived = {name for name in manifest["files"] if name.startswith(SEARCH_PREFIX)}
        files = {
            name: _opened(folder, name, manifest, mmap) for name in manifest["files"] if name not in derived
        }
        rows = _understood(folder, manifest, files)
        try:
            search = _read_search(folder, manifest, mmap, search_version)
        except ModelFormatError:
            if need_search:
                raise
            search = None
        return *rows, search, _base(kept_files(folder, manifest)) if search else {}

    manifest, content = read_whole(folder, read)
    return Stored(manifest, *content)


def _understood(
    folder: Path, manifest: dict[str, Any], files: dict[str, Callable[[], Any]]
) -> tuple[Codes, Changes | None, Ids]:
    """Return the codes, their changes and the ids that the checked ``files`` hold."""
    # Sizes or checksums match, so what is wrong from here on was written so.  A forged header can make NumPy
    # raise nearly anything; all of it means that the file is not an index of ours.
    try:
        indptr, units, values = _typed(files, CODES)
        before = Codes(indptr, units, values, manifest["n_units"])
        changes = None
        if manifest["version"] == CHANGED_VERSION:
            indptr, units, values, rows, removed = _typed(files, CHANGES)
            changes = Changes(Codes(indptr, units, values, before.n_units), rows, removed)
        n = len(before) if changes is None else changes.n_rows(len(before))
        ids = _read_ids(files)
        if not n == len(ids) == manifest["rows"]:
            raise ValueError(f"{n} codes, {len(ids)} ids and rows={manifest['rows']} differ")
    except Exception as error:
        raise unusable(folder, f"is not usable ({error})", "an index of codes with ids") from error
    return before, changes, ids


def _typed(files: dict[str, Callable[[], Any]], names: Mapping[str, tuple[type, ...]]) -> list[np.ndarray]:
    """Return the arrays of these ``names``; ValueError where one is of another dtype than it may be."""
    arrays = {name: files[name]() for name in names}
    for name, dtypes in names.items():
        if arrays[name].dtype not in dtypes:
            raise ValueError(f"{name} is of {arrays[name].dtype}")
    return list(arrays.values())


def _read_search(
    folder: Path, manifest: dict[str, Any], mmap: bool, version: int | None
) -> dict[str, np.ndarray] | None:
    """Return the arrays of the search structure, or None if the folder has none of this version."""
    if version is None or manifest.get("search_version") != version:
        return None
    arrays = {}
    for name in manifest["files"]:
        if name.startswith(SEARCH_PREFIX):
            try:
                array = _opened(folder, name, manifest, mmap)()
            except (ValueError, TypeError, KeyError) as error:  # among them ModelFormatError
                raise unusable(
                    folder / name, f"is not usable ({error})", "an array of the search structure"
                ) from error
            arrays[name.removeprefix(SEARCH_PREFIX).removesuffix(".npy")] = array
    return arrays or None


def _opened(folder: Path, name: str, manifest: dict[str, Any], mmap: bool) -> Callable[[], Any]:
    """Check a file, and return a function that reads its array, or its bytes if it is not a ``.npy`` file."""
    path, entry = folder / name, manifest["files"][name]
    try:
        with use_file(folder, name, manifest, lambda path: open(path, "rb")) as file:
            size = os.fstat(file.fileno()).st_size
            if entry.get("bytes", size) != size:
                raise unusable(path, "is truncated or altered", f"a file of {entry['bytes']} bytes")
            if mmap and size > READ_BYTES and "bytes" in entry:
                mapped = mapping.mmap(file.fileno(), 0, access=mapping.ACCESS_READ)
                if not name.endswith(".npy"):
                    return lambda: bytes(mapped)
                return lambda: _one_column(array_from_npy(mapped, copy=False))
            data = file.read()
    except (OSError, ValueError) as error:  # a ValueError for a name that no file can have
        if isinstance(error, ModelFormatError):
            raise
        raise unusable(path, f"cannot be read ({error})", "the saved file") from error
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise unusable(path, "is truncated or altered", f"a file with SHA-256 {entry['sha256']}")
    # Small arrays of a mapped index cannot be written to either: loops are compiled for arrays of one kind.
    copy = not mmap
    return lambda: (
        _one_column(array_from_npy(data, kinds="biufU", copy=copy)) if name.endswith(".npy") else data
    )


def _one_column(array: np.ndarray) -> np.ndarray:
    if array.ndim != 1:
        raise ValueError("a 1-D array was expected")
    return array


def _read_ids(files: dict[str, Callable[[], Any]]) -> Ids:
    if "ids_utf8.npy" in files:
        utf8, ends = files["ids_utf8.npy"](), files["ids_ends.npy"]()
        if (utf8.dtype, ends.dtype) != (np.uint8, np.int64):
            raise ValueError(f"ids of {utf8.dtype} and their ends of {ends.dtype}")
        return Ids(Texts(utf8, ends))
    if "ids.json" in files:
        return Ids(json.loads(files["ids.json"]()))
    ids = files["ids.npy"]()
    return Ids(ids if ids.dtype == np.int64 else ids.tolist())  # version 1 has strings there, too


def _ids_files(ids: Ids) -> Contents:
    values = ids.tolist()
    strings = [id for id in values if type(id) is str]
    if values and len(strings) == len(values):
        texts = Texts.of(strings)
        return {"ids_utf8.npy": texts.utf8, "ids_ends.npy": texts.ends}
    array = np.array(values) if all(type(id) is int for id in values) else np.array("")
    if not values or array.dtype == np.int64:
        return {"ids.npy": array.astype(np.int64)}
    return {"ids.json": json.dumps(values).encode()}  # mixed, or numbers beyond int64


__all__ = ["MANIFEST", "Stored", "read_folder", "use_file", "write_changes", "write_folder"]
