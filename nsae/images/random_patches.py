"""Patches of random places in random images, which the first autoencoder learns from."""

from __future__ import annotations

import numpy as np

from nsae.images.features.patch_features import Geometry
from nsae.images.files import OnError
from nsae.images.image_blocks import Images, choose
from nsae.images.pipeline import blocks_of

IMAGES_FOR_PATCHES = 10_000  # that patches are taken from, at most


def random_patches(
    images: Images,
    geometry: Geometry,
    n_patches: int,
    rng: np.random.Generator,
    on_error: OnError | None = None,
    n_threads: int | None = None,
) -> np.ndarray:
    """Return normalised patches (29) of random places in random images, as many of each image, (n_patches, d).

    Parameters
    ----------
    images : array or list of paths
        As ``check_images`` returned them.
    geometry : Geometry
    n_patches : int
        Is rounded up to a multiple of the number of images, unless these have fewer patches.
    rng : numpy.random.Generator
    on_error : callable, optional
        Is given the error of each file that cannot be read.
    n_threads : int, optional
        That decode files.

    Raises
    ------
    ValueError
        None of the files could be read.
    """
    some = choose(images, IMAGES_FOR_PATCHES, rng)
    P = len(geometry.places) ** 2
    each = min(P, -(-n_patches // len(some)))
    all_of_one = np.empty((P, geometry.n_pixels), np.float32)  # (P, d)
    X = np.empty((len(some) * each, geometry.n_pixels), np.float32)  # (images · each, d)
    n = 0
    for block in blocks_of(geometry, some, 1, on_error, n_threads):
        for image in block:
            geometry.patches(image[None], all_of_one[None])
            X[n : n + each] = all_of_one[rng.choice(P, each, replace=False)]
            n += each
    if n == 0:
        raise ValueError("None of the files could be read, so there is nothing to learn from.")
    return X[:n]
