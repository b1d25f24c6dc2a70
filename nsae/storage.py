"""Writing files and folders so that a crash leaves either the old state or the new one.

The new content is written beside its target under a temporary name and renamed into place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def refuse_existing(path: str | os.PathLike, overwrite: bool) -> Path:
    """The target as a ``Path``; FileExistsError if it is there and may not be replaced."""
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
    """A binary file to write to; it takes the place of ``path`` when the block ends without error."""
    target = refuse_existing(path, overwrite)
    handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 (closed below, before the rename)
        dir=target.absolute().parent, prefix=f".{target.name}.", suffix=".part", delete=False
    )
    try:
        with handle:
            yield handle  # type: ignore[misc]
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(handle.name, 0o666 & ~_umask())  # a temporary file is private; its target is not
        os.replace(handle.name, target)
    except BaseException:
        Path(handle.name).unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | os.PathLike, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder to fill; it takes the place of ``path`` when the block ends without error.

    A folder cannot be replaced in one rename, so the old one is first moved aside.
    """
    target = refuse_existing(path, overwrite)
    parent = target.absolute().parent
    fresh = Path(tempfile.mkdtemp(dir=parent, prefix=f".{target.name}.", suffix=".part"))
    try:
        yield fresh
        for file in fresh.iterdir():
            with open(file, "rb") as handle:
                os.fsync(handle.fileno())  # on the disk before the rename makes them the only content
        os.chmod(fresh, 0o777 & ~_umask())
        if os.path.lexists(target):
            aside = Path(tempfile.mkdtemp(dir=parent, prefix=f".{target.name}.", suffix=".old"))
            old = aside / target.name
            try:
                os.replace(target, old)
                os.replace(fresh, target)
            except BaseException:
                if os.path.lexists(old):
                    os.replace(old, target)  # where this fails too, the old content stays aside
                aside.rmdir()
                raise
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.replace(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _umask() -> int:
    """The process's umask (which can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
