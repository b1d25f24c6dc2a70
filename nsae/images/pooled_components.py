"""Principal components of the pooled vectors of images, block by block: the second autoencoder learns from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.images.features.patch_features import PatchFeatures
from nsae.images.features.pca import PCA
from nsae.images.image_blocks import Images, choose
from nsae.images.pipeline import block_size, pooled_blocks
from nsae.images.work import Work, as_it_is, cut

POOLED_BYTES = 1 << 28  # of pooled vectors that the principal components are learned from, at most


def pooled_components(
    images: Images,
    features: PatchFeatures,
    m: int,
    whitening_power: float,
    rng: np.random.Generator,
    *,
    backend: str,
    work: Work,
) -> tuple[PCA, np.ndarray]:
    """Return the first m principal components of pooled vectors, and those of all images, (n, m) float32.

    Pooled vectors are large.  So the components are learned from those of some images, and the others are made,
    projected and forgotten, block by block.

    Parameters
    ----------
    images : array or list of paths
        As ``check_images`` returned them.
    features : PatchFeatures
    m : int
    whitening_power : float
        As of ``PCA.fit``.
    rng : numpy.random.Generator
    backend : "auto", "numpy" or "numba"
    work : Work
    """
    block = block_size(features.geometry, features.n_features)
    some = choose(images, max(4 * m, POOLED_BYTES // (4 * features.n_features)), rng)
    F = work.on_images(_pooled, cut(some, block), features, backend)  # blocks of (rows, n_features)
    pca = PCA.fit(F, m, whitening_power, rng, work.on_parts)
    if some is images:
        return pca, np.concatenate(list(work.on_parts(_projected, F, pca)))
    del F
    X = work.on_images(components_of, cut(images, block), features, backend, pca)  # blocks of (rows, m)
    return pca, np.concatenate(list(work.on_parts(as_it_is, X)))


def _pooled(images: Images, features: PatchFeatures, backend: str, **how: Any) -> np.ndarray:
    """The pooled vectors (rows, n_features) of a block of images; rows are those that can be read."""
    none = np.empty((0, features.n_features), np.float32)
    return np.concatenate([none, *pooled_blocks(features, images, backend=backend, **how)])


def components_of(
    images: Images,
    features: PatchFeatures,
    backend: str,
    pca: PCA,
    **how: Any,
) -> np.ndarray:
    """Return the components (rows, m) float32 of a block of images; rows are those that can be read.

    Parameters
    ----------
    images : array or list of paths
    features : PatchFeatures
    backend : "auto", "numpy" or "numba"
    pca : PCA
    **how
        ``on_error`` and ``n_threads``, as of ``ImagePipeline.encode``.
    """
    blocks = pooled_blocks(features, images, backend=backend, **how)
    return np.concatenate([np.empty((0, len(pca.a)), np.float32), *(pca(F) for F in blocks)])


def _projected(F: np.ndarray, pca: PCA) -> np.ndarray:
    return pca(F)
