"""Which backend runs the hot loops: NumPy, or Numba where it can be used."""

from __future__ import annotations

import importlib
import math
import warnings
from functools import cache

from nsae.errors import MissingExtraError
from nsae.validation import one_of

BACKENDS = ("auto", "numpy", "numba")
MIN_MULTIPLICATIONS = 2e8  # With fewer, compiled loops save less time than the import of Numba takes.


def resolve_backend(backend: str, work: float = math.inf) -> str:
    """Return "numpy" or "numba" for the ``backend`` that was asked for.

    Parameters
    ----------
    backend : "auto", "numpy" or "numba"
        "auto" is "numba" where it can be used and there is enough work.  Where it is installed, and cannot be
        imported or compiles nothing, "auto" is "numpy", and a warning gives the reason once.
    work : float
        Multiplications of one product with W, of all samples and epochs together.

    Raises
    ------
    MissingExtraError
        If "numba" is asked for and cannot be used.
    ValueError
        If ``backend`` is none of the three.
    """
    one_of("backend", backend, BACKENDS)
    if backend == "numpy" or (backend == "auto" and work < MIN_MULTIPLICATIONS):
        return "numpy"
    problem = _problem_of_numba()
    if problem and backend == "numba":
        raise MissingExtraError(
            f"backend='numba' needs numba, which {problem}. "
            'Install it with: pip install "nsae[fast]", or use backend="auto".'
        )
    return "numpy" if problem else "numba"


@cache  # A failed import is not tried again: it would cost time in each call.
def _problem_of_numba() -> str:
    """Return why the compiled loops cannot be used, or "" if they can."""
    failed = "cannot be imported"
    try:
        kernels = importlib.import_module("nsae.kernels")
        failed = "cannot compile a loop"
        # What it takes, the first loop would take otherwise: the compiler gets ready.
        kernels.next_distance(1.0)
    except ModuleNotFoundError as error:
        if error.name == "numba":
            return "is not installed"
        reason: Exception = error
    except (
        Exception
    ) as error:  # Besides ImportError: SystemError and AttributeError, with a NumPy too new for it.
        reason = error
    else:
        return ""
    problem = f"{failed} ({type(reason).__name__}: {reason})"
    warnings.warn(
        f"numba is installed, but {problem}. nsae computes with NumPy instead, which takes longer. "
        'Install versions that go together: pip install --upgrade "nsae[fast]"',
        stacklevel=3,
    )
    return problem
