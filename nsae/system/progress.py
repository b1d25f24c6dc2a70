"""Progress on stderr: a bar of tqdm where it is installed, else a line every two seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class Progress:
    """A context manager that counts to a total and shows how far it is.

    Parameters
    ----------
    what : str
        What is being done.
    total : int
        How many steps there are.
    enabled : bool
        Whether anything is shown.
    every : float
        Seconds between two lines, where there is no bar.

    Examples
    --------
    >>> with Progress("training", 20, enabled=True) as progress:
    ...     progress.update(loss=1.25)
    """

    def __init__(self, what: str, total: int, *, enabled: bool, every: float = 2.0):
        self._what, self._total, self._every = what, total, every
        self._enabled = enabled
        self._done, self._spoke = 0, time.monotonic()
        self._bar: Any = None
        if enabled:
            try:
                # In notebooks too: tqdm.auto warns without ipywidgets, and its bars are red after an early stop.
                from tqdm import tqdm
            except ImportError:
                return
            self._bar = tqdm(total=total, desc=what, file=sys.stderr)

    def update(self, **shown: float) -> None:
        """Count one more step; ``shown`` are numbers to print beside it."""
        self._done += 1
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update()
        elif self._enabled:
            now = time.monotonic()
            if now - self._spoke >= self._every or self._done == self._total:
                self._spoke = now
                numbers = "".join(f"  {name} {value:.4g}" for name, value in shown.items())
                print(f"{self._what}: {self._done}/{self._total}{numbers}", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line ``text`` on stderr; a bar moves out of its way."""
        if self._bar is not None:
            self._bar.clear()
        print(text, file=sys.stderr, flush=True)
        if self._bar is not None:
            self._bar.refresh()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
