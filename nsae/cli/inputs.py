"""What the command line reads: arrays, data sets, images, folders of images."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from nsae.cli.outputs import printable
from nsae.codes import Codes
from nsae.errors import ImageReadError, require
from nsae.images import iter_images
from nsae.images.encode_photos import PhotoEncoder, encode_photos
from nsae.images.kinds import left_out
from nsae.images.library.intake import Photo, read_photos
from nsae.images.library.library_folder import LibraryFolder, read_library_folder
from nsae.images.library.scan import look
from nsae.models.encoder import Encoder
from nsae.system.progress import Progress

DATASETS = ("glyphs", "mnist", "fashion-mnist")
MANY = 100  # images: reading them takes long enough to show progress


class NothingWorked(ValueError):
    """Every input failed, or one did under --strict."""


class Source(NamedTuple):
    """What was read: rows or images, an id for each, and how images became arrays."""

    data: np.ndarray  # (n, d), or images (n, side, side[, 3])
    ids: list[int | str]
    preprocessing: dict[str, Any] | None  # {"side": pixels, "color": bool}; None for rows of numbers

    @property
    def X(self) -> np.ndarray:
        """The rows (n, d)."""
        return self.data if self.preprocessing is None else self.data.reshape(len(self.data), -1)


class Photos(NamedTuple):
    """The image files that a user names: the folder that they are below, their ids, and what failed there."""

    root: Path
    ids: list[str]
    failed: list[tuple[str, str]]  # (id, reason)


def is_photos(source: str) -> bool:
    """Return whether ``source`` names image files, not rows and not a data set."""
    return not source.endswith(".npy") and source not in DATASETS


def limit_pixels(most: int) -> None:
    """Let images of at most ``most`` pixels be read in this process."""
    Image: Any = require("PIL.Image", "images", "reading images")
    Image.MAX_IMAGE_PIXELS = most / 2  # Pillow refuses what has twice as many.


def find_photos(source: str, exclude: Sequence[str] = ()) -> Photos:
    """Find the image files that ``source`` names, a folder or a file, but those that match ``exclude``.

    Folders that cannot be listed, and kinds of images that cannot be read here, are reported on stderr.

    Raises
    ------
    ValueError
        If there are none.
    """
    path = Path(os.path.realpath(source))
    if not os.path.isdir(source):  # A link to a photo is a photo of its own.
        path = Path(os.path.realpath(Path(source).parent), Path(source).name)
    found = look(path, exclude=exclude)
    root = path if path.is_dir() else path.parent
    skipped(root, found.failed)
    report_left_out(found.left_out)
    if not found.files:
        raise ValueError(f"No images were found in {source}. Expected files such as .jpg, .png or .webp.")
    return Photos(root, list(found.files), found.failed)


def skipped(root: Path, failed: Iterable[tuple[str, str]]) -> None:
    """Say which files below ``root`` are left out, and why: ``failed`` has (id, reason)."""
    for id, reason in failed:
        print(_skipped(root / id, reason), file=sys.stderr)


def _skipped(path: object, reason: str) -> str:
    return f"nsae: skipped {printable(str(path))}: {printable(reason)}"


def report_left_out(ids: Iterable[str]) -> None:
    """Say of which kinds the images ``ids`` are, which cannot be read here, and what reads them."""
    for line in left_out(ids):
        print(f"nsae: {line}", file=sys.stderr)


def open_folder(args: Namespace) -> LibraryFolder:
    """Open the index that ``args`` name, mapped, with its photos where --root says."""
    opened = read_library_folder(args.index, mmap=True)
    return opened if args.root is None else replace(opened, root=Path(os.path.realpath(args.root)))


def check_root(root: Path | None) -> None:
    """Raise FileNotFoundError if the folder of an index's photos, ``root``, is not there."""
    if root is not None and not root.is_dir():
        raise FileNotFoundError(
            f"The photos of this index were in {root}, and there is no such folder now. Is its drive there? If the "
            "photos are elsewhere now, say where: --root FOLDER."
        )


def check_failures(n_failed: int, total: int, n_good: int, strict: bool) -> None:
    """Raise :class:`NothingWorked` if nothing could be read, or not all under --strict.

    Parameters
    ----------
    n_failed, total, n_good : int
        Images and folders that could not be read, all of them, and those that could.
    strict : bool
    """
    if n_failed and (strict or not n_good):
        raise NothingWorked(
            f"{n_failed} of {total} images and folders could not be read"
            + ("; --strict accepts none such." if n_good else ".")
        )


def read_to_learn(photos: Photos, how: dict[str, Any], strict: bool) -> tuple[np.ndarray, dict[str, Photo]]:
    """Read photos to learn from.

    Parameters
    ----------
    photos : Photos
    how : dict
        How files become images: {"side": pixels, "color": bool} and perhaps {"dtype": "uint8"}.
    strict : bool

    Returns
    -------
    images : (n, side, side[, 3])
        uint8 or float32 in [0, 1].
    decoded : dict of Photo
        By id, those that could not be read, too.

    Raises
    ------
    NothingWorked
        If none could be read, or one could not under ``strict``.
    """
    side = how["side"]
    shape = (len(photos.ids), side, side, 3) if how["color"] else (len(photos.ids), side, side)
    images = np.empty(shape, how.get("dtype", np.float32))
    n, decoded = 0, {}
    with Progress("reading images", len(photos.ids), enabled=len(photos.ids) > MANY) as progress:
        for photo in read_photos(photos.root, photos.ids, how):
            if photo.pixels is not None:
                images[n] = photo.pixels
                photo = photo._replace(pixels=images[n])
                n += 1
            else:
                progress.say(_skipped(photos.root / photo.id, str(photo.reason)))
            decoded[photo.id] = photo
            progress.update()
    failed = len(photos.failed) + len(photos.ids) - n
    check_failures(failed, len(photos.failed) + len(photos.ids), n, strict)
    return images[:n], decoded


def read_source(source: str, images: dict[str, Any] | None, strict: bool) -> Source:
    """Read what a user names.

    What cannot be read is reported on stderr and left out.

    Parameters
    ----------
    source : str
        A ``.npy`` file, a data set, an image, or a folder.
    images : dict or None
        How images become arrays, as for :func:`read_to_learn`; None refuses images.
    strict : bool

    Raises
    ------
    NothingWorked
        If none could be read, or one could not under ``strict``.
    """
    if source.endswith(".npy"):
        X = _read_rows(source)
        return Source(X, list(range(len(X))), None)
    if source in DATASETS:
        if Path(source).exists():
            print(
                f"nsae: {source} is taken as the data set; ./{source} names what is in this folder.",
                file=sys.stderr,
            )
        return _read_dataset(source)
    if images is None:
        raise ValueError(f"This model was trained on rows of numbers: give it a .npy file, not {source}.")
    pixels, decoded = read_to_learn(find_photos(source), images, strict)
    return Source(pixels, [id for id, photo in decoded.items() if photo.pixels is not None], images)


def codes_of(encoder: PhotoEncoder, source: Source) -> Codes:
    """Return the codes of a ``source``, by an ``encoder`` that was learned from such data."""
    if encoder.preprocessing is None:  # so it is one of rows of numbers
        return cast(Encoder, encoder).encode(source.X)
    return encoder.encode_images(source.data)


def encode_files(encoder: PhotoEncoder, paths: list[Path], strict: bool) -> tuple[Codes, list[Path]]:
    """Return the codes of the photos that could be read, and their paths.

    Parameters
    ----------
    encoder : PhotoEncoder
    paths : list of Path
    strict : bool

    Raises
    ------
    NothingWorked
        If none could be read, or one could not under ``strict``.
    """
    failures: list[ImageReadError] = []
    codes = encode_photos(encoder, paths, on_error=_reporter(failures))
    check_failures(len(failures), len(paths), len(codes), strict)
    bad = {error.path for error in failures}
    return codes, [path for path in paths if path not in bad]


def read_images(paths: list[Path], how: dict[str, Any], strict: bool) -> tuple[np.ndarray, list[Path]]:
    """Return images (n, side, side[, 3]) of the files that could be read, and their paths.

    Parameters
    ----------
    paths : list of Path
    how : dict
        As for :func:`read_to_learn`.
    strict : bool

    Raises
    ------
    NothingWorked
        If none could be read, or one could not under ``strict``.
    """
    failures: list[ImageReadError] = []
    as_bytes = how.get("dtype") == "uint8"
    images, kept = [], []
    with Progress("reading images", len(paths), enabled=len(paths) > MANY) as progress:
        options = {"side": how["side"], "color": how["color"], "on_error": _reporter(failures, progress)}
        for path, image in iter_images(paths, **options):
            images.append(np.rint(image * 255).astype(np.uint8) if as_bytes else image)
            kept.append(path)
            progress.update()
    check_failures(len(failures), len(paths), len(kept), strict)
    return np.stack(images), kept


def _reporter(
    failures: list[ImageReadError], progress: Progress | None = None
) -> Callable[[ImageReadError], None]:
    def report(error: ImageReadError) -> None:
        failures.append(error)
        line = _skipped(error.path, error.reason)
        if progress is None:
            print(line, file=sys.stderr)
        else:
            progress.say(line)

    return report


def _read_rows(path: str) -> np.ndarray:
    """The array in a ``.npy`` file, which is mapped, not read."""
    expected = "Expected an array of numbers, a sample a row, as np.save writes it."
    try:
        X = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy meets other files with ValueError, EOFError, OSError, BadZipFile, …
        raise ValueError(f"{path} cannot be read as .npy ({error}). {expected}") from error
    if not isinstance(X, np.ndarray):
        X.close()
        raise ValueError(f"{path} is an .npz, a file of several arrays. {expected}")
    if X.ndim == 0:
        raise ValueError(f"{path} holds a single value. {expected}")
    return X


def _read_dataset(name: str) -> Source:
    from nsae import datasets

    if name == "glyphs":
        images = datasets.glyphs()[0]  # (n, 28, 28) in [0, 1]
    else:
        pixels = datasets.mnist()[0] if name == "mnist" else datasets.fashion_mnist()[0]
        images = pixels.astype(np.float32) / 255  # (n, 28, 28)
    return Source(images, list(range(len(images))), {"side": images.shape[1], "color": False})
