"""Mixed calls of many threads to one index, and to copies of it in other processes, beside the same calls in turn.

Each thread has rows of its own, whose units no other row has, and there are rows that no thread changes.  A
thread searches both kinds, asks for all rows within a radius and for reasons, adds, replaces and removes rows of
its own, and now and then saves the whole index and opens it again.  So what each call has to answer does not
depend on the other threads: the answers of all threads at once must equal those of one after the other, bit by
bit.  Only the numbers of rows, which others change, are left out.

    python benchmarks/thread_test.py [--threads N] [--calls N] [--quick] [--json] [--save]

``threads`` shares one index.  ``fork`` and ``spawn`` send a pickled index to a process for each thread, ``joblib``
does the same by that library, and ``forked`` forks the process while its threads are at work.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from helpers import results, usage

from nsae import CodeIndex, Codes

COMMON_UNITS, OWN_UNITS = 64, 6  # of the rows that stay, and of each thread
COMMON_ROWS, MOST_OWN_ROWS = 300, 12
CHILDREN = 20
CHANCES = {  # of each kind of call, in percent
    "search": 30.0,
    "search_own": 20.0,
    "within": 10.0,
    "explain": 14.0,
    "add": 12.0,
    "replace": 6.0,
    "remove": 7.8,
    "save": 0.2,
}


def new_index(n_threads: int) -> CodeIndex:
    """Return an index of the rows that no thread changes."""
    rng = np.random.default_rng(0)
    Z = np.zeros((COMMON_ROWS, COMMON_UNITS + OWN_UNITS * n_threads), np.float32)
    active = rng.random((COMMON_ROWS, COMMON_UNITS)) < 0.2
    Z[:, :COMMON_UNITS] = active * rng.integers(1, 9, active.shape)
    index = CodeIndex(Z.shape[1])
    index.add(Z, [f"common {row}" for row in range(COMMON_ROWS)])
    return index


class Worker:
    """The calls of one thread to an index, and a checksum over their answers."""

    def __init__(self, index: CodeIndex, thread: int, folder: str):
        self.index, self.thread = index, thread
        self.path = Path(folder) / f"{os.getpid()} {thread}"
        self.rng = random.Random(thread)
        self.common = index.codes[:COMMON_ROWS]
        self.ids: list[str] = []  # of the thread's rows, in the order in which they were added
        self.n_added = 0
        self.digest = hashlib.sha256()
        self.counts: Counter[str] = Counter()

    def run(self, calls: int) -> tuple[str, dict[str, int]]:
        """Make so many calls, and return the checksum and how many of each kind there were."""
        for _ in range(calls):
            (kind,) = self.rng.choices(list(CHANCES), list(CHANCES.values()))
            if kind in ("replace", "remove") and not self.ids:
                kind = "add"
            elif kind == "add" and len(self.ids) >= MOST_OWN_ROWS:
                kind = "remove"
            getattr(self, kind)()
            self.counts[kind] += 1
        return self.digest.hexdigest(), dict(self.counts)

    def search(self) -> None:
        """Search with three of the rows that stay: what is nearest to them stays, too."""
        hits = self.index.search(self.common[[self.rng.randrange(COMMON_ROWS) for _ in range(3)]], 3)
        self._note(hits.ids, hits.distances, hits.rows)

    def search_own(self) -> None:
        """Search for this thread's rows: no other shares a unit with the query."""
        hits = self.index.search(self._code(), MOST_OWN_ROWS, keep=self.rng.choice([None, 3]))
        near = hits.distances < 1
        self._note(hits.ids[near], hits.distances[near])

    def within(self) -> None:
        """Ask for all rows within a radius of one that stays, and of a code of this thread."""
        for code, radius in ((self._common_code(), 0.6), (self._code(), 0.3)):
            hits = self.index.within(code, radius)
            self._note(hits.ids, hits.distances)

    def explain(self) -> None:
        """Ask why a row is near: one that stays, or one of this thread."""
        if self.ids and self.rng.random() < 0.5:
            self._note(self.index.explain(self._code(), self.rng.choice(self.ids)))
        else:
            id = f"common {self.rng.randrange(COMMON_ROWS)}"
            self._note(self.index.explain(self._common_code(), id))

    def add(self) -> None:
        """Add one to three rows."""
        some = [f"{self.thread}: {self.n_added + i}" for i in range(self.rng.randint(1, 3))]
        self.index.add(Codes.concatenate([self._code() for _ in some]), some)
        self.ids.extend(some)
        self.n_added += len(some)

    def replace(self) -> None:
        """Give a row another code."""
        self.index.add(self._code(), [self.rng.choice(self.ids)], on_duplicate="replace")

    def remove(self) -> None:
        """Remove one or two rows."""
        gone = self.rng.sample(self.ids, min(len(self.ids), self.rng.randint(1, 2)))
        self.index.remove(gone)
        self.ids = [id for id in self.ids if id not in gone]
        self._note([id in self.index for id in gone])

    def save(self) -> None:
        """Save the index and open it again: it is whole, and has this thread's rows."""
        self.index.save(self.path, overwrite=True)
        again = CodeIndex.load(self.path)
        mine = [id for id in again.ids if id.startswith(f"{self.thread}: ")]
        found = again.search(again.codes, 1).distances
        self._note(mine, len(again) == len(again.codes), bool((found == 0).all()))

    def _code(self) -> Codes:
        """Return a code of this thread's units alone."""
        z = np.zeros(self.index.n_units, np.float32)
        first = COMMON_UNITS + OWN_UNITS * self.thread
        z[first : first + OWN_UNITS] = [self.rng.randint(1, 9) for _ in range(OWN_UNITS)]
        return Codes.from_dense(z)

    def _common_code(self) -> Codes:
        return self.common[self.rng.randrange(COMMON_ROWS)]

    def _note(self, *answers: object) -> None:
        """Take answers into the checksum."""
        for answer in answers:
            content = answer.tolist() if isinstance(answer, np.ndarray) else answer
            self.digest.update(repr(content).encode())


Answers = tuple[str, dict[str, int]]


def run_alone(index: CodeIndex, thread: int, calls: int, folder: str) -> Answers:
    """Make the calls of one thread."""
    return Worker(index, thread, folder).run(calls)


def in_turn(threads: int, calls: int, folder: str) -> list[Answers]:
    """Make the calls of one thread after the other, to one index."""
    index = new_index(threads)
    return [run_alone(index, thread, calls, folder) for thread in range(threads)]


def in_threads(threads: int, calls: int, folder: str) -> list[Answers]:
    """Make the calls of all threads at once, to one index."""
    index = new_index(threads)
    workers = [Worker(index, thread, folder) for thread in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda worker: worker.run(calls), workers))


def in_processes(method: str, threads: int, calls: int, folder: str) -> list[Answers]:
    """Make the calls of each thread in a process, to a pickled index."""
    index = new_index(threads)
    index.search(index.codes[:5], 3)
    jobs = [(index, thread, calls, folder) for thread in range(threads)]
    if method == "joblib":
        from joblib import Parallel, delayed

        return list(Parallel(n_jobs=2)(delayed(run_alone)(*job) for job in jobs))
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.starmap(run_alone, jobs)


def forked_at_work(threads: int, calls: int, folder: str) -> tuple[list[Answers], int]:
    """Fork while threads make their calls; each child makes some of its own.

    Returns the threads' answers, and how many children did not answer as they should.
    """
    index, bad = new_index(threads + 1), 0
    workers = [Worker(index, thread, folder) for thread in range(threads)]
    expected = run_alone(new_index(threads + 1), threads, 50, folder)
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(worker.run, calls) for worker in workers]
        for _ in range(CHILDREN):
            child = os.fork()
            if child == 0:
                os._exit(0 if run_alone(index, threads, 50, folder) == expected else 1)
            bad += not _ends_well(child)
        return [future.result() for future in running], bad


def _ends_well(child: int, seconds: float = 60) -> bool:
    """Tell whether a child ends with 0 in time; one that does not end is killed."""
    for _ in range(int(seconds * 100)):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def compared(answers: list[Answers], expected: list[Answers]) -> dict[str, int]:
    """Return how many calls there were, and how many are of threads whose answers are as expected."""
    calls = [sum(counts.values()) for _, counts in answers]
    equal = [a == b for a, b in zip(answers, expected, strict=True)]
    return {"calls": sum(calls), "equal": sum(n for n, same in zip(calls, equal, strict=True) if same)}


def main(argv: list[str] | None = None) -> int:
    """Compare, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=usage.positive, default=16, help="(%(default)s)")
    parser.add_argument("--calls", type=usage.positive, default=10_000, help="of each thread (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="8 threads, 150 calls of each")
    results.add_options(parser)
    args = parser.parse_args(argv)
    threads, calls = (8, 150) if args.quick else (args.threads, args.calls)
    few = max(1, calls // 10)  # for processes, whose indexes no one shares
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size, ways in (
            (calls, {"threads": in_threads}),
            (few, {way: partial(in_processes, way) for way in ("fork", "spawn", "joblib")}),
        ):
            expected = in_turn(threads, size, folder)
            for way, run in ways.items():
                if way in ("fork", "spawn") and way not in multiprocessing.get_all_start_methods():
                    continue
                if way == "joblib" and not usage.there("joblib"):
                    print("joblib is not installed and is left out: pip install joblib", file=sys.stderr)
                    continue
                start = time.perf_counter()
                row: dict[str, float] = {**compared(run(threads, size, folder), expected)}
                figures[way] = {**row, "seconds": round(time.perf_counter() - start, 1)}
        if hasattr(os, "fork"):
            start = time.perf_counter()
            answers, bad = forked_at_work(threads, few, folder)
            row = {**compared(answers, in_turn(threads + 1, few, folder)[:threads])}
            figures["forked"] = {**row, "children": CHILDREN, "children_wrong": bad}
            figures["forked"]["seconds"] = round(time.perf_counter() - start, 1)
    results.finish(args, "thread_test", figures, threads=threads, seeds=range(threads))
    if not args.json:
        print(f"{'':8} {'calls':>8} {'equal':>8} {'seconds':>8}")
        for way, row in figures.items():
            print(f"{way:8} {row['calls']:8} {row['equal']:8} {row['seconds']:8}")
    wrong = any(row["calls"] != row["equal"] or row.get("children_wrong") for row in figures.values())
    return int(wrong)


if __name__ == "__main__":
    sys.exit(usage.run(main))
