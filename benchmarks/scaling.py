"""What training costs as it grows: time of a step, time of an epoch, and memory.

A step is timed against the number of units, the active ones among them, and the size of a batch; an epoch
of ``SparseAutoencoder.fit`` against the rows of the data, in memory and memory-mapped; and the peak memory
of a process that fits, against all of these.  One thing grows, the others stay as they are in ``BASE``.

    python benchmarks/scaling.py [--json] [--quick] [--rounds N] [--threads N] [--only PART]
                                 [--memmap-gb GB] [--plot PNG]

Each sweep ends with an exponent: the slope, in logarithms, of its last points.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import training_speed
from training_speed import THREADS, TURN, Ratio, Run, Shape, Worker, load, say

from nsae import SparseAutoencoder
from nsae.datasets import glyphs

BASE = Shape(784, 4096, 1024, k=32)  # d, h, B, k
FITTED = BASE._replace(h=1024)  # what is fitted to more and more rows
STEP_ROWS = 8192  # of data, where their number is not what grows
UNITS = [1024, 2048, 4096, 8192, 16384]
KS = [8, 16, 32, 64, 128, 256]
BATCHES = [64, 256, 1024, 4096]
ROWS = [4096, 16384, 65536, 262144]
QUICK = 2  # sizes of a sweep that --quick takes, the smallest
LAST = 3  # points that an exponent is fitted to
ROW_BYTES = 4 * BASE.d  # float32
MB_TICKS = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
MB = 1e6  # bytes

STEP_FILE, ROWS_FILE = f"{BASE.d}.npy", "rows.npy"
PARTS = ["units", "k", "batch", "rows", "peak", "memmap"]

Sizes = dict[int, float]  # what was measured, by what grows


def sweeps(sizes: slice) -> dict[str, dict[str, dict[int, Shape]]]:
    """What grows -> kind of step -> its size -> the shape."""
    kinds = {"k_sparse": BASE, "dense": BASE._replace(k=None)}
    return {
        "units": {kind: {h: base._replace(h=h) for h in UNITS[sizes]} for kind, base in kinds.items()},
        "k": {"k_sparse": {k: BASE._replace(k=k) for k in KS[sizes]}},
        "batch": {kind: {B: base._replace(B=B) for B in BATCHES[sizes]} for kind, base in kinds.items()},
    }


def save_rows(file: Path, n: int) -> None:
    """Glyphs (n, d) float32 as ``.npy``, over and over, a piece at a time."""
    images, _ = glyphs(min(n, STEP_ROWS))
    X = images.reshape(len(images), BASE.d)  # (n or fewer, d)
    header = {"descr": "<f4", "fortran_order": False, "shape": (n, BASE.d)}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, n, len(X)):
            X[: n - start].tofile(stream)


# ---- a step, and its matrix products alone


def nsae_step(folder: Path, shape: Shape, threads: int) -> Run:
    return training_speed.nsae_run(folder, shape, threads, "auto")


def products(folder: Path, shape: Shape, threads: int) -> Run:
    """One product for a k-sparse step, five for a dense one."""
    runs = training_speed.numpy_steps(folder, shape, threads)
    return runs["product" if shape.k else "floor"]


MAKERS = {"nsae": nsae_step, "products": products}


def prepare(name: str, folder: Path, shapes: list[Shape], threads: int) -> None:
    Worker.runs = {shape: MAKERS[name](folder, shape, threads) for shape in shapes}
    Worker.batches_by_size = {shape.B: load(folder, shape)[0] for shape in shapes}


def timed(shape: Shape, times: int) -> float:
    """Median seconds of one step, of some in a row."""
    Worker.batches = Worker.batches_by_size[shape.B]
    return training_speed.timed(shape, times)


class Cost(NamedTuple):
    seconds: float  # median of the rounds
    low: float  # quartiles
    high: float
    over_floor: Ratio | None = None  # of times in the same round

    @classmethod
    def of(cls, seconds: list[float], floor: list[float] | None = None) -> Cost:
        low, median, high = np.percentile(seconds, [25, 50, 75])
        return cls(float(median), float(low), float(high), floor and Ratio.of(seconds, floor))


Costs = dict[str, dict[int, Cost]]  # by kind and size


def race_steps(
    what: str, kinds: dict[str, dict[int, Shape]], folder: Path, args: argparse.Namespace
) -> Costs:
    """Costs by kind and size.  All sizes take turns, so that whatever else the machine does falls on all."""
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
    """The first n rows (n, d); if they are not to be mapped, no other page of the file comes to memory."""
    X = np.load(file, mmap_mode="r")[:n]  # (n, d)
    return X if mapped else np.fromfile(file, X.dtype, X.size, offset=X.offset).reshape(X.shape)


def model_for(shape: Shape, epochs: int) -> SparseAutoencoder:
    return SparseAutoencoder(
        shape.h, k=shape.k, batch_size=shape.B, epochs=epochs, random_state=0, backend="numba"
    )


def epoch_seconds(file: Path, n: int, mapped: bool) -> float:
    """Of the second epoch: the first also takes the data's spread, and brings the file to the system's cache."""
    return model_for(FITTED, epochs=2).fit(rows_of(file, n, mapped)).history_["seconds"][1]


def race_epochs(file: Path, sizes: list[int], rounds: int) -> Costs:
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
    """The most memory that this process has had so far."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MB


def fit_peak(file: Path, n: int, shape: Shape, mapped: bool) -> float:
    """MB by which one epoch of ``fit`` raises this process's peak.  The data are there before."""
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


def state_mb(shape: Shape) -> tuple[float, float]:
    """The size of W, b, V, c in float32, and with Adam's two moments of each."""
    parameters = 4 * (2 * shape.h * shape.d + shape.h + shape.d) / MB
    return parameters, 3 * parameters


def shape_for(what: str, size: int) -> Shape:
    """Of the fit whose peak is taken."""
    return {"units": BASE._replace(h=size), "batch": BASE._replace(B=size)}.get(what, FITTED)


def peaks(folder: Path, sizes: slice) -> dict[str, Sizes]:
    """MB by what grows and its size."""
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
    """One epoch from a memory-mapped file of that size, which is there for this alone."""
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


class Found(NamedTuple):
    costs: dict[str, Costs]  # of steps and epochs, by what grows
    peaks: dict[str, Sizes]  # MB, by what grows
    memmap: dict[str, float]  # as the result has it


def measure(parts: list[str], sizes: slice, args: argparse.Namespace) -> Found:
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


def exponent(measured: Sizes) -> float:
    """p, where what was measured grows as its size to the power p."""
    sizes, values = list(measured)[-LAST:], list(measured.values())[-LAST:]
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="the smallest sizes: to see that it runs")
    parser.add_argument("--rounds", type=int, help="rounds of timing (7)")
    parser.add_argument("--threads", type=int, default=2, help="of nsae and of the products alike (2)")
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--memmap-gb", type=float, help="size of the file that is fitted in one epoch (1)")
    parser.add_argument("--plot", metavar="PNG", help="draw time and memory (needs matplotlib)")
    args = parser.parse_args(argv)
    if args.plot and args.only:
        parser.error("--plot draws all parts: leave out --only")
    args.rounds = args.rounds or (2 if args.quick else 7)
    args.memmap_gb = args.memmap_gb or (0.1 if args.quick else 1.0)
    parts = [args.only] if args.only else PARTS
    sizes = slice(QUICK if args.quick else None)

    for variable in THREADS:  # read when a library starts, in the workers, which inherit this
        os.environ[variable] = str(args.threads)
    found = measure(parts, sizes, args)

    print(f"float32, {BASE.d} features; medians of {args.rounds} rounds in turn, and their quartiles;")
    print(f"threads: {args.threads}, of {os.cpu_count()} cores; Python {platform.python_version()}")
    for what, by_kind in found.costs.items():
        for kind, by_size in by_kind.items():
            (print_epochs if what == "rows" else print_steps)(what, kind, by_size)
    for what, by_size in found.peaks.items():
        print_peaks(what, by_size)
    if found.memmap:
        print("\nOne epoch from a memory-mapped file")
        for key, megabytes in found.memmap.items():
            print(f"  {key:26} {megabytes:8.1f}")
    if args.plot:
        plot(found, args.plot)
    if args.json:
        print(json.dumps(as_json(found)))
    return 0


KINDS = {"k_sparse": "k-sparse", "dense": "dense", "memory": "data in memory", "memmap": "data memory-mapped"}


def fixed(shape: Shape, but: str, kind: str = "k_sparse") -> str:
    """What stays as it is while something grows."""
    said = {"units": f"{shape.h} units", "k": f"k = {shape.k}", "batch": f"batches of {shape.B}"}
    return ", ".join(said[name] for name in said if name != but and (name, kind) != ("k", "dense"))


def print_steps(what: str, kind: str, by_size: dict[int, Cost]) -> None:
    print(f"\nA {KINDS[kind]} step; {fixed(BASE, what, kind)}")
    print(f"  {what:>8} {'ms':>9}  {'(quartiles)':20} {'µs a sample':>11} {'× products':>11}")
    for size, (seconds, low, high, over) in by_size.items():
        spread = f"({low * 1e3:.2f} to {high * 1e3:.2f})"
        each = seconds * 1e6 / (size if what == "batch" else BASE.B)
        print(f"  {size:8} {seconds * 1e3:9.2f}  {spread:20} {each:11.1f} {over.median:11.2f}")
    print_exponent("ms", what, {size: cost.seconds for size, cost in by_size.items()})


def print_epochs(what: str, kind: str, by_size: dict[int, Cost]) -> None:
    print(f"\nAn epoch, {KINDS[kind]}; {fixed(FITTED, what)}")
    print(f"  {what:>8} {'s':>9}  {'(quartiles)':20} {'µs a sample':>11}")
    for size, (seconds, low, high, _) in by_size.items():
        print(f"  {size:8} {seconds:9.3f}  {f'({low:.3f} to {high:.3f})':20} {seconds * 1e6 / size:11.1f}")
    print_exponent("seconds", what, {size: cost.seconds for size, cost in by_size.items()})


def print_peaks(what: str, by_size: Sizes) -> None:
    where = "memory-mapped" if what == "rows_memmap" else "in memory before"
    axis = what.removesuffix("_memmap")
    print(f"\nPeak memory of fit above its start, data {where}; {fixed(shape_for(what, 0), axis)}")
    print(f"  {axis:>8} {'MB':>9}  {'MB of parameters and moments':>30}")
    for size, megabytes in by_size.items():
        print(f"  {size:8} {megabytes:9.1f}  {state_mb(shape_for(what, size))[1]:30.1f}")
    print_exponent("MB", axis, by_size)


def print_exponent(unit: str, what: str, measured: Sizes) -> None:
    print(f"  {unit} grow as {what}^{round(exponent(measured), 2) + 0.0:.2f}")  # not as ^-0.00


def as_json(found: Found) -> dict[str, dict]:
    """Steps in ms, epochs in s, memory in MB."""
    result: dict[str, dict] = {what: {} for what in found.costs}
    over: dict[str, dict] = {what: {} for what in found.costs if what != "rows"}
    exponents: dict[str, dict] = {what: {} for what in found.costs}
    for what, by_kind in found.costs.items():
        unit = 1 if what == "rows" else 1e3
        for kind, by_size in by_kind.items():
            result[what][kind] = {size: unit * cost.seconds for size, cost in by_size.items()}
            exponents[what][kind] = exponent(result[what][kind])
            if what in over:
                over[what][kind] = {size: cost.over_floor.median for size, cost in by_size.items()}
    for by_what in (result, over, exponents):
        if "k" in by_what:  # a dense step has none
            by_what["k"] = by_what["k"]["k_sparse"]
    if found.peaks:
        result["peak_mb"] = found.peaks
        exponents["peak_mb"] = {what: exponent(by_size) for what, by_size in found.peaks.items()}
    if found.memmap:
        result["memmap"] = found.memmap
    return {**result, "over_products": over, "exponents": exponents}


# ---- the picture


def plot(found: Found, path: str) -> None:
    """Time by units, batch and rows, memory by the size of the data; all axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator

    figure, panels = plt.subplots(2, 2, figsize=(12, 9))
    plot_units(panels[0, 0], found.costs["units"])
    plot_batch(panels[0, 1], found.costs["batch"])
    plot_rows(panels[1, 0], found.costs["rows"])
    plot_memory(panels[1, 1], found)
    for panel in panels.ravel():
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    figure.tight_layout(w_pad=3, h_pad=3)
    figure.savefig(path, dpi=130)
    say(f"the plot is in {path}")


def frame(panel, title: str, constant: str, x_label: str, y_label: str, ticks: list[int]) -> None:
    """Logarithmic axes that end where the labels do."""
    panel.set_title(f"{title}\n", loc="left", fontweight="bold", fontsize=11)
    panel.text(0, 1.02, constant, transform=panel.transAxes, color="0.4", fontsize=9)
    panel.set(xlabel=x_label, ylabel=y_label, xscale="log", yscale="log")
    panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    panel.set_xlim(ticks[0] / 1.15, ticks[-1] * (ticks[-1] / ticks[0]) ** 0.55)  # room for labels


def line(panel, measured: Sizes, label: str, color: str, style: str = "o-", rise: int = 0) -> None:
    """Its label stands at its end, raised by so many points."""
    x, y = list(measured), list(measured.values())
    panel.plot(x, y, style, color=color, markersize=4)
    place = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    panel.annotate(label, (x[-1], y[-1]), (6, rise), color=color, **place)


def power(letter: str, measured: Sizes) -> str:
    return rf"$\propto {letter}^{{{exponent(measured):.2f}}}$"


def plot_units(panel, by_kind: Costs) -> None:
    title, sizes = "Step time by number of units h", list(by_kind["dense"])
    frame(panel, title, fixed(BASE, "units"), "units", "ms a step", sizes)
    for (kind, by_size), color in zip(by_kind.items(), ("C0", "C1"), strict=True):
        step = {h: cost.seconds * 1e3 for h, cost in by_size.items()}
        floor = {h: ms / by_size[h].over_floor.median for h, ms in step.items()}
        alone = "its matrix product alone" if kind == "k_sparse" else "its five products alone"
        line(panel, step, f"{KINDS[kind]} step {power('h', step)}", color, rise=7)
        line(panel, floor, alone, color, ":", rise=-7)


def plot_batch(panel, by_kind: Costs) -> None:
    title, sizes = "Time for each sample by size of the batch", list(by_kind["dense"])
    frame(panel, title, fixed(BASE, "batch"), "samples in a batch", "µs a sample", sizes)
    for (kind, by_size), color in zip(by_kind.items(), ("C0", "C1"), strict=True):
        line(panel, {B: cost.seconds * 1e6 / B for B, cost in by_size.items()}, f"{KINDS[kind]} step", color)


def plot_rows(panel, by_kind: Costs) -> None:
    title, sizes = "Time of an epoch by rows n of the data", list(by_kind["memory"])
    frame(panel, title, fixed(FITTED, "rows"), "rows", "s an epoch", sizes)
    last = {kind: by_size[sizes[-1]].seconds for kind, by_size in by_kind.items()}
    for (kind, by_size), color in zip(by_kind.items(), ("C0", "C2"), strict=True):
        epoch = {n: cost.seconds for n, cost in by_size.items()}
        rise = 8 if last[kind] == max(last.values()) else -8
        line(panel, epoch, f"{KINDS[kind]} {power('n', epoch)}", color, rise=rise)


def plot_memory(panel, found: Found) -> None:
    megabytes = {n: n * ROW_BYTES / MB for n in found.peaks["rows"]}
    before = {megabytes[n]: peak for n, peak in found.peaks["rows"].items()}
    mapped = {megabytes[n]: peak for n, peak in found.peaks["rows_memmap"].items()}
    mapped[found.memmap["file_mb"]] = found.memmap["peak_above_start_mb"]
    mapped = dict(sorted(mapped.items()))
    ends = min(mapped), max(mapped)
    title, ticks = (
        "Memory that a fit adds to what was there",
        [x for x in MB_TICKS if ends[0] <= x <= 1.01 * ends[1]],
    )
    frame(panel, title, fixed(FITTED, "rows"), "MB of data", "MB added at the peak", ticks)
    panel.set_xlim(ends[0] / 1.15, ends[1] * (ends[1] / ends[0]) ** 0.55)
    line(panel, dict(zip(ends, ends, strict=True)), "as large as the data", "0.5", ":")
    line(panel, dict.fromkeys(ends, state_mb(FITTED)[1]), "parameters and moments", "0.5", ":")
    line(panel, before, "data in memory, not counted", "C0", rise=7)
    line(panel, mapped, KINDS["memmap"], "C2")


if __name__ == "__main__":
    sys.exit(main())
