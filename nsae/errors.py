"""The errors that nsae raises besides ValueError and TypeError.

Each message says what came, what was expected, and what to do.  Each class is also the builtin error that a
caller would expect, so that ``except ValueError`` catches it.
"""

from __future__ import annotations

import importlib
from types import ModuleType

LONGEST = 2000  # Characters of a message; what came may be a path, or a name in a file, of millions.
KEPT = 600  # of them at each end: what came, and the way out


def bounded(text: object) -> str:
    """Return ``text`` as it is or, where it is longer than a message may be, with its middle left out."""
    whole = str(text)
    return whole if len(whole) <= LONGEST else f"{whole[:KEPT]}… ({len(whole):,} characters) …{whole[-KEPT:]}"


class ModelFormatError(ValueError):
    """A model or index file is missing, truncated, of another program, or from another version of nsae.

    Parameters
    ----------
    *texts : object
        The message, mostly one text.  Of a text of more than 2,000 characters, the middle is left out.
    """

    def __init__(self, *texts: object):
        super().__init__(*map(bounded, texts))


class ImageReadError(ValueError):
    """An image could not be decoded.

    Parameters
    ----------
    path : path
        The file.
    reason : str
        Why, in one line.
    lasting : bool
        Whether the reason is in the file, so that it stays until the file changes.  Otherwise a setting, or a
        package, makes it readable.
    """

    def __init__(self, path: object, reason: str, lasting: bool = True):
        super().__init__(bounded(f"{path}: {reason}"))
        self.path = path
        self.reason = reason
        self.lasting = lasting

    def __reduce__(self) -> tuple[type, tuple[object, str, bool]]:
        """Return what pickle needs, so that the error can come back from another process."""
        return type(self), (self.path, self.reason, self.lasting)


class NotFittedError(ValueError, AttributeError):
    """A model is used before ``fit``, ``partial_fit`` or ``load``."""


class MissingExtraError(ImportError):
    """An optional dependency is missing or cannot be used.  The message names the command that installs it."""


class UsageError(ValueError):
    """Options of the command line do not go together."""


def require(module: str, extra: str, what: str) -> ModuleType:
    """Import and return a module of an optional dependency.

    Parameters
    ----------
    module : str
        Its name, such as ``"matplotlib.figure"``.
    extra : str
        The name in ``pip install "nsae[extra]"``.
    what : str
        The feature that needs it, for the message.

    Raises
    ------
    MissingExtraError
        If it is not installed or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except Exception as error:  # A package for another NumPy may raise AttributeError or SystemError.
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name in (package, module)
        state = "is not installed" if missing else f"cannot be imported ({type(error).__name__}: {error})"
        raise MissingExtraError(
            f'{what} needs {package}, which {state}. Install it with: pip install "nsae[{extra}]"'
        ) from error


class CollapseWarning(UserWarning):
    """A fit has learned nothing that is of use: its codes are near zero, or it explains nothing of the data."""
