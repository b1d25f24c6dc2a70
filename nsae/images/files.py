"""Image files: finding them in a folder, and reading many of them.

One bad file among thousands is reported, and the others go on.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

import numpy as np

from nsae.errors import ImageReadError, bounded, require
from nsae.images.decoding import check_side, load_image
from nsae.images.kinds import other_kind, readable_extensions
from nsae.system.threads import thread_count

OnError = Callable[[ImageReadError], object]
Item = TypeVar("Item")
Result = TypeVar("Result")

# Folders in which systems and programs keep thumbnails, deleted files and snapshots, in small letters.
NOT_PHOTOS = frozenset(
    "@eadir,#recycle,@recycle,#snapshot,@recently-snapshot,$recycle.bin,recycler,lost+found,__macosx,"
    "system volume information".split(",")
)


def find_images(
    root: str | os.PathLike,
    *,
    exclude: Sequence[str] = (),
    on_error: OnError | None = None,
    on_other: Callable[[Path], object] | None = None,
) -> list[Path]:
    """Return the image files under a folder, sorted by path.

    A folder is searched with all its subfolders, and its files are known by their extension (in any
    case).  Names that begin with a dot are left out, and so are folders in which systems keep thumbnails and
    deleted files (``NOT_PHOTOS``).  Links to files are followed; links to folders are not, so that no loop,
    and nothing outside of ``root``, is walked.

    Parameters
    ----------
    root : str or PathLike
        Where it is a file, it is the one result, whatever its name.
    exclude : sequence of str
        Patterns of files and folders to leave out, with ``*``, ``?`` and ``[…]``.  One with a "/" is compared
        with the path below ``root``, others with each name.
    on_error : callable, optional
        Is given an :class:`ImageReadError` for each folder that cannot be listed or entered; without it, the
        error is raised.
    on_other : callable, optional
        Is given the path of each image that Pillow cannot read here, such as HEIC without its plugin.

    Raises
    ------
    FileNotFoundError
        If ``root`` does not exist.
    ImageReadError
        See ``on_error``.
    """
    root = Path(root)
    if not os.path.exists(root):  # Path.exists raises an error of its own for a name that is too long.
        raise FileNotFoundError(
            f"{bounded(root)} does not exist. Give a folder of images, or one image file."
        )
    if not root.is_dir():
        return [root]

    def unlisted(error: OSError) -> None:
        report_error(
            ImageReadError(error.filename, f"the folder cannot be listed ({error.strerror})"), on_error
        )

    readable, found = readable_extensions(), []
    for folder, subfolders, names in os.walk(root, onerror=unlisted):
        below = Path(folder).relative_to(root)
        subfolders[:] = [name for name in subfolders if not _is_left_out(below / name, exclude, True)]
        for name in names:
            path = Path(folder, name)
            if _is_left_out(below / name, exclude, False):
                continue
            if path.suffix.lower() not in readable:
                if on_other is not None and other_kind(path) is not None:
                    on_other(path)
                continue
            try:
                if path.is_file():
                    found.append(path)
            except OSError as error:  # its folder may be listed, but not entered
                report_error(
                    ImageReadError(path, f"the file cannot be looked at ({error.strerror})"), on_error
                )
    return sorted(found)


def is_excluded(id: str, exclude: Sequence[str] = ()) -> bool:
    """Return whether :func:`find_images` leaves out a file at the path ``id`` below the root, by its ``exclude``."""
    path = PurePosixPath(id)
    return _is_left_out(path, exclude, False) or any(
        _is_left_out(parent, exclude, True) for parent in path.parents if parent.name
    )


def _is_left_out(path: PurePath, exclude: Sequence[str], is_folder: bool) -> bool:
    """Whether a file or a folder, at a path below the root, is left out for its own name."""
    if path.name.startswith(".") or (is_folder and path.name.lower() in NOT_PHOTOS):
        return True
    return any(fnmatchcase(path.as_posix() if "/" in p else path.name, p.strip("/")) for p in exclude)


def id_of(path: str | os.PathLike, root: str | os.PathLike | None) -> str:
    """Return a photo's id: its path below the folder that was indexed, however that is spelt or linked.

    Parameters
    ----------
    path : str or PathLike
    root : str or PathLike, optional
        The folder, without links.  Of a photo elsewhere, or where ``root`` is None, the id is its absolute path.
    """
    path = Path(path)
    real = Path(os.path.realpath(path.parent), path.name)  # A link to a photo is a photo of its own.
    if root is not None and real.is_relative_to(root):
        return real.relative_to(root).as_posix()
    return os.fspath(real)


def iter_images(
    paths: Iterable[str | os.PathLike],
    *,
    side: int | None,
    color: bool = True,
    on_error: OnError | None = None,
    n_threads: int | None = None,
) -> Iterator[tuple[Path, np.ndarray]]:
    """Yield ``(path, image)`` in the order of ``paths``, decoded by several threads.

    The threads run ahead by a few images and no more, so a folder of any size needs little memory.

    Parameters
    ----------
    paths : iterable of str or PathLike
    side, color
        Images are as :func:`load_image` gives them.
    on_error : callable, optional
        Is given an :class:`ImageReadError` for each file that cannot be read, and the others go on; without
        it, the error is raised.
    n_threads : int, optional
        One for each processor by default, and with −1.

    Raises
    ------
    TypeError
        If ``paths`` is a single path.
    ValueError
        If ``side`` is less than 1, or ``n_threads`` is neither at least 1 nor −1.
    ImageReadError
        See ``on_error``.
    """
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(
            f"paths is the single path {bounded(repr(paths))}. Give a list of files, such as find_images(...)."
        )
    check_side(side)
    n_threads = thread_count(n_threads)
    require("PIL.Image", "images", "reading images")  # here, and not as an error of each file
    return _decoded(map(Path, paths), side, color, on_error, n_threads)


def load_images(
    paths: Iterable[str | os.PathLike],
    *,
    side: int,
    color: bool = True,
    on_error: OnError | None = None,
    n_threads: int | None = None,
) -> tuple[np.ndarray, list[Path]]:
    """Return the images that could be read, and their paths, both in the order of ``paths``.

    Parameters
    ----------
    paths : iterable of str or PathLike
    side : int
        Is required, since images of many shapes do not fit one array.
    color, on_error, n_threads
        As for :func:`iter_images`, and so are the errors.

    Returns
    -------
    images : (n, side, side, 3) or (n, side, side) float32
    kept : list of Path
        Their n paths.
    """
    if side is None:
        raise ValueError("side=None was given. Images fit one array only at one size, for example side=64.")
    every = paths if isinstance(paths, (str, bytes, os.PathLike)) else list(paths)
    images = iter_images(every, side=side, color=color, on_error=on_error, n_threads=n_threads)
    stacked = np.empty((len(every), side, side, 3) if color else (len(every), side, side), np.float32)
    kept: list[Path] = []
    for path, image in images:
        stacked[len(kept)] = image  # (side, side[, 3])
        kept.append(path)
    return stacked[: len(kept)], kept


def read_ahead(
    read: Callable[[Item], Result], items: Iterable[Item], n_threads: int
) -> Iterator[Future[Result]]:
    """Yield a future of ``read(item)`` for each item, in their order.

    Parameters
    ----------
    read : callable
        Is called in threads.
    items : iterable
    n_threads : int
        They run ahead by a few items and no more, so that many items need little memory.
    """
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="nsae-image")
    items = iter(items)
    try:
        waiting = deque(pool.submit(read, item) for item in islice(items, 2 * n_threads))
        while waiting:
            future = waiting.popleft()
            wait([future])
            waiting.extend(pool.submit(read, item) for item in islice(items, 1))
            yield future
    finally:  # also when the caller stops early
        pool.shutdown(cancel_futures=True)


def _decoded(
    paths: Iterable[Path], side: int | None, color: bool, on_error: OnError | None, n_threads: int
) -> Iterator[tuple[Path, np.ndarray]]:
    """The body of ``iter_images``, apart from it so that arguments are checked before the first image."""

    def read(path: Path) -> tuple[Path, np.ndarray]:
        return path, load_image(path, side=side, color=color)

    for future in read_ahead(read, paths, n_threads):
        try:
            path_and_image = future.result()
        except ImageReadError as error:
            report_error(error, on_error)
        else:
            yield path_and_image


def report_error(error: ImageReadError, on_error: OnError | None) -> None:
    """Give ``error`` to ``on_error``; raise it where that is None."""
    if on_error is None:
        raise error
    on_error(error)
