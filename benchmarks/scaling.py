"""What training costs as it grows: time of a step, time of an epoch, and memory.

    python benchmarks/scaling.py [--only PART ...] [--rounds N] [--threads N] [--memmap-gb GB] [--plot PNG]
                                 [--quick] [--json] [--save]

Data have 784 features (glyphs, repeated where more rows are needed), in float32.  One thing grows; the others stay
at 4096 units, k = 32 and batches of 1024.

units, k, batch
    A step, k-sparse or dense (ReLU, L1): its time, and the ratio to its matrix products alone in the same round (one
    product or five, as in training_speed.py).  All sizes take turns in every round.
rows
    An epoch of ``SparseAutoencoder.fit`` with 1024 units, data in memory or memory-mapped.  It is the second epoch
    of a fit, when the file is in the system's cache: this is the cost of shuffling and copying, not of the disk.
peak
    Peak memory: the highest resident memory of a fresh process after a fit of one epoch, less that just before, when
    the compiled loops are loaded.  Data in memory do not count; pages of a memory-mapped file count when they are
    read.  The parameters with Adam's two moments are the least that a fit can add.  Not on Windows.
memmap
    The same of one epoch from a memory-mapped file that is written for it and deleted.  It is written where TMPDIR
    says.  ``--memmap-gb 4`` shows that a file need not fit into memory.

Each sweep ends with an exponent p, "grows as units^p": the slope of a line through its last three points in
logarithms.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from helpers import results, scaling_report, timing, usage
from helpers.scaling_report import BASE, FITTED, MB, ROW_BYTES, Cost, Costs, Found, Sizes, shape_for, state_mb
from helpers.timing import TURN, Run, Worker, say, set_threads
from helpers.training_steps import Shape, load, nsae_run, numpy_steps

from nsae import SparseAutoencoder
from nsae.datasets import glyphs

STEP_ROWS = 8192  # of data, where their number is not what grows
UNITS = [1024, 2048, 4096, 8192, 16384]
KS = [8, 16, 32, 64, 128, 256]
BATCHES = [64, 256, 1024, 4096]
ROWS = [4096, 16384, 65536, 262144]
QUICK = 2  # sizes of a sweep that --quick takes, the smallest

STEP_FILE, ROWS_FILE = f"{BASE.d}.npy", "rows.npy"
PARTS = ["units", "k", "batch", "rows", "peak", "memmap"]


def sweeps(sizes: slice) -> dict[str, dict[str, dict[int, Shape]]]:
    """Return what grows -> kind of step -> its size -> the shape."""
    kinds = {"k_sparse": BASE, "dense": BASE._replace(k=None)}
    return {
        "units": {kind: {h: base._replace(h=h) for h in UNITS[sizes]} for kind, base in kinds.items()},
        "k": {"k_sparse": {k: BASE._replace(k=k) for k in KS[sizes]}},
        "batch": {kind: {B: base._replace(B=B) for B in BATCHES[sizes]} for kind, base in kinds.items()},
    }


def save_rows(file: Path, n: int) -> None:
    """Write glyphs (n, d) float32 as ``.npy``, over and over, a piece at a time."""
    images, _ = glyphs(min(n, STEP_ROWS))
    X = images.reshape(len(images), BASE.d)  # (n or fewer, d)
    header = {"descr": "<f4", "fortran_order": False, "shape": (n, BASE.d)}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, n, len(X)):
            X[: n - start].tofile(stream)


# ---- a step, and its matrix products alone


def nsae_step(folder: Path, shape: Shape, threads: int) -> Run:
    """Return nsae's step."""
    return nsae_run(folder, shape, threads, "auto")


def products(folder: Path, shape: Shape, threads: int) -> Run:
    """Return one product for a k-sparse step, five for a dense one."""
    runs = numpy_steps(folder, shape, threads)
    return runs["product" if shape.k else "floor"]


MAKERS = {"nsae": nsae_step, "products": products}


def prepare(name: str, folder: Path, shapes: list[Shape], threads: int) -> None:
    """Make all steps of a worker."""
    Worker.runs = {shape: MAKERS[name](folder, shape, threads) for shape in shapes}
    Worker.batches_by_size = {shape.B: load(folder, shape)[0] for shape in shapes}


def timed(shape: Shape, times: int) -> float:
    """Return the median seconds of one step, of some in a row."""
    Worker.batches = Worker.batches_by_size[shape.B]
    return timing.timed(shape, times)


def race_steps(
    what: str, kinds: dict[str, dict[int, Shape]], folder: Path, args: argparse.Namespace
) -> Costs:
    """Return costs by kind and size.  All sizes take turns, so that whatever else the machine does falls on all."""
    shapes = [shape for sizes in kinds.values() for shape in sizes.values()]
    workers = {name: Worker(name) for name in MAKERS}  # in a process each: see Worker
    for name, worker in workers.items():
        worker.call(prepare, name, folder, shapes, args.threads)
    turns = [(name, shape) for shape in shapes for name in workers]
    once = {(name, shape): workers[name].call(timed, shape, 1) for name, shape in turns}
    seconds: dict[tuple[str, Shape], list[float]] = {turn: [] for turn in turns}
    for i in range(args.rounds):
        for name, shape in turns:
            times = 2 if args.quick else max(1, min(50, round(TURN / once[name, shape])))
            seconds[name, shape].append(workers[name].call(timed, shape, times))
        say(f"{what}, round {i + 1}: {sum(seconds[turn][-1] for turn in turns):.2f} s for one step of each")
    for worker in workers.values():
        worker.pool.shutdown()
    return {
        kind: {
            size: Cost.of(seconds["nsae", shape], seconds["products", shape]) for size, shape in sizes.items()
        }
        for kind, sizes in kinds.items()
    }


# ---- an epoch


def rows_of(file: Path, n: int, mapped: bool) -> np.ndarray:
    """Return the first n rows (n, d); unless they are mapped, no other page of the file comes to memory."""
    X = np.load(file, mmap_mode="r")[:n]  # (n, d)
    return X if mapped else np.fromfile(file, X.dtype, X.size, offset=X.offset).reshape(X.shape)


def model_for(shape: Shape, epochs: int) -> SparseAutoencoder:
    """Return an estimator of that shape."""
    return SparseAutoencoder(
        shape.h, k=shape.k, batch_size=shape.B, epochs=epochs, random_state=0, backend="numba"
    )


def epoch_seconds(file: Path, n: int, mapped: bool) -> float:
    """Return the seconds of the second epoch: the first one also brings the file to the system's cache."""
    return model_for(FITTED, epochs=2).fit(rows_of(file, n, mapped)).history_["seconds"][1]


def race_epochs(file: Path, sizes: list[int], rounds: int) -> Costs:
    """Return costs of epochs, by kind of data and rows."""
    worker = Worker("fit")
    worker.call(epoch_seconds, file, sizes[0], False)  # loads the compiled loops
    seconds = {kind: {n: [] for n in sizes} for kind in ("memory", "memmap")}
    for i in range(rounds):
        for n in sizes:
            for kind, measured in seconds.items():
                measured[n].append(worker.call(epoch_seconds, file, n, kind == "memmap"))
        latest = {kind: f"{measured[sizes[-1]][-1]:.2f} s" for kind, measured in seconds.items()}
        say(f"epochs, round {i + 1}: {sizes[-1]} rows in {latest['memory']}, mapped {latest['memmap']}")
    worker.pool.shutdown()
    return {kind: {n: Cost.of(times) for n, times in measured.items()} for kind, measured in seconds.items()}


# ---- memory


def peak_mb() -> float:
    """Return the most memory that this process has had so far, in MB."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def fit_peak(file: Path, n: int, shape: Shape, mapped: bool) -> float:
    """Return the MB by which one epoch of ``fit`` raises this process's peak.  The data are there before."""
    X = rows_of(file, n, mapped)
    model_for(shape._replace(h=shape.k, B=1), epochs=1).fit(np.ones((2, 2)))  # loads the compiled loops
    before = peak_mb()
    model_for(shape, epochs=1).fit(X)
    return peak_mb() - before


def in_new_process(function: Callable, *args: object):
    """Call it in a process that has done nothing yet.

    A process begins with its parent's peak as its own: this is also the way to keep the parent small.
    """
    worker = Worker("new")
    try:
        return worker.call(function, *args)
    finally:
        worker.pool.shutdown()


def peaks(folder: Path, sizes: slice) -> dict[str, Sizes]:
    """Return MB by what grows and its size."""
    found: dict[str, Sizes] = {}
    for what, grown in (("units", UNITS), ("batch", BATCHES), ("rows", ROWS), ("rows_memmap", ROWS)):
        found[what] = {}
        for size in grown[sizes]:
            shape, mapped = shape_for(what, size), what == "rows_memmap"
            file, n = (ROWS_FILE, size) if grown is ROWS else (STEP_FILE, STEP_ROWS)
            found[what][size] = in_new_process(fit_peak, folder / file, n, shape, mapped)
        say(f"peak, {what}: " + ", ".join(f"{size}: {peak:.0f} MB" for size, peak in found[what].items()))
    return found


def fit_from_file(gb: float) -> dict[str, float]:
    """Fit one epoch from a memory-mapped file of that size, which is there for this alone."""
    if shutil.disk_usage(tempfile.gettempdir()).free < 1.1e9 * gb:
        raise SystemExit(
            f"{tempfile.gettempdir()} has no room for a file of {gb} GB: set TMPDIR, or --memmap-gb"
        )
    n = int(gb * 1e9) // ROW_BYTES
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large.npy"
        in_new_process(save_rows, file, n)
        say(f"fitting one epoch to a memory-mapped file of {gb} GB")
        peak = in_new_process(fit_peak, file, n, FITTED, True)
    parameters, state = state_mb(FITTED)
    return {
        "file_mb": n * ROW_BYTES / MB,
        "peak_above_start_mb": peak,
        "parameters_mb": parameters,
        "parameters_and_moments_mb": state,
    }


# ---- results


def measure(parts: list[str], sizes: slice, args: argparse.Namespace) -> Found:
    """Return what the parts find."""
    costs: dict[str, Costs] = {}
    peaks_found: dict[str, Sizes] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        in_new_process(save_rows, folder / STEP_FILE, STEP_ROWS)
        if {"rows", "peak"} & set(parts):
            in_new_process(save_rows, folder / ROWS_FILE, ROWS[sizes][-1])
        for what, kinds in sweeps(sizes).items():
            if what in parts:
                costs[what] = race_steps(what, kinds, folder, args)
        if "rows" in parts:
            costs["rows"] = race_epochs(folder / ROWS_FILE, ROWS[sizes], args.rounds)
        if "peak" in parts:
            peaks_found = peaks(folder, sizes)
    return Found(costs, peaks_found, fit_from_file(args.memmap_gb) if "memmap" in parts else {})


def main(argv: list[str] | None = None) -> int:
    """Measure the parts that were asked for, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="the smallest sizes: to see that it runs")
    parser.add_argument("--rounds", type=usage.positive, help="rounds of timing (7)")
    parser.add_argument(
        "--threads", type=usage.positive, default=2, help="of nsae and of the products alike (2)"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, help="these parts")
    parser.add_argument(
        "--memmap-gb", type=usage.positive_number, help="size of the file that is fitted in one epoch (1)"
    )
    parser.add_argument(
        "--plot", type=usage.picture, metavar="PNG", help="draw time and memory (needs matplotlib)"
    )
    args = parser.parse_args(argv)
    if args.plot and args.only:
        parser.error("--plot draws all parts: leave out --only")
    args.rounds = args.rounds or (2 if args.quick else 7)
    args.memmap_gb = args.memmap_gb or (0.1 if args.quick else 1.0)
    parts = args.only or PARTS
    sizes = slice(QUICK if args.quick else None)

    set_threads(args.threads)
    found = measure(parts, sizes, args)

    print(f"float32, {BASE.d} features; medians of {args.rounds} rounds in turn, and their quartiles;")
    print(f"threads: {args.threads}, of {os.cpu_count()} cores; Python {platform.python_version()}")
    scaling_report.print_all(found)
    if args.plot:
        scaling_report.plot(found, args.plot)
    results.finish(args, "scaling", scaling_report.as_json(found), threads=args.threads)
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
