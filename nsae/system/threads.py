"""A small thread pool: a loop over rows or units, cut into one range for each thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from nsae.system import blas
from nsae.validation import check_n_threads

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MIN_WORK = 1 << 16  # To compute fewer numbers takes less time than to hand them to a thread.
_most: ContextVar[int | None] = ContextVar("most", default=None)


def n_cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count(n_threads: int | None) -> int:
    """Return how many threads ``n_threads`` stands for.

    None and −1 are as many as :func:`n_cpus`, and no more than :func:`at_most` allows.
    """
    n = check_n_threads(n_threads)
    return min(n_cpus(), _most.get() or n_cpus()) if n is None or n == -1 else n


@contextmanager
def at_most(n: int) -> Iterator[None]:
    """Let loops in this block that were given no number of threads use up to ``n``: other tasks run beside it."""
    token = _most.set(n)
    try:
        yield
    finally:
        _most.reset(token)


class Threads:
    """Runs loops on several threads: kernels and matrix products, which both release the GIL.

    Use it as a context manager.  Within the block, BLAS makes each product on the thread that asks for it.
    If BLAS cannot be limited, which needs threadpoolctl or an OpenBLAS of NumPy's own, there is one thread, and
    BLAS uses as many threads as it likes for products.

    A process that is forked within the block does all work on one thread, and BLAS is not limited in it.

    Parameters
    ----------
    n_threads : int, optional
        The number of threads; −1 for as many processors as this process may use.  By default these, and no
        more than BLAS would use.

    Raises
    ------
    TypeError, ValueError
        See :func:`nsae.validation.check_n_threads`.
    """

    def __init__(self, n_threads: int | None = None):
        n = thread_count(n_threads)
        self._limits_blas = blas.can_limit()
        if not self._limits_blas:
            n = 1
        elif n_threads is None:
            n = min(n, blas.n_threads() or n)
        self.n = n
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()

    def parallel_for(
        self, n: int, loop: Callable[..., None], *args: object, work: int = 0, always: bool = False
    ) -> None:
        """Call ``loop(part, lo, hi, *args)`` for ranges lo:hi that together cover 0:n, one on each thread.

        Parameters
        ----------
        n : int
            How many rows or units there are.
        loop : callable
            Called once for each part; ``part`` counts from 0 and stays below ``self.n``.
        *args
            Passed on to ``loop``.
        work : int
            How many numbers the whole loop computes.  With fewer than ``MIN_WORK``, the loop runs as one
            part on the calling thread.
        always : bool
            Use all threads, whatever ``work`` is.

        Raises
        ------
        BaseException
            Whatever ``loop`` raises in any of the threads, after all of them have ended.
        """
        parts = min(self.n, n) if always or work >= MIN_WORK else 1
        if parts <= 1 or self._pool is None or os.getpid() != self._process:
            loop(0, 0, n, *args)
            return
        cuts = [n * part // parts for part in range(parts + 1)]
        others = [
            self._pool.submit(loop, part, cuts[part], cuts[part + 1], *args) for part in range(1, parts)
        ]
        try:
            loop(0, 0, cuts[1], *args)
        finally:
            for other in others:
                other.exception()  # This waits for its end and raises nothing.
        for other in others:
            other.result()

    def __enter__(self) -> Threads:
        from concurrent.futures import ThreadPoolExecutor  # here: this import takes some milliseconds

        self._pool = ThreadPoolExecutor(self.n - 1) if self.n > 1 else None
        if self._limits_blas:
            blas.limit_to_one_thread()
        return self

    def __exit__(self, *_: object) -> None:
        if os.getpid() != self._process:
            return  # Both belong to the parent of this process.
        try:
            if self._pool is not None:
                self._pool.shutdown()
        finally:
            if self._limits_blas:
                blas.restore_threads()
