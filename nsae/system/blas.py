"""BLAS, held to one thread a product while threads of ours make products of their own.

A BLAS that shares a product out to its threads leaves them spinning for some milliseconds afterwards, in
case another product follows.  A compiled loop that runs on as many threads then has to share the
processors with them.  So here each thread takes its own share of the rows through product and loop alike.
"""

from __future__ import annotations

import importlib.util
import threading
from functools import cache
from typing import Any

_lock = threading.Lock()
_held = 0  # fits may run side by side: the first one in holds BLAS, the last one out lets go
_limiter: Any = None
_threads_before: int | None = None


@cache
def can_limit() -> bool:
    """Whether threadpoolctl is installed, which knows how to ask each BLAS."""
    return importlib.util.find_spec("threadpoolctl") is not None


@cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController  # here: import nsae imports NumPy alone

    return ThreadpoolController().select(user_api="blas")


def n_threads() -> int | None:
    """How many threads BLAS uses for a product when it is not held; None if that cannot be known."""
    with _lock:
        return _threads_before if _held else _n_threads()


def _n_threads() -> int | None:
    return max((library["num_threads"] for library in _libraries().info()), default=None)


def limit_to_one_thread() -> None:
    """One thread a product, from now until :func:`restore_threads` has been called as often as this."""
    global _held, _limiter, _threads_before
    with _lock:
        if not _held:
            _threads_before = _n_threads()
            _limiter = _libraries().limit(limits=1)
        _held += 1


def restore_threads() -> None:
    """Undo one :func:`limit_to_one_thread`."""
    global _held
    with _lock:
        _held -= 1
        if not _held:
            _limiter.restore_original_limits()
