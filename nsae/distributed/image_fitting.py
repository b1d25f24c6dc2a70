"""ImageEncoder.fit by map and reduce: what is done to each image is done on workers.

============================================  ==================================================================
step                                          where, and what is sent
============================================  ==================================================================
patches at random places (29)                 workers read images; ``n_patches`` patches come back
whitening (30), first autoencoder             client: the patches are as many, whatever the number of images
pooled vectors (31) of some images            workers read them, and keep the vectors: 256 MB in all
principal components (41)                     workers multiply their vectors; sums of products come back in the
                                              order of blocks, five times
components of all images                      workers read them; some hundred numbers for each come back
nearest neighbours (38)                       workers, each for some rows; quadratic in the number of images
the map to neighbours, second autoencoder     client: 1,200 bytes an image for 300 components, and 10 kB meanwhile
============================================  ==================================================================

So the client holds what a local fit holds without the images, and ``max_images`` bounds it: 20,000 images by
default, of all that there are.  With more, the client's memory and the second autoencoder become the limit; the
way out is to leave ``max_images`` as it is, because an encoder that has learned from some encodes all.

Each task computes the same from the same, so a worker that dies costs the time of its tasks.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from nsae.distributed.cluster import client_of, dask_part, tells_of_lost_workers
from nsae.errors import ImageReadError
from nsae.images.encoder import ImageEncoder
from nsae.images.files import OnError
from nsae.images.image_blocks import check_images, once
from nsae.system.threads import Threads


@tells_of_lost_workers
def fit_images(
    encoder: ImageEncoder,
    images: Any,
    *,
    client: Any = None,
    on_error: OnError | None = None,
    checkpoint: Any = None,
    checkpoint_minutes: float = 10.0,
) -> ImageEncoder:
    """Fit an ImageEncoder with the workers of a cluster, and return it.

    The result is that of ``encoder.fit`` on the same images: the same bits for any number of workers, and those of
    a local fit where workers and client have the same processors and versions.  (On another kind of processor, a
    matrix product may round otherwise.)

    Parameters
    ----------
    encoder : ImageEncoder
        Its ``n_threads`` are those of the client; a task on a worker uses one.
    images : list of paths, Dask bag of paths, Dask array (n, H, W[, 3]), or array
        Paths are read by the workers, which must see the files.  A Dask array is computed by them, up to three
        times.  Any other array is sent through the scheduler, and stays there meanwhile: for more than a few
        hundred MB, give paths or a Dask array.
    client : distributed.Client, optional
        By default the one that was made last.
    on_error : callable, optional
        Is given an :class:`~nsae.errors.ImageReadError` for each file that cannot be read, in this process; the
        others go on.  Without it, the error is raised.
    checkpoint : path, optional
        As of ``ImageEncoder.fit``: what both autoencoders have learned so far.
    checkpoint_minutes : float

    Raises
    ------
    MissingExtraError
        Dask is not installed.
    ValueError, TypeError
        As ``ImageEncoder.fit``; or there is no client, or a Dask array whose number of images is not known.
    """
    work = OnWorkers(client_of(client), once(on_error))
    return encoder.learn_from(
        _checked(images), work, checkpoint=checkpoint, checkpoint_minutes=checkpoint_minutes
    )


def _checked(images: Any) -> Any:
    """Return images as ``check_images`` does; a Dask array is checked by its shape and dtype."""
    if isinstance(images, dask_part("dask.bag").Bag):
        images = images.compute()
    if not isinstance(images, dask_part("dask.array").Array):
        return check_images(images)
    if np.isnan(images.shape).any():
        raise ValueError(
            f"A Dask array of known shape was expected, got {images.shape}. Call compute_chunk_sizes() first."
        )
    check_images(np.broadcast_to(np.zeros((), images.dtype), images.shape))  # takes no memory
    return images


class OnWorkers:
    """Work that is done on a cluster, as ``nsae.images.work.Work`` describes it.

    What is kept of images stays on the workers that made it.  What all blocks share is a node of the graph: it is
    sent to a worker once, and is made again from the scheduler's copy if a worker dies.

    Parameters
    ----------
    client : distributed.Client
    on_error : callable, optional
        Is called in this process.
    """

    def __init__(self, client: Any, on_error: OnError | None = None):
        self.client, self.on_error = client, on_error

    def on_images(self, function: Callable[..., Any], blocks: Sequence[Any], *shared: Any) -> list[Any]:
        """Return a future of ``function(block, *shared, …)`` for each of the ``blocks``: see ``Work``."""
        read = partial(_read, function, self.on_error is not None)
        both = self._submitted(read, [self._sent(block) for block in blocks], shared)
        kept, failures = (
            [self.client.submit(itemgetter(i), future, pure=False) for future in both] for i in (0, 1)
        )
        for future in failures:
            for error in future.result():
                assert self.on_error is not None
                self.on_error(error)
        return kept

    def on_parts(self, function: Callable[..., Any], parts: Sequence[Any], *shared: Any) -> Iterator[Any]:
        """Yield ``function(part, *shared)`` of each of the ``parts``, in their order: see ``Work``."""
        futures = self._submitted(partial(_alone, function), parts, shared)
        futures.reverse()
        while futures:
            yield futures.pop().result()

    def _submitted(self, function: Callable[..., Any], items: Sequence[Any], shared: tuple) -> list[Any]:
        with (
            warnings.catch_warnings()
        ):  # Sent once, to the scheduler, which can then replace a dead worker's copy.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            node = self.client.submit(_as_tuple, *shared, pure=False)
            return [self.client.submit(function, item, node, pure=False) for item in items]

    def _sent(self, block: Any) -> Any:
        """A block as an argument of a task; of a Dask array, the future of its images."""
        if isinstance(block, tuple):
            return tuple(map(self._sent, block))
        return self.client.compute(block) if hasattr(block, "__dask_graph__") else block


def _as_tuple(*shared: Any) -> tuple[Any, ...]:
    return shared


def _alone(function: Callable[..., Any], part: Any, shared: tuple[Any, ...]) -> Any:
    """Apply a function on one thread, of BLAS as well: the worker has one for each task."""
    with Threads(1):
        return function(part, *shared)


def _read(
    function: Callable[..., Any], report: bool, block: Any, shared: tuple[Any, ...]
) -> tuple[Any, list[ImageReadError]]:
    """Return what a function makes of a block of images, and the errors of files, if they are to be reported."""
    errors: list[ImageReadError] = []
    kept = function(block, *shared, on_error=errors.append if report else None, n_threads=1)
    return kept, errors
