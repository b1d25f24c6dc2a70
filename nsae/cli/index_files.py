"""An index as ``nsae index`` writes it: codes, the encoder that made them, and where the photos were."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsae.cli.inputs import images_of
from nsae.codes import Codes
from nsae.images import ImageEncoder
from nsae.images.library.library_folder import read_shelf
from nsae.models.encoder import Encoder
from nsae.retrieval import CodeIndex


class Opened(NamedTuple):
    """The index, the encoder that travels with it, and the folder that its photos were in."""

    library: CodeIndex
    encoder: Encoder | ImageEncoder | None  # None for codes without a model, from nsae encode
    root: Path | None  # None unless they are files

    def photo_encoder(self) -> Encoder | ImageEncoder:
        """The encoder; ValueError if there is none, or if it does not take photos."""
        if self.encoder is None:
            raise ValueError(
                "This index holds codes without the encoder that made them, so photos cannot be compared to "
                "them. Index the photos with that model: nsae index PHOTOS --model MODEL -o INDEX."
            )
        if self.encoder.preprocessing is None:
            raise ValueError("This index is of rows of numbers, not images: use CodeIndex.load and .search.")
        return self.encoder

    def path_of(self, id: int | str) -> Path | None:
        """The file of a photo; None where the index is of no files."""
        return None if self.root is None else self.root / str(id)


def open_index(path: str | os.PathLike) -> Opened:
    """Open an index folder, mapped; ModelFormatError if a part of it cannot be used."""
    shelf = read_shelf(path, mmap=True)
    return Opened(shelf.index, shelf.encoder, shelf.root)


def codes_of(encoder: Encoder | ImageEncoder, X: np.ndarray) -> Codes:
    """Of the rows X (n, d); an ImageEncoder takes them as images."""
    if isinstance(encoder, ImageEncoder):
        return encoder.encode(images_of(X, encoder.preprocessing))
    return encoder.encode(X)
