"""Limit BLAS to one thread while threads of nsae make matrix products of their own.

A BLAS with several threads leaves them waiting actively for some milliseconds after a product, in case
another one follows.  They compete with the compiled loops that run next.  So each thread of nsae makes the
products for its own rows itself, with a BLAS that uses one thread.  That also fixes the order of summation,
which depends on the number of threads.

threadpoolctl sets the number of threads of every BLAS.  Where it is not installed, NumPy's own OpenBLAS is
asked directly.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from nsae.system.numpy_blas import blas_thread_functions

_lock = threading.RLock()
_users = 0  # Fits may run side by side: the first sets the limit, the last restores what was before.
_limiter: Any = None
_threads_before: int | None = None


def can_limit() -> bool:
    """Return whether the number of threads of BLAS can be set: by threadpoolctl, or in NumPy's OpenBLAS."""
    return _libraries() is not None


@cache
def _libraries() -> Any:
    try:
        from threadpoolctl import ThreadpoolController  # here, because import nsae imports NumPy alone

        return ThreadpoolController().select(user_api="blas")
    except Exception:  # It is not installed, or it stumbles over a library of this process.
        functions = blas_thread_functions()
        return None if functions is None else _NumpyBlas(*functions)


class _NumpyBlas:
    """What is used of a ``ThreadpoolController``, for NumPy's own BLAS."""

    def __init__(self, get_threads: Callable[[], int], set_threads: Callable[[int], None]):
        self._get_threads = get_threads
        self._set_threads = set_threads
        self._before = get_threads()

    def info(self) -> list[dict[str, int]]:
        return [{"num_threads": self._get_threads()}]

    def limit(self, *, limits: int) -> _NumpyBlas:
        self._before = self._get_threads()
        self._set_threads(limits)
        return self

    def restore_original_limits(self) -> None:
        self._set_threads(self._before)


def n_threads() -> int | None:
    """Return how many threads BLAS uses for a product when it is not limited, or None if that is unknown."""
    with _lock:
        return _threads_before if _users else _n_threads()


def _n_threads() -> int | None:
    return max((library["num_threads"] for library in _libraries().info()), default=None)


def limit_to_one_thread() -> None:
    """Make BLAS use one thread a product, until :func:`restore_threads` has been called as often as this."""
    global _users, _limiter, _threads_before
    with _lock:
        if not _users:
            _threads_before = _n_threads()
            _limiter = _libraries().limit(limits=1)
        _users += 1


def restore_threads() -> None:
    """Undo one call of :func:`limit_to_one_thread`."""
    global _users
    with _lock:
        _users -= 1
        if not _users:
            _limiter.restore_original_limits()


def _after_fork_in_child() -> None:
    """Undo the limit in a forked child: the threads that would do so exist in the parent alone."""
    global _lock, _users
    _lock = threading.RLock()
    if _users:
        _users = 0
        with suppress(Exception):  # Then BLAS stays at one thread.
            _limiter.restore_original_limits()


if hasattr(os, "register_at_fork"):
    # No fork happens while another thread changes the limit.
    os.register_at_fork(
        before=lambda: _lock.acquire(),
        after_in_parent=lambda: _lock.release(),
        after_in_child=_after_fork_in_child,
    )
