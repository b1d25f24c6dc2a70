"""Which backend runs the hot loops: NumPy, or Numba where it is installed."""

from __future__ import annotations

import importlib.util
import math

from nsae.errors import MissingExtraError
from nsae.validation import one_of

BACKENDS = ("auto", "numpy", "numba")
MIN_MULTIPLICATIONS = 2e8  # With fewer, compiled loops save less time than the import of Numba takes.


def resolve_backend(backend: str, work: float = math.inf) -> str:
    """Return "numpy" or "numba" for the ``backend`` that was asked for.

    Parameters
    ----------
    backend : "auto", "numpy" or "numba"
        "auto" is "numba" where it is installed and there is enough work.
    work : float
        Multiplications of one product with W, of all samples and epochs together.

    Raises
    ------
    MissingExtraError
        If "numba" is asked for and not installed.
    ValueError
        If ``backend`` is none of the three.
    """
    one_of("backend", backend, BACKENDS)
    installed = importlib.util.find_spec("numba") is not None
    if backend == "numba" and not installed:
        raise MissingExtraError(
            "backend='numba' needs numba, which is not installed. "
            'Install it with: pip install "nsae[fast]", or use backend="auto".'
        )
    if backend == "auto":
        return "numba" if installed and work >= MIN_MULTIPLICATIONS else "numpy"
    return backend
