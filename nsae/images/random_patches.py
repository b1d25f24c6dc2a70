"""Patches of random places in random images, which the first autoencoder learns from."""

from __future__ import annotations

import numpy as np

from nsae.errors import ImageReadError
from nsae.images.features.patch_features import Geometry
from nsae.images.files import OnError, report_error
from nsae.images.image_blocks import Images, choose
from nsae.images.pipeline import block_size, blocks_of
from nsae.images.work import InThisProcess, Work, as_it_is, cut

IMAGES_FOR_PATCHES = 10_000  # that patches are taken from, at most


def random_patches(
    images: Images,
    geometry: Geometry,
    n_patches: int,
    rng: np.random.Generator,
    work: Work | None = None,
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
    work : Work, optional
        Done in this process by default.

    Raises
    ------
    ValueError
        None of the files could be read.
    """
    work = InThisProcess() if work is None else work
    some = choose(images, IMAGES_FOR_PATCHES, rng)
    P = len(geometry.places) ** 2
    each = min(P, -(-n_patches // len(some)))
    places = np.stack([rng.choice(P, each, replace=False) for _ in range(len(some))])  # (images, each)
    block = block_size(geometry, 1)
    blocks = list(zip(cut(some, block), cut(places, block), strict=True))
    parts = work.on_images(_patches_at, blocks, geometry)
    X = np.concatenate(list(work.on_parts(as_it_is, parts)))  # (images · each, d)
    if len(X) == 0:
        raise ValueError("None of the files could be read, so there is nothing to learn from.")
    return X


def _patches_at(
    block: tuple[Images, np.ndarray], geometry: Geometry, *, on_error: OnError | None, n_threads: int | None
) -> np.ndarray:
    """The patches at ``places`` (images, each) of the images of a block, (readable images · each, d)."""
    images, places = block
    failed = set()

    def note(error: ImageReadError) -> None:
        report_error(error, on_error)
        failed.add(error.path)

    all_of_one = np.empty((len(geometry.places) ** 2, geometry.n_pixels), np.float32)  # (P, d)
    X = np.empty((*places.shape, geometry.n_pixels), np.float32)  # (images, each, d)
    n = 0
    for read in blocks_of(geometry, images, 1, note, n_threads):
        if isinstance(images, list):
            places = places[[path not in failed for path in images]]
        for image, chosen in zip(read, places, strict=True):
            geometry.patches(image[None], all_of_one[None])
            X[n] = all_of_one[chosen]
            n += 1
    return X[:n].reshape(-1, geometry.n_pixels)
