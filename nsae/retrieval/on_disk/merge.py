"""Many index folders as one, in little memory: the folder that a single build of all rows would have written.

Shards are read one after the other, a block of rows at a time, and each file of the new index is written while
that goes on.  In memory there are a block, a few numbers for each unit, and pages of the new files, which the
system can take back; see ``search/stream_postings.py`` for the search structure.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.codes import Codes, checked_codes, one_model
from nsae.errors import ModelFormatError
from nsae.retrieval.ids import Texts
from nsae.retrieval.on_disk.index_folder import (
    CHANGES,
    CODES,
    IDS,
    SEARCH_PREFIX,
    Stored,
    read_folder,
    use_file,
)
from nsae.retrieval.on_disk.manifest import read_manifest, seal_folder
from nsae.retrieval.on_disk.unique_ids import check_unique, id_blocks
from nsae.retrieval.search.postings import FILES, VERSION, WINDOW
from nsae.retrieval.search.stream_postings import row_blocks, rows_of_block, write_postings
from nsae.system.npy import forget_pages
from nsae.system.storage import new_folder, refuse_existing

SAME = {
    "metric": "Search them apart, or build them with one metric.",
    "n_units": "Their codes come from different models: encode all with one.",
}


class _Sizes(NamedTuple):
    """What a shard adds to the whole."""

    rows: int
    nonzeros: int
    n_added: int
    ids: str
    text_bytes: int


def merge_folders(
    folders: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    path: str | os.PathLike[str],
    *,
    check_ids: bool = True,
) -> None:
    """Write the rows of several index folders as one index, in little memory.

    The new folder has the bytes that ``CodeIndex.save`` writes of an index to which all rows were added, shard
    after shard.  There is one exception: where rows were removed from a shard, ``n_added`` in the manifest, from
    which the next default id is taken, is at least that of this shard.

    The process holds a block of rows, and one window of the search structure.  What grows with the rows are pages
    of the new files, which the system can take back: 4 bytes a row, and 8 bytes for each unit and 16,384 rows.

    Parameters
    ----------
    folders : path, or paths
        Written by ``CodeIndex.save``, or ``nsae.distributed.build_index``; at least one.  They stay.  Their rows
        follow each other in this order.
    path : path
        The new folder.  It appears when it is whole.
    check_ids : bool
        Look for ids that come twice.  This reads all ids, and needs up to 16 bytes of temporary disk for each
        meanwhile.  False is for shards that are known to have ids of their own, such as those of
        ``nsae.distributed.build_index``: an index in which an id comes twice is not usable.

    Raises
    ------
    FileExistsError, FileNotFoundError
        ``path`` is taken, or the folder that is to hold it does not exist.
    ModelFormatError, a ValueError
        One of the folders is not an index, or damaged.
    ValueError
        There is no folder; an id is in two of them; or they differ in metric, width, model, or extra files,
        such as the encoder.
    """
    folders = [folders] if isinstance(folders, (str, os.PathLike)) else folders
    shards = [Path(folder) for folder in folders]
    refuse_existing(path, overwrite=False)
    manifests = [read_manifest(shard) for shard in shards]
    extra = check_alike([str(shard) for shard in shards], manifests)
    if check_ids:
        check_unique([str(shard) for shard in shards], [_opened(shard).ids for shard in shards])
    sizes = [_sizes(_opened(shard)) for shard in shards]
    rows, n_units, metric = sum(size.rows for size in sizes), manifests[0]["n_units"], manifests[0]["metric"]
    with new_folder(path) as folder:
        codes = _write_codes(folder, shards, sizes, n_units)
        names = [*CODES, *_write_ids(folder, shards, sizes)]
        if rows > WINDOW:

            def make(name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
                return _array_file(folder / f"{SEARCH_PREFIX}{name}.npy", shape, dtype)

            write_postings(codes, metric, make)
            names += [f"{SEARCH_PREFIX}{name}.npy" for name in FILES.values()]
        for name in extra:
            (folder / name).write_bytes(use_file(shards[0], name, None, Path.read_bytes))
        n_added = max(rows, *(size.n_added for size in sizes))
        header = {"metric": metric, "n_units": n_units, "n_added": n_added}
        made_by = one_model(_makers(manifests))
        if made_by is not None:
            header["made_by"] = made_by
        seal_folder(folder, {**header, "rows": rows, "search_version": VERSION}, [*names, *extra])


def check_alike(names: Sequence[str], manifests: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the extra files, which all shards have, such as the encoder.

    Parameters
    ----------
    names : sequence of str
        Of the shards, for messages.
    manifests : sequence of dict
        One for each.  One without "files" is that of an index in memory, whose extra files are not known.

    Raises
    ------
    ValueError
        There is no shard, or they differ in what makes them parts of one index.
    """
    if not names:
        raise ValueError("No index was given. Give the folders of at least one shard.")
    one_model(_makers(manifests))
    first: tuple[str, dict[str, str]] | None = None  # the name and extra files of the first folder
    for name, manifest in zip(names, manifests, strict=True):
        for key, way_out in SAME.items():
            ours, theirs = manifests[0].get(key), manifest.get(key)
            if ours != theirs:
                raise ValueError(f"{names[0]} has {key}={ours!r}, and {name} has {key}={theirs!r}. {way_out}")
        if "files" not in manifest:
            continue
        extra = _extra_files(manifest)
        first = first or (name, extra)
        for file in sorted({*first[1], *extra}):
            if first[1].get(file) != extra.get(file):
                raise ValueError(
                    f"The file {file} of {first[0]} is not that of {name}, so the codes may come from different "
                    "models. Encode all with one model, and save each shard with the same extra_files."
                )
    return list(first[1]) if first else []


def _makers(manifests: Sequence[dict[str, Any]]) -> list[str | None]:
    """Return the fingerprint of the encoder of each shard that has rows, as far as its manifest says it."""
    return [manifest.get("made_by") for manifest in manifests if manifest.get("rows", 1)]


def _extra_files(manifest: dict[str, Any]) -> dict[str, str]:
    """Return the checksum of each file that is neither codes, nor ids, nor search structure."""
    files = manifest["files"].items()
    ours = (*CODES, *CHANGES, *IDS)
    return {
        name: entry["sha256"]
        for name, entry in files
        if name not in ours and not name.startswith(SEARCH_PREFIX)
    }


def _opened(shard: Path) -> Stored:
    """Open a shard, mapped, without its search structure."""
    return read_folder(shard, mmap=True)


def _sizes(shard: Stored) -> _Sizes:
    ids, text_bytes = shard.ids, 0
    if isinstance(ids.stored, Texts):
        text_bytes = len(ids.stored.utf8)
    elif ids.kind == "strings":
        text_bytes = len(Texts.of(ids.tolist()).utf8)  # type: ignore[arg-type]
    kind = ids.kind if len(ids) else "none"
    return _Sizes(len(ids), shard.n_entries(), int(shard.manifest["n_added"]), kind, text_bytes)


def _write_codes(folder: Path, shards: Sequence[Path], sizes: Sequence[_Sizes], n_units: int) -> Codes:
    """Write the codes of all ``shards``, and return them, mapped."""
    rows, nnz = sum(size.rows for size in sizes), sum(size.nonzeros for size in sizes)
    shapes = (rows + 1, np.int64), (nnz, np.uint16 if n_units <= 1 << 16 else np.int32), (nnz, np.float32)
    indptr, units, values = (
        _array_file(folder / name, (n,), dtype) for name, (n, dtype) in zip(CODES, shapes, strict=True)
    )
    row = entry = 0
    for shard in shards:
        for block in _checked_blocks(shard, n_units):
            n, m = len(block), len(block.units)
            indptr[row + 1 : row + n + 1] = entry + block.indptr[1:]
            units[entry : entry + m], values[entry : entry + m] = block.units, block.values
            row, entry = row + n, entry + m
            forget_pages(indptr, units, values)
    return Codes(indptr, units, values, n_units)


def _checked_blocks(shard: Path, n_units: int) -> Iterator[Codes]:
    """Yield the rows of a shard in blocks, which bound memory; ModelFormatError where they are damaged."""
    start, blocks = 0, _row_blocks(_opened(shard))
    while True:
        try:
            block = next(blocks, None)
            if block is None:
                return
            checked = checked_codes(block, n_units)
            if len(checked.units) != len(block.units):
                raise ValueError("zeros are stored")
        except ValueError as error:
            raise ModelFormatError(
                f"{shard} does not hold a usable index, from row {start} on: {error} Build this shard again."
            ) from error
        yield checked
        start += len(block)


def _row_blocks(shard: Stored) -> Iterator[Codes]:
    """Yield the rows of a mapped shard as they are now, in the blocks of ``row_blocks``."""
    if shard.changes is None:
        yield from (block for _, block in row_blocks(shard.before))
        return
    n = len(shard.ids)
    rows = rows_of_block(n, shard.n_entries())
    for start in range(0, n, rows):
        block = shard.rows(start, min(start + rows, n))
        yield Codes(block.indptr, block.units.astype(np.int32), block.values, block.n_units)
        forget_pages(shard.before.indptr, shard.before.units, shard.before.values)


def _write_ids(folder: Path, shards: Sequence[Path], sizes: Sequence[_Sizes]) -> list[str]:
    """Write the ids of all ``shards``, in the form that they have together, and return the names of the files."""
    kinds, rows = {size.ids for size in sizes if size.rows}, sum(size.rows for size in sizes)
    blocks = (block for shard in shards for block in id_blocks(_opened(shard).ids))
    row = byte = 0
    if kinds <= {"integers"}:
        numbers = _array_file(folder / "ids.npy", (rows,), np.int64)
        for block in blocks:
            numbers[row : row + len(block)] = block.tolist()
            row += len(block)
            forget_pages(numbers)
        return ["ids.npy"]
    if kinds == {"strings"}:
        utf8 = _array_file(folder / "ids_utf8.npy", (sum(size.text_bytes for size in sizes),), np.uint8)
        ends = _array_file(folder / "ids_ends.npy", (rows,), np.int64)
        for block in blocks:
            texts = Texts.of(block.tolist())  # type: ignore[arg-type]
            utf8[byte : byte + len(texts.utf8)] = texts.utf8
            ends[row : row + len(block)] = byte + texts.ends
            row, byte = row + len(block), byte + len(texts.utf8)
            forget_pages(utf8, ends)
        return ["ids_utf8.npy", "ids_ends.npy"]
    with open(folder / "ids.json", "wb") as file:
        for block in blocks:
            file.write((", " if row else "[").encode() + json.dumps(block.tolist())[1:-1].encode())
            row += len(block)
        file.write(b"]")
    return ["ids.json"]


def _array_file(path: Path, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Return an array of zeros that is mapped to a new ``.npy`` file, which holds it flat."""
    n = int(np.prod(shape, dtype=np.int64))
    if not n:  # Nothing cannot be mapped.
        np.save(path, np.empty(0, dtype))
        return np.zeros(shape, dtype)
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n,)).reshape(shape)
