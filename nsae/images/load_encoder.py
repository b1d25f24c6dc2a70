"""load_encoder: the encoder in a model file, whichever kind it is."""

from __future__ import annotations

import os

from nsae.images.encoder import ImageEncoder
from nsae.images.encoder_file import KIND as IMAGE_ENCODER
from nsae.images.pipeline import KIND as IMAGE_PIPELINE
from nsae.images.pipeline import ImagePipeline
from nsae.models.encoder import Encoder
from nsae.models.model_file import kind_of


def load_encoder(path: str | os.PathLike) -> Encoder | ImagePipeline:
    """Read the encoder in a file that ``save`` of a SparseAutoencoder, an ImageEncoder or a pipeline wrote.

    Of images, an ``Encoder`` reads all pixels, an ``ImagePipeline`` patches; both take photos of any size
    by ``nsae.encode_photos(encoder, photos)``.

    Parameters
    ----------
    path : str or PathLike

    Raises
    ------
    ModelFormatError
        The file is missing, truncated, foreign, or from a newer nsae.
    """
    kind = kind_of(path)
    if kind == IMAGE_PIPELINE:
        return ImagePipeline.load(path)
    if kind == IMAGE_ENCODER:
        return ImageEncoder.load(path).encoder()
    return Encoder.load(path)
