"""The autoencoder tutorial's own example in nsae, PyTorch and Keras: the same losses, and the time for a fit.

1000 random 0/1 vectors of 100 features; a net 100 → 50 → 100 with ReLU, sigmoid and cross-entropy; Adam;
100 epochs of batches of 32, the last of each epoch being of 8: 3200 steps.  All three start from the
same weights and see the same batches, so their losses must agree step by step: nsae's gradients are
written by hand, theirs are found by automatic differentiation.

    python benchmarks/tutorial_example.py [--json] [--quick] [--rounds N] [--threads N]

Read ``nsae_losses``, ``torch_losses`` and ``keras_losses`` side by side.  The rest is timing.
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
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from nsae import SparseAutoencoder
from nsae.activations import ReLU
from nsae.autoencoder import Autoencoder
from nsae.layers import Dense
from nsae.optimizers import Adam

N, D, H, B = 1000, 100, 50, 32  # samples, features, hidden units, samples in a batch
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-7  # Keras's defaults; nsae's and PyTorch's ε is 1e-8
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
    X = rng.integers(0, 2, (N, D)).astype(float)  # (N, d)
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
    the place of its bias correction.  EQUATIONS.md, Adam, derives both."""
    return D * EPS / np.sqrt(1 - BETA2**t)


def keras_model(keras):
    layers = keras.layers
    return keras.Sequential([keras.Input((D,)), layers.Dense(H, "relu"), layers.Dense(D, "sigmoid")])


def import_keras():
    """Keras on TensorFlow.  TensorFlow greets on file descriptor 2 before it reads its log level."""
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import keras
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
    return keras


# ---- time: whole fits in float32, by the name of the setting

Fit = Callable[[int], object]  # a fit of that many epochs


def nsae_fits() -> dict[str, Fit]:
    X = make_problem(0).X.astype("float32")  # (N, d)
    model = SparseAutoencoder(H, activation="relu", output="sigmoid", loss="cross_entropy", batch_size=B)
    return {"as it comes": lambda epochs: model.set_params(epochs=epochs).fit(X)}


def torch_fits() -> dict[str, Fit]:
    """A plain loop over slices of one tensor; a DataLoader would collate row by row."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

    torch._logging.set_logs(all=logging.ERROR)  # torch.compile has remarks
    X = torch.tensor(make_problem(0).X, dtype=torch.float32)  # (N, d)

    def make_fit(compiled: bool = False, **adam: bool) -> Fit:
        model = torch.nn.Sequential(torch.nn.Linear(D, H), torch.nn.ReLU(), torch.nn.Linear(H, D))
        optimizer = torch.optim.Adam(model.parameters(), LR, eps=EPS, **adam)

        def step(batch: torch.Tensor) -> None:  # (B, d)
            loss = cross_entropy(model(batch), batch, reduction="sum") / len(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        step = torch.compile(step) if compiled else step

        def fit(epochs: int) -> None:
            for _ in range(epochs):
                for batch in X[torch.randperm(N)].split(B):
                    step(batch)

        return fit

    return {
        "eager, Adam as it comes": make_fit(),
        "eager, Adam foreach": make_fit(foreach=True),
        "eager, Adam fused": make_fit(fused=True),
        "torch.compile of the step": make_fit(compiled=True),
    }


def keras_fits() -> dict[str, Fit]:
    keras = import_keras()
    X = make_problem(0).X.astype("float32")  # (N, d)

    def make_fit(**compile_options: object) -> Fit:
        model = keras_model(keras)
        adam = keras.optimizers.Adam(LR, epsilon=EPS)
        model.compile(optimizer=adam, loss="binary_crossentropy", **compile_options)
        return lambda epochs: model.fit(X, X, epochs=epochs, batch_size=B, verbose=0)

    return {
        'jit_compile="auto"': make_fit(),
        "jit_compile=True": make_fit(jit_compile=True),
        # an epoch of 32 steps a call: less Python between the steps
        'jit_compile="auto", steps_per_execution=32': make_fit(steps_per_execution=32),
    }


FITS = {"nsae": nsae_fits, "torch": torch_fits, "keras": keras_fits}


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
    Worker.fits = FITS[name]()
    return list(Worker.fits)


def timed_fit(setting: str, epochs: int) -> float:
    started = time.perf_counter()
    Worker.fits[setting](epochs)
    return time.perf_counter() - started


# ---- both, and the table


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
    seconds = race(workers, epochs, rounds)

    print(f"Losses of {epochs * -(-N // B)} steps, largest relative difference between nsae and")
    for label, value, bound in differences.values():
        print(f"  {label:45} {value:8.1e}   {f'bound {bound:.0e}' if bound else ''}".rstrip())
    print(f"\nSeconds for {epochs} epochs in float32, once compiled; median of {rounds} rounds in turn;")
    print(f"threads: {args.threads} for each, of {os.cpu_count()} cores; Python {platform.python_version()}")
    ours = statistics.median(seconds["nsae"])
    for name, times in seconds.items():
        median, spread = statistics.median(times), f"({min(times):.2f} to {max(times):.2f})"
        print(f"  {NAMES[name]:8} {median:6.2f} {spread:18} {median / ours:5.1f} ×   {workers[name].setting}")

    missed = [label for label, value, bound in differences.values() if bound and not value < bound]
    for label in missed:
        say(f"a bound is missed: {label}")
    if args.json:
        result = {key: value for key, (_, value, bound) in differences.items() if bound}
        result["seconds"] = {name: statistics.median(times) for name, times in seconds.items()}
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


def race(workers: dict[str, Worker], epochs: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of every round.  In turn, so that whatever else the machine does falls on all alike."""
    for worker in workers.values():
        worker.choose(max(1, epochs // 10))
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    for i in range(rounds):
        for name, worker in workers.items():
            seconds[name].append(worker.call(timed_fit, worker.setting, epochs))
        say(
            f"round {i + 1}: "
            + ", ".join(f"{NAMES[name]} {times[-1]:.2f} s" for name, times in seconds.items())
        )
    return seconds


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
