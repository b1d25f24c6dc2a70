"""What may come in as images: arrays of one size, or lists of files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from nsae.encoder import BLOCK_ROWS


def blocks_of(images: np.ndarray) -> Iterator[np.ndarray]:
    """The images, as many at a time as an encoder takes."""
    for start in range(0, len(images), BLOCK_ROWS):
        yield images[start : start + BLOCK_ROWS]


def check_paths(paths: Iterable[str | os.PathLike]) -> list[Path]:
    """A list of files; TypeError for a single path, ValueError for none at all."""
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(
            f"A single path, {paths!r}, came: a list of files was expected, as find_images gives."
        )
    paths = list(paths)
    if not paths:
        raise ValueError("No image files came: the list is empty.")
    return paths


def check_images(images: np.ndarray) -> None:
    """ValueError unless these are images (n, H, W) or (n, H, W, 3) of uint8 or of floats in [0, 1]."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3) or 0 in images.shape:
        raise ValueError(
            f"An array of shape {images.shape} came, and images (n, H, W) or (n, H, W, 3) were expected."
        )
    if images.dtype == np.uint8:
        return
    if images.dtype.kind != "f":
        raise ValueError(f"Pixels of {images.dtype} came; uint8, or floats in [0, 1], were expected.")
    for block in blocks_of(images):
        low, high = block.min(), block.max()
        if not (low >= 0 and high <= 1):  # written so that NaN is refused
            raise ValueError(f"Pixels from {low:g} to {high:g} came; floats in [0, 1] were expected.")
