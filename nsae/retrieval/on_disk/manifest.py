"""The manifest of an index folder, and how one generation of files takes the place of another.

``manifest.json`` names every file of the index with its size and checksum, and carries a checksum of its
own, so a flipped digit in ``n_units`` is found as well.  It is also the one switch between old and new:

1. the new files are written beside the old ones, as ``units.npy.<generation>.part``;
2. the new manifest, which holds that generation's name, takes the old one's place in one rename;
3. the new files are renamed to their plain names, over the old ones.

Whoever reads looks for a file under the generation's name first, then under the plain one.  So whenever a
writer is killed, there is either the old manifest with all its files, or the new one with all of its.
Files that did not change stay where they are, and the new manifest names them as the old one did.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np

from nsae.errors import ModelFormatError
from nsae.system.storage import flush_folder, flush_to_disk, locked, new_folder, refuse_existing

FORMAT, VERSION = "nsae-index", 2
CHANGED_VERSION = (
    3  # Of a folder with changes beside its rows: an older nsae refuses it, and does not pass over them.
)
LONGEST_NAME = 255  # characters of a file; file systems allow so many bytes
MANIFEST = "manifest.json"
STAGED = re.compile(r"\.[0-9a-f]{16}\.part$")
GENERATION = re.compile(r"[0-9a-f]{16}")  # It becomes a part of file names, so it must not lead elsewhere.
TRIES = 20  # So often a folder is read anew if a writer replaces it meanwhile.

T = TypeVar("T")


class Kept(NamedTuple):
    """A file of an index folder as it was when it was written or read, which need not be written again.

    Attributes
    ----------
    entry : dict
        Of the manifest: size and checksum.
    modified : int
        Its time of modification, in nanoseconds.
    """

    entry: dict[str, Any]
    modified: int


class NotKeptError(Exception):
    """A file that was to stay is not the one that was meant."""


Contents = Mapping[str, "np.ndarray | bytes"]


def write_files(
    path: str | os.PathLike,
    header: Mapping[str, object],
    contents: Contents,
    *,
    kept: Mapping[str, Kept] | None = None,
    ours: Container[str] = (),
    overwrite: bool,
) -> dict[str, Kept]:
    """Write the folder of an index, or replace the content of one, and return its files.

    Parameters
    ----------
    path : str or PathLike
        The folder.
    header : mapping
        Entries of the manifest.
    contents : mapping of file name to array or bytes
        The files.  Others that are in the folder, and that the old index did not list, stay.
    kept : mapping of file name to Kept, optional
        Further files of the index, which are there already.
    ours : container of file names
        That an index alone may have: those which this one has not are removed, too.  A writer that was killed after
        its manifest was in place may have left them.
    overwrite : bool
        Replace an index that is there.

    Returns
    -------
    dict of file name to Kept

    Raises
    ------
    FileExistsError
        If ``path`` is taken and ``overwrite`` is not set, or what is there is not an index.
    NotKeptError
        If a file that is to stay is not there, or is another one.  Nothing is written then.
    """
    target = refuse_existing(path, overwrite)
    if not os.path.lexists(target):
        if kept:
            raise NotKeptError
        try:
            with new_folder(target) as folder:
                files = {name: _write(folder / name, content) for name, content in contents.items()}
                _write(folder / MANIFEST, _sealed(header, files, None))
                return kept_files(folder, {"files": files})
        except FileExistsError:
            # Another writer was sooner, and what it wrote may be replaced as if it had been there.
            if not overwrite:
                raise
    if not (target / MANIFEST).is_file():
        raise FileExistsError(
            f"{target} exists and is not an index (it has no {MANIFEST}), so it is not replaced. "
            "Choose another name."
        )
    with locked(target):
        return kept_files(target, _replace(target, header, contents, kept or {}, ours))


def kept_files(folder: Path, manifest: dict[str, Any]) -> dict[str, Kept]:
    """Return the files that ``manifest`` names, so that the next index of this ``folder`` can keep them."""
    kept = {}
    for name, entry in manifest["files"].items():
        with suppress(OSError):  # What is not there is not kept.
            kept[name] = Kept(entry, use_file(folder, name, manifest, os.stat).st_mtime_ns)
    return kept


def seal_folder(folder: Path, header: Mapping[str, object], names: Iterable[str]) -> None:
    """Write the manifest of a new ``folder`` whose files are there already.

    Parameters
    ----------
    folder : Path
    header : mapping
        Entries of the manifest.
    names : iterable of str
        The files, in the order of the manifest.
    """
    _write(folder / MANIFEST, _sealed(header, {name: _entry(folder / name) for name in names}, None))


def read_whole(folder: Path, read: Callable[[dict[str, Any]], T]) -> tuple[dict[str, Any], T]:
    """Return the manifest of ``folder`` and what ``read(manifest)`` returned, both of one generation.

    A writer changes the manifest before any plain name, so what was read between two equal manifests
    belongs to them.

    Raises ModelFormatError where ``read`` does, or if the manifest is not one of an index.
    """
    for _ in range(TRIES):
        manifest = read_manifest(folder)
        try:
            result = read(manifest)
        except ModelFormatError:
            if read_manifest(folder) == manifest:
                raise
            continue
        if read_manifest(folder) == manifest:
            return manifest, result
    raise unusable(folder, f"was replaced {TRIES} times while it was read", "an index that no one writes to")


def use_file(
    folder: str | os.PathLike, name: str, manifest: dict[str, Any] | None, use: Callable[[Path], T]
) -> T:
    """Return ``use(path)`` of the file ``name`` of an index: of the name of its generation, else of the plain one.

    So it does not matter when a writer gives the file its plain name.

    Parameters
    ----------
    folder : path
    name : str
    manifest : dict, optional
        By default the one in ``folder`` is read; ModelFormatError where there is none.
    use : callable
        Raises FileNotFoundError where there is no file of this path.
    """
    folder = Path(folder)
    manifest = read_manifest(folder) if manifest is None else manifest
    with suppress(FileNotFoundError):
        return use(_staged(folder / name, str(manifest.get("generation"))))
    return use(folder / name)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of an index ``folder``, of this version or an earlier one.

    Raises :class:`ModelFormatError` where there is none.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        if not _was_index(folder):
            what = "is no index" if os.path.lexists(folder) else "does not exist"
            raise ModelFormatError(
                f"{folder} {what}. Give the folder of an index, or index first."
            ) from error
        raise unusable(path, f"cannot be read ({error.strerror})", "the manifest of an index") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested without end
        raise unusable(path, f"is not JSON ({error})", "the manifest of an index") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise unusable(path, "belongs to something else", f'a manifest with "format": "{FORMAT}"')
    version = manifest.get("version")
    if isinstance(version, int) and version > CHANGED_VERSION:
        raise ModelFormatError(
            f"{folder} has index version {version}; this nsae reads up to version {CHANGED_VERSION}. "
            "Upgrade nsae, or index again with this one."
        )
    if manifest.pop("checksum", None) != _seal(manifest):
        raise unusable(path, "is truncated or altered", "a manifest that matches its checksum")
    files = manifest.get("files")
    if (
        version not in (1, VERSION, CHANGED_VERSION)
        or not isinstance(files, dict)
        or not all(map(is_plain, files))
    ):
        raise unusable(path, "is not complete", f"version 1 to {CHANGED_VERSION} and a list of files")
    if version == 1:  # checksums without sizes
        manifest["files"] = files = {name: {"sha256": sha} for name, sha in files.items()}
    if not all(isinstance(entry, dict) and isinstance(entry.get("sha256"), str) for entry in files.values()):
        raise unusable(path, "is not complete", "a checksum for each file")
    generation = manifest.get("generation")
    if generation is not None and not (isinstance(generation, str) and GENERATION.fullmatch(generation)):
        raise unusable(path, f"names a generation {str(generation)[:40]!r}", "16 hexadecimal digits")
    return manifest


def unusable(path: Path, what: str, expected: str) -> ModelFormatError:
    """Return the error that says ``what`` is wrong with the file or folder at ``path``, and what was ``expected``."""
    return ModelFormatError(
        f"{path} {what}; expected {expected}. Restore the folder from a copy, or index again."
    )


def is_plain(name: str) -> bool:
    """Tell whether ``name`` is a file of the folder itself: a name in a manifest must not lead elsewhere."""
    short = len(name) <= LONGEST_NAME
    return short and name not in ("", "..") and Path(name).name == name and not STAGED.search(name)


# ---- inside


def _was_index(folder: Path) -> bool:
    """Tell whether anything in ``folder`` is of an index, which is damaged if its manifest is gone."""
    try:
        return any(
            name == MANIFEST or STAGED.search(name) or name.endswith(".npy") for name in os.listdir(folder)
        )
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # It may be one.
        return True


def _replace(
    folder: Path,
    header: Mapping[str, object],
    contents: Contents,
    kept: Mapping[str, Kept],
    ours: Container[str],
) -> dict[str, Any]:
    """Replace the content of an index folder, in the steps that are described above, and return its manifest."""
    old: dict[str, Any] = {"files": {}}
    with suppress(ModelFormatError):  # a damaged index can be replaced
        old = read_manifest(folder)
        _finish_renames(folder, old)  # those that a killed writer did not come to
    if not all(_is_there(folder / name, one, old["files"].get(name)) for name, one in kept.items()):
        raise NotKeptError
    generation = secrets.token_hex(8)
    try:
        files = {name: one.entry for name, one in kept.items()}
        for name, content in contents.items():
            same = _unchanged(folder / name, content, old["files"].get(name))
            files[name] = same or _write(_staged(folder / name, generation), content)
        manifest = _sealed(header, files, generation)
        staged = _staged(folder / MANIFEST, generation)
        _write(staged, manifest)
        flush_folder(folder)  # the names of the new files are on the disk before the manifest relies on them
        os.replace(staged, folder / MANIFEST)
    except BaseException:
        if not _is_current(folder, generation):  # Ctrl-C may come just after the rename
            _remove(folder.glob(f"*.{generation}.part"))
        raise
    flush_folder(folder)
    current = {"files": files, "generation": generation}
    _finish_renames(folder, current)
    gone = (name for name in os.listdir(folder) if name in old["files"] or name in ours)
    _remove(folder / name for name in gone if name not in files)
    return current


def _is_current(folder: Path, generation: str) -> bool:
    try:
        return read_manifest(folder).get("generation") == generation
    except ModelFormatError:
        return False


def _finish_renames(folder: Path, manifest: dict[str, Any]) -> None:
    """Give the current generation's files their plain names, and clear away what no manifest names."""
    for name in manifest["files"]:
        staged = _staged(folder / name, str(manifest.get("generation")))
        if staged.exists():
            with suppress(PermissionError):  # Windows, while someone has the old file mapped: next time
                os.replace(staged, folder / name)
    current = f".{manifest.get('generation')}.part"
    strays = (file for file in folder.iterdir() if STAGED.search(file.name))
    _remove(file for file in strays if not file.name.endswith(current))


def _is_there(path: Path, kept: Kept, entry: dict[str, Any] | None) -> bool:
    """Tell whether a file is the one that was kept, which is not read for that, and the manifest says so, too."""
    try:
        stat = os.stat(path)
    except OSError:
        return False
    same_size = stat.st_size == kept.entry.get("bytes")
    return entry == kept.entry and same_size and stat.st_mtime_ns == kept.modified


def _unchanged(
    path: Path, content: np.ndarray | bytes, entry: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Return ``entry`` if it describes both ``content`` and the file that is there, else None."""
    if entry is None or not isinstance(content, bytes) or entry.get("bytes") != len(content):
        return None
    with suppress(OSError):
        if hashlib.sha256(content).hexdigest() == entry["sha256"] and path.read_bytes() == content:
            return entry
    return None


def _write(path: Path, content: np.ndarray | bytes) -> dict[str, Any]:
    """Write one file, down to the disk, and return its entry in the manifest."""
    with open(path, "wb") as file:
        summing = _Summing(file)
        if isinstance(content, bytes):
            summing.write(content)
        else:
            np.save(summing, content, allow_pickle=False)
        flush_to_disk(file)
    return {"bytes": summing.n_bytes, "sha256": summing.sha256.hexdigest()}


def _entry(path: Path) -> dict[str, Any]:
    """Return the entry in the manifest of a file that is there."""
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
    return {"bytes": path.stat().st_size, "sha256": sha256.hexdigest()}


class _Summing:
    """A file that is written to, with its size and checksum; large arrays are not copied for them."""

    def __init__(self, file: BinaryIO):
        self.file, self.n_bytes, self.sha256 = file, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.n_bytes += len(data)
        return self.file.write(data)


def _sealed(header: Mapping[str, object], files: Mapping[str, Any], generation: str | None) -> bytes:
    manifest = {"format": FORMAT, "version": VERSION, **header, "generation": generation, "files": files}
    manifest["checksum"] = _seal(manifest)
    return (json.dumps(manifest, indent=2) + "\n").encode()


def _seal(manifest: Mapping[str, object]) -> str:
    """Return the SHA-256 of the manifest's content, whatever its layout."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _staged(path: Path, generation: str) -> Path:
    return path.with_name(f"{path.name}.{generation}.part")


def _remove(files: Iterator[Path]) -> None:
    for file in files:
        with suppress(OSError):  # litter, not harm
            file.unlink()
