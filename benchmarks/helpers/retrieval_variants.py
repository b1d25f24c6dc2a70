"""What retrieval_levers.py tries that is no hyperparameter of ImageEncoder: other features.

Each variant makes features (n, f) of the images in its own way; what comes after them, components and a
second k-sparse autoencoder, is as ImageEncoder has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nsae import Codes, ImageEncoder, SparseAutoencoder
from nsae.equations.activations import KSparse
from nsae.equations.layers import Dense
from nsae.images.defaults import resolve_hyperparameters
from nsae.images.features.exact_sums import exact_product
from nsae.images.features.image_threshold import thresholded_codes
from nsae.images.features.neighbours import NeighbourMap, unit_rows
from nsae.images.features.patch_features import Geometry, PatchFeatures
from nsae.images.features.pca import PCA
from nsae.system.threads import Threads

Features = Callable[[np.ndarray], np.ndarray]  # images to rows


def at_norm_1(F: np.ndarray) -> np.ndarray:
    """Return rows F (n, f) at norm 1."""
    return F / np.maximum(np.linalg.norm(F, axis=1, keepdims=True), 1e-12)


def variants(encoder: ImageEncoder, images: np.ndarray, learn: Callable[..., ImageEncoder]) -> Iterator:
    """Yield (name, features) from a fitted encoder; ``learn(images, **changes)`` fits another one."""
    geometry = encoder.geometry_
    for name, change in {
        "smaller ones": {"patch_size": geometry.patch_size - 2},
        "larger ones": {"patch_size": geometry.patch_size + 4},
    }.items():
        other = learn(images, **change)
        yield (
            f"patches of two sizes: and {name}",
            lambda X, other=other: at_norm_1(np.hstack([encoder.pooled(X), other.pooled(X)])),
        )
    yield "pooling: sums, no root", lambda X: without_root(encoder, X)
    yield "pooling: maxima", lambda X: pooled_by(encoder, X, Maxima)
    yield (
        "pooling: maxima, and sums beside",
        (lambda X: at_norm_1(np.hstack([encoder.pooled(X), pooled_by(encoder, X, Maxima)]))),
    )
    yield "two-sided patch codes", lambda X: pooled_by(encoder, X, TwoSided)


def without_root(encoder: ImageEncoder, images: np.ndarray) -> np.ndarray:
    """Return pooled vectors as they are before the root; colours beside them stay."""
    F = encoder.pooled(images)  # (n, f)
    patches = F[:, : encoder.pipeline_.features.n_pooled]  # a view
    patches[:] = at_norm_1(patches**2) * np.linalg.norm(patches, axis=1, keepdims=True)
    return F


def pooled_by(encoder: ImageEncoder, images: np.ndarray, kind: type[PatchFeatures]) -> np.ndarray:
    """Return pooled vectors by another kind of features over the same patch layer."""
    layer, k = encoder.patch_model_.encoder().encoder_layer, encoder.patch_model_.k
    features = kind.of(encoder.geometry_, layer, k, encoder.whitening_)
    with Threads(encoder.n_threads) as threads:
        return np.concatenate(
            [
                features(images[start : start + 1000], backend="numpy", threads=threads)
                for start in range(0, len(images), 1000)
            ]
        )


class Maxima(PatchFeatures):
    """The largest value of a unit in a cell, in place of the sum."""

    def _pool(self, images: np.ndarray, sums: np.ndarray) -> None:
        X = np.empty((1, len(self.cells), self.geometry.n_pixels), np.float32)  # (1, P, d)
        for i in range(len(images)):
            self.geometry.patches(images[i : i + 1], X)
            Z = KSparse(self.k)(exact_product(X[0], self.W) + self.layer.b)  # (P, h)
            for of_grid in self.cells.T:
                for cell in np.unique(of_grid):
                    np.maximum(sums[i, cell], Z[of_grid == cell].max(axis=0), out=sums[i, cell])


class TwoSided(PatchFeatures):
    """Each unit twice, for a pattern and for its opposite: W and −W."""

    def __init__(self, geometry: Geometry, layer: Dense, k: int):
        both = Dense(np.concatenate([layer.W, -layer.W]), np.concatenate([layer.b, layer.b]))
        super().__init__(geometry, both, k)


# ---- what comes after the features


def second_layer(encoder: ImageEncoder, F: np.ndarray, G: np.ndarray, seed: int) -> tuple[Codes, Codes]:
    """Return codes of rows F (n, f), which components and the second autoencoder learn from, and of G (m, f)."""
    settled = resolve_hyperparameters(encoder, np.empty((1, *encoder.geometry_.shape), np.uint8))[1]
    rng = np.random.default_rng(seed)
    components = PCA.fit(F, settled["n_components"], encoder.whitening_power, rng)
    X, Y = unit_rows(components(F)), unit_rows(components(G))  # (37)
    neighbours = NeighbourMap.fit(X, settled["neighbour_steps"], rng)
    if neighbours is not None:
        X, Y = neighbours(X), neighbours(Y)  # (38)
    model = SparseAutoencoder(
        encoder.encoder().n_units,
        k=encoder.k_fit,
        init="scaled samples",
        epochs=encoder.epochs,
        lr_schedule="linear",
        random_state=seed,
    ).fit(X)
    W = unit_rows(model.encoder().encoder_layer.W)  # (37)
    layer, phi = Dense(W, np.zeros(len(W), np.float32)), encoder.shrink_threshold
    codes, of_others = (thresholded_codes(layer, rows, encoder.k, phi) for rows in (X, Y))  # (36)
    return codes, of_others
