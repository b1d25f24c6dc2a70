"""One cluster of two processes for all tests of this room.

The folder is not called "distributed": tests/ is on the path, and Dask's package of that name would seem to be
there where it is not.
"""

from contextlib import contextmanager, suppress
from threading import Event, Thread

import pytest


@contextmanager
def two_workers(cluster):
    """Start workers of a ``cluster`` again that it has given up, as it does 15 seconds after one was killed.

    A nanny takes longer than that on a busy machine.  Without any worker a test would wait for ever.
    """
    done = Event()

    def keep():
        while not done.wait(5):
            cluster.scale(2)

    thread = Thread(target=keep, daemon=True)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.fixture(scope="session")
def client():
    """A client of two worker processes with a thread each.  Its nannies start a worker again that was killed."""
    distributed = pytest.importorskip("distributed")
    with (
        suppress(KeyError),  # a cluster that closes may look for a worker that is gone already
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
        two_workers(cluster),
    ):
        yield client
