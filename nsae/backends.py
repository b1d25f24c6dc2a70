"""Which backend runs the hot loops: NumPy, or Numba where it is installed."""

from __future__ import annotations

import importlib.util

from nsae.errors import MissingExtraError, one_of

BACKENDS = ("auto", "numpy", "numba")


def resolve_backend(backend: str) -> str:
    """ "numpy" or "numba"; "auto" is numba where it is installed."""
    one_of("backend", backend, BACKENDS)
    installed = importlib.util.find_spec("numba") is not None
    if backend == "numba" and not installed:
        raise MissingExtraError(
            "backend='numba' needs numba, which is not installed. "
            'Install it with: pip install "nsae[fast]", or use backend="auto".'
        )
    return "numba" if installed and backend != "numpy" else "numpy"
