"""Where results go: places are checked before the work begins, and text is made printable."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nsae.errors import bounded, require
from nsae.retrieval.on_disk.index_folder import MANIFEST
from nsae.system.storage import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg")


def check_file(path: str | os.PathLike, force: bool) -> Path:
    """Return the ``path`` of a file that can be written, or raise an OSError that says why not.

    With ``force``, a file that exists may be replaced.
    """
    target = _checked(path, force)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder, where a file was expected. Choose another name.")
    return target


def check_index(path: str | os.PathLike, force: bool) -> Path:
    """Return the ``path`` of an index that can be written, or raise an OSError that says why not.

    With ``force``, an index that exists may be replaced, and nothing else.
    """
    target = _checked(path, force)
    if os.path.lexists(target) and not (target / MANIFEST).is_file():
        raise FileExistsError(
            f"{target} exists and is not an index, so it is not replaced, not even with --force. "
            "Choose another name."
        )
    return target


def check_picture(path: str | os.PathLike, force: bool) -> Path:
    """Return the ``path`` of a picture that can be written, as :func:`check_file` does with ``force``.

    Raises ValueError for a suffix that is no picture's, and ImportError without matplotlib.
    """
    target = Path(path)
    if target.suffix.lower() not in PICTURES:
        raise ValueError(f"{target}: a picture's name is expected to end in {', '.join(PICTURES)}.")
    require("matplotlib.figure", "plots", "drawing pictures")
    return check_file(target, force)


def check_page(path: str | os.PathLike, force: bool) -> Path:
    """Return the ``path`` of a gallery that can be written, as :func:`check_file` does with ``force``.

    Raises ImportError without Pillow.
    """
    require("PIL.Image", "images", "galleries")
    return check_file(path, force)


def save_picture(figure: Figure, path: Path, force: bool) -> None:
    """Write a ``figure`` to ``path``, in the format that its suffix says, whole or not at all.

    With ``force``, a file that exists is replaced.
    """
    with atomic_file(path, overwrite=force) as file:
        figure.savefig(file, format=path.suffix[1:].lower())


def printable(text: str) -> str:
    r"""Return ``text`` on one line: what a terminal would act on, and bytes that are no text, become ``\x1b``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_json(value: Any) -> str:
    """Return ``value`` as strict JSON, in which NaN and infinity are null."""
    return json.dumps(_finite(value), default=str, allow_nan=False)


def report(as_object: bool, figures: dict[str, Any]) -> None:
    """Print ``figures`` by name: one JSON object where ``as_object`` is true, else a line a figure."""
    if as_object:
        print(as_json({name.replace(" ", "_"): value for name, value in figures.items()}))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        shown = f"{value:.4g}" if isinstance(value, float) else printable(str(value))
        print(f"{name:<{width}}  {shown}")


def any_streams() -> None:
    """Make stdout and stderr take all that is printed, also if they are closed, or lack a letter."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (open to the end)
        elif name == "stdout" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _checked(path: str | os.PathLike, force: bool) -> Path:
    target = Path(path)
    folder = target.absolute().parent
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"The folder {bounded(folder)} does not exist. Create it first.")
    if os.path.lexists(target) and not force:
        raise FileExistsError(f"{target} exists already. Choose another name, or replace it: --force.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"The folder {folder} cannot be written to. Choose another one.")
    return target


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
