"""Codes that search_speed.py searches: of Fashion-MNIST, and of a million variants of its images."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsae import Codes, ImageEncoder, SparseAutoencoder, datasets

from .ranking import say

ENCODERS = ("image", "pixel")
MOST = 64  # active units; codes of fewer are had by ``keep``
SHIFT, SCALE = 2, 0.15  # pixels, and relative size, by which a variant may differ from the image it is of

Block = Callable[[], np.ndarray]  # makes images


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
        "image": an ``ImageEncoder`` with its defaults, but for k; "pixel": one k-sparse layer of 1,024 units on the
        pixels.
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

    def codes(self, what: str, blocks: Iterable[Block]) -> Codes:
        """Return codes of blocks of images.  What was kept under the name ``what`` is not encoded again.

        Parameters
        ----------
        what
            A name for these images.
        blocks
            Functions that make the images (n, 28, 28) of a block.
        """
        parts, seconds, encoded = [], 0.0, 0
        for number, block in enumerate(blocks):
            path = self._path(f"{what}_{number:03d}.npz")
            if path is not None and path.exists():
                with np.load(path) as kept:
                    parts.append(Codes(kept["indptr"], kept["units"], kept["values"], int(kept["n_units"])))
                continue
            encode, images = self._fitted(), block()
            started = time.perf_counter()
            codes = encode(images)
            seconds, encoded = seconds + time.perf_counter() - started, encoded + len(codes)
            say(f"{self.name}, {what}, block {number}: {encoded / seconds:.0f} images/s")
            parts.append(codes)
            if path is not None:
                part = path.with_name(f"part_{path.name}")
                arrays = {"indptr": codes.indptr, "units": codes.units, "values": codes.values}
                np.savez(part, n_units=codes.n_units, **arrays)
                os.replace(part, path)
        return Codes.concatenate(parts)

    def _path(self, name: str) -> Path | None:
        if self.folder is None:
            return None
        os.makedirs(self.folder, exist_ok=True)
        return self.folder / f"{self.name}_{self.most}_{'quick' if self.quick else 'full'}_{name}"

    def _fitted(self) -> Callable[[np.ndarray], Codes]:
        if self._encode is None:
            kind = ImageEncoder if self.name == "image" else SparseAutoencoder
            path = self._path("encoder.npz")
            if path is not None and path.exists():
                model = kind.load(path)
            else:
                say(f"{self.name}: learning")
                model = self._learn()
                if path is not None:
                    model.save(path)
            flat = self.name == "pixel"
            self._encode = lambda images: model.encode(rows(images) if flat else images)
        return self._encode

    def _learn(self) -> ImageEncoder | SparseAutoencoder:
        if self.name == "image":
            return ImageEncoder(k=self.most, random_state=0).fit(self.database)
        # Random weights: units that start from samples are used unequally, and searched 3 times as slowly.
        return SparseAutoencoder(1024, k=self.most, epochs=10, random_state=0).fit(rows(self.database))


def rows(images: np.ndarray) -> np.ndarray:
    """Return images as rows (n, 784) float32 in [0, 1]."""
    return images.reshape(len(images), -1) / np.float32(255)


def whole(images: np.ndarray) -> list[Block]:
    """Return these images as one block."""
    return [lambda: images]


def variants(images: np.ndarray, n: int, block: int = 20_000) -> Iterator[Block]:
    """Yield n images in blocks: each of ``images`` in turn, again and again, shifted and scaled at random."""
    for start in range(0, n, block):
        yield partial(_variants, images, start, min(block, n - start))


def _variants(images: np.ndarray, start: int, n: int) -> np.ndarray:
    from PIL import Image

    rng = np.random.default_rng([0, start])
    side = images.shape[1]
    made = np.empty((n, side, side), np.uint8)
    for i in range(n):
        scale = 1 + rng.uniform(-SCALE, SCALE)
        dx, dy = rng.integers(-SHIFT, SHIFT + 1, 2) + (1 - scale) * side / 2  # about the middle
        image = Image.fromarray(images[(start + i) % len(images)])
        place = (scale, 0, dx, 0, scale, dy)
        made[i] = image.transform((side, side), Image.Transform.AFFINE, place, Image.Resampling.BILINEAR)
    return made
