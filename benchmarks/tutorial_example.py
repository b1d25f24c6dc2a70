"""The autoencoder tutorial's own example in nsae, PyTorch and Keras: the same losses, and the time it takes.

    python benchmarks/tutorial_example.py [--rounds N] [--threads N] [--quick] [--json] [--save]

The data are 1000 random 0/1 vectors of 100 features; the net is 100 → 50 → 100 with ReLU, sigmoid and
cross-entropy; Adam trains it for 100 epochs in batches of 32, the last of each epoch being of 8: 3200 steps.

**The gradients by hand are right.**  All three start from the same weights and see the same batches, so their
losses must agree at each step: nsae's gradients are written by hand, theirs are found by automatic
differentiation.  The script fails (exit status 1) if the relative difference anywhere exceeds 1e-9 in float64 or
1e-3 in float32.  Keras needs one conversion, of Adam's ε, which nsae/equations/README.md derives under "Adam".
The row "naive" shows how far the curves part without it.  Another row shows what it costs that Keras rounds β₁
and β₂ to float32 even when it trains in float64.  Read helpers/tutorial_losses.py.

**What a fit costs** at this size, where most of the time goes into starting operations and little into
arithmetic.  For each framework the script tries several settings (helpers/tutorial_fits.py), takes the fastest,
and names it; nsae has one more row, without Numba.  Each runs in a process of its own with the same number of
threads, in turn; imports and compilation are not counted.  This says nothing about large nets.

**What a whole process costs**: the wall time of a fresh Python process that imports the framework, makes the data,
builds the model, trains all epochs and exits.  Every setting runs twice, the second time with full caches (byte
code, Numba's, ``torch.compile``'s; Keras keeps none), and each framework takes part with its fastest.  One more
row is nsae with its defaults and no compiled loops at hand, as on the day it is installed.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

import numpy as np
from helpers import results, timing, tutorial_fits, usage
from helpers.timing import installed, say, set_threads
from helpers.tutorial_fits import FITS, SETTINGS, B, Fit, N
from helpers.tutorial_losses import Problem, keras_eps, keras_losses, make_problem, nsae_losses, torch_losses

BOUNDS = {"float64": 1e-9, "float32": 1e-3}  # largest relative difference of two losses of the same step
NAMES = {
    **timing.NAMES,
    "nsae_numpy": "nsae, NumPy alone",
    "nsae_warm": "nsae",
    "nsae_cold": "nsae, caches empty",
}


# ---- time: a fit, by the name of the setting


class Worker(timing.Worker):
    """A framework in a process of its own, which fits in its fastest setting."""

    fits: dict[str, Fit]  # in the worker's process alone: a compiled model cannot be sent

    def seconds(self, epochs: int) -> float:
        """Return the seconds of a fit."""
        return self.call(timed_fit, self.setting, epochs)

    def choose(self, epochs: int) -> None:
        """Find the fastest setting, by the best of three short fits each, in turn."""
        seconds = {}
        for setting in self.call(make_fits, self.name):
            try:
                self.call(timed_fit, setting, 1)  # compiles
                seconds[setting] = float("inf")
            except Exception as error:  # torch.compile needs a C++ compiler, for one
                say(f"{NAMES[self.name]}, {setting}: left out, {type(error).__name__}: {error!s:.200}")
        for _ in range(3):
            for setting, best in seconds.items():
                seconds[setting] = min(best, self.call(timed_fit, setting, epochs))
        for setting, best in seconds.items():
            say(f"{NAMES[self.name]}, {setting}: {best / epochs:.4f} s an epoch")
        self.setting = min(seconds, key=seconds.get)


def make_fits(name: str) -> list[str]:
    """Make a framework's fits in its worker, and return the names of its settings."""
    Worker.fits = {setting: FITS[name](**options) for setting, options in SETTINGS[name].items()}
    return list(Worker.fits)


def timed_fit(setting: str, epochs: int) -> float:
    """Return the seconds of a fit, in a worker."""
    started = time.perf_counter()
    Worker.fits[setting](epochs)
    return time.perf_counter() - started


# ---- time: a whole process, from its start to its exit


class Process:
    """A fresh Python that imports one framework, makes data and model, trains for some epochs and ends.

    Parameters
    ----------
    name
        Of the framework.
    caches
        The folder where what it compiles is kept for the next one.
    cold
        Whether it finds nothing of that.
    """

    def __init__(self, name: str, caches: str, cold: bool = False):
        self.name, self.caches, self.cold = name, caches, cold
        self.setting = next(iter(SETTINGS[name]))

    def seconds(self, epochs: int) -> float:
        """Return the seconds from its start to its exit."""
        with tempfile.TemporaryDirectory() as empty:
            caches = empty if self.cold else self.caches
            environment = {
                **os.environ,
                "NUMBA_CACHE_DIR": f"{caches}/numba",
                "TORCHINDUCTOR_CACHE_DIR": f"{caches}/inductor",
                "PYTHONPYCACHEPREFIX": f"{self.caches}/bytecode",
            }
            # where byte code is not written, Python would compile ours at each start, and a wheel's never
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            command = [sys.executable, tutorial_fits.__file__, self.name, self.setting, str(epochs)]
            started = time.perf_counter()
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(done.stderr[-200:])
        return seconds

    def choose(self, epochs: int, runs: int) -> None:
        """Find the fastest setting here, where imports and compilation count too."""
        found = {}
        for setting in SETTINGS[self.name]:
            self.setting, title = setting, f"{NAMES[self.name]}, whole process, {setting}"
            try:
                times = [self.seconds(epochs) for _ in range(runs)]  # the first one fills the caches
            except RuntimeError as error:
                say(f"{title}: left out, {error}")
                continue
            say(f"{title}: " + ", then ".join(f"{seconds:.2f} s" for seconds in times))
            found[setting] = min(times)
        self.setting = min(found, key=found.get)


# ---- all three, and the tables


def main(argv: list[str] | None = None) -> int:
    """Compare the losses, time the fits and the processes, and print both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="5 epochs and 1 round, to see that it runs")
    parser.add_argument("--rounds", type=usage.positive, help="rounds of timing (7)")
    parser.add_argument("--threads", type=usage.positive, default=1, help="for every framework alike (1)")
    args = parser.parse_args(argv)
    epochs, args.rounds = (5, args.rounds or 1) if args.quick else (100, args.rounds or 7)
    rounds = args.rounds

    set_threads(args.threads)
    workers = {name: Worker(name) for name in ("nsae", *installed(["torch", "keras"]))}
    blas = workers["nsae"].call(results.blas_info)
    differences = compare(make_problem(epochs), workers)
    fits = race_fits(workers, epochs, rounds)
    with tempfile.TemporaryDirectory() as caches:
        wholes = race_processes(list(workers), caches, epochs, rounds, runs=1 if args.quick else 2)

    print(f"Losses of {epochs * -(-N // B)} steps, largest relative difference between nsae and")
    for label, value, bound in differences.values():
        print(f"  {label:45} {value:8.1e}   {f'bound {bound:.0e}' if bound else ''}".rstrip())
    print(f"\nSeconds for {epochs} epochs in float32, once compiled; median of {rounds} rounds in turn;")
    print(f"threads: {args.threads} for each, of {os.cpu_count()} cores; Python {platform.python_version()}")
    print_times(fits)
    print("\nSeconds for a whole process with them, imports and compilation included, from start to exit")
    print_times(wholes)

    missed = [label for label, value, bound in differences.values() if bound and not value < bound]
    for label in missed:
        say(f"a bound is missed: {label}")
    found = figures(differences, fits, wholes)
    peers = ["torch", "keras", "tensorflow-cpu", "tensorflow"]
    results.finish(args, "tutorial_example", found, peers=peers, threads=args.threads, blas=blas)
    return 1 if missed else 0


class Difference(NamedTuple):
    """The largest relative difference of two frameworks' losses, and its bound if it has one."""

    label: str
    value: float
    bound: float | None


def compare(problem: Problem, workers: dict[str, Worker]) -> dict[str, Difference]:
    """Return the differences between nsae's losses and those of each peer."""
    rows: dict[str, Difference] = {}

    def row(key: str, label: str, ours: np.ndarray, theirs: np.ndarray, bound: float | None) -> None:
        rows[key] = Difference(label, float(np.max(np.abs(ours - theirs) / np.abs(theirs))), bound)
        say(f"{label}: {rows[key].value:.1e}")

    for dtype, bound in BOUNDS.items():
        bits = dtype.replace("float", "f")
        if "torch" in workers:
            theirs = workers["torch"].call(torch_losses, problem, dtype)  # (steps,)
            ours = nsae_losses(problem, dtype)  # (steps,)
            row(f"max_rel_diff_torch_{bits}", f"PyTorch, {dtype}", ours, theirs, bound)
        if "keras" in workers:
            theirs = workers["keras"].call(keras_losses, problem, dtype)  # (steps,)
            ours = nsae_losses(problem, dtype, keras_eps)  # (steps,)
            key = "max_rel_diff_keras" + ("" if bits == "f64" else "_f32")
            row(key, f"Keras, {dtype}, its ε converted", ours, theirs, bound)
            if dtype == "float64":
                plain = workers["keras"].call(keras_losses, problem, dtype, exact_betas=False)  # (steps,)
                row("plain_betas", "  the same, Keras's β rounded to float32", ours, plain, None)
                row("naive", "  naive: the same ε in both", nsae_losses(problem, dtype), theirs, None)
    return rows


class Times(NamedTuple):
    """Seconds of every round, and the setting that was timed."""

    all: list[float]
    setting: str


def figures(
    differences: dict[str, Difference], fits: dict[str, Times], wholes: dict[str, Times]
) -> dict[str, Any]:
    """Return what is printed as JSON; keys of a peer that is not installed are left out."""
    found: dict[str, Any] = {key: row.value for key, row in differences.items() if row.bound}
    found["losses"] = [
        {"label": row.label.strip(), "difference": row.value, "bound": row.bound}
        for row in differences.values()
    ]
    for key, times in (("fits", fits), ("processes", wholes)):
        found[key] = {
            name: {
                "name": NAMES[name],
                "median": statistics.median(seconds),
                "low": min(seconds),
                "high": max(seconds),
                "setting": setting,
            }
            for name, (seconds, setting) in times.items()
        }
    return found


def race_fits(workers: dict[str, Worker], epochs: int, rounds: int) -> dict[str, Times]:
    """Return the times of a fit, by framework, and of nsae's without Numba.  The workers end here."""
    workers = {"nsae": workers["nsae"], "nsae_numpy": Worker("nsae_numpy"), **workers}
    for worker in workers.values():
        worker.choose(max(1, epochs // 10))
    times = race(workers, epochs, rounds)
    for worker in workers.values():
        worker.pool.shutdown()
    return times


def race_processes(names: list[str], caches: str, epochs: int, rounds: int, runs: int) -> dict[str, Times]:
    """Return the times of a whole process, by framework, and of nsae's first one after it was installed."""
    processes = {"nsae_warm" if name == "nsae" else name: Process(name, caches) for name in names}
    for process in processes.values():
        process.choose(epochs, runs)
    processes["nsae_cold"] = Process(
        "nsae", caches, cold=True
    )  # with its defaults: a first user chooses nothing
    return race(processes, epochs, rounds)


def race(contestants: dict[str, Worker] | dict[str, Process], epochs: int, rounds: int) -> dict[str, Times]:
    """Return the times of each.  All take turns, so that whatever else the machine does falls on all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for i in range(rounds):
        for name, contestant in contestants.items():
            seconds[name].append(contestant.seconds(epochs))
        say(
            f"round {i + 1}: "
            + ", ".join(f"{NAMES[name]} {times[-1]:.2f} s" for name, times in seconds.items())
        )
    return {name: Times(seconds[name], contestant.setting) for name, contestant in contestants.items()}


def print_times(found: dict[str, Times]) -> None:
    """Print medians, extremes, and ratios to the first one's median."""
    first = statistics.median(next(iter(found.values())).all)
    for name, (times, setting) in found.items():
        median, spread = statistics.median(times), f"({min(times):.2f} to {max(times):.2f})"
        print(f"  {NAMES[name]:18} {median:6.2f} {spread:18} {median / first:5.1f} ×   {setting}")


if __name__ == "__main__":
    sys.exit(usage.run(main))
