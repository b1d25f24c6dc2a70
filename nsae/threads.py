"""Our own small thread pool: a kernel over a range of rows or units, cut into one range for each thread."""

from __future__ import annotations

import os
from collections.abc import Callable

MIN_WORK = 1 << 16  # below so many numbers, handing work to a thread takes longer than doing it


def n_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threads:
    """Runs kernels side by side.  They release the GIL, so threads are enough.

    Use it as a context manager: the threads end with the block.

    Parameters
    ----------
    n : int, optional
        How many threads; by default as many as this process may use.
    """

    def __init__(self, n: int | None = None):
        from concurrent.futures import ThreadPoolExecutor  # here, for it costs an import some milliseconds

        self.n = n or n_cpus()
        self._pool = ThreadPoolExecutor(self.n - 1) if self.n > 1 else None

    def over(self, n: int, work: int, loop: Callable[..., None], *args: object) -> None:
        """Call ``loop(part, lo, hi, *args)`` for ranges lo:hi that cover 0:n, side by side.

        Part p of at most ``self.n`` has range p.  If the whole is only ``work`` numbers, there is one part.
        """
        parts = min(self.n, n) if work >= MIN_WORK else 1
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

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
