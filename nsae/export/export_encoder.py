"""export_encoder: a trained encoder as one Python file that imports NumPy alone.

The file has a docstring with the equations, the functions of :mod:`nsae.export.exported` and the activation of
:mod:`nsae.equations.activations`, copied as they are, and the weights in base64.
"""

from __future__ import annotations

import base64
import inspect
import keyword
import os
import textwrap
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nsae.equations.activations import Activation, KSparse, ReLU, Sigmoid
from nsae.export import exported
from nsae.models.encoder import BLOCK_ROWS, Encoder
from nsae.system.numpy_blas import blas_thread_functions
from nsae.system.storage import atomic_file

COLUMNS = 110  # of a line of base64

HEAD = '''"""Sparse codes of {d} numbers: {h} units, {active}.

This is a trained encoder, written by nsae.  It needs NumPy alone:

    from {module} import encode, encode_sparse
    Z = encode(X)                               # X (n, {d}) -> Z (n, {h}), of which most entries are 0
    indptr, units, values = encode_sparse(X)    # the other entries of Z, as SciPy's csr_matrix has them

or, in a shell:

    python {module}.py X.npy Z.npy

The code z of a row x is, with the numbers that the equations have in nsae,

    y = W x + b                                 (1)
    z = g(y)                                    (2)

with W ({h}, {d}) and b ({h},) at the end of this file, and g the {activation} (4).
{about}The codes are the bits of ``Encoder.encode`` of nsae, with the same NumPy on the same processor.
"""

from __future__ import annotations

import base64
import ctypes
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np

BLOCK_ROWS = {block_rows}

_lock = threading.Lock()


def encode(X: np.ndarray) -> np.ndarray:
    """Return the codes of X (n, {d}) as an array Z (n, {h}) of {dtype}."""
    return np.concatenate(list(codes_of_rows(check_rows(X, {d}), W, b, g)))


def encode_sparse(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the codes of X (n, {d}) as (indptr, units, values), without zeros."""
    return as_pairs(codes_of_rows(check_rows(X, {d}), W, b, g))
'''

TAIL = '''def unpacked(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return W ({h}, {d}) and b ({h},)."""
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(text)), "{dtype_str}").astype("{dtype}")
    return numbers[: {h} * {d}].reshape({h}, {d}), numbers[{h} * {d} :]


g = {g}
W, b = unpacked(
    """
{weights}
"""
)

if __name__ == "__main__":
    main(encode)
'''


class HasEncoder(Protocol):
    """What can be exported: an encoder, or an estimator that has learned one."""

    def encoder(self) -> Any:
        """Return the frozen encoder."""


def export_encoder(encoder: HasEncoder, path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Write an encoder to one Python file that imports NumPy alone and gives the same codes.

    With the same NumPy on the same processor, its ``encode(X)`` returns the bits of ``encoder.encode(X)`` as a
    dense array, and ``encode_sparse(X)`` the three arrays of its ``Codes``.  The file holds no decoder.

    Parameters
    ----------
    encoder : SparseAutoencoder or Encoder
        Fitted.
    path : str or PathLike
        Such as "my_encoder.py"; the name must be one that Python can import.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    TypeError
        It is an encoder of another kind.
    ValueError
        The name cannot be imported.
    FileExistsError
        The file is there and ``overwrite`` is False.
    """
    target = check_python_name(path)
    frozen = encoder.encoder()
    if not isinstance(frozen, Encoder):
        raise TypeError(
            f"{type(frozen).__name__} cannot be exported: a SparseAutoencoder or an Encoder was expected."
        )
    text = source_of(frozen, target.stem)
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
    return target


def source_of(encoder: Encoder, module: str) -> str:
    """Return the text of the Python file for an ``encoder`` that will be imported as ``module``."""
    h, d = encoder.encoder_layer.W.shape
    dtype = encoder.encoder_layer.W.dtype
    fields = {"d": d, "h": h, "dtype": dtype.name, "dtype_str": dtype.newbyteorder("<").str}
    words = dict(zip(("active", "activation", "g"), _words(encoder.g, h), strict=True))
    head = HEAD.format(**fields, **words, module=module, about=_about(encoder), block_rows=BLOCK_ROWS)
    functions = (
        exported.check_rows,
        exported.codes_of_rows,
        exported.as_pairs,
        _activation_source(encoder.g),
        exported.one_blas_thread,
        blas_thread_functions,
        exported.main,
    )
    sources = [part if isinstance(part, str) else inspect.getsource(part) for part in functions]
    return "\n\n".join([head, *sources, TAIL.format(**fields, **words, weights=_weights(encoder))])


def _words(g: Activation, h: int) -> tuple[str, str, str]:
    """How many units are active, what the activation is called, and the call that makes it."""
    if isinstance(g, KSparse):
        active = f"of which at most {min(g.k, h)} are active"
        return active, f"k-sparse activation with k = {g.k}", f"KSparse({g.k})"
    if isinstance(g, ReLU):
        return "of which those above 0 are active", "rectified linear unit", "ReLU()"
    return "all of them in (0, 1)", "sigmoid", "Sigmoid()"


def _activation_source(g: KSparse | ReLU | Sigmoid) -> str:
    """The class of an activation, without its derivative, which only training needs."""
    before, _, _ = inspect.getsource(type(g)).partition("\n    def grad(")
    return before.rstrip() + "\n"


def _about(encoder: Encoder) -> str:
    """What the columns of X are, in the docstring of the file."""
    lines = ""
    shape = encoder.image_shape
    if shape is not None:
        scale = "0 to 255" if (encoder.preprocessing or {}).get("dtype") == "uint8" else "0 to 1"
        size = " × ".join(map(str, shape))
        lines += f"A row of X is an image of {size} pixels from {scale}, as image.reshape(-1) makes it.\n"
    if encoder.feature_names is not None:
        names = ", ".join(ascii(name) for name in encoder.feature_names)
        lines += "\n".join(textwrap.wrap(f"The columns of X: {names}.", COLUMNS)) + "\n"
    return lines.replace("\\", "\\\\").replace('"', '\\"')


def _weights(encoder: Encoder) -> str:
    """W and b, compressed, in base64, in lines."""
    layer = encoder.encoder_layer
    numbers = np.concatenate([layer.W.ravel(), layer.b])  # (h·d + h,)
    packed = zlib.compress(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes(), 9)
    text = base64.b64encode(packed).decode()
    return "\n".join(text[start : start + COLUMNS] for start in range(0, len(text), COLUMNS))
