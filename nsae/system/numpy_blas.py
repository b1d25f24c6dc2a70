"""The number of threads of NumPy's own BLAS, where threadpoolctl is not installed to set it.

This file needs NumPy alone, because ``nsae.export_encoder`` copies its function into what it writes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np


def blas_thread_functions() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """Return what reads and what sets the number of threads of NumPy's OpenBLAS; None if it has another BLAS.

    NumPy's wheels for Linux bring an OpenBLAS, whose functions have other names from version to version.
    """
    try:
        # A search in this module of NumPy also searches the libraries that it is linked to.
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)
    except (AttributeError, OSError):
        return None
    for prefix in ("scipy_openblas", "openblas"):
        for suffix in ("64_", ""):
            get_threads = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
            set_threads = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
            if get_threads is not None and set_threads is not None:
                return get_threads, set_threads
    return None
