"""A race of searches: contestants that take turns, and what an index of nsae's costs."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from typing import Any

import numpy as np

from nsae import CodeIndex, Codes

from .ranking import say
from .search_peers import Search

HITS = 10
TURN = 1.0  # seconds that a contestant's turn should take: slow ones get fewer queries,
BATCH = 512  # but no fewer than these: FAISS is ten times slower with 64,
FEW = {"SciPy, sparse product": 64}  # and SciPy takes a minute for so many among a million
PACKAGES = {"FAISS flat": "faiss", "scikit-learn": "sklearn", "SciPy, sparse product": "scipy"}


class Contestant:
    """Something that is timed.

    Parameters
    ----------
    search
        Returns rows (q, k) for queries and k.
    queries
        Of the kind that ``search`` takes.
    least
        So many queries are in a turn at least; BATCH unless given.
    about
        What else is known of it, for its row.
    """

    def __init__(self, search: Search, queries: Any, *, least: int | None = None, **about: Any):
        self.search, self.queries, self.about = search, queries, about
        self.least = least or BATCH
        self.rates: list[float] = []  # queries a second, by round

    def turn(self) -> None:
        """Search for all queries, and keep the rate."""
        started = time.perf_counter()
        self.search(self.queries, HITS)
        self.rates.append(len(self.queries) / (time.perf_counter() - started))

    def shorten(self) -> None:
        """Take fewer queries if a turn would take more than a second.  The first search warms up."""
        few = self.queries[: self.least]
        self.search(few, HITS)
        started = time.perf_counter()
        self.search(few, HITS)
        rate = len(few) / (time.perf_counter() - started)
        self.queries = self.queries[: max(self.least, int(rate * TURN))]


def race(contestants: dict[str, Contestant], rounds: int) -> None:
    """Let all contestants take turns in every round."""
    for contestant in contestants.values():
        contestant.shorten()
    for _ in range(rounds):
        for contestant in contestants.values():
            contestant.turn()


def indexed(codes: Codes, metric: str = "cosine") -> CodeIndex:
    """Return an index of these codes that is ready to be searched."""
    index = CodeIndex(codes.n_units, metric=metric)
    index.add(codes)
    index.search(codes[:1], k=1, backend="numba")  # makes the postings
    return index


def search_of(index: CodeIndex, n_threads: int = 1) -> Search:
    """Return nsae's search of an index as a contestant has it."""
    return lambda Q, k: index.search(Q, k, n_threads=n_threads, backend="numba").rows


def one_by_one(index: CodeIndex, queries: Codes) -> np.ndarray:
    """Return (q,) milliseconds of each query on its own, from codes to hits."""
    singles = [queries[i] for i in range(len(queries))]
    milliseconds = np.empty(len(singles))
    for i, query in enumerate(singles):
        started = time.perf_counter()
        index.search(query, k=HITS, backend="numba")
        milliseconds[i] = (time.perf_counter() - started) * 1e3
    return milliseconds


def bytes_of(index: CodeIndex) -> tuple[int, float]:
    """Return the bytes of the folder that an index is saved as, and the milliseconds to open it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "index")
        index.save(path)
        size = sum(os.path.getsize(os.path.join(path, name)) for name in os.listdir(path))
        opening = []
        for _ in range(9):
            started = time.perf_counter()
            opened = CodeIndex.load(path, mmap=True)
            opening.append((time.perf_counter() - started) * 1e3)
            del opened
    return size, float(np.median(opening))


def installed(peer: str) -> bool:
    """Return whether a peer's package can be imported; say so if it cannot."""
    package = PACKAGES.get(peer, peer)
    if peer.startswith("NumPy") or importlib.util.find_spec(package) is not None:
        return True
    say(f"{package} is not installed: left out")
    return False


def summary(contestant: Contestant) -> dict[str, Any]:
    """Return a row of results: the median of the rates, and what else is known."""
    return {"qps": float(np.median(contestant.rates)), **contestant.about}


def print_race(title: str, contestants: dict[str, Contestant]) -> None:
    """Print a row for each contestant."""
    print(f"\n{title}; queries/s in a batch, one thread unless said, median (range) of the rounds")
    for label, contestant in contestants.items():
        rates, about = contestant.rates, contestant.about
        shown = [f"{key} {about[key]:.4g}" for key in about if key != "settings"]
        shown += [about["settings"]] if "settings" in about else []
        print(
            f"  {label:52s} {np.median(rates):9.1f} ({min(rates):.0f} to {max(rates):.0f})  "
            + ", ".join(shown)
        )
