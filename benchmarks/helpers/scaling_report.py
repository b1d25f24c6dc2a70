"""What scaling.py found, as text, as JSON and as a picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .timing import Ratio, say
from .training_steps import Shape

BASE = Shape(784, 4096, 1024, k=32)  # d, h, B, k
FITTED = BASE._replace(h=1024)  # what is fitted to more and more rows
LAST = 3  # points that an exponent is fitted to
ROW_BYTES = 4 * BASE.d  # float32
MB_TICKS = [20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
MB = 1e6  # bytes

Sizes = dict[int, float]  # what was measured, by what grows


class Cost(NamedTuple):
    """Seconds of the rounds, and their ratio to the products alone."""

    seconds: float  # median of the rounds
    low: float  # quartiles
    high: float
    over_floor: Ratio | None = None  # of times in the same round

    @classmethod
    def of(cls, seconds: list[float], floor: list[float] | None = None) -> Cost:
        low, median, high = np.percentile(seconds, [25, 50, 75])
        return cls(float(median), float(low), float(high), floor and Ratio.of(seconds, floor))


Costs = dict[str, dict[int, Cost]]  # by kind and size


class Found(NamedTuple):
    """All that was measured."""

    costs: dict[str, Costs]  # of steps and epochs, by what grows
    peaks: dict[str, Sizes]  # MB, by what grows
    memmap: dict[str, float]  # as the result has it


def state_mb(shape: Shape) -> tuple[float, float]:
    """Return the MB of W, b, V, c in float32, and with Adam's two moments of each."""
    parameters = 4 * (2 * shape.h * shape.d + shape.h + shape.d) / MB
    return parameters, 3 * parameters


def shape_for(what: str, size: int) -> Shape:
    """Return the shape of the fit whose peak is taken."""
    return {"units": BASE._replace(h=size), "batch": BASE._replace(B=size)}.get(what, FITTED)


def exponent(measured: Sizes) -> float:
    """Return p, where what was measured grows as its size to the power p."""
    sizes, values = list(measured)[-LAST:], list(measured.values())[-LAST:]
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


# ---- text

KINDS = {"k_sparse": "k-sparse", "dense": "dense", "memory": "data in memory", "memmap": "data memory-mapped"}


def fixed(shape: Shape, but: str, kind: str = "k_sparse") -> str:
    """Return what stays as it is while something grows, in words."""
    said = {"units": f"{shape.h} units", "k": f"k = {shape.k}", "batch": f"batches of {shape.B}"}
    return ", ".join(said[name] for name in said if name != but and (name, kind) != ("k", "dense"))


def print_all(found: Found) -> None:
    """Print every table."""
    for what, by_kind in found.costs.items():
        for kind, by_size in by_kind.items():
            (print_epochs if what == "rows" else print_steps)(what, kind, by_size)
    for what, by_size in found.peaks.items():
        print_peaks(what, by_size)
    if found.memmap:
        print("\nOne epoch from a memory-mapped file")
        for key, megabytes in found.memmap.items():
            print(f"  {key:26} {megabytes:8.1f}")


def print_steps(what: str, kind: str, by_size: dict[int, Cost]) -> None:
    """Print a sweep of steps."""
    print(f"\nA {KINDS[kind]} step; {fixed(BASE, what, kind)}")
    print(f"  {what:>8} {'ms':>9}  {'(quartiles)':20} {'µs a sample':>11} {'× products':>11}")
    for size, (seconds, low, high, over) in by_size.items():
        spread = f"({low * 1e3:.2f} to {high * 1e3:.2f})"
        each = seconds * 1e6 / (size if what == "batch" else BASE.B)
        print(f"  {size:8} {seconds * 1e3:9.2f}  {spread:20} {each:11.1f} {over.median:11.2f}")
    print_exponent("ms", what, {size: cost.seconds for size, cost in by_size.items()})


def print_epochs(what: str, kind: str, by_size: dict[int, Cost]) -> None:
    """Print a sweep of epochs."""
    print(f"\nAn epoch, {KINDS[kind]}; {fixed(FITTED, what)}")
    print(f"  {what:>8} {'s':>9}  {'(quartiles)':20} {'µs a sample':>11}")
    for size, (seconds, low, high, _) in by_size.items():
        print(f"  {size:8} {seconds:9.3f}  {f'({low:.3f} to {high:.3f})':20} {seconds * 1e6 / size:11.1f}")
    print_exponent("seconds", what, {size: cost.seconds for size, cost in by_size.items()})


def print_peaks(what: str, by_size: Sizes) -> None:
    """Print a sweep of peaks."""
    where = "memory-mapped" if what == "rows_memmap" else "in memory before"
    axis = what.removesuffix("_memmap")
    print(f"\nPeak memory of fit above its start, data {where}; {fixed(shape_for(what, 0), axis)}")
    print(f"  {axis:>8} {'MB':>9}  {'MB of parameters and moments':>30}")
    for size, megabytes in by_size.items():
        print(f"  {size:8} {megabytes:9.1f}  {state_mb(shape_for(what, size))[1]:30.1f}")
    print_exponent("MB", axis, by_size)


def print_exponent(unit: str, what: str, measured: Sizes) -> None:
    """Print how fast something grows."""
    print(f"  {unit} grow as {what}^{round(exponent(measured), 2) + 0.0:.2f}")  # not as ^-0.00


def as_json(found: Found) -> dict[str, dict]:
    """Return steps in ms, epochs in s, memory in MB."""
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
    """Set up logarithmic axes that end where the labels do."""
    panel.set_title(f"{title}\n", loc="left", fontweight="bold", fontsize=11)
    panel.text(0, 1.02, constant, transform=panel.transAxes, color="0.4", fontsize=9)
    panel.set(xlabel=x_label, ylabel=y_label, xscale="log", yscale="log")
    panel.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    panel.set_xlim(ticks[0] / 1.15, ticks[-1] * (ticks[-1] / ticks[0]) ** 0.55)  # room for labels


def line(panel, measured: Sizes, label: str, color: str, style: str = "o-", rise: int = 0) -> None:
    """Draw a curve.  Its label stands at its end, raised by so many points."""
    x, y = list(measured), list(measured.values())
    panel.plot(x, y, style, color=color, markersize=4)
    place = {"textcoords": "offset points", "va": "center", "fontsize": 9}
    panel.annotate(label, (x[-1], y[-1]), (6, rise), color=color, **place)


def power(letter: str, measured: Sizes) -> str:
    """Return a label such as ∝ n^1.00."""
    return rf"$\propto {letter}^{{{exponent(measured):.2f}}}$"


def plot_units(panel, by_kind: Costs) -> None:
    """Draw the time of a step by units."""
    title, sizes = "Step time by number of units h", list(by_kind["dense"])
    frame(panel, title, fixed(BASE, "units"), "units", "ms a step", sizes)
    for (kind, by_size), color in zip(by_kind.items(), ("C0", "C1"), strict=True):
        step = {h: cost.seconds * 1e3 for h, cost in by_size.items()}
        floor = {h: ms / by_size[h].over_floor.median for h, ms in step.items()}
        alone = "its matrix product alone" if kind == "k_sparse" else "its five products alone"
        line(panel, step, f"{KINDS[kind]} step {power('h', step)}", color, rise=7)
        line(panel, floor, alone, color, ":", rise=-7)


def plot_batch(panel, by_kind: Costs) -> None:
    """Draw the time of a sample by the size of the batch."""
    title, sizes = "Time for each sample by size of the batch", list(by_kind["dense"])
    frame(panel, title, fixed(BASE, "batch"), "samples in a batch", "µs a sample", sizes)
    for (kind, by_size), color in zip(by_kind.items(), ("C0", "C1"), strict=True):
        line(panel, {B: cost.seconds * 1e6 / B for B, cost in by_size.items()}, f"{KINDS[kind]} step", color)


def plot_rows(panel, by_kind: Costs) -> None:
    """Draw the time of an epoch by rows."""
    title, sizes = "Time of an epoch by rows n of the data", list(by_kind["memory"])
    frame(panel, title, fixed(FITTED, "rows"), "rows", "s an epoch", sizes)
    last = {kind: by_size[sizes[-1]].seconds for kind, by_size in by_kind.items()}
    for (kind, by_size), color in zip(by_kind.items(), ("C0", "C2"), strict=True):
        epoch = {n: cost.seconds for n, cost in by_size.items()}
        rise = 8 if last[kind] == max(last.values()) else -8
        line(panel, epoch, f"{KINDS[kind]} {power('n', epoch)}", color, rise=rise)


def plot_memory(panel, found: Found) -> None:
    """Draw the memory of a fit by the size of the data."""
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
