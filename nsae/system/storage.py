"""Writing files and folders so that a crash leaves either the old content or the new one.

New content is written beside its target under a temporary name, flushed to the disk, and renamed into place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]


def refuse_existing(path: str | os.PathLike, overwrite: bool) -> Path:
    """Return the target ``path`` as a ``Path`` that may be written.

    Raises
    ------
    FileExistsError
        If it exists and ``overwrite`` is False.
    FileNotFoundError
        If the folder that is to hold it does not exist.
    """
    target = Path(path)
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(
            f"{target} exists already. Choose another name, or replace it: overwrite=True, or --force."
        )
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"The folder {target.absolute().parent} does not exist. Create it first.")
    return target


@contextmanager
def atomic_file(path: str | os.PathLike, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of ``path`` when the block ends without an error.

    Parameters
    ----------
    path : path
        The target.
    overwrite : bool
        Whether it may exist already.
    """
    target = refuse_existing(path, overwrite)
    handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 (closed below, before the rename)
        dir=target.absolute().parent, prefix=f".{target.name}.", suffix=".part", delete=False
    )
    try:
        with handle:
            yield handle  # type: ignore[misc]
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(handle.name, 0o666 & ~_umask())  # A temporary file is private, its target is not.
        os.replace(handle.name, target)
    except BaseException:
        Path(handle.name).unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make a temporary folder that gets the name ``path`` when the block ends without an error.

    ``path`` must not exist.  A folder cannot be replaced by one rename, and a crash between two renames would
    leave none.
    """
    target = refuse_existing(path, overwrite=False)
    parent = target.absolute().parent
    fresh = Path(tempfile.mkdtemp(dir=parent, prefix=f".{target.name}.", suffix=".part"))
    try:
        yield fresh
        for file in fresh.iterdir():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())  # Before the rename makes this the only content.
        os.chmod(fresh, 0o777 & ~_umask())
        os.rename(fresh, target)
        sync_folder(parent)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the names in a ``folder`` are on the disk, where the system can do that."""
    if fcntl is not None:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time into this block for a ``folder``; others wait.

    The lock ends with the process at the latest.  On systems without ``flock``, such as Windows, there is none.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _umask() -> int:
    """Return the umask of the process.  It can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
