"""An index on disk: a folder of ``.npy`` files and a manifest that holds the checksum of each.

The manifest carries its own checksum, so a flipped digit in ``n_units`` is found as well.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nsae.codes import Codes
from nsae.errors import ModelFormatError
from nsae.storage import atomic_folder

FORMAT, VERSION = "nsae-index", 1
MANIFEST = "manifest.json"
ARRAYS = {"indptr.npy": np.int64, "units.npy": np.int32, "values.npy": np.float32}


def write_folder(
    path: str | os.PathLike,
    codes: Codes,
    ids: list[int | str],
    header: Mapping[str, object],
    *,
    overwrite: bool,
    extra_files: Mapping[str, bytes],
) -> None:
    """Write codes, ids, the header's entries and any further files; see ``CodeIndex.save``."""
    target = Path(path)
    if overwrite and os.path.lexists(target) and not (target / MANIFEST).is_file():
        raise FileExistsError(  # overwriting removes the folder: never one that holds something else
            f"{target} exists and is not an index (it has no {MANIFEST}), so it is not replaced. "
            "Choose another name."
        )
    arrays = [codes.indptr, codes.units, codes.values]
    contents = {name: _npy(array) for name, array in zip(ARRAYS, arrays, strict=True)}
    name, data = _ids_file(ids)
    contents[name] = data
    for name, data in extra_files.items():
        if not _is_plain(name) or name in (*contents, "ids.npy", "ids.json", MANIFEST):
            raise ValueError(f"extra_files: {name!r} is not a file name that is free here. Choose another.")
        contents[name] = data
    checksums = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    manifest = {"format": FORMAT, "version": VERSION, **header, "rows": len(codes), "files": checksums}
    manifest["checksum"] = _seal(manifest)
    with atomic_folder(target, overwrite=overwrite) as folder:
        for name, data in contents.items():
            (folder / name).write_bytes(data)
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def read_folder(path: str | os.PathLike) -> tuple[dict, Codes, list[int | str]]:
    """The manifest, codes and ids that ``write_folder`` wrote; else :class:`ModelFormatError`."""
    folder = Path(path)
    manifest = _read_manifest(folder)
    contents = {}
    for name, checksum in manifest["files"].items():
        try:
            contents[name] = (folder / name).read_bytes()
        except (OSError, ValueError) as error:  # a ValueError for a name that no file can have
            raise _unusable(folder / name, f"cannot be read ({error})", "the saved file") from error
        if hashlib.sha256(contents[name]).hexdigest() != checksum:
            raise _unusable(folder / name, "is truncated or altered", f"a file with SHA-256 {checksum}")
    # The checksums match, so what is wrong from here on was written so.  A forged header can make NumPy
    # raise nearly anything; all of it means that the file is not an index of ours.
    try:
        arrays = [_array(contents[name], dtype) for name, dtype in ARRAYS.items()]
        if "ids.npy" in contents:
            ids = _array(contents["ids.npy"]).tolist()
        else:
            ids = json.loads(contents["ids.json"])
        codes = Codes(*arrays, manifest["n_units"])
        if not len(codes) == len(ids) == manifest["rows"]:
            raise ValueError(f"{len(codes)} codes, {len(ids)} ids and rows={manifest['rows']} differ")
    except Exception as error:
        raise _unusable(folder, f"is not usable ({error})", "an index of codes with ids") from error
    return manifest, codes, ids


def _read_manifest(folder: Path) -> dict:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise _unusable(path, f"cannot be read ({error.strerror})", "the manifest of an index") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested without end
        raise _unusable(path, f"is not JSON ({error})", "the manifest of an index") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _unusable(path, "belongs to something else", f'a manifest with "format": "{FORMAT}"')
    version = manifest.get("version")
    if isinstance(version, int) and version > VERSION:
        raise ModelFormatError(
            f"{folder} has index version {version}; this nsae reads up to version {VERSION}. "
            "Upgrade nsae, or index again with this one."
        )
    if manifest.pop("checksum", None) != _seal(manifest):
        raise _unusable(path, "is truncated or altered", "a manifest that matches its checksum")
    files = manifest.get("files")
    if version != VERSION or not isinstance(files, dict) or not all(map(_is_plain, files)):
        raise _unusable(path, "is not complete", f"version {VERSION} and a list of files")
    return manifest


def _unusable(path: Path, what: str, expected: str) -> ModelFormatError:
    return ModelFormatError(
        f"{path} {what}; expected {expected}. Restore the folder from a copy, or index again."
    )


def _seal(manifest: Mapping[str, object]) -> str:
    """SHA-256 over the manifest's content, whatever its layout."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _is_plain(name: str) -> bool:
    """A file of the folder itself: names come from outside, and must not lead elsewhere."""
    return name not in ("", "..") and Path(name).name == name


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _array(data: bytes, dtype: type | None = None) -> np.ndarray:
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype != (dtype or array.dtype):
        raise ValueError(f"a 1-D array of {np.dtype(dtype)} was expected")
    return array


def _ids_file(ids: list[int | str]) -> tuple[str, bytes]:
    """As .npy if NumPy gives the same ids back, else as JSON: mixed ids, numbers beyond int64, "a\\0"."""
    array = np.array(ids)
    if (array.dtype == np.int64 or array.dtype.kind == "U") and array.tolist() == ids:
        return "ids.npy", _npy(array)
    return "ids.json", json.dumps(ids).encode()
