"""What becomes of one image on its way to a code: the array at each stage, its shape, and a picture of it."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import numpy as np

from nsae.equations.activations import KSparse
from nsae.images.features.exact_sums import exact_product
from nsae.images.features.image_threshold import thresholded_codes
from nsae.images.features.neighbours import unit_rows
from nsae.images.features.patches import cut_patches
from nsae.images.features.pooling import add_codes
from nsae.images.image_blocks import check_images, image_blocks
from nsae.plots import mosaic
from nsae.system.threads import Threads

SHOWN_PATCHES = 64  # in a picture
SHOWN_UNITS = 16


class Stage(NamedTuple):
    """One stage of an image on its way to a code.

    Attributes
    ----------
    name : str
        What the array is.
    equation : str
        The equations that lead from the stage before to this one, such as "(29)"; "" for the image.
    array : array
        What the next stage reads.
    picture : (height, width) or (height, width, 3) array in [0, 1]
        The array, or a part of it, to look at.
    """

    name: str
    equation: str
    array: np.ndarray
    picture: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    def __repr__(self) -> str:
        return f"Stage({self.name!r}, {self.equation!r}, shape={self.shape})"


def trace(pipeline: Any, image: np.ndarray | str | os.PathLike) -> list[Stage]:
    """Return the stages from an image to its code; the last array is the code that ``encode`` gives, to the bit.

    Parameters
    ----------
    pipeline : ImagePipeline
    image : (H, W) or (H, W, 3) array, or a path
        As for ``encode``, but one image.

    Raises
    ------
    ValueError, TypeError, ImageReadError
        The image cannot be used, or it is more than one.
    """
    features, geometry = pipeline.features, pipeline.geometry
    pixels = _one(pipeline, image)  # (1, side, side[, 3])
    shape = (geometry.patch_size, geometry.patch_size, 3) if geometry.color else (geometry.patch_size,) * 2
    P, h = len(features.cells), len(features.layer.b)

    x = geometry.pixels(pixels)  # (1, side, side[, 3]) float32
    cut = cut_patches(x[0], geometry.patch_size, geometry.stride)  # (P, d)
    X = geometry.patches(pixels, np.empty((1, P, geometry.n_pixels), np.float32))[0]  # (29) (P, d)
    Z = KSparse(features.k)(exact_product(X, features.W) + features.layer.b)  # (30) (1) (4) (P, h)
    sums = np.zeros((features.n_cells, h))
    add_codes(Z, features.cells, sums)  # (31) (cells, h)
    with Threads(1) as threads:  # as in ``encode``: BLAS with several threads would sum in another order
        F = features(pixels, backend="numpy", threads=threads)  # (31) (35) (1, n_features)
        x_m = unit_rows(pipeline.pca(F))  # (41) (37) (1, m)
        read = x_m if pipeline.neighbours is None else pipeline.neighbours(x_m)  # (38) (1, 2m)
        y = pipeline.code_layer.forward(read)[0]  # (1) (n_units,)
        how = pipeline.k, pipeline.shrink_threshold
        code = thresholded_codes(pipeline.code_layer, read, *how).to_dense()[0]  # (2) (36) (n_units,)

    some = np.linspace(0, P - 1, min(P, SHOWN_PATCHES)).astype(int)
    busiest = np.argsort(-Z.sum(axis=0), kind="stable")[:SHOWN_UNITS]  # of the units of patches
    side = len(geometry.places)
    g = geometry.grid[-1]  # cells a side of the last grid, which is mostly the finest
    of_cells = (
        sums[-g * g :, busiest].T.reshape(-1, g, g).repeat(4, axis=1).repeat(4, axis=2)
    )  # (units, 4g, 4g)
    stages = [
        Stage("image", "", x[0], x[0]),
        Stage("patches", "", cut, tiles(cut[some].reshape(-1, *shape), signed=False)),
        Stage("patches, contrast normalised", "(29)", X, tiles(X[some].reshape(-1, *shape))),
        Stage(
            "codes of patches",
            "(30) (1) (4)",
            Z,
            tiles(Z[:, busiest].T.reshape(-1, side, side), signed=False),
        ),
        Stage("sums over cells", "(31)", sums, tiles(of_cells, signed=False)),
        Stage("pooled vector", "(31) (35)" if geometry.color_weight else "(31)", F[0], sheet(F[0])),
        Stage("components", "(41) (37)", x_m[0], sheet(x_m[0])),
    ]
    if pipeline.neighbours is not None:
        stages.append(Stage("components and predicted neighbours", "(38)", read[0], sheet(read[0])))
    return [
        *stages,
        Stage("pre-activation", "(1)", y, sheet(y)),
        Stage("code", "(2) (36)", code, sheet(code)),
    ]


def _one(pipeline: Any, image: np.ndarray | str | os.PathLike) -> np.ndarray:
    """The image as an array (1, side, side[, 3]) of the pipeline's size."""
    geometry = pipeline.geometry
    if isinstance(image, (str, os.PathLike)):
        images = check_images([image])
    else:
        image = np.asarray(image)
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
            raise ValueError(
                f"One image was expected, (H, W) or (H, W, 3), and an array of shape {image.shape} came. Of several, "
                "give one: images[0]."
            )
        if image.ndim == 2 and image.shape[1] <= 4:
            raise ValueError(
                f"An image of shape {image.shape} came; a width of 5 pixels or more was expected."
            )
        images = check_images(image[None])
    (block,) = image_blocks(images, geometry.image_size, geometry.color, 1, n_threads=1)
    return block


def tiles(pictures: np.ndarray, *, signed: bool = True) -> np.ndarray:
    """Return small ``pictures`` (m, height, width[, 3]) as one, with white lines between.

    All have one scale.  With ``signed``, 0 is grey; without, black is 0 and white the largest value.
    """
    scale = float(np.abs(pictures).max()) or 1.0
    shown = 0.5 + 0.5 * pictures / scale if signed else np.clip(pictures / scale, 0, 1)
    return mosaic(shown, math.ceil(math.sqrt(len(pictures))))


def sheet(vector: np.ndarray) -> np.ndarray:
    """Return a ``vector`` (n,) as a picture, row by row: 0 is grey, and numbers that fill the last row are white."""
    across = math.ceil(math.sqrt(2 * len(vector)))
    whole = np.ones(math.ceil(len(vector) / across) * across)
    whole[: len(vector)] = 0.5 + 0.5 * vector / (float(np.abs(vector).max()) or 1.0)
    return whole.reshape(-1, across)
