"""An encoder for a folder with too few photos to learn from."""

from __future__ import annotations

import numpy as np

from nsae.images.load_encoder import PHOTOS, load_encoder
from nsae.images.pipeline import ImagePipeline

FEW = 500  # photos; from so many on, an encoder that learns from them may find more
ENOUGH = 200  # photos from which an encoder learns alone; with fewer it learns from made pictures, too
K = 32
# The norm of the units of these photos: they say more of this folder than the encoder's units, of norm 1.
OWN = 2.0


def encoder_for_few(images: np.ndarray, *, k: int | None = None) -> ImagePipeline:
    """Return the encoder that comes with nsae, with one more unit for each different image.

    Its patches, components and own units were learned from other photos.  A code then says how near an image is
    to each photo of the folder, and to each kind of photo that the encoder has learned.

    Parameters
    ----------
    images : (n, side, side, 3) array
        Of the size in ``nsae.load_encoder("photos").preprocessing``, uint8 or floats in [0, 1].
    k : int, optional
        Active units an image; by default 32.

    Raises
    ------
    ValueError, TypeError
        Images that cannot be used.
    """
    encoder = load_encoder(PHOTOS)
    assert isinstance(encoder, ImagePipeline)
    X = encoder.components(images).astype(np.float16)  # (n, m), as precise as the other units
    units = np.unique(X, axis=0)  # (different images, m)
    return encoder.with_units(OWN * units).with_k(K if k is None else k)
