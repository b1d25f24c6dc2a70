"""Indexes in shards: each worker writes the codes that it has as an index of their own.

``nsae.retrieval.merge_folders`` makes one index of them, and ``nsae.retrieval.ShardedIndex`` searches them as they
are; neither needs Dask.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.distributed.cluster import client_of, dask_part, sent_once, tells_of_lost_workers
from nsae.errors import ModelFormatError
from nsae.interchange import from_scipy
from nsae.retrieval.ids import as_ids
from nsae.retrieval.index import CodeIndex
from nsae.retrieval.on_disk.manifest import read_manifest
from nsae.system.threads import at_most
from nsae.validation.sparse import is_sparse


@tells_of_lost_workers
def build_index(
    chunks: Any,
    folder: str | os.PathLike[str],
    *,
    n_units: int,
    metric: str = "cosine",
    ids: Iterable[int | str] | None = None,
    extra_files: Mapping[str, bytes] | None = None,
    client: Any = None,
) -> list[Path]:
    """Write an index for each chunk of codes, on the workers, and return the folders, in the order of chunks.

    A shard has its name when it is whole: what a dead worker has begun does not count, and another worker writes
    it.  ``ShardedIndex(folders)`` searches the shards; ``merge_folders(folders, path)`` makes one index of them,
    with the bytes that a single build writes.

    Parameters
    ----------
    chunks : Dask array (n, h), sequence of chunks, or one chunk
        The array is cut by rows, such as the codes of ``nsae.distributed.encode``.  Chunks are ``Codes``, sparse
        arrays of SciPy in any format, arrays (rows, h), or Delayed or futures of these.  Where it is not known
        before how many rows each has, as with Delayed, futures, and codes of files, all codes are computed before
        the first shard is written, and the workers hold them until then.
    folder : path
        New, or empty.  All workers and this process must see it.
    n_units : int
        h.
    metric : str
        As of ``CodeIndex``.
    ids : n strings or integers, optional
        By default numbers from 0 on, through all chunks.
    extra_files : mapping of file name to bytes, optional
        Further files of each shard, as of ``CodeIndex.save``, such as the encoder.  They are sent once.
    client : distributed.Client, optional
        By default the one that was made last.

    Raises
    ------
    MissingExtraError
        Dask is not installed.
    FileExistsError
        The folder is not empty.
    ValueError, TypeError
        There is no chunk, not one id for each row, an id comes twice in a chunk, or codes that cannot be added to
        a ``CodeIndex``.
    """
    client, target = client_of(client), Path(folder).absolute()
    CodeIndex(n_units, metric=metric)  # refuses what cannot be, before anything is written
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty. Give a new folder for the shards.")
    parts = _parts(chunks)
    if not parts:
        raise ValueError("There is no chunk of codes, so there is nothing to build an index of.")
    rows = _rows_of(chunks, parts)
    if rows is None:  # All codes are computed first, to know the ids of each chunk, and stay on the workers.
        parts = [_sent(part, client) for part in parts]
        rows = client.gather(client.map(_length, parts, pure=False))
    ends = np.cumsum(rows, dtype=np.int64).tolist()
    names = range(ends[-1]) if ids is None else as_ids(ids)
    if len(names) != ends[-1]:
        raise ValueError(f"{ends[-1]} codes came with {len(names)} ids. Give one id for each code.")
    if ids is not None and len(set(names)) < len(names):
        raise ValueError(
            "One of the ids comes twice. Ids are unique, through all chunks: rename one of them."
        )
    folders = [target / f"shard-{number:05}" for number in range(len(parts))]
    how = sent_once({"n_units": n_units, "metric": metric, "extra_files": dict(extra_files or {})}, client)
    written = [
        client.submit(
            _write_shard, _sent(part, client), names[end - n : end], os.fspath(path), how, pure=False
        )
        for part, n, end, path in zip(parts, rows, ends, folders, strict=True)
    ]
    del parts  # A chunk is forgotten when its shard is written.
    client.gather(written)
    for stray in target.glob(".shard-*.part"):  # what dead workers have begun
        shutil.rmtree(stray, ignore_errors=True)
    return folders


def _parts(chunks: Any) -> list[Any]:
    """Return the chunks; of a Dask array, those of its rows, as Delayed."""
    if not isinstance(chunks, dask_part("dask.array").Array):
        alone = _is_elsewhere(chunks) or is_sparse(chunks) or getattr(chunks, "ndim", None) == 2
        return [chunks] if alone else list(chunks)
    if chunks.ndim != 2:
        raise ValueError(f"Codes (n, h) were expected, got a Dask array of shape {chunks.shape}.")
    return list((chunks.rechunk({1: -1}) if chunks.numblocks[1] > 1 else chunks).to_delayed().ravel())


def _rows_of(chunks: Any, parts: Sequence[Any]) -> list[int] | None:
    """Return how many rows each chunk has, or None if that is known only when they are computed."""
    if isinstance(chunks, dask_part("dask.array").Array):
        rows = chunks.chunks[0]
        return None if np.isnan(rows).any() else list(rows)
    here = not any(_is_elsewhere(part) for part in parts)
    return [_length(part) for part in parts] if here else None


def _is_elsewhere(part: Any) -> bool:
    return hasattr(part, "__dask_graph__") or isinstance(part, dask_part("distributed").Future)


def _sent(part: Any, client: Any) -> Any:
    """Return a chunk as an argument of a task."""
    return client.compute(part) if hasattr(part, "__dask_graph__") else part


def _length(chunk: Any) -> int:
    shape = getattr(chunk, "shape", None)
    if shape is None or len(shape) != 2:
        of_shape = "" if shape is None else f" of shape {tuple(shape)}"
        raise ValueError(
            f"Chunks of codes (rows, h) were expected, {type(chunk).__name__}{of_shape} is among them. Give a list "
            "of Codes, sparse matrices or arrays, or one of these."
        )
    return int(shape[0])


def _write_shard(chunk: Any, ids: Sequence[Any], path: str, how: Mapping[str, Any]) -> None:
    """Write one shard; where it is there already, a worker wrote it whole, and died before it could say so."""
    index = CodeIndex(how["n_units"], metric=how["metric"])
    index.add(_as_codes(chunk), ids)
    with at_most(1):
        try:
            index.save(path, extra_files=how["extra_files"])
        except OSError:
            with suppress(ModelFormatError):
                if read_manifest(Path(path))["rows"] == len(index):
                    return
            raise


def _as_codes(chunk: Any) -> Codes | np.ndarray:
    """Return a chunk as what an index takes."""
    return from_scipy(chunk) if is_sparse(chunk) and not isinstance(chunk, Codes) else chunk
