"""Which backend runs the hot loops: NumPy, or Numba where it is installed."""

from __future__ import annotations

import importlib.util
import math

from nsae.errors import MissingExtraError
from nsae.validation import one_of

BACKENDS = ("auto", "numpy", "numba")
SMALL = 2e8  # multiplications: with fewer, compiled loops save less time than Numba takes to be imported


def resolve_backend(backend: str, work: float = math.inf) -> str:
    """ "numpy" or "numba"; "auto" is numba where it is installed and there is enough to do.

    ``work`` is the multiplications of one product with W, all samples and epochs together.
    """
    one_of("backend", backend, BACKENDS)
    installed = importlib.util.find_spec("numba") is not None
    if backend == "numba" and not installed:
        raise MissingExtraError(
            "backend='numba' needs numba, which is not installed. "
            'Install it with: pip install "nsae[fast]", or use backend="auto".'
        )
    if backend == "auto":
        return "numba" if installed and work >= SMALL else "numpy"
    return backend
