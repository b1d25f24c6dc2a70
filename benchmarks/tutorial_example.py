"""The autoencoder tutorial's own example in nsae, PyTorch and Keras: the same losses, and the time it takes.

1000 random 0/1 vectors of 100 features; a net 100 → 50 → 100 with ReLU, sigmoid and cross-entropy; Adam;
100 epochs of batches of 32, the last of each epoch being of 8: 3200 steps.  All three start from the
same weights and see the same batches, so their losses must agree step by step: nsae's gradients are
written by hand, theirs are found by automatic differentiation.

Two times are taken: of a fit alone, and of a whole process that imports, builds, trains and ends.

    python benchmarks/tutorial_example.py [--json] [--quick] [--rounds N] [--threads N]

Read ``nsae_losses``, ``torch_losses`` and ``keras_losses`` side by side.  The rest is timing; what is
timed is in tutorial_fits.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from helpers import tutorial_fits
from helpers.tutorial_fits import (
    EPS,
    FITS,
    LR,
    SETTINGS,
    B,
    D,
    Fit,
    H,
    N,
    import_keras,
    keras_model,
    random_bits,
)

from nsae.equations.activations import ReLU
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense
from nsae.equations.optimizers import Adam

BETA1, BETA2 = 0.9, 0.999  # everybody's defaults
BOUNDS = {"float64": 1e-9, "float32": 1e-3}  # largest relative difference of two losses of the same step
INSTALL = {
    "torch": "the CPU build of PyTorch (its install page has the command for each system)",
    "keras": "pip install tensorflow-cpu",
}
THREADS = (  # of NumPy's and PyTorch's matrix products, and of TensorFlow within and between operations
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
NAMES = {"nsae": "nsae", "torch": "PyTorch", "keras": "Keras"}
NAMES |= {"nsae_warm": "nsae", "nsae_cold": "nsae, caches empty"}


class Problem(NamedTuple):
    """What all three start from."""

    X: np.ndarray  # (N, d) of 0 and 1
    W: np.ndarray  # (h, d)
    b: np.ndarray  # (h,)
    V: np.ndarray  # (d, h)
    c: np.ndarray  # (d,)
    batches: list[np.ndarray]  # rows of X for each step: (32,), and (8,) at the end of an epoch

    def astype(self, dtype: str) -> Problem:
        return Problem(*(array.astype(dtype) for array in self[:5]), self.batches)


def make_problem(epochs: int) -> Problem:
    """Data, weights (Glorot's, biases zero) and a new order of samples for each epoch, all from seed 0."""
    rng = np.random.default_rng(0)
    X = random_bits(rng)  # (N, d)
    encoder, decoder = Dense.random(D, H, rng, "float64"), Dense.random(H, D, rng, "float64")
    orders = [rng.permutation(N) for _ in range(epochs)]  # (N,) each
    batches = [order[start : start + B] for order in orders for start in range(0, N, B)]
    return Problem(X, encoder.W, encoder.b, decoder.W, decoder.b, batches)


# ---- the same thing three times: the loss before each step


def nsae_losses(problem: Problem, dtype: str, eps: Callable[[int], float] = lambda t: EPS) -> np.ndarray:
    """nsae: forward, loss and backward in ``loss_and_grads``.  ``eps(t)`` is Adam's ε at step t."""
    X, W, b, V, c, batches = problem.astype(dtype)
    model = Autoencoder(Dense(W, b), Dense(V, c), ReLU(), output="sigmoid", loss="cross_entropy")
    optimizer = Adam(LR, BETA1, BETA2)
    losses = []
    for t, rows in enumerate(batches, start=1):
        loss, grads = model.loss_and_grads(X[rows])  # X[rows]: (B, d)
        optimizer.eps = eps(t)
        optimizer.step(model.params, grads)
        losses.append(loss)
    return np.array(losses)  # (steps,)


def torch_losses(problem: Problem, dtype: str) -> np.ndarray:
    """PyTorch: its Adam is the paper's, and so nsae's."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    X, W, b, V, c = map(torch.tensor, problem.astype(dtype)[:5])  # copies, shaped as ours
    model = torch.nn.Sequential(torch.nn.Linear(D, H), torch.nn.ReLU(), torch.nn.Linear(H, D))
    model.load_state_dict({"0.weight": W, "0.bias": b, "2.weight": V, "2.bias": c}, assign=True)
    optimizer = torch.optim.Adam(model.parameters(), LR, (BETA1, BETA2), EPS)
    losses = []
    for rows in problem.batches:
        batch = X[rows]  # (B, d)
        loss = cross_entropy(model(batch), batch, reduction="sum") / len(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)  # (steps,)


def keras_losses(problem: Problem, dtype: str, *, exact_betas: bool = True) -> np.ndarray:
    """Keras, as the tutorial has it.  Its loss is a mean over features: times d, it is ours.

    ``train_on_batch`` resets the running mean first and returns the loss before the step.  Keras takes
    the cross-entropy from the sigmoid's logits here, as we do, and so clips nothing at 10⁻⁷ (it would
    if the probabilities had been made by anything but its own sigmoid).

    Keras's Adam turns β₁ and β₂ into float32 on the way to βᵗ, in float64 training as well: 1 − β₂ is
    then off by 1.3·10⁻⁵ of itself.  NumPy scalars keep their precision, hence ``exact_betas``; the
    result with plain numbers is shown beside it.  In float32 there is nothing to keep.
    """
    keras = import_keras()
    X, W, b, V, c, batches = problem.astype(dtype)
    real = np.float64 if exact_betas and dtype == "float64" else float
    usual = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        model = keras_model(keras)
        adam = keras.optimizers.Adam(LR, real(BETA1), real(BETA2), EPS)
        model.compile(optimizer=adam, loss="binary_crossentropy")
        model.set_weights([W.T, b, V.T, c])  # a Keras kernel is (in, out)
        losses = [model.train_on_batch(X[rows], X[rows]) for rows in batches]  # X[rows]: (B, d)
    finally:
        keras.config.set_floatx(usual)
    return D * np.array(losses, float)  # (steps,)


def keras_eps(t: int) -> float:
    """The ε of Eq. (19) with which our step t is Keras's: d from its mean over features, the root from
    the place of its bias correction.  equations/README.md, Adam, derives both."""
    return D * EPS / np.sqrt(1 - BETA2**t)


# ---- time: a fit, by the name of the setting


class Worker:
    """A process for one framework, alive to the end.

    PyTorch, TensorFlow and NumPy each bring a thread pool (and their own OpenMP), and in one process
    they disturb each other.  Here each is alone, and all idle but the one at work.
    """

    fits: dict[str, Fit]  # in the worker's process alone: a compiled model cannot be sent

    def __init__(self, name: str):
        context = multiprocessing.get_context("spawn")  # fork would copy a half-started thread pool
        self.name = name
        self.pool = ProcessPoolExecutor(1, mp_context=context)

    def call(self, function: Callable, *args: object, **options: object):
        return self.pool.submit(function, *args, **options).result()

    def seconds(self, epochs: int) -> float:
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
    Worker.fits = {setting: FITS[name](**options) for setting, options in SETTINGS[name].items()}
    return list(Worker.fits)


def timed_fit(setting: str, epochs: int) -> float:
    started = time.perf_counter()
    Worker.fits[setting](epochs)
    return time.perf_counter() - started


# ---- time: a whole process, from its start to its exit


class Process:
    """A fresh Python that imports one framework, makes data and model, trains for some epochs and ends.

    What it compiles is kept in the folder ``caches`` for the next one; if ``cold``, it finds nothing of it.
    """

    def __init__(self, name: str, caches: str, cold: bool = False):
        self.name, self.caches, self.cold = name, caches, cold
        self.setting = next(iter(SETTINGS[name]))

    def seconds(self, epochs: int) -> float:
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="5 epochs and 1 round, to see that it runs")
    parser.add_argument("--rounds", type=int, help="rounds of timing (7)")
    parser.add_argument("--threads", type=int, default=1, help="for every framework alike (1)")
    args = parser.parse_args(argv)
    epochs, rounds = (5, args.rounds or 1) if args.quick else (100, args.rounds or 7)

    for variable in THREADS:  # read when a library starts, in the workers, which inherit this
        os.environ[variable] = str(args.threads)
    workers = {name: Worker(name) for name in ("nsae", *installed())}
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
    if args.json:
        result = {key: value for key, (_, value, bound) in differences.items() if bound}
        result["seconds"] = {name: statistics.median(times.all) for name, times in fits.items()}
        result["process_seconds"] = {name: statistics.median(times.all) for name, times in wholes.items()}
        print(json.dumps(result))
    return 1 if missed else 0


def installed() -> list[str]:
    """The peers that can be imported; a line about each other one."""
    found = []
    for peer, modules in (("torch", ["torch"]), ("keras", ["keras", "tensorflow"])):
        if all(importlib.util.find_spec(module) for module in modules):
            found.append(peer)
        else:
            say(f"{NAMES[peer]} is not installed and is left out. To compare with it: {INSTALL[peer]}")
    return found


def compare(problem: Problem, workers: dict[str, Worker]) -> dict[str, tuple[str, float, float | None]]:
    """By key: a label, the largest relative difference of the losses, and its bound if it has one."""
    rows = {}

    def row(key: str, label: str, ours: np.ndarray, theirs: np.ndarray, bound: float | None) -> None:
        rows[key] = label, float(np.max(np.abs(ours - theirs) / np.abs(theirs))), bound
        say(f"{label}: {rows[key][1]:.1e}")

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
    all: list[float]  # seconds of every round
    setting: str


def race_fits(workers: dict[str, Worker], epochs: int, rounds: int) -> dict[str, Times]:
    """Times of a fit, by framework; the workers end here."""
    for worker in workers.values():
        worker.choose(max(1, epochs // 10))
    times = race(workers, epochs, rounds)
    for worker in workers.values():
        worker.pool.shutdown()
    return times


def race_processes(names: list[str], caches: str, epochs: int, rounds: int, runs: int) -> dict[str, Times]:
    """Times of a whole process, by framework, and of nsae's first one after it was installed."""
    processes = {"nsae_warm" if name == "nsae" else name: Process(name, caches) for name in names}
    for process in processes.values():
        process.choose(epochs, runs)
    processes["nsae_cold"] = Process("nsae", caches, cold=True)  # as it comes: a first user chooses nothing
    return race(processes, epochs, rounds)


def race(contestants: dict[str, Worker] | dict[str, Process], epochs: int, rounds: int) -> dict[str, Times]:
    """In turn, so that whatever else the machine does falls on all alike."""
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
    """Medians, extremes, and ratios to the first one's median."""
    first = statistics.median(next(iter(found.values())).all)
    for name, (times, setting) in found.items():
        median, spread = statistics.median(times), f"({min(times):.2f} to {max(times):.2f})"
        print(f"  {NAMES[name]:18} {median:6.2f} {spread:18} {median / first:5.1f} ×   {setting}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
