"""What all scripts do with what they are given: numbers, places, packages, and one line where something is wrong."""

from __future__ import annotations

import argparse
import importlib.util
import math
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

FAILED = 2  # exit code where a script could not do its work; 1 is for figures that are not as they must be
INTERRUPTED = 130


def positive(text: str) -> int:
    """Return the whole number of 1 or more that an option's ``text`` stands for."""
    return _whole(text, 1)


def from_zero(text: str) -> int:
    """Return the whole number of 0 or more that an option's ``text`` stands for."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r} came; a whole number of {least} or more was expected")
    return value


def positive_number(text: str) -> float:
    """Return the finite number above 0 that an option's ``text`` stands for."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} came; a number above 0 was expected")
    return value


def new_file(text: str) -> Path:
    """Return the path that an option's ``text`` names, if a file can be written there.

    It is tried before anything is measured: an hour later it would be too late.  The folder is made.
    """
    path = Path(text)
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be written ({_reason(error)}); a file in a folder that you may write to was expected"
        ) from error
    return path


def picture(text: str) -> Path:
    """Return the path that an option's ``text`` names, if matplotlib can draw into such a file."""
    path = new_file(text)
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise argparse.ArgumentTypeError(
            f"{text!r} came; a name that ends in .png, .pdf or .svg was expected"
        )
    return path


def new_folder(text: str) -> Path:
    """Return the path that an option's ``text`` names, if files can be written there.  The folder is made."""
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be written to ({_reason(error)}); a folder that you may write to was expected"
        ) from error
    return path


def there(*modules: str) -> bool:
    """Return whether all of these ``modules`` are installed."""
    return all(importlib.util.find_spec(module) is not None for module in modules)


def need(what: str, *modules: str, install: str) -> None:
    """Raise a ModuleNotFoundError that names what is missing of some ``modules``, and how to get it.

    Parameters
    ----------
    what
        The script or the part of it, as the first words of the message.
    modules
        Names of packages as they are imported.
    install
        The command that installs them.
    """
    missing = [module for module in modules if not there(module)]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ModuleNotFoundError(
            f"{what} needs {' and '.join(missing)}, which {verb} not installed. To install: {install}"
        )


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` the option --debug, which :func:`run` looks for."""
    parser.add_argument("--debug", action="store_true", help="show where in the program an error came from")


def run(main: Callable[[], int | None]) -> int:
    """Return the exit code of ``main``; what stops it becomes one line on stderr.

    The exit code is then 2, or 130 after Ctrl-C.
    """
    try:
        return main() or 0
    except KeyboardInterrupt:
        reason, code = "interrupted", INTERRUPTED
    except (OSError, ValueError, ImportError, tarfile.TarError, subprocess.CalledProcessError) as error:
        if "--debug" in sys.argv:
            raise
        hint = "  (--debug shows where in the program)" if isinstance(error, ValueError) else ""
        reason, code = f"{_reason(error)}{hint}", FAILED
    print(f"{Path(sys.argv[0]).name}: {reason}", file=sys.stderr, flush=True)
    return code


def _reason(error: Exception) -> str:
    """Return what an error says, as a person would say it."""
    if isinstance(error, subprocess.CalledProcessError):
        return f"a process that it started ended with exit code {error.returncode}; see what that said above"
    if isinstance(error, tarfile.TarError):
        return f"an archive of images is damaged or cut short ({str(error).splitlines()[0]}); fetch it again"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__
