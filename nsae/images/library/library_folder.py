"""What an index folder of photos holds beside codes: the encoder, where the photos are, what they were like."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nsae.errors import ModelFormatError
from nsae.images.library.scan import Stamp, table_from_bytes, table_to_bytes
from nsae.models.encoder import Encoder
from nsae.retrieval import CodeIndex
from nsae.retrieval.on_disk.index_folder import index_file

if TYPE_CHECKING:
    from nsae.images.encoder import ImageEncoder

MODEL_IN_INDEX = "model.npz"
SOURCE_IN_INDEX = "source.json"
FILES_IN_INDEX = "files.json"


class Shelf(NamedTuple):
    """An index folder as it was read."""

    index: CodeIndex
    encoder: Encoder | ImageEncoder | None  # None for codes without a model, from nsae encode
    root: Path | None  # of the photos, without links; None for rows
    model: bytes  # the encoder's file
    files: dict[str, Stamp]  # by id; empty in what earlier versions wrote


def extra_files(
    model: bytes, root: str | os.PathLike | None, files: Mapping[str, Stamp] | None
) -> dict[str, bytes]:
    """The files to save with an index, so that :func:`read_shelf` can read them."""
    source = {"root": None if root is None else os.fspath(root)}
    extra = {MODEL_IN_INDEX: model, SOURCE_IN_INDEX: json.dumps(source).encode()}
    return extra if files is None else {**extra, FILES_IN_INDEX: table_to_bytes(files)}


def read_shelf(folder: str | os.PathLike, *, mmap: bool = False) -> Shelf:
    """Read an index folder; ModelFormatError if a part of it cannot be used."""
    index = CodeIndex.load(folder, mmap=mmap)
    model = index_file(folder, MODEL_IN_INDEX)
    if not model.exists():
        return Shelf(index, None, None, b"", {})
    try:
        root = json.loads(index_file(folder, SOURCE_IN_INDEX).read_bytes())["root"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelFormatError(f"{folder} has no readable {SOURCE_IN_INDEX}: {error}. Index again.") from None
    encoder = Encoder.load(model)
    if encoder.n_units != index.n_units:
        raise ModelFormatError(
            f"{folder} has codes of {index.n_units} units and an encoder of {encoder.n_units}. Index again."
        )
    table = index_file(folder, FILES_IN_INDEX)
    files = table_from_bytes(table.read_bytes()) if table.exists() else {}
    return Shelf(
        index, encoder, None if root is None else Path(os.path.realpath(root)), model.read_bytes(), files
    )
