"""load_encoder: the encoder in a model file, or in a folder that others have published, whichever kind it is."""

from __future__ import annotations

import os
from pathlib import Path

from nsae.images.encoder import ImageEncoder
from nsae.images.encoder_file import KIND as IMAGE_ENCODER
from nsae.images.pipeline import KIND as IMAGE_PIPELINE
from nsae.images.pipeline import ImagePipeline
from nsae.models.encoder import Encoder
from nsae.models.model_file import check_path, kind_of

PHOTOS = "photos"  # the name of the encoder that comes with nsae
PRETRAINED = Path(__file__).parent / "pretrained"


def load_encoder(path: str | os.PathLike) -> Encoder | ImagePipeline:
    """Read the encoder in a file that ``save`` of a SparseAutoencoder, an ImageEncoder or a pipeline wrote.

    ``load_encoder("photos")`` is an image pipeline that comes with nsae.  It has learned from the photos of
    Caltech-101 (see nsae/images/pretrained/README.md) and serves where there are too few photos to learn from.

    A folder is read as a published sparse autoencoder, in the layout of sparsify or SAELens: see
    ``nsae.interchange.load_published``.

    Of images, an ``Encoder`` reads all pixels, an ``ImagePipeline`` patches; both take photos of any size
    by ``nsae.encode_photos(encoder, photos)``.

    Parameters
    ----------
    path : str or PathLike
        ``"photos"`` is the encoder that comes with nsae; a file of that name is ``"./photos"``.

    Raises
    ------
    TypeError
        ``path`` is none.
    ModelFormatError
        The file is missing, truncated, foreign, or from a newer nsae; or the folder holds no encoder that is
        known.
    """
    check_path(path)
    path = file_of(path)
    if os.path.isdir(path):
        from nsae.interchange.published import load_published

        return load_published(path)
    kind = kind_of(path)
    if kind == IMAGE_PIPELINE:
        return ImagePipeline.load(path)
    if kind == IMAGE_ENCODER:
        return ImageEncoder.load(path).encoder()
    return Encoder.load(path)


def file_of(path: str | os.PathLike) -> str | os.PathLike:
    """Return the file of the encoder that ``path`` names: its own, or that in nsae for "photos"."""
    return PRETRAINED / f"{PHOTOS}.npz" if path == PHOTOS else path


def content_of(path: str | os.PathLike, encoder: Encoder | ImagePipeline) -> bytes:
    """Return the bytes of the file ``path`` that ``encoder`` was read from; of a folder, what its file would have."""
    path = file_of(path)
    return encoder.to_bytes() if os.path.isdir(path) else Path(path).read_bytes()
