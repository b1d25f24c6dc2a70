"""What sparse input costs beside the same data as a dense array: steps, encoding, memory, and equal results.

    python benchmarks/sparse_input.py [--rounds N] [--threads N] [--only NAME ...] [--quick] [--json] [--save]

Rows have 20,000 features, of which 0.5 % are not 0, in random places.  A step on CSR and a step on the dense array
take turns, each on a model of its own with the same weights.  Times are seconds of the processor, of all threads
together, so that other work on the machine counts little.  Figures are medians over the rounds, and ratios are of
times in the same round.  ``step_sparse_over_dense`` is the ratio of the first size.

``max_rel_diff`` is the largest relative difference ‖a − b‖/‖b‖ of the parameters after a fit in float64, over both
backends, activations and outputs.  ``peak_mb`` is the peak memory of a process that fits, less that of one which has
only imported what it needs.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import subprocess
import sys
import time
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from helpers import results, usage
from helpers.timing import Ratio, say, set_threads

from nsae import Codes, Encoder, SparseAutoencoder
from nsae.errors import CollapseWarning
from nsae.models.building import new_state, training_options
from nsae.training.loop import make_step


class Size(NamedTuple):
    """A step: h units, d features, B samples, k active units (None: all of them are ReLU), and the density."""

    h: int
    d: int
    B: int
    k: int | None
    density: float = 0.005

    def __str__(self) -> str:
        k = "ReLU" if self.k is None else f"k{self.k}"
        return f"{self.d}x{self.h}xB{self.B} {k} {self.density:.1%}"


SIZES = (
    Size(4096, 20_000, 1024, 16),
    Size(4096, 20_000, 1024, 32),
    Size(4096, 20_000, 256, 16),
    Size(4096, 20_000, 1024, 16, 0.02),
    Size(1024, 20_000, 1024, None),
)
QUICK = (Size(256, 2000, 128, 8), Size(64, 2000, 64, None))
FITS = (
    {"k": 6},
    {"k": 6, "unit_norm": True, "weight_decay": 0.01, "max_grad_norm": 0.05},
    {"k": 6, "init": "samples", "resample": True, "aux_weight": 0.1, "dead_after": 100},
    {},
    {"activation": "sigmoid", "kl": 0.1},
    {"output": "sigmoid", "loss": "cross_entropy"},
)


def rows(n: int, d: int, density: float, seed: int = 0) -> Codes:
    """Return n sparse rows of d features: each has the same number of nonzeros, in random places."""
    rng = np.random.default_rng(seed)
    count = max(1, round(density * d))
    units = np.concatenate([np.sort(rng.choice(d, count, replace=False)) for _ in range(n)])
    values = rng.random(n * count, np.float32) + np.float32(0.1)
    return Codes(np.arange(0, n * count + 1, count), units.astype(np.int32), values, d)


def race(size: Size, rounds: int, threads: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of steps and of encoding the batch, dense and sparse, in turn."""
    sparse = rows(size.B, size.d, size.density)
    data = {"sparse": sparse, "dense": sparse.to_dense()}
    seconds: dict[str, dict[str, list[float]]] = {
        what: {way: [] for way in data} for what in ("step", "encode")
    }
    with ExitStack() as stack:
        steps = {}
        model = SparseAutoencoder(size.h, k=size.k, random_state=0, backend="numba", n_threads=threads)
        core = model.core_for(sparse)
        for way, X in data.items():
            state = new_state(model, copy.deepcopy(core), np.random.default_rng(0))
            step = stack.enter_context(make_step(state, training_options(model), size.B))
            losses = [step(X).loss.total for _ in range(2)]  # compiles, and fills Adam's moments
            frozen = Encoder(state.model.encoder_layer, state.model.decoder_layer, core.g, "linear", {})
            steps[way] = (step, frozen, losses)
        if not np.allclose(steps["sparse"][2], steps["dense"][2], rtol=1e-4):
            raise SystemExit(f"{size}: losses differ: {steps['sparse'][2]} and {steps['dense'][2]}.")
        for _ in range(rounds):
            for way, X in data.items():
                step, encoder, _ = steps[way]
                started = time.process_time()
                step(X)
                between = time.process_time()
                encoder.encode(X, backend="numba")
                seconds["step"][way].append(between - started)
                seconds["encode"][way].append(time.process_time() - between)
    return seconds


def largest_difference() -> float:
    """Return the largest relative difference of a parameter after fits on sparse and on dense data, in float64."""
    sparse = rows(230, 40, 0.2).astype(np.float64) * 0.9
    largest = 0.0
    warnings.simplefilter("ignore", CollapseWarning)  # these fits are short, and made to be compared
    for options in FITS:
        for backend in ("numpy", "numba"):
            params = []
            for X in (sparse, sparse.to_dense()):
                model = SparseAutoencoder(
                    90, epochs=10, batch_size=64, random_state=0, dtype="float64", backend=backend, **options
                )
                params.append(model.fit(X).autoencoder_.params)
            pairs = zip(params[0].values(), params[1].values(), strict=True)
            largest = max(largest, *(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs))
    return largest


def fit_alone(way: str, n: int, d: int) -> float:
    """Fit in this process and return its peak memory in MB; with ``way`` "nothing", make one small fit only."""
    options: dict[str, Any] = {"k": 16, "epochs": 1, "batch_size": 256, "random_state": 0, "backend": "numba"}
    SparseAutoencoder(64, **options).fit(rows(256, 500, 0.01))
    if way != "nothing":
        X = rows(n, d, 0.005)
        SparseAutoencoder(256, **options).fit(X if way == "sparse" else X.to_dense())
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would also count what the parent had when this process was forked
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peaks(n: int, d: int) -> dict[str, float]:
    """Return the peak memory in MB of a fit on n rows, each in a process of its own, above that of the imports."""
    found = {}
    for way in ("nothing", "sparse", "dense"):
        command = [sys.executable, __file__, "--fit", way, str(n), str(d)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[way] = float(done.stdout.splitlines()[-1])
    return {way: found[way] - found["nothing"] for way in ("sparse", "dense")}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs")
    parser.add_argument("--rounds", type=usage.positive, help="rounds of timing (7)")
    parser.add_argument("--threads", type=usage.positive, default=1, help="of both ways (1)")
    parser.add_argument("--only", nargs="+", default=[""], help="sizes with these in their name: k16, B256")
    parser.add_argument("--fit", nargs=3, metavar=("WAY", "N", "D"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.fit:
        print(json.dumps(fit_alone(args.fit[0], *map(int, args.fit[1:]))))
        return 0
    del args.fit
    args.rounds = rounds = args.rounds or (2 if args.quick else 7)
    known = QUICK if args.quick else SIZES
    if not any(part in str(size) for size in known for part in args.only):
        parser.error(
            f"--only {' '.join(args.only)}: no size has that in its name; there are {', '.join(map(str, known))}"
        )
    set_threads(args.threads)
    sizes = {}
    for size in QUICK if args.quick else SIZES:
        if not any(part in str(size) for part in args.only):
            continue
        seconds = race(size, rounds, args.threads)
        found: dict[str, float] = {}
        for what, ways in seconds.items():
            ratio = Ratio.of(ways["sparse"], ways["dense"])
            found |= {f"{what}_{way}_ms": 1e3 * float(np.median(times)) for way, times in ways.items()}
            found |= {f"{what}_ratio": ratio.median, f"{what}_low": ratio.low, f"{what}_high": ratio.high}
        sizes[str(size)] = found
        say(f"{size}: step {found['step_ratio']:.3f}, encode {found['encode_ratio']:.3f}")
    figures = {
        "step_sparse_over_dense": next(iter(sizes.values()))["step_ratio"],
        "max_rel_diff": largest_difference(),
        "sizes": sizes,
        "peak_mb": peaks(*((512, 2000) if args.quick else (8192, 20_000))),
    }
    for name, found in sizes.items():
        print(
            f"{name:32} step {found['step_sparse_ms']:8.1f} of {found['step_dense_ms']:8.1f} ms "
            f"({found['step_ratio']:.3f}), "
            f"encode {found['encode_sparse_ms']:8.1f} of {found['encode_dense_ms']:8.1f} ms"
        )
    print(f"largest relative difference of fits in float64: {figures['max_rel_diff']:.1e}")
    peak = figures["peak_mb"]
    print(f"peak memory of a fit: sparse {peak['sparse']:.0f} MB, dense {peak['dense']:.0f} MB")
    results.finish(args, "sparse_input", figures, threads=args.threads)
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
