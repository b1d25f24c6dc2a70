"""Who applies the steps of learning to blocks of images: this process, or, in ``nsae.distributed``, a cluster.

``ImageEncoder`` says what is done to each block.  Results come in the order of blocks, and what is made of several
of them is summed in that order, so that it does not depend on who did the work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from nsae.images.files import OnError
from nsae.images.image_blocks import Images
from nsae.system.threads import Threads


class Work(Protocol):
    """What applies functions to blocks of images, and to what became of them."""

    def on_images(self, function: Callable[..., Any], blocks: Sequence[Any], *shared: Any) -> Sequence[Any]:
        """Return ``function(block, *shared, on_error=…, n_threads=…)`` of each block, as it can be kept.

        Parameters
        ----------
        function : callable
            Reads images, and gives ``on_error`` the error of each file that it cannot read.
        blocks : sequence
            Images, or tuples with them.
        *shared
            The same for all blocks.
        """
        ...

    def on_parts(self, function: Callable[..., Any], parts: Sequence[Any], *shared: Any) -> Iterable[Any]:
        """Give ``function(part, *shared)`` of each of the ``parts``, such as :meth:`on_images` kept.

        BLAS has one thread for each, so that who does the work changes no bit.

        Parameters
        ----------
        function : callable
        parts : sequence
        *shared
            The same for all parts.
        """
        ...


class InThisProcess:
    """Work that is done here: on one block of images after the other, and on several parts at once, in threads.

    Parameters
    ----------
    on_error : callable, optional
        Is given the error of each file that cannot be read.  Without it, the error is raised.
    n_threads : int, optional
    """

    def __init__(self, on_error: OnError | None = None, n_threads: int | None = None):
        self.on_error, self.n_threads = on_error, n_threads

    def on_images(self, function: Callable[..., Any], blocks: Sequence[Any], *shared: Any) -> list[Any]:
        """Return ``function(block, *shared, on_error=…, n_threads=…)`` of each of the ``blocks``: see ``Work``."""
        how: dict[str, Any] = {"on_error": self.on_error, "n_threads": self.n_threads}
        return [function(block, *shared, **how) for block in blocks]

    def on_parts(self, function: Callable[..., Any], parts: Sequence[Any], *shared: Any) -> list[Any]:
        """Return ``function(part, *shared)`` of each of the ``parts``: see ``Work``."""
        results: list[Any] = [None] * len(parts)

        def some(_part: int, lo: int, hi: int) -> None:
            for i in range(lo, hi):
                results[i] = function(parts[i], *shared)

        with Threads(self.n_threads) as threads:
            threads.parallel_for(len(parts), some, always=True)
        return results


def cut(images: Images, block: int) -> list[Any]:
    """Return ``images`` cut into blocks of ``block`` images, the last one of fewer."""
    return [images[start : start + block] for start in range(0, len(images), block)]


def as_it_is(part: np.ndarray) -> np.ndarray:
    """Return ``part``: with ``Work.on_parts``, this brings what was kept to this process."""
    return part
