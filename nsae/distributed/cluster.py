"""What all parts of this room ask of Dask: that it is there, and a client of a cluster."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any, TypeVar

from nsae.errors import require

Function = TypeVar("Function", bound=Callable[..., Any])
WITHOUT_WORKERS = 60.0  # Seconds, after which a warning says that no worker is there.


def dask_part(module: str) -> Any:
    """Import and return a ``module`` of Dask, such as "dask.array" or "distributed".

    Raises
    ------
    MissingExtraError
        It is not installed; the message names the command.
    """
    return require(module, "dask", "nsae.distributed")


def client_of(client: Any = None) -> Any:
    """Return ``client``, or else the one that was made last in this process.

    Parameters
    ----------
    client : distributed.Client, optional

    Raises
    ------
    MissingExtraError
        Dask is not installed.
    TypeError
        ``client`` is no client, or an asynchronous one.
    ValueError
        There is none.
    """
    distributed = dask_part("distributed")
    if client is None:
        try:
            client = distributed.get_client()
        except ValueError:
            raise ValueError(
                "No Dask client was given, and there is none in this process. Make one first: "
                "from distributed import Client; client = Client()."
            ) from None
    if not isinstance(client, distributed.Client) or client.asynchronous:
        raise TypeError(
            f"A synchronous distributed.Client was expected, got {type(client).__name__}. "
            "Make one with distributed.Client(address)."
        )
    return client


def tells_of_lost_workers(function: Function) -> Function:
    """Wrap a ``function`` with the keyword ``client``: where a cluster has no worker for a minute, a warning says so.

    Dask waits for one, for ever if none comes: a worker that was killed is given up if its machine is too busy to
    start it again.
    """

    @functools.wraps(function)
    def watched(*args: Any, client: Any = None, **options: Any) -> Any:
        done = Event()
        with suppress(Exception):  # Of a client that is none, the function says what is wrong.
            Thread(target=_watch, args=(client_of(client), done), daemon=True).start()
        try:
            return function(*args, client=client, **options)
        finally:
            done.set()

    return watched  # type: ignore[return-value]


def _watch(client: Any, done: Event) -> None:
    """Warn once if there was no worker at two looks at the cluster, one after the other."""
    before = True
    while not done.wait(WITHOUT_WORKERS):
        try:
            there = bool(client.nthreads())
        except Exception:  # The client was closed.
            return
        if not there and not before:
            warnings.warn(
                f"The cluster has had no worker for {WITHOUT_WORKERS:g} seconds, and the work waits for one. Start "
                "workers, such as by cluster.scale(2), or interrupt it.",
                stacklevel=2,
            )
            return
        before = there


def sent_once(message: Any, client: Any) -> Any:
    """Return ``message`` as the result of a task: it is sent once, and workers get it from each other.

    What is scattered instead is lost with the worker that holds it.  A task's arguments stay with the scheduler,
    which runs it again.

    Parameters
    ----------
    message : object
    client : distributed.Client
    """
    with dask_part("dask").config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
        return client.submit(_identity, message, pure=False)


def _identity(message: Any) -> Any:
    return message


def whole_rows(array: Any) -> Any:
    """Return a Dask ``array`` that is cut along its first axis alone; if it was not, with a warning.

    Chunks of rows stay as they are.
    """
    if max(array.numblocks[1:]) <= 1:
        return array
    warnings.warn(
        f"Chunks of shape {array.chunksize} cut rows into pieces. They are put together, which sends data from worker "
        "to worker: make the array with chunks=(rows, -1).",
        stacklevel=4,
    )
    return array.rechunk(dict.fromkeys(range(1, array.ndim), -1))
