"""The index folder of a folder of photos: codes, the encoder, where the photos are, what their files were like."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from nsae.errors import ModelFormatError
from nsae.images.encode_photos import PhotoEncoder
from nsae.images.library.scan import Stamp, table_from_bytes, table_to_bytes
from nsae.images.load_encoder import load_encoder
from nsae.retrieval import CodeIndex
from nsae.retrieval.on_disk.index_folder import MANIFEST, use_file
from nsae.system.storage import locked_file

MODEL_IN_INDEX = "model.npz"
SOURCE_IN_INDEX = "source.json"
FILES_IN_INDEX = "files.json"
LOCK = ".update.lock"  # who holds its lock updates the library


@dataclass(frozen=True)
class LibraryFolder:
    """An index folder as it was read.

    Attributes
    ----------
    index : CodeIndex
    encoder : PhotoEncoder or None
        What made the codes.  None for codes without a model, from ``nsae encode``.
    root : Path or None
        The folder of the photos, without links.  None where the rows are of no files.
    encoder_bytes : bytes
        The encoder's file.
    files : dict of Stamp
        What is known of each file, by id.  Empty in folders that earlier versions wrote.
    exclude : tuple of str
        Patterns of names that are left out, as for ``find_images``.
    """

    index: CodeIndex
    encoder: PhotoEncoder | None = None
    root: Path | None = None
    encoder_bytes: bytes = b""
    files: Mapping[str, Stamp] | None = None
    exclude: tuple[str, ...] = ()

    def photo_encoder(self) -> PhotoEncoder:
        """Return the encoder; raise ValueError if there is none, or if it does not take photos."""
        if self.encoder is None:
            raise ValueError(
                "This index holds codes without the encoder that made them, so photos cannot be compared to "
                "them. Index the photos with that model: nsae index PHOTOS --model MODEL -o INDEX."
            )
        if self.encoder.preprocessing is None:
            raise ValueError("This index is of rows of numbers, not images: use CodeIndex.load and .search.")
        return self.encoder

    def path_of(self, id: int | str) -> Path | None:
        """Return the file of the photo ``id``; None where the rows are of no files."""
        return None if self.root is None else self.root / str(id)


def read_library_folder(folder: str | os.PathLike, *, mmap: bool = False) -> LibraryFolder:
    """Read an index folder.

    Parameters
    ----------
    folder : str or PathLike
    mmap : bool
        Map the codes instead of reading them.

    Raises
    ------
    ModelFormatError
        If a part of it cannot be used.
    """
    index = CodeIndex.load(folder, mmap=mmap)
    try:
        encoder, model = use_file(folder, MODEL_IN_INDEX, None, _encoder_and_bytes)
    except FileNotFoundError:
        return LibraryFolder(index)
    try:
        source = json.loads(use_file(folder, SOURCE_IN_INDEX, None, Path.read_bytes))
        root, exclude = source["root"], tuple(source.get("exclude", ()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFormatError(f"{folder} has no readable {SOURCE_IN_INDEX}: {error}. Index again.") from None
    if encoder.n_units != index.n_units:
        raise ModelFormatError(
            f"{folder} has codes of {index.n_units} units and an encoder of {encoder.n_units}. Index again."
        )
    files: Mapping[str, Stamp] = {}
    with suppress(FileNotFoundError):
        files = table_from_bytes(use_file(folder, FILES_IN_INDEX, None, Path.read_bytes))
    where = None if root is None else Path(os.path.realpath(root))
    return LibraryFolder(index, encoder, where, model, files, exclude)


def _encoder_and_bytes(path: Path) -> tuple[PhotoEncoder, bytes]:
    data = path.read_bytes()
    try:
        return load_encoder(path), data
    except ModelFormatError:
        path.stat()  # FileNotFoundError if a writer has renamed it since
        raise


def write_library_folder(
    folder: str | os.PathLike,
    index: CodeIndex,
    encoder_bytes: bytes,
    root: str | os.PathLike | None = None,
    files: Mapping[str, Stamp] | None = None,
    *,
    exclude: Sequence[str] = (),
    overwrite: bool = False,
) -> None:
    """Write what :func:`read_library_folder` reads; the folder is replaced whole or not at all.

    Parameters
    ----------
    folder : str or PathLike
    index : CodeIndex
    encoder_bytes : bytes
        The encoder's file.
    root : str or PathLike, optional
        The folder of the photos; None where the rows are of no files.
    files : mapping of Stamp, optional
        What is known of each file, by id.
    exclude : sequence of str
        Patterns of names that are left out.
    overwrite : bool
        Replace an index that exists.

    Raises
    ------
    FileExistsError
        If the folder exists and ``overwrite`` is False, or if it is no index.
    """
    source = {"root": None if root is None else os.fspath(root), "exclude": list(exclude)}
    extra = {MODEL_IN_INDEX: encoder_bytes, SOURCE_IN_INDEX: json.dumps(source).encode()}
    if files is not None:
        extra[FILES_IN_INDEX] = table_to_bytes(files)
    index.save(folder, overwrite=overwrite, extra_files=extra)


# ---- two processes


@contextmanager
def updating(folder: Path, verbose: bool) -> Iterator[None]:
    """Let one process at a time update a library; others wait, and say so on stderr.

    Parameters
    ----------
    folder : Path
        The index folder.
    verbose : bool
        Whether to say it.
    """

    def say() -> None:
        if verbose:
            print("nsae: another process updates this index; this one waits for it", file=sys.stderr)

    with locked_file(folder / LOCK, say):
        yield


def state_of(folder: str | os.PathLike) -> object:
    """Return what tells one version of an index ``folder`` from another; None where there is no index."""
    try:
        stat = os.stat(os.path.join(folder, MANIFEST))
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
