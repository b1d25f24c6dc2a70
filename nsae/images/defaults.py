"""What ImageEncoder's hyperparameters come to: defaults by the kind of image, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.images.features.patch_features import Geometry, PatchFeatures
from nsae.images.features.pca import PCA
from nsae.images.image_blocks import Images
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.validation import at_least, check_n_threads

SMALL = 48  # pixels a side: up to here, arrays are taken for small images such as MNIST's, else for photos
# Chosen by how well they rank, one change at a time and among a few values, none of them on the queries that
# benchmarks/retrieval_quality.py reports: small grey by mAP on training images of MNIST and Fashion-MNIST, small
# color by mAP@1000 on those of CIFAR-10, photos by precision@20 on Corel-1K's with even numbers (which are among
# those reported: it has no others).  benchmarks/retrieval_levers.py tries neighbouring values on such a split,
# and docs/what_was_tried.md has what they did.
DEFAULTS = {
    "small grey": {
        "patch_size": 4,
        "patch_units": 512,
        "grid": (1, 2, 4),
        "n_components": 200,
        "stride": 1,
        "zca_eps": 1.0,
        "shrink_threshold": 0.2,
    },
    "small color": {
        "patch_size": 6,
        "patch_units": 512,
        "grid": 3,
        "n_components": 300,
        "stride": 1,
        "zca_eps": 0.1,
        "shrink_threshold": 0.2,
    },
    "photos": {
        "patch_size": 8,
        "patch_units": 1024,
        "grid": (1, 2, 3),
        "n_components": 100,
        "stride": 2,
        "zca_eps": 1.0,
        "color_weight": 0.5,
        "shrink_threshold": 0.0,
    },
}
PHOTO_SIDE = 96


def resolve_hyperparameters(encoder: Any, images: Images) -> tuple[Geometry, dict[str, Any]]:
    """What None stands for, with these images; checks all of it."""
    is_array = isinstance(images, np.ndarray)
    side, color = encoder.image_size, encoder.color
    if color is None:
        color = not is_array or images.ndim == 4
    if side is None:
        small = is_array and images.shape[1] == images.shape[2] <= SMALL
        side = images.shape[1] if small else PHOTO_SIDE
    kind = ("small color" if color else "small grey") if side <= SMALL else "photos"
    defaults = {"patch_k": 4, "color_weight": 0.0, **DEFAULTS[kind]}
    settled = {n: v if getattr(encoder, n) is None else getattr(encoder, n) for n, v in defaults.items()}
    if not color:
        settled["color_weight"] = 0.0 if encoder.color_weight is None else settled["color_weight"]
    for name, value in {
        "image_size": side,
        "n_patches": encoder.n_patches,
        "max_images": encoder.max_images,
    }.items():
        at_least(name, value, 1, whole=True)
    check_n_threads(encoder.n_threads)
    for name in ("patch_size", "stride", "patch_units", "patch_k", "n_components"):
        at_least(name, settled[name], 1, whole=True)
    for name, value in {
        "whitening_power": encoder.whitening_power,
        "contrast_eps": encoder.contrast_eps,
        "zca_eps": settled["zca_eps"],
        "color_weight": settled["color_weight"],
        "shrink_threshold": settled["shrink_threshold"],
    }.items():
        at_least(name, value, 0)
    if settled["color_weight"] and not color:
        raise ValueError(
            f"color_weight={settled['color_weight']} needs color images, and these are grey. Leave it out."
        )
    if settled["patch_size"] > side:
        raise ValueError(
            f"patch_size={settled['patch_size']} does not fit into images of image_size={side}. "
            "Use a smaller patch_size."
        )
    grid = settled["grid"] if isinstance(settled["grid"], (tuple, list)) else (settled["grid"],)
    along = (side - settled["patch_size"]) // settled["stride"] + 1
    for g in grid:
        at_least("grid", g, 1, whole=True)
        if g > along:
            raise ValueError(
                f"grid={settled['grid']} was given, and there are {along} patches a side. Use fewer cells, "
                "or a smaller stride."
            )
    geometry = Geometry(
        int(side),
        bool(color),
        *(int(settled[n]) for n in ("patch_size", "stride")),
        tuple(map(int, grid)),
        float(encoder.contrast_eps),
        float(settled["color_weight"]),
    )
    return geometry, settled


def as_tuple(grid: Any) -> Any:
    """A grid as it was given, after JSON has made a list of a tuple."""
    return tuple(grid) if isinstance(grid, list) else grid


def check_fit_together(
    geometry: Geometry,
    features: PatchFeatures,
    pca: PCA,
    first: SparseAutoencoder,
    second: SparseAutoencoder,
) -> None:
    """ValueError if the parts of a model file are not of one model."""
    m = second.n_features_in_
    expected = (geometry.n_pixels, (m, features.n_features), (m,))
    got = (first.n_features_in_, pca.A.shape, pca.a.shape)
    if got != expected:
        raise ValueError(f"its arrays do not fit each other: {got}, where {expected} was expected")
