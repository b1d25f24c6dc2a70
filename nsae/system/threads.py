"""Our own small thread pool: a loop over a range of rows or units, cut into one range for each thread."""

from __future__ import annotations

import os
from collections.abc import Callable

from nsae.system import blas

MIN_WORK = 1 << 16  # below so many numbers, handing work to a thread takes longer than doing it


def n_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threads:
    """Runs loops side by side: kernels and matrix products, which both release the GIL.

    Use it as a context manager: within the block, BLAS makes each product on the thread that asks for it.
    Where BLAS cannot be told so (threadpoolctl is not installed), there is one thread, and the products
    alone run on as many as BLAS likes.

    Parameters
    ----------
    n : int, optional
        How many threads; by default as many as this process may use, and no more than BLAS would.
    """

    def __init__(self, n: int | None = None):
        self._hold = blas.can_limit()
        if not self._hold:
            n = 1
        elif n is None:
            n = min(n_cpus(), blas.n_threads() or n_cpus())
        self.n = n
        self._pool = None

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
        if parts == 1:
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
                other.result()

    def __enter__(self) -> Threads:
        from concurrent.futures import ThreadPoolExecutor  # here, for it costs an import some milliseconds

        if self._hold:
            blas.limit_to_one_thread()
        self._pool = ThreadPoolExecutor(self.n - 1) if self.n > 1 else None
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        if self._hold:
            blas.restore_threads()
