"""A lock that copies, pickles and forked processes get a new, free one of."""

from __future__ import annotations

import os
import threading
import weakref

_locks: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock(type(threading.RLock())):  # type: ignore[misc]
    """A re-entrant lock: ``with lock:`` lets one thread at a time go on.

    A copy or a pickle of an object that has a lock gets a new one.  A forked process starts with all of them
    free: a thread that held one in the parent does not exist there.
    """

    def __init__(self) -> None:
        super().__init__()
        _locks.add(self)

    def __reduce__(self) -> tuple[type[Lock], tuple[()]]:
        return Lock, ()


def _free_all() -> None:
    for lock in list(_locks):
        lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
