"""load_encoder: the encoder in a model file, whichever kind it is."""

from __future__ import annotations

import os

from nsae.images.encode_photos import PhotoEncoder
from nsae.images.encoder import KIND, ImageEncoder
from nsae.models.encoder import Encoder
from nsae.models.model_file import kind_of


def load_encoder(path: str | os.PathLike) -> PhotoEncoder:
    """Read the encoder in a file that ``save`` of a SparseAutoencoder or of an ImageEncoder wrote.

    Both kinds encode images in the same way: ``encode_photos(encoder, photos)`` takes photos of any size.

    Parameters
    ----------
    path : str or PathLike

    Raises
    ------
    ModelFormatError
        The file is missing, truncated, foreign, or from a newer nsae.
    """
    if kind_of(path) == KIND:
        return ImageEncoder.load(path).set_params(backend="auto", n_threads=None)  # as suits this machine
    return Encoder.load(path)
