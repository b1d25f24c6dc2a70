"""Ctrl-C: deferred during work that must not be interrupted, and whose it is to answer."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def defer_interrupts() -> Iterator[None]:
    """Defer Ctrl-C within this block to its end.

    It is for short work, such as compiling a loop: Numba takes a KeyboardInterrupt for an error in the types
    of what it compiles, or loses it.  Outside the main thread the block changes nothing, because Python gives
    Ctrl-C to the main thread alone; nor where a program around Python answers it, which Python cannot put back.
    """
    of_python = signal.getsignal(signal.SIGINT) is not None
    if threading.current_thread() is not threading.main_thread() or not of_python:
        yield
        return
    came: list[tuple[Any, ...]] = []
    before = signal.signal(signal.SIGINT, lambda *signal_and_frame: came.append(signal_and_frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came and callable(before):  # It is a number where the system ends or ignores by itself.
        before(*came[0])


def called_from_main() -> bool:
    """Return whether the program itself has called nsae: a script, a prompt, a cell of a notebook.

    The first caller outside of nsae decides.  If it is a module that was imported, such as the grid search of
    another library, then the work in hand is part of some larger work.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name != "nsae" and not name.startswith("nsae."):
            return name == "__main__"
        frame = frame.f_back  # type: ignore[assignment]
    return False
