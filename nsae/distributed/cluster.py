"""What all parts of this room ask of Dask: that it is there, and a client of a cluster."""

from __future__ import annotations

import warnings
from typing import Any

from nsae.errors import require


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
