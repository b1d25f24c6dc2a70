"""The file of an ImageEncoder: what encodes, and what reconstructs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.errors import ModelFormatError
from nsae.images.features.neighbours import NeighbourMap
from nsae.images.features.patch_features import Geometry
from nsae.images.features.patches import Whitening
from nsae.images.features.pca import PCA
from nsae.images.pipeline_file import (
    NEIGHBOURS,
    arrays_of,
    check_image_thresholds,
    geometry_from,
    neighbour_map_from,
)
from nsae.models.model_file import Model, check_weights, model_with, read_model
from nsae.models.sparse_autoencoder import SparseAutoencoder

if TYPE_CHECKING:
    import os

KIND = "image_encoder"
MODELS = ("patch_model", "code_model")  # files of their own, as bytes
ARRAYS = (*MODELS, "zca_mean", "zca_S", "pca_A", "pca_a")
# The names in files that were written before 0.1.0: of arrays, hyperparameters, and fields of a geometry.
OLD_NAMES = {
    "zca_P": "zca_S",
    "components_A": "pca_A",
    "components_a": "pca_a",
    "patch": "patch_size",
    "side": "image_size",
    "components": "n_components",
    "colors": "color_weight",
    "shrink": "shrink_threshold",
    "whiten": "whitening_power",
    "eps": "contrast_eps",
}

Parts = tuple[Geometry, Whitening, PCA, NeighbourMap | None, SparseAutoencoder, SparseAutoencoder]


def arrays_of_encoder(parts: Parts) -> dict[str, np.ndarray]:
    """Return the arrays of the learned ``parts`` by their names in the file."""
    _, whitening, pca, neighbours, first, second = parts
    return {
        "patch_model": np.frombuffer(first.to_bytes(), np.uint8),
        "code_model": np.frombuffer(second.to_bytes(), np.uint8),
        "zca_mean": whitening.mean,
        "zca_S": whitening.S,
        "pca_A": pca.A,
        "pca_a": pca.a,
        **arrays_of(neighbours),
    }


def read_image_encoder(path: str | os.PathLike | io.BytesIO, cls: type[Model]) -> tuple[Model, Parts]:
    """Return a model of class ``cls``, not fitted, and the learned parts that the file at ``path`` holds.

    Raises
    ------
    ModelFormatError
        The file is missing, truncated, foreign, from a newer nsae, or from before codes had a threshold for
        each image.
    """
    header, stored = read_model(path, KIND, (*ARRAYS, *NEIGHBOURS, *OLD_NAMES))
    try:
        params, fields = (_with_names_of_today(header[part]) for part in ("params", "geometry"))
        check_image_thresholds(path, "neighbour_steps" in params)
        arrays = _with_names_of_today(stored)
        grid = params["grid"]
        params["grid"] = tuple(grid) if isinstance(grid, list) else grid
        first, second = (
            SparseAutoencoder.load(io.BytesIO(arrays[name].tobytes()))
            for name in ("patch_model", "code_model")
        )
        check_weights({name: array for name, array in arrays.items() if name not in MODELS})
        whitening = Whitening(arrays["zca_mean"], arrays["zca_S"])
        pca = PCA(arrays["pca_A"], arrays["pca_a"])
        model = model_with(cls, params, header, path)
        parts = (geometry_from(fields), whitening, pca, neighbour_map_from(arrays), first, second)
    except ModelFormatError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFormatError(f"{path} is not a whole nsae model file: {error!r}. Save it again.") from None
    return model, parts


def _with_names_of_today(part: dict[str, Any]) -> dict[str, Any]:
    return {OLD_NAMES.get(name, name): value for name, value in part.items()}
