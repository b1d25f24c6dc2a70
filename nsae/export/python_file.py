"""The text of an exported file, put together: what it says of itself, functions that are copied, and weights."""

from __future__ import annotations

import base64
import inspect
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nsae.equations.activations import FrozenActivation, JumpReLU
from nsae.export import exported
from nsae.models.layer_codes import BLOCK_ROWS
from nsae.system.numpy_blas import blas_thread_functions

COLUMNS = 110  # of a line of base64

IMPORTS = """
from __future__ import annotations

import base64
import ctypes
import math
import sys
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
{typing}
import numpy as np

BLOCK_ROWS = {block_rows}

_lock = threading.Lock()
"""
ENCODE = (exported.codes_of_rows, exported.as_pairs)
SMALL_STEPS = (exported.one_blas_thread, blas_thread_functions, exported.unpacked, exported.main)

TAIL = """{names} = unpacked(
    \"\"\"
{weights}
\"\"\",
    [
{kinds}
    ],
)
{settings}

if __name__ == "__main__":
    main(encode)
"""


def python_file(
    about: str,
    encode: str,
    functions: Sequence[Callable[..., object] | type],
    arrays: Mapping[str, np.ndarray],
    settings: str,
) -> str:
    """Return the text of a Python file.

    Parameters
    ----------
    about : str
        The content of its docstring.
    encode : str
        The text of its own functions, which are not copied.
    functions : sequence of functions and classes
        They are copied, in this order.
    arrays : mapping of str to array
        Weights, by the names that they have in the file.
    settings : str
        Lines that make the other names that ``encode`` needs.
    """
    quoted = about.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    tail = TAIL.format(
        names=", ".join(arrays),
        weights=_in_base64(arrays),
        kinds="\n".join(
            f'        ("{_little(array).dtype.str}", {array.shape}),  # {name}'
            for name, array in arrays.items()
        ),
        settings=settings,
    )
    sources = [_without_grad(function) for function in (*functions, *ENCODE, *SMALL_STEPS)]
    typing = "from typing import NamedTuple\n" if any("(NamedTuple)" in source for source in sources) else ""
    head = f'"""{quoted}"""\n{IMPORTS.format(typing=typing, block_rows=BLOCK_ROWS)}'
    return "\n\n".join([head, encode, *sources, tail])


def activation_call(g: FrozenActivation) -> str:
    """Return the expression that makes ``g``: ``KSparse(32)``, ``ReLU()``, ``Sigmoid()`` or ``JumpReLU(theta)``."""
    if isinstance(g, JumpReLU):
        return "JumpReLU(theta)"  # an array of the file
    return f"{type(g).__name__}({getattr(g, 'k', '')})"


def _without_grad(function: Callable[..., object] | type) -> str:
    """The source of a function or class; of an activation, without its derivative, which only training needs."""
    before, _, _ = inspect.getsource(function).partition("\n    def grad(")
    return before.rstrip() + "\n"


def _little(array: np.ndarray) -> np.ndarray:
    return array.astype(array.dtype.newbyteorder("<"))


def _in_base64(arrays: Mapping[str, np.ndarray]) -> str:
    """The arrays, one after the other, compressed, in lines."""
    packed = zlib.compress(b"".join(_little(array).tobytes() for array in arrays.values()), 9)
    text = base64.b64encode(packed).decode()
    return "\n".join(text[start : start + COLUMNS] for start in range(0, len(text), COLUMNS))
