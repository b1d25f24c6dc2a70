"""The errors that nsae raises beyond ValueError and TypeError.

Each says what came, what was expected, and the way out.  They subclass the builtin that a
caller would expect, so ``except ValueError`` keeps working.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class ModelFormatError(ValueError):
    """A model or index file that is missing, truncated, foreign, or from a newer nsae."""


class ImageReadError(ValueError):
    """An image that could not be decoded.  ``path`` is the file, ``reason`` one line why."""

    def __init__(self, path: object, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason

    def __reduce__(self) -> tuple:  # as any error, it can come back from another process
        return type(self), (self.path, self.reason)


class NotFittedError(ValueError, AttributeError):
    """A model that is used before ``fit``, ``partial_fit`` or ``load``."""


class MissingExtraError(ImportError):
    """An optional dependency that is not installed; the message names the command."""


class UsageError(ValueError):
    """Options of the command line that do not go together."""


def require(module: str, extra: str, what: str) -> ModuleType:
    """Import ``module``, or raise :class:`MissingExtraError` that says how to get it.

    ``extra`` is the name in ``pip install "nsae[extra]"``; ``what`` is the feature that needs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError)
        state = "is not installed" if missing else f"cannot be imported ({error})"
        raise MissingExtraError(
            f'{what} needs {package}, which {state}. Install it with: pip install "nsae[{extra}]"'
        ) from error
