"""Compiling kernels, and keeping what was compiled for the next process.

Numba keeps a compiled function in a cache and compiles it anew when the file that defines it has changed.  It does
not look at the other files that the function was compiled from: those of functions that it calls, and of records
that it is given, whose fields it finds by their position.  Here the name of each cache file has a hash of all these
files, so that a change of any of them compiles anew.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock

# Records that compiled loops are given, besides those in this folder.  A test finds out if one is missing.
RECORDS = ("images/features/pooling.py", "images/features/screening.py", "retrieval/search/records.py")

_told = False

if hasattr(os, "register_at_fork"):
    # A process forked while another thread compiles would wait for ever for the lock of the compiler.
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator ``numba.njit`` with these ``options`` and a cache that depends on all kernels.

    Where nothing can be kept, as in a read-only installation without a home folder, or on a full disk, the
    function is compiled in each process, and a warning says so once.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        name = function.__qualname__
        function.__qualname__ = f"{name}.{sources_hash()}"  # Numba makes the name of the cache file from it.
        try:
            compiled = numba.njit(**options)(function)
        except (RuntimeError, OSError) as error:  # There is no folder for the cache.
            _tell(error)
            compiled = numba.njit(**{**options, "cache": False})(function)
        finally:
            function.__qualname__ = name
        _guard(getattr(compiled, "_cache", None))
        return compiled

    return decorate


@cache
def sources_hash() -> str:
    """Return 12 hexadecimal digits that change when a source file of this folder or of ``RECORDS`` changes."""
    package = files(__package__.partition(".")[0])
    sources = [package / "kernels" / file.name for file in (package / "kernels").iterdir()]
    sources += [package / name for record in RECORDS for name in (record, f"{record}c")]
    digest = sha256()
    for file in sorted(sources, key=str):
        if file.name.endswith((".py", ".pyc")) and file.is_file():  # .pyc in an installation without sources
            content = file.read_bytes()
            digest.update(f"{file.name} {len(content)} ".encode() + content)
    return digest.hexdigest()[:12]


def _guard(kept: Any) -> None:
    """Make a cache of Numba that cannot be read or written a reason to compile, and not to fail."""
    if not hasattr(kept, "load_overload"):  # The compiler is switched off: NUMBA_DISABLE_JIT.
        return
    load, save = kept.load_overload, kept.save_overload
    if hasattr(kept, "_cache_file"):  # A loop that only others call has none.
        _name_files_by_types(kept._cache_file)

    def load_overload(*args: Any) -> Any:
        try:
            return load(*args)
        except Exception as error:  # A damaged file raises whatever pickle raises.
            try:
                kept.flush()  # It is written again after compiling.
            except Exception:
                _tell(error)
            return None

    def save_overload(*args: Any) -> None:
        try:
            save(*args)
            if kept.cache_path:
                _remove_old_files(kept.cache_path)
        except Exception as error:
            with suppress(Exception):
                kept.flush()  # The index may name a file that was not written.
            _tell(error)

    kept.load_overload, kept.save_overload = load_overload, save_overload


def _name_files_by_types(files: Any) -> None:
    """Give the compiled code for each combination of types a file name of its own.

    Numba counts the files in its index and takes the next number.  Two processes that compile one function for
    different types at once would take the same number, and later processes would load the wrong code.
    """
    numbered, save = files._data_name, files.save

    def save_by_types(key: Any, data: Any) -> None:
        first = int(sha256(repr(key).encode()).hexdigest()[:12], 16)
        files._data_name = lambda number: numbered(first + number)
        save(key, data)

    files.save = save_by_types


@cache  # Once for each folder.
def _remove_old_files(folder: str) -> None:
    """Remove the cache files of earlier sources, which nothing can use any more."""
    for file in Path(folder).iterdir():
        made_from = re.search(r"\.([0-9a-f]{12})-\d+\.py\d.*\.nb[ci]$", file.name)
        if made_from and made_from[1] != sources_hash():
            file.unlink(missing_ok=True)


def _tell(error: Exception) -> None:
    global _told
    if not _told:
        _told = True
        warnings.warn(
            f"Compiled loops cannot be kept, so each process compiles them anew, which takes some seconds ({error}). "
            "Set the environment variable NUMBA_CACHE_DIR to a folder that can be written to.",
            stacklevel=2,
        )
