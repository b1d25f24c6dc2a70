"""The exported file of an ``Encoder``, which reads rows of numbers."""

from __future__ import annotations

import textwrap

from nsae.equations.activations import JumpReLU, KSparse, ReLU
from nsae.export import exported
from nsae.export.python_file import COLUMNS, activation_call, python_file
from nsae.models.encoder import Encoder

ABOUT = """Sparse codes of {d} numbers: {h} units, {active}.

This is a trained encoder, written by nsae.  It needs NumPy alone:

    from {module} import encode, encode_sparse
    Z = encode(X)                               # X (n, {d}) -> Z (n, {h})
    indptr, units, values = encode_sparse(X)    # the entries of Z that are not 0, as SciPy's csr_matrix has them

or, in a shell:

    python {module}.py X.npy Z.npy

The code z of a row x is, with the numbers that the equations have in nsae,

    y = W x + b                                 (1)
    z = g(y)                                    (2)

with W ({h}, {d}) and b ({h},) at the end of this file, and g the {activation} {number}.
{about}The codes are the bits of ``Encoder.encode`` of nsae, with the same NumPy on the same processor.
"""

ENCODE = '''def encode(X: np.ndarray) -> np.ndarray:
    """Return the codes of X (n, {d}) as an array Z (n, {h}) of {dtype}."""
    return np.concatenate(list(codes_of_rows(check_rows(X, {d}), W, b, g)))


def encode_sparse(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the codes of X (n, {d}) as (indptr, units, values), without zeros."""
    return as_pairs(codes_of_rows(check_rows(X, {d}), W, b, g))
'''


def source_of_rows(encoder: Encoder, module: str) -> str:
    """Return the text of the Python file for an ``encoder`` that will be imported as ``module``."""
    layer, g = encoder.encoder_layer, encoder.g
    h, d = layer.W.shape
    if isinstance(g, KSparse):
        active = f"of which at most {min(g.k, h)} are active"
        activation = f"k-sparse activation with k = {g.k}"
    elif isinstance(g, ReLU):
        active, activation = "of which those above 0 are active", "rectified linear unit"
    elif isinstance(g, JumpReLU):
        active, activation = (
            "of which those above their thresholds are active",
            "JumpReLU with thresholds theta",
        )
    else:
        active, activation = "all of them in (0, 1)", "sigmoid"
    about = ABOUT.format(
        d=d,
        h=h,
        module=module,
        active=active,
        activation=activation,
        number="(48)" if isinstance(g, JumpReLU) else "(4)",
        about=_about_columns(encoder),
    )
    return python_file(
        about,
        ENCODE.format(d=d, h=h, dtype=layer.W.dtype.name),
        [exported.check_rows, type(g)],
        {"W": layer.W, "b": layer.b, **({"theta": g.theta} if isinstance(g, JumpReLU) else {})},
        f"g = {activation_call(g)}",
    )


def _about_columns(encoder: Encoder) -> str:
    """What the columns of X are, for the docstring of the file."""
    lines = ""
    shape = encoder.image_shape
    if shape is not None:
        scale = "0 to 255" if (encoder.preprocessing or {}).get("dtype") == "uint8" else "0 to 1"
        size = " × ".join(map(str, shape))
        lines += f"A row of X is an image of {size} pixels from {scale}, as image.reshape(-1) makes it.\n"
    if encoder.feature_names is not None:
        names = ", ".join(ascii(name) for name in encoder.feature_names)
        lines += "\n".join(textwrap.wrap(f"The columns of X: {names}.", COLUMNS)) + "\n"
    return lines
