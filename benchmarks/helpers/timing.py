"""Contestants in a process each, taking turns: what the benchmarks of training share."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np

SETTLE = 0.05  # seconds; an OpenMP or OpenBLAS thread spins for about half of it before it sleeps
TURN = 0.4  # seconds that a contestant's turn lasts, or so
# Read when a library starts: of NumPy's and PyTorch's matrix products, and of TensorFlow's operations.
THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
NAMES = {"nsae": "nsae", "torch": "PyTorch", "keras": "Keras"}
MODULES = {"torch": ["torch"], "keras": ["keras", "tensorflow"]}
INSTALL = {
    "torch": "the CPU build of PyTorch (its install page has the command for each system)",
    "keras": "pip install tensorflow-cpu",
}

Run = Callable[[np.ndarray], object]  # what is timed, on a batch (B, d)


class Worker:
    """A process for one framework, alive to the end.

    PyTorch, TensorFlow and NumPy each bring a thread pool, whose threads spin for a while after their work.
    In one process they disturb each other.  Here each is alone, and all are idle but the one at work.

    Parameters
    ----------
    name
        Of the framework.
    """

    # These are set in the worker's process alone: compiled functions cannot be sent.
    runs: dict[Any, Run]
    batches: list[np.ndarray]
    batches_by_size: dict[int, list[np.ndarray]]

    def __init__(self, name: str):
        self.name = name
        # "spawn", because a fork would copy a half-started thread pool
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def call(self, function: Callable, *args: object, **options: object) -> Any:
        """Return what ``function`` returns for ``args`` and ``options`` in the worker's process."""
        return self.pool.submit(function, *args, **options).result()


def timed(run: Any, times: int) -> float:
    """Return the median seconds of one call of a run, of ``times`` in a row.

    It is called in a worker.  One more call goes first, to wake threads and caches.
    """
    time.sleep(SETTLE)  # the last contestant's threads are asleep, then
    seconds = []
    for i in range(times + 1):
        X = Worker.batches[i % len(Worker.batches)]
        started = time.perf_counter()
        Worker.runs[run](X)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


class Ratio(NamedTuple):
    """The median of ratios of times in the same round, their quartiles, and the setting that was timed."""

    median: float
    low: float
    high: float
    setting: str = ""

    @classmethod
    def of(cls, a: list[float], b: list[float], setting: str = "") -> Ratio:
        """Return the ratio of the seconds ``a`` to the seconds ``b``, a pair for each round."""
        ratios = [x / y for x, y in zip(a, b, strict=True)]
        low, median, high = np.percentile(ratios, [25, 50, 75])
        return cls(float(median), float(low), float(high), setting)


def set_threads(n: int) -> None:
    """Let the libraries of all processes that start from now on use ``n`` threads."""
    for variable in THREADS:
        os.environ[variable] = str(n)


def installed(peers: list[str]) -> list[str]:
    """Return those of the peers "torch" and "keras" that can be imported; say what the others need."""
    found = []
    for peer in peers:
        if all(importlib.util.find_spec(module) for module in MODULES[peer]):
            found.append(peer)
        else:
            say(f"{NAMES[peer]} is not installed and is left out. To compare with it: {INSTALL[peer]}")
    return found


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)
