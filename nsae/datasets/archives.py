"""Photos that come in one tar file: CIFAR-10 as JPEG, and Corel-1K.  Decoded from memory, nothing is unpacked."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType

import numpy as np

from nsae.datasets.folder import data_folder
from nsae.errors import require
from nsae.validation import one_of

CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck".split()
COREL1K = "people beach buildings buses dinosaurs elephants flowers horses mountains food".split()


def cifar10_jpeg(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """CIFAR-10, encoded as JPEG: images (n, 32, 32, 3) uint8, labels (n,) int64, places in ``CIFAR10``.

    n = 50,000, or 10,000 for "test"; class by class, in the order of ``CIFAR10``.  Read from
    ``cifar10_jpeg.tar.xz`` in :func:`~nsae.datasets.data_folder`, with members ``split/class/number.jpg``.
    JPEG has changed the pixels, so figures are not to be compared with those of the original to the last
    digit.

    Raises FileNotFoundError without the file, ValueError if it is damaged or has other members, and
    :class:`~nsae.errors.MissingExtraError` without Pillow.
    """
    one_of("split", split, ("train", "test"))
    Image = require("PIL.Image", "images", "decoding JPEG")
    path = _archive("cifar10_jpeg.tar.xz")
    found = []
    for name, data in _members(path):
        parts = PurePosixPath(name).parts[-3:]
        if len(parts) != 3 or parts[1] not in CIFAR10:
            raise ValueError(f"{path}: {name!r} was found, where split/class/number.jpg was expected.")
        if parts[0] == split:
            found.append((CIFAR10.index(parts[1]), parts[2], _decode(Image, path, name, data, 32)))
    if not found:
        raise ValueError(f"{path}: nothing of the split {split!r} is in it. Fetch it again.")
    found.sort(key=lambda member: member[:2])
    return np.stack([image for _, _, image in found]), np.array([label for label, _, _ in found])


def corel1k(side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Corel-1K (Wang, Li and Wiederhold 2001): images (n, side, side, 3) uint8, labels (n,) int64.

    n = 1000 photos of 384 × 256 pixels or upright, stretched to a square as ``images.load_image`` does,
    in the order of their numbers; a label is number // 100, its place in ``COREL1K``.  Read from
    ``corel1k.tar`` in :func:`~nsae.datasets.data_folder`, with members ``number.jpg``.

    Raises FileNotFoundError without the file, ValueError if it is damaged, has other members, or ``side``
    is less than 1, and :class:`~nsae.errors.MissingExtraError` without Pillow.
    """
    if side < 1:
        raise ValueError(f"side={side} was given. Use the number of pixels, 1 or more.")
    Image = require("PIL.Image", "images", "decoding JPEG")
    path = _archive("corel1k.tar")
    found = []
    for name, data in _members(path):
        number = PurePosixPath(name).stem
        if not (number.isdecimal() and int(number) < 100 * len(COREL1K)):
            raise ValueError(f"{path}: {name!r} was found, where 0.jpg to 999.jpg was expected.")
        found.append((int(number), _decode(Image, path, name, data, side)))
    if not found:
        raise ValueError(f"{path}: there is no image in it. Fetch it again.")
    found.sort(key=lambda member: member[0])
    return np.stack([image for _, image in found]), np.array([number // 100 for number, _ in found])


def _archive(name: str) -> Path:
    path = data_folder() / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist. Set NSAE_DATA to the folder that holds {name}, or put it there."
        )
    return path


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in the tar, in its order."""
    try:
        with tarfile.open(path, "r|*") as archive:  # as a stream: seeking back in xz means starting over
            for member in archive:
                if member.isfile():
                    yield member.name, archive.extractfile(member).read()
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise ValueError(f"{path}: damaged or cut short ({error}). Fetch it again.") from error


def _decode(Image: ModuleType, path: Path, name: str, data: bytes, side: int) -> np.ndarray:
    """A JPEG as (side, side, 3) uint8; see ``images.load_image`` for why so."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (2 * side, 2 * side))
            image = image.convert("RGB")
            return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0))
    except Exception as error:  # decoders meet damaged bytes with almost any exception
        raise ValueError(f"{path}: {name} cannot be decoded ({error}). Fetch it again.") from error
