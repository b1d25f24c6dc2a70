"""What a training step costs: against the matrix products in it, which nothing can save, and against PyTorch.

A dense step has five products; a k-sparse one needs one, the encoder's.  Everything beyond them is what
an implementation adds.  All contestants start from the same weights and see the same batches, and
their losses over the first steps must agree before anything is timed.

    python benchmarks/training_speed.py [--json] [--quick] [--rounds N] [--threads N] [--plot PNG]

Read ``numpy_steps``, ``nsae_steps`` and ``torch_steps`` side by side.  The rest is timing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsae.codes import Codes
from nsae.datasets import glyphs
from nsae.equations.activations import KSparse, ReLU
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense
from nsae.equations.optimizers import Adam
from nsae.models.encoder import Encoder
from nsae.training.initialisation import random_layers, tied_layers
from nsae.training.step import make_step

L1 = 1e-3  # λ of the dense steps
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
CHECKED_STEPS, BOUND = 4, 1e-3  # steps whose losses must agree, and how nearly (float32)
SETTLE = 0.05  # seconds; an OpenMP or OpenBLAS thread spins for about half of it before it sleeps
TURN = 0.4  # seconds that a contestant's turn lasts, or so
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Shape(NamedTuple):
    d: int
    h: int
    B: int
    k: int | None = None  # None: dense

    def __str__(self) -> str:
        return f"h{self.h}" if self.k else f"{self.d}x{self.h}xB{self.B}"


DENSE = [Shape(784, 256, 256), Shape(784, 1024, 256), Shape(784, 1024, 1024), Shape(3072, 4096, 1024)]
K_SPARSE = [Shape(784, h, 1024, k=32) for h in (1024, 4096, 16384)]
ENCODE, ENCODE_ROWS = Shape(784, 4096, 1024, k=32), 8192
QUICK_ROWS = 1024


# ---- what all start from


def smooth_noise(n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, 3072) float32 in [0, 1]: 32 × 32 pixels in 3 colours, 6 × 6 random numbers each, interpolated."""
    place = np.linspace(0, 5, 32)[:, None]  # (32, 1)
    A = np.maximum(0, 1 - abs(place - np.arange(6))).astype(np.float32)  # (32, 6) linear interpolation
    coarse = rng.random((n, 3, 6, 6), np.float32)  # (n, 3, 6, 6)
    return (A @ coarse @ A.T).reshape(n, 3072)  # (n, 3072)


def save_data(folder: Path, n: int) -> None:
    images, _ = glyphs(n)  # (n, 28, 28)
    np.save(folder / "784.npy", images.reshape(n, 784))
    np.save(folder / "3072.npy", smooth_noise(n, np.random.default_rng(0)))


def load(folder: Path, shape: Shape) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Batches (B, d), and the weights W (h, d), b (h,), V (d, h), c (d,) that nsae starts from."""
    X = np.load(folder / f"{shape.d}.npy")  # (n, d)
    rng = np.random.default_rng(0)
    if shape.k:
        encoder, decoder = tied_layers(X, shape.h, rng, "float32", centred_output=True)
    else:
        encoder, decoder = random_layers(shape.d, shape.h, rng, "float32")
    batches = [X[start : start + shape.B] for start in range(0, len(X), shape.B)]
    return batches, [encoder.W, encoder.b, decoder.W, decoder.b]


# ---- the contestants: by name, what is timed; a step returns its loss

Run = Callable[[np.ndarray], object]


def numpy_steps(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """The products alone, in place; and for dense steps the equations as they stand, in NumPy."""
    _, (W, _, V, _) = load(folder, shape)
    d, h, B, k = shape
    Vt = np.ascontiguousarray(V.T)  # (h, d), as nsae's fast steps keep it
    Z, dW, dVt = np.empty((B, h), "f4"), np.empty((h, d), "f4"), np.empty((h, d), "f4")
    if k:
        return {"product": lambda X: np.matmul(X, W.T, out=Z)}  # (B, h)
    dZ, U = np.empty((B, h), "f4"), np.empty((B, d), "f4")

    def floor(X: np.ndarray) -> None:
        np.matmul(X, W.T, out=Z)  # (1) (B, h)
        np.matmul(Z, Vt, out=U)  # (3) (B, d)
        np.matmul(Z.T, U, out=dVt)  # (12) (h, d)
        np.matmul(U, Vt.T, out=dZ)  # (13) (B, h)
        np.matmul(dZ.T, X, out=dW)  # (15) (h, d)

    return {"floor": floor, "numpy": nsae_run(folder, shape, threads, "numpy")}


def nsae_steps(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    return {"nsae": nsae_run(folder, shape, threads, "numba")}


def nsae_run(folder: Path, shape: Shape, threads: int, backend: str) -> Run:
    _, (W, b, V, c) = load(folder, shape)
    g, l1 = (KSparse(shape.k), 0.0) if shape.k else (ReLU(), L1)
    model = Autoencoder(Dense(W, b), Dense(V, c), g, l1=l1)
    step = make_step(
        model, Adam(LR, BETA1, BETA2, EPS), shape.B, unit_norm=False, backend=backend, n_threads=threads
    )
    step.__enter__()  # its threads live as long as the worker
    return lambda X: step(X).loss.total


def torch_steps(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    """PyTorch, several ways.  "eager", "compile", "dense" or "embedding_bag" and then the setting."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(threads)
    torch._logging.set_logs(all=logging.ERROR)  # torch.compile has remarks
    torch._dynamo.reset()
    _, weights = load(folder, shape)

    def dense_loss(X, W, b, Vt, c):  # X: (B, d)
        Z = F.relu(F.linear(X, W, b))  # (B, h)
        U = torch.addmm(c, Z, Vt)  # (B, d)
        return (0.5 * (U - X).square().sum() + L1 * Z.sum()) / len(X)

    def top_k_loss(X, W, b, Vt, c):
        Y = F.linear(X, W, b)  # (B, h)
        values, units = torch.topk(Y, shape.k, sorted=False)  # (B, k)
        Z = torch.zeros_like(Y).scatter(1, units, F.relu(values))  # (B, h)
        U = torch.addmm(c, Z, Vt)  # (B, d)
        return 0.5 * (U - X).square().sum() / len(X)

    def embedding_bag_loss(X, W, b, Vt, c):
        values, units = torch.topk(F.linear(X, W, b), shape.k, sorted=False)  # (B, k)
        U = F.embedding_bag(units, Vt, per_sample_weights=F.relu(values), mode="sum") + c  # (B, d)
        return 0.5 * (U - X).square().sum() / len(X)

    def make(loss_of: Callable, compiled: str = "", **adam: bool) -> Run:
        W, b, V, c = (torch.tensor(weight) for weight in weights)  # copies
        params = [p.requires_grad_() for p in (W, b, V.T.contiguous(), c)]
        optimizer = torch.optim.Adam(params, LR, (BETA1, BETA2), EPS, **adam)
        loss_of = torch.compile(loss_of) if compiled == "loss" else loss_of

        def step(X: torch.Tensor) -> torch.Tensor:
            loss = loss_of(X, *params)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(step) if compiled == "step" else step
        return lambda X: step(torch.from_numpy(X)).detach()

    if shape.k:
        return {
            f"{way}: {setting}": make(loss_of, **options)
            for way, loss_of in (("dense", top_k_loss), ("embedding_bag", embedding_bag_loss))
            for setting, options in {
                "eager, Adam fused": {"fused": True},
                "torch.compile of the loss, Adam fused": {"compiled": "loss", "fused": True},
            }.items()
        }
    return {
        "eager: Adam fused": make(dense_loss, fused=True),
        "eager: Adam foreach": make(dense_loss, foreach=True),
        "compile: of the loss, Adam fused": make(dense_loss, "loss", fused=True),
        "compile: of the whole step": make(dense_loss, "step"),
    }


def numpy_encode(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    _, (W, *_) = load(folder, shape)
    Y = np.empty((ENCODE_ROWS, shape.h), "f4")  # (n, h)
    return {"product": lambda X: np.matmul(X, W.T, out=Y[: len(X)])}


def nsae_encode(folder: Path, shape: Shape, threads: int) -> dict[str, Run]:
    _, (W, b, V, c) = load(folder, shape)
    encoder = Encoder(Dense(W, b), Dense(V, c), KSparse(shape.k), "linear", {})

    def encode(X: np.ndarray) -> Codes:  # (n, d)
        return encoder.encode(X)

    return {"nsae": encode}


MAKERS = {
    "steps": {"numpy": numpy_steps, "nsae": nsae_steps, "torch": torch_steps},
    "encode": {"numpy": numpy_encode, "nsae": nsae_encode},
}


# ---- timing


class Worker:
    """A process for one framework, alive to the end.

    PyTorch and NumPy each bring a thread pool, whose threads spin for a while after their work, and in
    one process they disturb each other.  Here each is alone, and all idle but the one at work.
    """

    runs: dict[str, Run]  # these two in the worker's process alone
    batches: list[np.ndarray]

    def __init__(self, name: str):
        self.name = name
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def call(self, function: Callable, *args: object):
        return self.pool.submit(function, *args).result()


def prepare(name: str, task: str, folder: Path, shape: Shape, threads: int) -> list[str]:
    Worker.runs = {}  # the last shape's go first
    Worker.runs = MAKERS[task][name](folder, shape, threads)
    batches, _ = load(folder, shape)
    Worker.batches = [np.concatenate(batches)] if task == "encode" else batches
    return list(Worker.runs)


def first_losses(run: str) -> list[float] | None:
    """Of the first steps; None where there is no loss.  Compiles what must be compiled."""
    losses = [Worker.runs[run](Worker.batches[i % len(Worker.batches)]) for i in range(CHECKED_STEPS)]
    try:
        return [float(loss) for loss in losses]
    except TypeError:
        return None


def timed(run: str, times: int) -> float:
    """Median seconds of one, of some in a row; one more goes first, to wake threads and caches."""
    time.sleep(SETTLE)  # the last contestant's threads are asleep, then
    seconds = []
    for i in range(times + 1):
        X = Worker.batches[i % len(Worker.batches)]
        started = time.perf_counter()
        Worker.runs[run](X)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def race(
    workers: dict[str, Worker], task: str, folder: Path, shape: Shape, args: argparse.Namespace
) -> dict[str, list[float]]:
    """Seconds of every round, by contestant; of PyTorch's settings, the fastest of each way.

    In turn, so that whatever else the machine does falls on all alike.
    """
    turns: dict[str, Worker] = {}
    losses: dict[str, list[float]] = {}
    for name, worker in workers.items():
        if name not in MAKERS[task]:
            continue
        for run in worker.call(prepare, name, task, folder, shape, args.threads):
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


def fastest(once: dict[str, float], say_of: str) -> list[str]:
    """The settings of PyTorch that are not the fastest of their way."""
    beaten = []
    for run, seconds in once.items():
        way, _, setting = run.partition(": ")
        if setting:
            say(f"{say_of}: PyTorch, {run}: {seconds * 1e3:.2f} ms")
            if any(other.startswith(f"{way}: ") and once[other] < seconds for other in once):
                beaten.append(run)
    return beaten


# ---- results


class Ratio(NamedTuple):
    median: float
    low: float  # quartiles
    high: float
    setting: str

    @classmethod
    def of(cls, a: list[float], b: list[float], setting: str = "") -> Ratio:
        """Of the ratios a/b of each round."""
        ratios = [x / y for x, y in zip(a, b, strict=True)]
        low, median, high = np.percentile(ratios, [25, 50, 75])
        return cls(float(median), float(low), float(high), setting)


def ratios(seconds: dict[str, list[float]], shape: Shape) -> dict[str, Ratio]:
    floor = "product" if shape.k else "floor"
    found = {f"over_{floor}": Ratio.of(seconds["nsae"], seconds[floor])}
    for run, times in seconds.items():
        way, _, setting = run.partition(": ")
        if setting:
            found[f"torch_{way}_over_ours"] = Ratio.of(times, seconds["nsae"], setting)
    if "numpy" in seconds:
        found["numpy_over_ours"] = Ratio.of(seconds["numpy"], seconds["nsae"])
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="the smallest shapes only: to see that it runs")
    parser.add_argument("--rounds", type=int, help="rounds of timing (15)")
    parser.add_argument("--threads", type=int, default=2, help="for every contestant alike (2)")
    parser.add_argument("--only", default="", help="shapes with this in their name: h16384, encode")
    parser.add_argument("--plot", metavar="PNG", help="draw the ratios (needs matplotlib)")
    args = parser.parse_args(argv)
    args.rounds = args.rounds or (2 if args.quick else 15)
    dense, k_sparse = (DENSE[:1], K_SPARSE[:1]) if args.quick else (DENSE, K_SPARSE)

    for variable in THREADS:  # read when a library starts, in the workers, which inherit this
        os.environ[variable] = str(args.threads)
    workers = {name: Worker(name) for name in ("numpy", "nsae", *installed())}
    table: dict[str, dict[str, dict[str, Ratio]]] = {"dense": {}, "k_sparse": {}}
    medians: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_data(folder, QUICK_ROWS if args.quick else ENCODE_ROWS)
        for kind, shapes in (("dense", dense), ("k_sparse", k_sparse)):
            for shape in shapes:
                if args.only in str(shape):
                    seconds = race(workers, "steps", folder, shape, args)
                    table[kind][str(shape)] = ratios(seconds, shape)
                    medians[str(shape)] = statistics.median(seconds["nsae"])
        encode = None
        if args.only in "encode":
            seconds = race(workers, "encode", folder, ENCODE, args)
            encode = Ratio.of(seconds["product"], seconds["nsae"])

    print(
        f"One training step in float32; median of {args.rounds} rounds in turn, and quartiles of the ratio."
    )
    print(f"threads: {args.threads} for each, of {os.cpu_count()} cores; Python {platform.python_version()}")
    for kind, shapes in table.items():
        for shape, rows in shapes.items():
            print(f"\n{kind.replace('_', '-')} {shape}: nsae {medians[shape] * 1e3:.2f} ms")
            for key, ratio in rows.items():
                print(row(key, ratio))
    if encode:
        print(f"\nencode, {QUICK_ROWS if args.quick else ENCODE_ROWS} rows, 784 to {ENCODE.h}, k = 32")
        print(row("encode_over_product", encode))
    if args.plot:
        plot(table, args.plot)
    if args.json:
        result: dict[str, object] = {
            kind: {
                shape: {key: ratio.median for key, ratio in rows.items()} for shape, rows in shapes.items()
            }
            for kind, shapes in table.items()
        }
        if encode:
            result["encode_over_product"] = encode.median
        print(json.dumps(result))
    return 0


def row(key: str, ratio: Ratio) -> str:
    spread = f"({ratio.low:.2f} to {ratio.high:.2f})"
    return f"  {key:30} {ratio.median:6.2f} ×  {spread:18} {ratio.setting}".rstrip()


def plot(table: dict[str, dict[str, dict[str, Ratio]]], path: str) -> None:
    """Dots with quartiles: left what nsae adds to the products, right what others take, both 1 at best."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    places = [(kind, shape) for kind, shapes in table.items() for shape in shapes]
    figure, panels = plt.subplots(1, 2, figsize=(11, 1.2 + 0.5 * len(places)), sharey=True)
    titles = ("nsae's step / its matrix products", "another's step / nsae's")
    seen = {}
    for place, (kind, shape) in enumerate(places):
        for key, ratio in table[kind][shape].items():
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


def installed() -> list[str]:
    """The peers that can be imported; a line about each other one."""
    if importlib.util.find_spec("torch"):
        return ["torch"]
    say(
        "PyTorch is not installed and is left out. To compare with it: the CPU build of PyTorch "
        "(its install page has the command for each system)"
    )
    return []


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
