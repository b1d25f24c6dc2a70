"""Ctrl-C while Numba compiles."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Within this block Ctrl-C waits for its end, and is raised there.

    Numba, interrupted while it compiles, takes the KeyboardInterrupt for an error in the types of what it
    compiles, or loses it, and training would end in a page about types or not at all.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C only ever reaches the main thread
        return
    came = []
    before = signal.signal(signal.SIGINT, lambda *signal_and_frame: came.append(signal_and_frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):  # the system's own ways, to end or to ignore, are not ours to take
        before(*came[0])
