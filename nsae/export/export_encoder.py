"""export_encoder: a trained encoder as one Python file that imports NumPy alone.

The file has a docstring with the equations, functions of nsae that are copied as they are, and the weights in
base64.  :mod:`nsae.export.rows` and :mod:`nsae.export.images` choose what stands in it.
"""

from __future__ import annotations

import keyword
import os
import sys
from pathlib import Path
from typing import Any, Protocol

from nsae.export.images import source_of_images
from nsae.export.rows import source_of_rows
from nsae.images.pipeline import ImagePipeline
from nsae.models.encoder import Encoder
from nsae.system.storage import atomic_file


class HasEncoder(Protocol):
    """What can be exported: an encoder, or an estimator that has learned one."""

    def encoder(self) -> Any:
        """Return the frozen encoder."""


def export_encoder(encoder: HasEncoder, path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Write an encoder to one Python file that imports NumPy alone and gives the same codes.

    With the same NumPy on the same processor, its ``encode(X)`` returns the bits of ``encoder.encode(X)`` as a
    dense array, and ``encode_sparse(X)`` the three arrays of its ``Codes``.  An image encoder's takes arrays of
    images of its own size.  The file holds no decoder.

    Parameters
    ----------
    encoder : SparseAutoencoder, ImageEncoder, Encoder or ImagePipeline
        Fitted.
    path : str or PathLike
        Such as "my_encoder.py"; the name must be one that Python can import.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    TypeError
        It is no encoder of nsae.
    ValueError
        The name cannot be imported.
    FileExistsError
        The file is there and ``overwrite`` is False.
    """
    target = check_python_name(path)
    frozen = encoder.encoder() if hasattr(encoder, "encoder") else encoder
    if isinstance(frozen, ImagePipeline):
        text = source_of_images(frozen, target.stem)
    elif isinstance(frozen, Encoder):
        text = source_of_rows(frozen, target.stem)
    else:
        raise TypeError(
            f"A {type(frozen).__name__} cannot be exported; a SparseAutoencoder or an ImageEncoder was expected, or "
            "what nsae.load_encoder returns."
        )
    with atomic_file(target, overwrite=overwrite) as file:
        file.write(text.encode("utf-8"))


def check_python_name(path: str | os.PathLike) -> Path:
    """Return ``path`` if Python can import a file of its name, or raise ValueError."""
    target = Path(path)
    if target.suffix != ".py" or not target.stem.isidentifier() or keyword.iskeyword(target.stem):
        raise ValueError(
            f"{target.name} is no name that Python can import. Use letters, digits and _, and end it in .py, such as "
            "my_encoder.py."
        )
    if target.stem == "numpy" or target.stem in sys.stdlib_module_names:
        raise ValueError(
            f"{target.name} has the name of a module that it imports, or of one of Python's own. Use another, such "
            "as my_encoder.py."
        )
    return target
