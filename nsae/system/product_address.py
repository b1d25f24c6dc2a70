"""Where the matrix product of NumPy's own BLAS is in memory, for loops that ask it for products themselves."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np


@cache
def product_address(dtype: str) -> int | None:
    """Return the address of BLAS's function ``gemm`` for ``dtype``, "float32" or "float64".

    None if NumPy has a BLAS without functions of a known name whose sizes are 64-bit integers, as its wheels
    have it; see the interface ``cblas_?gemm`` of BLAS.
    """
    letter = {"float32": "s", "float64": "d"}[dtype]
    try:
        # A search in this module of NumPy also searches the libraries that it is linked to.
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    except (AttributeError, OSError):
        return None
    for prefix in ("scipy_cblas", "cblas"):
        function = getattr(library, f"{prefix}_{letter}gemm64_", None)
        if function is not None:
            return ctypes.cast(function, ctypes.c_void_p).value
    return None
