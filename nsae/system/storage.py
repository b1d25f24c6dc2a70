"""Writing files and folders so that a crash leaves either the old content or the new one.

New content is written beside its target under a temporary name, flushed to the disk, and renamed into place.
Where a file system cannot flush or lock, as on some network drives, that is left out and is no error.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from nsae.errors import bounded

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LONGEST_PATH = 4096  # characters; Linux allows a few less
# What file systems answer that cannot do what was asked.  EBADF comes from NFS, which locks no folders.
UNSUPPORTED = {
    getattr(errno, name, None)
    for name in ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK", "EBADF", "ENOTTY", "EACCES", "EPERM")
}


def refuse_existing(path: str | os.PathLike, overwrite: bool) -> Path:
    """Return the target ``path`` as a ``Path`` that may be written.

    Raises
    ------
    FileExistsError
        If it exists and ``overwrite`` is False.
    FileNotFoundError
        If the folder that is to hold it does not exist.
    OSError
        If it is longer than any file system allows.
    """
    target = Path(path)
    if len(os.fspath(target)) > LONGEST_PATH:
        raise OSError(
            errno.ENAMETOOLONG, f"{bounded(target)} is no path: up to {LONGEST_PATH} characters were expected"
        )
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(f"{target} exists already. Choose another name, or replace it: overwrite=True.")
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
    temporary = _temporary_name(target)
    try:
        with open(temporary, "x+b") as file:  # Writers may read what they wrote, to check it.
            yield file
            flush_to_disk(file)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make a temporary folder that gets the name ``path`` when the block ends without an error.

    ``path`` must not exist.  A folder cannot be replaced by one rename, and a crash between two renames would
    leave none.  Raises FileExistsError also where another writer makes ``path`` meanwhile.
    """
    target = refuse_existing(path, overwrite=False)
    temporary = _temporary_name(target)
    temporary.mkdir()
    try:
        yield temporary
        for name in temporary.iterdir():
            with open(name, "r+b") as file:  # Windows flushes only what is open for writing.
                flush_to_disk(file)  # Before the rename makes this the only content.
        try:
            os.rename(temporary, target)
        except OSError:
            refuse_existing(target, overwrite=False)  # Another writer was sooner.
            raise
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    flush_folder(target.absolute().parent)


def flush_to_disk(file: IO[bytes]) -> None:
    """Wait until the content of an open ``file`` is on the disk, where the file system can do that.

    Raises
    ------
    OSError
        If the content cannot be written, because the disk is full or fails.
    """
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise


def flush_folder(folder: Path) -> None:
    """Wait until the names in a ``folder`` are on the disk, where the file system can do that.

    A failure is no error: the names are there, and only a loss of power in the next seconds could undo them.
    """
    if fcntl is None:  # Windows cannot open folders.
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time into this block for a ``folder``; others wait.

    The lock ends with the process at the latest.  There is none on Windows, nor on file systems that cannot
    lock folders, such as NFS: there, two writers at a time are for the user to avoid.
    """
    handle = _lock(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def locked_file(path: Path, on_wait: Callable[[], object]) -> Iterator[None]:
    """Let one process at a time into this block for a file; others wait.

    Parameters
    ----------
    path : Path
        The file, which is made, and stays.  Where it cannot be made, or files cannot be locked, there is no lock.
    on_wait : callable
        Is called where another process is in the block.
    """
    handle = None
    if fcntl is not None:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if handle is not None and not _lock_now(handle):
            on_wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock_now(handle: int) -> bool:
    """Lock a file unless another process has; whether there is nothing to wait for."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    return True


def _lock(folder: Path) -> int | None:
    """Return a handle whose closing ends the lock, or None where folders cannot be locked."""
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except BaseException as error:
        os.close(handle)
        if isinstance(error, OSError) and error.errno in UNSUPPORTED:
            return None
        raise
    return handle


def _temporary_name(target: Path) -> Path:
    """Return a name beside the target that nothing has, and that is short enough where the target's is."""
    return target.absolute().with_name(f".{target.absolute().name[:40]}.{secrets.token_hex(4)}.part")
