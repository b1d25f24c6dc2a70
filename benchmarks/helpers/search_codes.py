"""Codes that search_speed.py searches: of Fashion-MNIST, and of a million variants of its images."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsae import Codes, ImageEncoder, SparseAutoencoder, datasets

from .ranking import say

ENCODERS = ("image", "pixel")
MOST = 64  # active units; codes of fewer are had by ``keep``
SHIFT, SCALE = 2, 0.15  # pixels, and share, by which a variant may differ from the image it is of


class Images(NamedTuple):
    """Fashion-MNIST, (n, 28, 28) uint8 and labels."""

    database: np.ndarray
    labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray


def fashion(quick: bool) -> Images:
    """Return 60,000 training images as the database, 10,000 test images as queries."""
    (X, y), (Q, z) = (datasets.fashion_mnist(split) for split in ("train", "test"))
    return Images(X[:8000], y[:8000], Q[:500], z[:500]) if quick else Images(X, y, Q, z)


def pixels(images: np.ndarray) -> np.ndarray:
    """Return (n, 784) float32 rows of norm 1: L2 ranks them as the cosine does, which judges pixels better here."""
    X = images.reshape(len(images), -1).astype(np.float32)
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)


class Coder:
    """Encodes images with the encoder of a name, which learns from the database when it is first needed.

    Parameters
    ----------
    name
        "image": an ``ImageEncoder`` with its defaults; "pixel": one k-sparse layer of as many units on the pixels.
    database
        Images to learn from.
    folder
        Where what is encoded is kept for another run; None: nowhere.
    quick
        Whether this is a quick run, whose codes are kept apart.
    most
        Active units of a code.
    """

    def __init__(self, name: str, database: np.ndarray, folder: str | None, quick: bool, most: int = MOST):
        self.name, self.database, self.quick, self.most = name, database, quick, most
        self.folder = None if folder is None else Path(folder)
        self._encode: Callable[[np.ndarray], Codes] | None = None

    def codes(self, what: str, images: Callable[[], Iterator[np.ndarray]]) -> Codes:
        """Return codes of blocks of images, or what was kept under the name ``what``."""
        path = None if self.folder is None else self.folder / f"{self.name}_{what}_{self.quick:d}.npz"
        if path is not None and path.exists():
            with np.load(path) as kept:
                return Codes(kept["indptr"], kept["units"], kept["values"], int(kept["n_units"]))
        encode = self._fitted()
        started, parts = time.perf_counter(), []
        for block in images():
            parts.append(encode(block))
            n = sum(map(len, parts))
            say(f"{self.name}, {what}: {n} codes, {n / (time.perf_counter() - started):.0f} images/s")
        codes = Codes.concatenate(parts)
        if path is not None:
            os.makedirs(path.parent, exist_ok=True)
            arrays = {"indptr": codes.indptr, "units": codes.units, "values": codes.values}
            np.savez(path, n_units=codes.n_units, **arrays)
        return codes

    def _fitted(self) -> Callable[[np.ndarray], Codes]:
        if self._encode is None:
            say(f"{self.name}: learning")
            if self.name == "image":
                self._encode = ImageEncoder(k=self.most, random_state=0).fit(self.database).encode
            else:
                # Random weights: units that start from samples are used unequally, and searched 3 times as slowly.
                model = SparseAutoencoder(1024, k=self.most, epochs=10, random_state=0)
                model.fit(self.database.reshape(len(self.database), -1) / np.float32(255))
                self._encode = lambda images: model.encode(images.reshape(len(images), -1) / np.float32(255))
        return self._encode


def variants(images: np.ndarray, n: int, block: int = 20_000) -> Iterator[np.ndarray]:
    """Yield n images in blocks: each of ``images`` in turn, again and again, shifted and scaled at random."""
    from PIL import Image

    rng = np.random.default_rng(0)
    side = images.shape[1]
    for start in range(0, n, block):
        made = np.empty((min(block, n - start), side, side), np.uint8)
        for i in range(len(made)):
            scale = 1 + rng.uniform(-SCALE, SCALE)
            dx, dy = rng.integers(-SHIFT, SHIFT + 1, 2) + (1 - scale) * side / 2  # about the middle
            image = Image.fromarray(images[(start + i) % len(images)])
            place = (scale, 0, dx, 0, scale, dy)
            made[i] = image.transform((side, side), Image.Transform.AFFINE, place, Image.Resampling.BILINEAR)
        yield made
