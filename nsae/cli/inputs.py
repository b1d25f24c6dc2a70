"""What the command line reads: arrays, data sets, images, folders of images."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.cli.outputs import printable
from nsae.codes import Codes
from nsae.errors import ImageReadError
from nsae.images.encode_photos import PhotoEncoder
from nsae.images.library.scan import Stamp, stamp_of
from nsae.system.progress import Progress

DATASETS = ("glyphs", "mnist", "fashion-mnist")


class NothingWorked(ValueError):
    """Every input failed, or one did under --strict."""


class Source(NamedTuple):
    """What was read: the rows, an id for each, how images became rows, and the folder they were in."""

    X: np.ndarray  # (n, d)
    ids: list[int | str]
    preprocessing: dict[str, Any] | None  # {"side": pixels, "color": bool}; None for rows of numbers
    root: Path | None  # None unless they are files
    stamps: dict[str, Stamp] | None = None  # by id, of all files, as they were before they were read

    def images(self) -> np.ndarray:
        """The rows as images (n, side, side[, 3])."""
        return images_of(self.X, self.preprocessing)


def images_of(X: np.ndarray, preprocessing: dict[str, Any]) -> np.ndarray:
    """Rows X (n, d) of pixels as images (n, side, side[, 3])."""
    side = preprocessing["side"]
    return X.reshape((-1, side, side, 3) if preprocessing["color"] else (-1, side, side))


def codes_of(encoder: PhotoEncoder, X: np.ndarray) -> Codes:
    """The codes of the rows X (n, d), which are images as the encoder takes them unless it is of numbers."""
    if encoder.preprocessing is None:
        return encoder.encode(X)
    return encoder.encode_images(images_of(X, encoder.preprocessing))


def read_source(source: str, images: dict[str, Any] | None, strict: bool) -> Source:
    """Read what a user names: a ``.npy`` file, a data set, an image, a folder.

    ``images`` says how images become rows: {"side": pixels, "color": bool} and perhaps {"dtype": "uint8"}
    for pixels of 0 to 255, not of 0 to 1; None refuses images.
    What cannot be read is reported on stderr and left out, or fails under ``strict``.
    """
    if source.endswith(".npy"):
        X = _read_rows(source)
        return Source(X, list(range(len(X))), None, None)
    if source in DATASETS:
        if Path(source).exists():
            print(
                f"nsae: {source} is taken as the data set; ./{source} names what is in this folder.",
                file=sys.stderr,
            )
        return _read_dataset(source)
    from nsae.images import find_images
    from nsae.images.files import id_of

    if images is None:
        raise ValueError(f"This model was trained on rows of numbers: give it a .npy file, not {source}.")
    failures: list[ImageReadError] = []
    paths = find_images(source, on_error=_reporter(failures))
    if not paths:
        raise ValueError(f"No images were found in {source}. Expected files such as .jpg, .png or .webp.")
    root = Path(os.path.realpath(source if os.path.isdir(source) else Path(source).parent))
    stamps = {id_of(path, root): stamp for path in paths if (stamp := stamp_of(path)) is not None}
    X, kept = read_images(paths, images, strict, failures)
    for id, reason in ((id_of(error.path, root), error.reason) for error in failures):
        if id in stamps:  # folders that cannot be listed are not
            stamps[id] = replace(stamps[id], reason=reason)
    return Source(X, [id_of(path, root) for path in kept], images, root, stamps)


def read_images(
    paths: list[Path], images: dict[str, Any], strict: bool, failures: list[ImageReadError] | None = None
) -> tuple[np.ndarray, list[Path]]:
    """Rows of pixels (n, d) of the images that could be read, and their paths.

    ``failures`` are those met on the way here; :class:`NothingWorked` if there are any under ``strict``.
    """
    from nsae.images import iter_images

    failures = [] if failures is None else failures
    total = len(paths) + len(failures)
    options = {"side": images["side"], "color": images["color"], "on_error": _reporter(failures)}
    as_bytes = images.get("dtype") == "uint8"  # a quarter of the memory
    rows, kept = [], []
    with Progress("reading images", len(paths), enabled=len(paths) > 100) as progress:
        for path, image in iter_images(paths, **options):
            rows.append((np.rint(image * 255).astype(np.uint8) if as_bytes else image).ravel())
            kept.append(path)
            progress.update()
    if failures and (strict or not rows):
        raise NothingWorked(
            f"{len(failures)} of {total} images and folders could not be read"
            + ("; --strict accepts none such." if rows else ".")
        )
    return np.stack(rows), kept


def _reporter(failures: list[ImageReadError]) -> Callable[[ImageReadError], None]:
    def report(error: ImageReadError) -> None:
        failures.append(error)
        print(f"nsae: skipped {printable(str(error))}", file=sys.stderr)

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
        X = datasets.glyphs()[0]  # (n, 28, 28) in [0, 1]
    else:
        pixels = datasets.mnist()[0] if name == "mnist" else datasets.fashion_mnist()[0]
        X = pixels.astype(np.float32) / 255  # (n, 28, 28)
    preprocessing = {"side": X.shape[1], "color": False}
    return Source(X.reshape(len(X), -1), list(range(len(X))), preprocessing, None)
