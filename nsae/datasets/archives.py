"""Photos that come in one tar file: CIFAR-10 as JPEG, Corel-1K, and Caltech-101.

They are decoded in memory; no file is unpacked.
"""

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
CALTECH101 = """
Faces Faces_easy Leopards Motorbikes accordion airplanes anchor ant barrel bass beaver binocular bonsai brain
brontosaurus buddha butterfly camera cannon car_side ceiling_fan cellphone chair chandelier cougar_body
cougar_face crab crayfish crocodile crocodile_head cup dalmatian dollar_bill dolphin dragonfly electric_guitar
elephant emu euphonium ewer ferry flamingo flamingo_head garfield gerenuk gramophone grand_piano hawksbill
headphone hedgehog helicopter ibis inline_skate joshua_tree kangaroo ketch lamp laptop llama lobster lotus
mandolin mayfly menorah metronome minaret nautilus octopus okapi pagoda panda pigeon pizza platypus pyramid
revolver rhino rooster saxophone schooner scissors scorpion sea_horse snoopy soccer_ball stapler starfish
stegosaurus stop_sign strawberry sunflower tick trilobite umbrella watch water_lilly wheelchair wild_cat
windsor_chair wrench yin_yang
""".split()


def cifar10_jpeg(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Read CIFAR-10, encoded as JPEG, from ``cifar10_jpeg.tar.xz`` in :func:`~nsae.datasets.data_folder`.

    The members of the archive are ``split/class/number.jpg``.  JPEG has changed the pixels a little, so figures
    cannot be compared with those of the original CIFAR-10 to the last digit.

    Parameters
    ----------
    split : "train" or "test"
        Which images: 50,000 or 10,000.

    Returns
    -------
    images : (n, 32, 32, 3) uint8
        Class by class, in the order of ``CIFAR10``.
    labels : (n,) int64
        Places in ``CIFAR10``.

    Raises
    ------
    FileNotFoundError
        If the archive is not there.
    ValueError
        If it is damaged, or has other members.
    MissingExtraError
        If Pillow is not installed.
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
    """Read Corel-1K (Wang, Li and Wiederhold 2001) from ``corel1k.tar`` in :func:`~nsae.datasets.data_folder`.

    The members of the archive are ``number.jpg``: 1,000 photos of 384 × 256 or 256 × 384 pixels.

    Parameters
    ----------
    side : int
        Photos are stretched to squares with this many pixels a side, as ``images.load_image`` does.

    Returns
    -------
    images : (n, side, side, 3) uint8
        In the order of their numbers.
    labels : (n,) int64
        number // 100, which is a place in ``COREL1K``.

    Raises
    ------
    FileNotFoundError
        If the archive is not there.
    ValueError
        If it is damaged, has other members, or ``side`` is less than 1.
    MissingExtraError
        If Pillow is not installed.
    """
    Image = _pillow_for(side)
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


def caltech101(side: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Read Caltech-101 from ``caltech101_small.tar`` in :func:`~nsae.datasets.data_folder`.

    The data set is Li, Andreetto, Ranzato and Perona: Caltech 101, 2022, https://doi.org/10.22002/D1.20086,
    licence CC BY 4.0.  The members of the archive are ``kind/number.jpg``: 8,677 photos in 101 kinds (without
    the backgrounds), made small, so that the shorter side has 112 pixels.

    Parameters
    ----------
    side : int
        Photos are stretched to squares with this many pixels a side, as ``images.load_image`` does.

    Returns
    -------
    images : (n, side, side, 3) uint8
        Kind by kind, in the order of ``CALTECH101``, which is alphabetical, capitals first.
    labels : (n,) int64
        Places in ``CALTECH101``.

    Raises
    ------
    FileNotFoundError
        If the archive is not there.
    ValueError
        If it is damaged, has other members, or ``side`` is less than 1.
    MissingExtraError
        If Pillow is not installed.
    """
    Image = _pillow_for(side)
    path = _archive("caltech101_small.tar")
    found = []
    for name, data in _members(path):
        parts = PurePosixPath(name).parts[-2:]
        if len(parts) != 2 or parts[0] not in CALTECH101:
            raise ValueError(f"{path}: {name!r} was found, where kind/number.jpg was expected.")
        found.append((CALTECH101.index(parts[0]), parts[1], _decode(Image, path, name, data, side)))
    if not found:
        raise ValueError(f"{path}: there is no image in it. Fetch it again.")
    found.sort(key=lambda member: member[:2])
    return np.stack([image for _, _, image in found]), np.array([label for label, _, _ in found])


def _pillow_for(side: int) -> ModuleType:
    """Return Pillow's module of images, for photos of ``side`` pixels a side."""
    if side < 1:
        raise ValueError(f"side={side} was given. Use the number of pixels, 1 or more.")
    return require("PIL.Image", "images", "decoding JPEG")


def _archive(name: str) -> Path:
    path = data_folder() / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist. Set NSAE_DATA to the folder that holds {name}, or put it there."
        )
    return path


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file in the archive, in its order."""
    try:
        with tarfile.open(path, "r|*") as archive:  # as a stream: seeking back in xz means starting over
            for member in archive:
                content = archive.extractfile(member)  # None for folders and devices
                if member.isfile() and content is not None:
                    yield member.name, content.read()
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError) as error:
        raise ValueError(f"{path}: damaged or cut short ({error}). Fetch it again.") from error


def _decode(Image: ModuleType, path: Path, name: str, data: bytes, side: int) -> np.ndarray:
    """Return a JPEG as (side, side, 3) uint8, in the same way as ``images.load_image``."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (2 * side, 2 * side))
            image = image.convert("RGB")
            return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0))
    except Exception as error:  # decoders meet damaged bytes with almost any exception
        raise ValueError(f"{path}: {name} cannot be decoded ({error}). Fetch it again.") from error
