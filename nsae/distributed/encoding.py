"""Codes of data that lie on a cluster: a Dask array, or image files that each worker reads itself.

A chunk of codes is a SciPy ``csr_array``: Dask knows it as a chunk type, so that ``.map_blocks``, slices of rows
and ``.compute()`` work, and the result of ``.compute()`` is one ``csr_array``, which ``nsae.interchange.from_scipy``
turns into ``Codes``.

The model is one node of the graph, on which all tasks depend.  So it is sent to a worker once, and is there again
if a worker dies.  A task uses one thread: its worker has one for each task that it runs at once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.distributed.cluster import dask_part, whole_rows
from nsae.errors import ImageReadError
from nsae.images.encode_photos import encode_photos
from nsae.interchange.scipy_arrays import to_scipy
from nsae.system.threads import at_most
from nsae.validation import at_least


class EncodedFiles(NamedTuple):
    """Codes of image files, not computed yet: ``dask.compute(*encoded)`` reads each file once.

    Attributes
    ----------
    codes : dask.array.Array (files that could be read, h)
        Chunks are ``csr_array``.  How many rows they have is not known before they are computed.
    paths : dask.bag.Bag of str
        The file of each row.
    failures : dask.bag.Bag of (str, str)
        Path and reason of each file that could not be read; it has no row.
    """

    codes: Any
    paths: Any
    failures: Any


def encode(data: Any, model: Any, *, files_per_task: int = 64) -> Any:
    """Return the codes of data on a cluster, as a Dask collection that computes nothing yet.

    Codes are those of ``model.encode``, whatever the chunks: the same bits where a row has the same bits wherever
    it stands, which ``nsae.models.encoder`` tells.

    Parameters
    ----------
    data : dask.array.Array (n, d), dask.array.Array (n, H, W[, 3]), dask.bag.Bag of paths, or list of paths
        Rows of numbers, dense or in chunks of SciPy CSR, images, or image files that the workers can read.  Chunks
        of rows stay as they are; an array that is also cut along other axes is put together along these, with a
        warning.
    model : SparseAutoencoder, ImageEncoder, or a frozen encoder of either
        Fitted.
    files_per_task : int
        Files of a list that one task reads.  A bag has partitions of its own.

    Returns
    -------
    dask.array.Array (n, h), or EncodedFiles for paths
        Its dtype is that of the model, its chunks are SciPy ``csr_array``.

    Raises
    ------
    MissingExtraError
        Dask or SciPy is not installed.
    NotFittedError
    TypeError, ValueError
        The data does not fit the model.  Where this is seen in a chunk, computing raises it, with the number of
        the chunk.
    """
    da = dask_part("dask.array")
    if not hasattr(model, "encoder"):
        raise TypeError(f"A fitted model or an encoder was expected, got {type(model).__name__}.")
    encoder = model.encoder()
    node = _graph_node(encoder)
    meta = _no_codes(encoder)
    if not isinstance(data, da.Array):
        at_least("files_per_task", files_per_task, 1, whole=True)
        return _encode_files(data, node, meta, files_per_task)
    if data.ndim == 2:
        d = data.shape[1]
        if not math.isnan(d) and d != encoder.n_features:
            raise ValueError(
                f"The array has {d} columns, and the model was fitted on {encoder.n_features}: give it data of the "
                "width it was fitted on."
            )
    elif data.ndim not in (3, 4):
        raise ValueError(f"Rows (n, d) or images (n, H, W[, 3]) were expected, got shape {data.shape}.")
    whole = whole_rows(data)
    return da.map_blocks(
        _chunk_of_codes,
        whole,
        node,
        dtype=meta.dtype,
        meta=meta,
        chunks=(whole.chunks[0], (encoder.n_units,)),
        drop_axis=list(range(2, data.ndim)),
        enforce_ndim=False,
    )


def _graph_node(encoder: Any) -> Any:
    """Return ``encoder`` as one node of a graph; its name is its content, so that two graphs share it."""
    dask = dask_part("dask")
    return dask.delayed(encoder, name=f"nsae-model-{dask.base.tokenize(encoder.to_bytes())}", traverse=False)


def _chunk_of_codes(chunk: np.ndarray, encoder: Any, block_id: tuple[int, ...] | None = None) -> Any:
    """Return the codes of a chunk; of no rows too, which Dask asks for."""
    if not chunk.shape[0]:  # a sparse chunk has no len
        return _no_codes(encoder)
    try:
        with at_most(1):
            return to_scipy(encoder.encode(chunk) if chunk.ndim == 2 else encode_photos(encoder, chunk))
    except (TypeError, ValueError) as error:
        number = block_id[0] if block_id else 0
        raise type(error)(
            f"Chunk {number} of the array (rows are counted from its first one): {error}"
        ) from error


def _no_codes(encoder: Any) -> Any:
    layer = encoder.encoder_layer if hasattr(encoder, "encoder_layer") else encoder.code_layer
    return to_scipy(Codes.from_dense(np.zeros((0, encoder.n_units), layer.W.dtype)))


def _encode_files(data: Any, node: Any, meta: Any, files_per_task: int) -> EncodedFiles:
    da, bag, delayed = dask_part("dask.array"), dask_part("dask.bag"), dask_part("dask").delayed
    if isinstance(data, bag.Bag):
        groups = data.to_delayed()
    elif isinstance(data, (str, bytes, os.PathLike)) or not isinstance(data, Sequence):
        raise TypeError(
            f"A Dask array, a Dask bag or a list of paths was expected, got {type(data).__name__}. Arrays become "
            "Dask arrays by dask.array.from_array; a folder becomes a list by nsae.images.find_images."
        )
    elif not data:
        raise ValueError("The list of paths is empty: give one file at least.")
    else:
        groups = [data[start : start + files_per_task] for start in range(0, len(data), files_per_task)]
    results = [delayed(_codes_of_files, pure=True, nout=3, traverse=False)(node, group) for group in groups]
    h = meta.shape[1]
    codes = [da.from_delayed(result[0], (np.nan, h), meta=meta) for result in results]
    return EncodedFiles(
        da.concatenate(codes, allow_unknown_chunksizes=True),
        bag.from_delayed([result[1] for result in results]),
        bag.from_delayed([result[2] for result in results]),
    )


def _codes_of_files(encoder: Any, paths: Sequence[Any]) -> tuple[Any, list[str], list[tuple[str, str]]]:
    """Return codes, the paths that have a row, and (path, reason) of the others."""
    paths = [os.fspath(path) for path in paths]  # a partition of a bag may be an iterator
    failures: list[tuple[str, str]] = []

    def note(error: ImageReadError) -> None:
        failures.append((str(error.path), str(error)))

    with at_most(1):
        codes = encode_photos(encoder, paths, on_error=note)
    failed = {path for path, _ in failures}
    return to_scipy(codes), [path for path in paths if str(Path(path)) not in failed], failures
