"""Labelled photos in tar files: CIFAR-10 as JPEG, and Corel-1K.  Pillow decodes."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nsae.datasets import data_folder
from nsae.errors import one_of, require

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()


def cifar10_jpeg(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10 as JPEG: images (n, 32, 32, 3) uint8, labels (n,); n = 50,000, or 10,000 for "test".

    Figures are not comparable to the last digit with those on the original pixels.

    Raises
    ------
    FileNotFoundError
        ``cifar10_jpeg.tar.xz`` is not in the data folder.
    """
    one_of("split", split, ("train", "test"))
    images, labels = [], []
    for name, image in _members("cifar10_jpeg.tar.xz", rf"(?:^|/){split}/(\w+)/[^/]+\.jpe?g$"):
        images.append(np.asarray(image))
        labels.append(CIFAR10.index(name))
    return np.stack(images), np.array(labels)


def corel1k(side: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Corel-1K: 1,000 photos of ten kinds, (1000, side, side, 3) uint8, stretched to a square; labels (1000,).

    Raises
    ------
    FileNotFoundError
        ``corel1k.tar`` is not in the data folder.
    """
    Image = require("PIL.Image", "images", "reading images")
    found = {}
    for name, image in _members("corel1k.tar", r"(?:^|/)(\d+)\.jpe?g$"):
        square = image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)
        found[int(name)] = np.asarray(square)
    numbers = sorted(found)
    return np.stack([found[n] for n in numbers]), np.array(numbers) // 100


def _members(file: str, pattern: str) -> Iterator[tuple[str, object]]:
    """What the pattern's group matches in the names of a tar's files, and each as an RGB image."""
    Image = require("PIL.Image", "images", "reading images")
    path = Path(data_folder(), file)
    if not path.exists():
        raise FileNotFoundError(
            f"There is no {path}. Put {file} there, or set NSAE_DATA to the folder that has it."
        )
    with tarfile.open(path) as tar:
        for member in tar:
            match = re.search(pattern, member.name)
            if match and member.isfile():
                yield match[1], Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
