"""What retrieval_quality.py compares nsae with: ways to turn images into vectors.

Each method learns on the database alone, without labels, and returns a function from images (n, H, W[, 3])
uint8 to rows (n, d) float32.  SETTINGS lists what is tried of each; the best on held-out queries is taken.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nsae import ImageEncoder
from nsae.images.defaults import resolve_hyperparameters
from nsae.images.features.patch_features import Geometry
from nsae.images.features.patches import Whitening, fold
from nsae.images.features.pca import PCA
from nsae.images.features.pooling import cells_of, root_and_norm
from nsae.images.random_patches import random_patches
from nsae.system.threads import Threads

Encode = Callable[[np.ndarray], np.ndarray]
SOME = 20_000  # images that a method learns from, at most, as ImageEncoder does
BLOCK = 1000  # images that are encoded at a time
N_PATCHES = 100_000


def flat(images: np.ndarray) -> np.ndarray:
    """Return images as rows (n, d) in [0, 1]."""
    return images.reshape(len(images), -1) / np.float32(255)  # (n, d)


def planes(images: np.ndarray) -> np.ndarray:
    """Return (n, channels, H, W) in [0, 1]."""
    return np.moveaxis(images.reshape(*images.shape[:3], -1) / np.float32(255), 3, 1)


def some_of(X: np.ndarray, seed: int) -> np.ndarray:
    """Return SOME of the images, or all if there are fewer."""
    rng = np.random.default_rng(seed)
    return X[np.sort(rng.choice(len(X), min(len(X), SOME), replace=False))]


# ---- fixed bases


def raw(X: np.ndarray, seed: int) -> Encode:
    """Return the pixels themselves."""
    return flat


def histogram(X: np.ndarray, seed: int, *, bins: int, root: bool) -> Encode:
    """Return histograms of colours, ``bins`` a channel, or of greys."""

    def encode(images: np.ndarray) -> np.ndarray:
        levels = images.astype(int) * bins // 256
        color = images.ndim == 4
        if color:
            levels = levels @ np.array([bins**2, bins, 1])  # (n, H, W)
        counts = [np.bincount(b.ravel(), minlength=bins ** (3 if color else 1)) for b in levels]
        shares = np.array(counts, np.float32) / levels[0].size  # (n, bins or bins³)
        return np.sqrt(shares) if root else shares

    return encode


def dct(X: np.ndarray, seed: int, *, low: int, mean: bool) -> Encode:
    """Return the low × low lowest frequencies of each colour's cosine transform, with the mean or without."""

    def basis(n: int) -> np.ndarray:
        rows = np.cos(np.pi / n * (np.arange(n) + 0.5) * np.arange(low)[:, None]) * np.sqrt(2 / n)  # (low, n)
        rows[0] /= np.sqrt(2)
        return rows.astype(np.float32)

    D, E = basis(X.shape[1]), basis(X.shape[2])

    def encode(images: np.ndarray) -> np.ndarray:
        low_ones = D @ planes(images) @ E.T  # (n, channels, low, low)
        return low_ones.reshape(len(images), -1, low * low)[:, :, 0 if mean else 1 :].reshape(len(images), -1)

    return encode


def haar(X: np.ndarray, seed: int, *, levels: int, details: int) -> Encode:
    """Return Haar wavelets: the averages of the coarsest level, and the details of the coarsest few."""

    def halves(A: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        A = np.moveaxis(A, axis, -1)
        A = A[..., : A.shape[-1] // 2 * 2]
        parts = (A[..., ::2] + A[..., 1::2]) / np.sqrt(2), (A[..., ::2] - A[..., 1::2]) / np.sqrt(2)
        return tuple(np.moveaxis(part, -1, axis) for part in parts)

    def encode(images: np.ndarray) -> np.ndarray:
        low, kept = planes(images), []
        for level in range(levels):
            left, right = halves(low, 3)
            (low, vertical), (horizontal, diagonal) = halves(left, 2), halves(right, 2)
            if level >= levels - details:
                kept += [horizontal, vertical, diagonal]
        parts = [part.reshape(len(images), -1) for part in (low, *kept)]
        return np.concatenate(parts, axis=1).astype(np.float32)

    return encode


# ---- bases learned from pixels


def pca(X: np.ndarray, seed: int, *, n: int, whiten: float) -> Encode:
    """Return n principal components of the pixels."""
    components = PCA.fit(flat(some_of(X, seed)), n, whiten, np.random.default_rng(seed))
    return lambda images: components(flat(images))


def random_projection(X: np.ndarray, seed: int, *, n: int) -> Encode:
    """Return n random projections of the pixels less their mean."""
    mean = flat(some_of(X, seed)).mean(axis=0)  # (d,)
    R = np.random.default_rng(seed).standard_normal((mean.size, n)).astype(np.float32)  # (d, n)
    return lambda images: (flat(images) - mean) @ R


def itq(X: np.ndarray, seed: int, *, bits: int) -> Encode:
    """Return bits by iterative quantisation (Gong and Lazebnik 2011): signs of rotated principal components."""
    F = flat(some_of(X, seed))
    components = PCA.fit(F, bits, 0.0, np.random.default_rng(seed))
    T = components(F)  # (n, bits)
    R = np.linalg.qr(np.random.default_rng(seed).standard_normal((T.shape[1],) * 2))[0]  # (bits, bits)
    for _ in range(50):
        U, _s, Wt = np.linalg.svd(np.sign(T @ R).T @ T)
        R = Wt.T @ U.T  # the rotation that brings T nearest to its signs
    R = R.astype(np.float32)
    return lambda images: np.where(components(flat(images)) @ R > 0, np.float32(1), np.float32(-1))


# ---- the same patches as nsae's, in other hands


def patches_of(X: np.ndarray, seed: int, patch: int) -> tuple[Geometry, Whitening, np.ndarray]:
    """Return ImageEncoder's geometry for these images, its whitening, and whitened patches (n, d)."""
    encoder = ImageEncoder(n_patches=N_PATCHES, patch_size=patch)
    geometry, settled = resolve_hyperparameters(encoder, X)
    P = random_patches(some_of(X, seed), geometry, N_PATCHES, np.random.default_rng(seed))
    whitening = Whitening.fit(P, settled["zca_eps"])
    return geometry, whitening, whitening(P)


def pooled(geometry: Geometry, W: np.ndarray, b: np.ndarray, code: Callable, grid: tuple[int, ...]) -> Encode:
    """Return codes of all patches, summed over the cells of a grid, with root and norm: as Eq. (31)."""
    m = len(geometry.places)
    cells, n_cells = cells_of(m, grid)
    member = np.zeros((n_cells, m * m), np.float32)  # (cells, P)
    for level in cells.T:
        member[level, np.arange(m * m)] = 1

    def encode(images: np.ndarray) -> np.ndarray:
        F = np.empty((len(images), n_cells * len(b)), np.float32)

        def some(_part: int, lo: int, hi: int) -> None:
            P = np.empty((m * m, geometry.n_pixels), np.float32)  # (P, d)
            for i in range(lo, hi):
                Z = code(geometry.patches(images[i : i + 1], P[None])[0] @ W.T + b)  # (P, h)
                F[i] = root_and_norm((member @ Z).reshape(1, -1))[0]

        with Threads(None) as threads:
            threads.parallel_for(len(images), some, always=True)
        return F

    return encode


def bag_of_words(X: np.ndarray, seed: int, *, words: int, patch: int, grid: tuple[int, ...]) -> Encode:
    """Return visual words: each patch counts for the nearest of k-means' centres."""
    from sklearn.cluster import MiniBatchKMeans

    geometry, whitening, P = patches_of(X, seed, patch)
    means = MiniBatchKMeans(words, batch_size=4096, n_init=1, max_iter=20, random_state=seed).fit(P)
    C = means.cluster_centers_.astype(np.float32)  # (words, d)
    W, b = fold(C, -0.5 * np.einsum("wd,wd->w", C, C), whitening)  # c·x − ‖c‖²/2 is largest for the nearest c

    def nearest(Y: np.ndarray) -> np.ndarray:
        Z = np.zeros_like(Y)
        Z[np.arange(len(Y)), Y.argmax(axis=1)] = 1
        return Z

    return pooled(geometry, W, b, nearest, grid)


_last: list = []  # images, side of a patch and the dictionary learned, which thresholds and grids share


def learned_dictionary(X: np.ndarray, seed: int, atoms: int, patch: int) -> tuple:
    """Return geometry, whitening, patches, and atoms (atoms, d) of norm 1."""
    from sklearn.decomposition import MiniBatchDictionaryLearning

    geometry, whitening, P = patches_of(X, seed, patch)
    learner = MiniBatchDictionaryLearning(
        atoms, alpha=1.0, batch_size=256, max_iter=1, fit_algorithm="cd", n_jobs=None, random_state=seed
    )
    with warnings.catch_warnings():  # of a coordinate descent that stops at its 1000th round
        warnings.simplefilter("ignore")
        D = learner.fit(P[:20_000]).components_.astype(np.float32)  # (atoms, d)
    return geometry, whitening, P, D / np.maximum(np.linalg.norm(D, axis=1, keepdims=True), 1e-12)


def dictionary(
    X: np.ndarray, seed: int, *, atoms: int, patch: int, threshold: float, grid: tuple[int, ...]
) -> Encode:
    """Return pooled codes of patches over the atoms of scikit-learn's MiniBatchDictionaryLearning.

    A patch is coded by soft thresholds; values of both signs are summed by their size.  Coates and Ng (2011) found
    thresholds as good as sparse coding, and far faster.
    """
    if not _last or _last[0] is not X or _last[1] != patch:
        _last[:] = X, patch, learned_dictionary(X, seed, atoms, patch)
    geometry, whitening, P, D = _last[2]
    W, b = fold(D, np.zeros(len(D), np.float32), whitening)
    scale = threshold * float(np.abs(P[:1000] @ D.T).std())
    return pooled(geometry, W, b, lambda Y: np.maximum(np.abs(Y) - scale, 0), grid)


def _all(**options: list) -> list[dict[str, Any]]:
    return [dict(zip(options, values, strict=True)) for values in itertools.product(*options.values())]


METHODS: dict[str, Callable[..., Encode]] = {
    "raw": raw,
    "histogram": histogram,
    "dct": dct,
    "haar": haar,
    "pca": pca,
    "random_projection": random_projection,
    "itq": itq,
    "bag_of_words": bag_of_words,
    "dictionary": dictionary,
}


def settings(method: str, X: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield what is tried of a method on images X."""
    size, color = int(np.prod(X.shape[1:])), X.ndim == 4
    geometry, settled = resolve_hyperparameters(ImageEncoder(), X)
    units, grids, patches = settled["patch_units"], {(1,), geometry.grid}, [geometry.patch_size]
    if not color:  # of these images nsae's patches are small, which does not suit the others
        grids, patches = grids | {(4,)}, [4, 6]
    grids = sorted(grids)
    yield from {
        "raw": [{}],
        "histogram": _all(bins=[4, 6, 8] if color else [16, 64, 256], root=[True, False]),
        "dct": _all(low=[4, 6, 8, 12], mean=[True, False]),
        "haar": _all(levels=[2, 3] if X.shape[1] < 64 else [3, 4], details=[0, 1, 2]),
        "pca": _all(n=[32, 64, 128, 256], whiten=[0.0, 0.5, 1.0]),
        "random_projection": _all(n=[64, 256, 512]),
        "itq": _all(bits=[b for b in (64, 128, 256, 512) if b <= min(size, len(X) - 1)]),
        "bag_of_words": _all(words=[units], patch=patches, grid=grids),
        "dictionary": _all(atoms=[units], patch=patches, threshold=[0.5, 1.0, 2.0], grid=grids),
    }[method]
