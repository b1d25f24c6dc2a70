"""What a training step costs, against the matrix products in it and against PyTorch.

    python benchmarks/training_speed.py [--rounds N] [--threads N] [--only NAME ...] [--plot PNG] [--quick] [--save]

A dense step (ReLU, linear output, squared error, L1) has five matrix products.  A k-sparse step (k = 32) needs
one, the encoder's.  The products alone are the floor of a step that makes them.  Where the processor multiplies
bytes, nsae's k-sparse step makes a product of bytes instead, and may be faster (nsae/kernels/byte_bounds.py).
All contestants start from the same weights and see the same batches, and their losses over the first steps must
agree to 1e-3 before anything is timed.  helpers/training_steps.py has the contestants.

A table has medians over the rounds of ratios of times in the same round, and their quartiles:

over_floor, over_product         nsae's step / the products alone, by the BLAS of NumPy
without_bytes_over_product       the same, without a product of bytes, where there would be one
torch_…_over_ours                PyTorch's step / nsae's, at PyTorch's fastest setting of each way
torch_…_over_its_floor           PyTorch's step / the products alone, by PyTorch's own BLAS
numpy_over_ours                  the definition (backend="numpy") / the compiled loops
encode_over_product              rate of ``Encoder.encode`` / rate of the product, 8192 rows of 784 to 4096 units
encode_one_…_over_product        time of ``encode`` of one row alone / time of W x, by kind of units

Gradients are dense in PyTorch: its sparse Adam is another algorithm, which leaves units alone that are not
active.  Its decoder is stored as Vᵀ, like ours.  ``torch.compile`` needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from helpers import results, usage
from helpers.timing import TURN, Ratio, Worker, installed, say, set_threads, timed
from helpers.training_steps import (
    DENSE,
    ENCODE,
    ENCODE_ROWS,
    K_SPARSE,
    MAKERS,
    QUICK_ROWS,
    Shape,
    load,
    save_data,
)

CHECKED_STEPS, BOUND = 4, 1e-3  # steps whose losses must agree, and how nearly (float32)


# ---- timing


def prepare(name: str, task: str, folder: Path, shape: Shape, threads: int) -> list[str]:
    """Make a framework's contestants in its worker, and return their names."""
    Worker.runs = {}  # the last shape's go first
    Worker.runs = MAKERS[task][name](folder, shape, threads)
    batches, _ = load(folder, shape)
    Worker.batches = [np.concatenate(batches)] if task == "encode" else batches
    if task == "encode one":
        Worker.batches = [X[:1] for X in batches]
    return list(Worker.runs)


def first_losses(run: str) -> list[float] | None:
    """Return the losses of the first steps, or None where there is no loss.  This compiles what must be compiled."""
    losses = [Worker.runs[run](Worker.batches[i % len(Worker.batches)]) for i in range(CHECKED_STEPS)]
    try:
        return [float(loss) for loss in losses]
    except TypeError:
        return None


def race(
    workers: dict[str, Worker], task: str, folder: Path, shape: Shape, args: argparse.Namespace
) -> dict[str, list[float]]:
    """Return the seconds of every round, by contestant; of PyTorch's settings, the fastest of each way.

    Contestants take turns in every round, so that whatever else the machine does falls on all alike.
    """
    turns = ready(workers, task, folder, shape, args.threads)
    once = {run: min(turns[run].call(timed, run, 2) for _ in range(2)) for run in turns}
    for run in fastest(once, say_of=str(shape)):
        del turns[run]
    counts = {run: 2 if args.quick else max(3, min(50, round(TURN / once[run]))) for run in turns}
    seconds: dict[str, list[float]] = {run: [] for run in turns}
    for i in range(args.rounds):
        for run, worker in turns.items():
            seconds[run].append(worker.call(timed, run, counts[run]))
        say(
            f"{shape}, round {i + 1}: "
            + ", ".join(f"{run} {times[-1] * 1e3:.2f} ms" for run, times in seconds.items())
        )
    return seconds


def ready(
    workers: dict[str, Worker], task: str, folder: Path, shape: Shape, threads: int
) -> dict[str, Worker]:
    """Return the worker of each contestant, after its first steps.  Their losses must agree."""
    turns: dict[str, Worker] = {}
    losses: dict[str, list[float]] = {}
    for name, worker in workers.items():
        if name not in MAKERS[task]:
            continue
        for run in worker.call(prepare, name, task, folder, shape, threads):
            try:
                first = worker.call(first_losses, run)
            except Exception as error:  # torch.compile needs a C++ compiler, for one
                say(f"{shape}: PyTorch, {run}: left out, {type(error).__name__}: {error!s:.200}")
                continue
            turns[run] = worker
            if first:
                losses[run] = first
    for run, first in losses.items():
        difference = max(abs(a - b) / abs(b) for a, b in zip(first, losses["nsae"], strict=True))
        if not difference < BOUND:
            raise SystemExit(f"{shape}: the losses of {run}, {first}, are not nsae's, {losses['nsae']}.")
    return turns


def fastest(once: dict[str, float], say_of: str) -> list[str]:
    """Return the settings of PyTorch that are not the fastest of their way."""
    beaten = []
    for run, seconds in once.items():
        way, _, setting = run.partition(": ")
        if setting:
            say(f"{say_of}: PyTorch, {run}: {seconds * 1e3:.2f} ms")
            if any(other.startswith(f"{way}: ") and once[other] < seconds for other in once):
                beaten.append(run)
    return beaten


# ---- results


def ratios(seconds: dict[str, list[float]], shape: Shape) -> dict[str, Ratio]:
    """Return the ratios of the table, by their names."""
    floor = "product" if shape.k else "floor"
    found = {f"over_{floor}": Ratio.of(seconds["nsae"], seconds[floor])}
    for run, times in seconds.items():
        way, _, setting = run.partition(": ")
        if setting:
            found[f"torch_{way}_over_ours"] = Ratio.of(times, seconds["nsae"], setting)
            found[f"torch_{way}_over_its_floor"] = Ratio.of(times, seconds["torch_floor"])
    if "without_bytes" in seconds:
        found["without_bytes_over_product"] = Ratio.of(seconds["without_bytes"], seconds[floor])
    if "numpy" in seconds:
        found["numpy_over_ours"] = Ratio.of(seconds["numpy"], seconds["nsae"])
    return found


Table = dict[str, dict[str, dict[str, Ratio]]]  # by kind of step and shape, its ratios


def figures(table: Table, ms: dict[str, float], encode: dict[str, Ratio]) -> dict[str, Any]:
    """Return what is printed as JSON: medians of the ratios, and apart their quartiles and PyTorch's settings."""
    rows = {shape: ratios for shapes in table.values() for shape, ratios in shapes.items()}
    found: dict[str, Any] = {
        kind: {
            shape: {key: ratio.median for key, ratio in by_key.items()} for shape, by_key in shapes.items()
        }
        for kind, shapes in table.items()
    }
    found["ms"] = ms
    found["quartiles"] = {
        shape: {key: [ratio.low, ratio.high] for key, ratio in by_key.items()}
        for shape, by_key in rows.items()
    }
    found["torch_settings"] = {
        shape: {key: ratio.setting for key, ratio in by_key.items() if ratio.setting}
        for shape, by_key in rows.items()
    }
    return found | {key: ratio.median for key, ratio in encode.items()}


def main(argv: list[str] | None = None) -> int:
    """Time the shapes that were asked for, print a table, and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="the smallest shapes only: to see that it runs")
    parser.add_argument("--rounds", type=usage.positive, help="rounds of timing (15)")
    parser.add_argument("--threads", type=usage.positive, default=2, help="for every contestant alike (2)")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="shapes with these in their name: h16384, encode"
    )
    parser.add_argument(
        "--plot", type=usage.picture, metavar="PNG", help="draw the ratios (needs matplotlib)"
    )
    args = parser.parse_args(argv)
    args.rounds = args.rounds or (2 if args.quick else 15)
    known = [*map(str, (*DENSE, *K_SPARSE)), "encode"]
    if not any(part in name for name in known for part in args.only):
        parser.error(
            f"--only {' '.join(args.only)}: no shape has that in its name; there are {', '.join(known)}"
        )
    set_threads(args.threads)
    workers = {name: Worker(name) for name in ("numpy", "nsae", *installed(["torch"]))}
    table, ms, encode = measure(workers, args)

    print(
        f"One training step in float32; median of {args.rounds} rounds in turn, and quartiles of the ratio."
    )
    print(f"threads: {args.threads} for each, of {os.cpu_count()} cores; Python {platform.python_version()}")
    for kind, shapes in table.items():
        for shape, rows in shapes.items():
            print(f"\n{kind.replace('_', '-')} {shape}: nsae {ms[shape]:.2f} ms")
            for key, ratio in rows.items():
                print(row(key, ratio))
    if encode:
        rows = QUICK_ROWS if args.quick else ENCODE_ROWS
        print(f"\nencode, {rows} rows and one row alone, 784 to {ENCODE.h}, k = {ENCODE.k}")
        for key, ratio in encode.items():
            print(row(key, ratio))
    if args.plot:
        plot(table, args.plot)
    blas = {name: worker.call(results.blas_info) for name, worker in workers.items()}
    found = figures(table, ms, encode)
    results.finish(args, "training_speed", found, peers=["torch"], threads=args.threads, blas=blas)
    return 0


def measure(
    workers: dict[str, Worker], args: argparse.Namespace
) -> tuple[Table, dict[str, float], dict[str, Ratio]]:
    """Return ratios by kind and shape, nsae's milliseconds by shape, and the ratios of encoding."""
    shapes = (
        {"dense": DENSE[:1], "k_sparse": K_SPARSE[:1]}
        if args.quick
        else {"dense": DENSE, "k_sparse": K_SPARSE}
    )
    table: Table = {kind: {} for kind in shapes}
    ms: dict[str, float] = {}
    encode: dict[str, Ratio] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_data(folder, QUICK_ROWS if args.quick else ENCODE_ROWS)
        for kind, some in shapes.items():
            for shape in some:
                if any(part in str(shape) for part in args.only):
                    seconds = race(workers, "steps", folder, shape, args)
                    table[kind][str(shape)] = ratios(seconds, shape)
                    ms[str(shape)] = statistics.median(seconds["nsae"]) * 1e3
        if any(part in "encode" for part in args.only):
            seconds = race(workers, "encode", folder, ENCODE, args)
            encode["encode_over_product"] = Ratio.of(seconds["product"], seconds["nsae"])
            seconds = race(workers, "encode one", folder, ENCODE, args)
            for units in ("k_sparse", "relu"):
                encode[f"encode_one_{units}_over_product"] = Ratio.of(seconds[units], seconds["product"])
    return table, ms, encode


def row(key: str, ratio: Ratio) -> str:
    """Return a line of the printed table."""
    spread = f"({ratio.low:.2f} to {ratio.high:.2f})"
    return f"  {key:34} {ratio.median:6.2f} ×  {spread:18} {ratio.setting}".rstrip()


def plot(table: Table, path: str) -> None:
    """Draw dots with quartiles: left what nsae adds to the products, right what others take."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    places = [(kind, shape) for kind, shapes in table.items() for shape in shapes]
    figure, panels = plt.subplots(1, 2, figsize=(11, 1.2 + 0.5 * len(places)), sharey=True)
    titles = ("nsae's step / its matrix products", "another's step / nsae's")
    seen = {}
    for place, (kind, shape) in enumerate(places):
        for key, ratio in table[kind][shape].items():
            if key.endswith("_its_floor"):
                continue
            panel = panels[0 if key.startswith("over_") else 1]
            label = key.removesuffix("_over_ours").replace("torch_", "PyTorch ").replace("over_", "over the ")
            color = seen.setdefault(key, f"C{len(seen)}")
            error = [[ratio.median - ratio.low], [ratio.high - ratio.median]]
            known = panel.get_legend_handles_labels()[1]
            panel.errorbar(
                ratio.median,
                place,
                xerr=error,
                fmt="o",
                color=color,
                capsize=3,
                label=None if label in known else label.replace("_", " "),
            )
            panel.annotate(
                f"{ratio.median:.2f}",
                (ratio.median, place),
                (0, -12 if "compile" in key else 6),  # its neighbour is often as fast
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=color,
            )
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title)
        panel.axvline(1, color="0.6", linewidth=1)
        panel.grid(axis="x", alpha=0.3)
        handles, labels = panel.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        panel.legend(unique.values(), unique.keys(), loc="best", fontsize=8)
    panels[1].set_xscale("log")
    ticks = [1, 2, 3, 5, 10, 20]
    panels[1].set_xticks(ticks, [f"{tick}" for tick in ticks])
    panels[1].minorticks_off()
    panels[0].set_yticks(range(len(places)), [f"{kind.replace('_', '-')} {shape}" for kind, shape in places])
    panels[0].set_ylim(len(places) - 0.4, -0.6)
    panels[0].set_xlim(left=min(0.95, panels[0].get_xlim()[0]))
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    say(f"the plot is in {path}")


if __name__ == "__main__":
    sys.exit(usage.run(main))
