"""Sparse autoencoders that others have trained and published: a folder becomes an nsae Encoder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nsae.errors import ModelFormatError
from nsae.interchange import saelens, sparsify
from nsae.interchange.published_files import CONFIG, read_config
from nsae.models.encoder import Encoder

OF_AN_INDEX, ITS_ENCODER = "manifest.json", "model.npz"  # The latter is in an index of photos.


def is_published(folder: str | os.PathLike) -> bool:
    """Return whether a ``folder`` has a cfg.json, or weights under a name that sparsify or SAELens gives them."""
    names = (CONFIG, sparsify.WEIGHTS, saelens.WEIGHTS)
    return any(os.path.isfile(os.path.join(folder, name)) for name in names)


def load_published(folder: str | os.PathLike, *, scaling_factor: float | None = None) -> Encoder:
    """Read a sparse autoencoder in the layout of *sparsify* or *SAELens*, with NumPy alone.

    Weights in 16 bits become float32.  The codes are those of the library itself, up to rounding.

    Parameters
    ----------
    folder : path
        With cfg.json, and sae.safetensors (sparsify) or sae_weights.safetensors (SAELens).
    scaling_factor : float, optional
        For models of SAELens with normalize_activations="expected_average_only_in": what the rows are multiplied
        by.

    Returns
    -------
    Encoder
        It can be saved as an nsae model file, and what it encodes can be searched.

    Raises
    ------
    ModelFormatError
        Something is missing or damaged, or the model computes what an Encoder cannot; the message names it.
    ValueError
        A ``scaling_factor`` was given, and the model has no use for it.
    """
    folder = Path(folder)
    layouts = [layout for layout in (sparsify, saelens) if os.path.isfile(folder / layout.WEIGHTS)]
    if not layouts and not os.path.isfile(folder / CONFIG):
        if os.path.isfile(folder / OF_AN_INDEX):
            has_one = os.path.isfile(folder / ITS_ENCODER)
            way = f"Its encoder is {folder / ITS_ENCODER}." if has_one else "It is read with CodeIndex.load."
            raise ModelFormatError(f"{folder} is an index of nsae, not an encoder. {way}")
        raise ModelFormatError(
            f"{folder} holds no sparse autoencoder: {CONFIG} and {sparsify.WEIGHTS} (sparsify) or {saelens.WEIGHTS} "
            "(SAELens) were expected. If it holds several, name one of its folders."
        )
    config = read_config(folder)
    if len(layouts) != 1:
        found = "both" if layouts else "neither"
        raise ModelFormatError(
            f"{folder} has {found} of {sparsify.WEIGHTS} (sparsify) and {saelens.WEIGHTS} (SAELens); one was expected."
        )
    with np.errstate(over="ignore", invalid="ignore"):  # What becomes infinite is refused.
        if layouts == [saelens]:
            return saelens.read_saelens(folder, config, scaling_factor)
        if scaling_factor is not None:
            raise ValueError(
                f"{folder} is of sparsify, which does not scale its rows: leave scaling_factor out."
            )
        return sparsify.read_sparsify(folder, config)
