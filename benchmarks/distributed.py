"""Dask: one worker beside two, what a step sends, and workers that are killed.

    python benchmarks/distributed.py [--rounds N] [--quick] [--json] [--save]

Clusters are of processes on this machine, with one thread each.  "One worker" and "two workers" take turns.  Times
of a step are medians of the steps of all turns, without the first steps of each.  Processor seconds are those of
client, scheduler and workers together, and hardly depend on what else the machine does.  Bytes are those of the
arrays in the messages, as ``nsae.distributed.fit`` counts them; what a message has besides is some kilobytes.

TASKS has what must end equally if a worker is killed in its middle.  Each takes a client and a function that kills
a worker, calls it once, and returns whether the result is what it would have been.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Dask imports a package by the name of this script.  Python puts the folder of a script first: here it is last.
HERE = str(Path(__file__).parent)
sys.path[:] = [*(folder for folder in sys.path if folder != HERE), HERE]

import argparse
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from helpers import distributed_shards, results, usage

import nsae.distributed
from nsae import Codes, SparseAutoencoder
from nsae.interchange import from_scipy
from nsae.system.threads import Threads, at_most

Kill = Callable[[], None]
PACKAGES = ("dask", "distributed", "scipy")  # imported where they are used, so that --help needs none
SKIPPED = 2  # first steps of a fit: compiled loops are loaded, states are sent


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """Make a cluster of processes with a thread each, and yield its client."""
    import distributed

    with (
        distributed.LocalCluster(
            workers, processes=True, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as made,
        distributed.Client(made, set_as_default=False, direct_to_workers=True) as client,
    ):
        yield client


def rows(n: int, d: int, dtype: str = "float32") -> np.ndarray:
    """Return X (n, d) in [0, 1]: sums of few patterns, so that there is something to learn."""
    rng = np.random.default_rng(0)
    patterns = rng.random((64, d))  # (64, d)
    weights = rng.random((n, 64)) * (rng.random((n, 64)) < 0.1)  # (n, 64)
    X = weights @ patterns  # (n, d)
    return (X / X.max()).astype(dtype)


# ---- equal weights


def fit_rel_diff(clients: dict[int, Any], quick: bool) -> float:
    """Return the largest relative difference of a weight: fits by 1 and 2 workers, and a local one, in float64."""
    X = rows(1_000 if quick else 5_000, 100, "float64")
    common = {"batch_size": 250, "epochs": 2 if quick else 5, "random_state": 0, "dtype": "float64"}
    models = [
        {"n_units": 64, "l1": 0.01, "weight_decay": 1e-4, "backend": "numpy"},
        {"n_units": 64, "activation": "sigmoid", "kl": 0.1, "weight_decay": 1e-4, "backend": "numpy"},
        {"n_units": 128, "k": 8, "unit_norm": True, "max_grad_norm": 1.0, "backend": "numba"},
    ]
    largest = 0.0
    for options in models:
        expected = SparseAutoencoder(**common, **options).fit(X).autoencoder_.params
        for client in clients.values():
            model = SparseAutoencoder(**common, **options)
            fitted = nsae.distributed.fit(model, dask_rows(X), client=client).autoencoder_.params
            for name, array in expected.items():
                largest = max(largest, float(np.abs(fitted[name] - array).max() / np.abs(array).max()))
    return largest


def dask_rows(X: np.ndarray) -> Any:
    """Return X (n, d) as a Dask array of four chunks."""
    return distributed_shards.dask_array(X, (-(-len(X) // 4), X.shape[1]))


# ---- speed and bytes

SHAPES: dict[str, dict[str, Any]] = {
    "k_sparse": {"n_units": 4096, "k": 32, "batch_size": 4096, "backend": "numba"},
    "k_sparse_wide": {"n_units": 16384, "k": 32, "batch_size": 2048, "backend": "numba"},
    "dense": {"n_units": 1024, "l1": 0.01, "batch_size": 4096, "backend": "numpy"},
}
SMALL = {"n_units": 16, "k": 4, "batch_size": 16, "backend": "numba"}


def local_steps(X: np.ndarray, options: dict[str, Any]) -> tuple[list[float], float]:
    """Return the seconds of a step of a local fit with one thread, by epochs, and its processor seconds."""
    spent, steps = [], -(-len(X) // options["batch_size"])
    for epochs in (1, 3):
        started = time.process_time()
        model = SparseAutoencoder(**options, epochs=epochs, random_state=0, n_threads=1).fit(X)
        spent.append(time.process_time() - started)
    seconds = [seconds / steps for seconds in model.history_["seconds"][1:]]
    return seconds, (spent[1] - spent[0]) / (2 * steps)


def cluster_steps(client: Any, X: Any, options: dict[str, Any]) -> tuple[list[float], list[Any], float]:
    """Return the seconds of each step of a distributed fit, what each has sent, and processor seconds a step.

    Those are of the client, with the scheduler, and of all workers together.
    """
    times, sent, spent = [], [], []
    epochs = 3
    last = epochs * -(-len(X) // options["batch_size"])

    def note(traffic: Any) -> None:
        if traffic.step == SKIPPED:
            spent.append(processor_seconds(client))
        times.append(time.perf_counter())
        sent.append(traffic)
        if traffic.step == last:
            spent.append(processor_seconds(client))

    model = SparseAutoencoder(**options, epochs=epochs, random_state=0)
    nsae.distributed.fit(model, X, client=client, parts=2, on_step=note)
    processor = (spent[1] - spent[0]) / (last - SKIPPED)
    return [float(seconds) for seconds in np.diff(times)[SKIPPED:]], sent[SKIPPED:], processor


def processor_seconds(client: Any) -> float:
    """Return what this process and all workers have used."""
    return time.process_time() + sum(client.run(time.process_time).values())


def speed(clients: dict[int, Any], name: str, rounds: int, quick: bool) -> dict[str, float]:
    """Return seconds a step with 1 and 2 workers and without a cluster, and bytes a step, of a shape."""
    options = SHAPES[name]
    if quick:
        options = {**options, "n_units": 256, "batch_size": 256}
    X = rows(2 * options["batch_size"], 784)
    array = dask_rows(X)
    seconds: dict[str, list[float]] = {"local": [], "1": [], "2": []}
    spent: dict[str, list[float]] = {"local": [], "1": [], "2": []}
    for _ in range(rounds):
        times, processor = local_steps(X, options)
        seconds["local"] += times
        spent["local"].append(processor)
        for workers, client in clients.items():
            times, sent, processor = cluster_steps(client, array, options)
            seconds[str(workers)] += times
            spent[str(workers)].append(processor)
    processor_step = {f"processor_{name}": statistics.median(each) for name, each in spent.items()}
    step = {f"seconds_{name}": float(statistics.median(times)) for name, times in seconds.items()}
    up, down = (statistics.median(getattr(one, way) for one in sent) for way in ("up", "down"))
    h, itemsize = options["n_units"], X.itemsize
    return {
        **step,
        "speedup_2_workers": step["seconds_1"] / step["seconds_2"],
        "over_local": step["seconds_1"] / step["seconds_local"],
        **processor_step,
        "processor_over_local": processor_step["processor_1"] / processor_step["processor_local"],
        "bytes_up": up,
        "bytes_down_to_each": down,
        "bytes_a_step": up + 2 * down,  # parts to the client, and what it made of them to two workers
        "bytes_of_gradients": (2 * h * 784 + h + 784) * itemsize,
    }


def encoding(clients: dict[int, Any], rounds: int, quick: bool) -> dict[str, float]:
    """Return rows a second that 1 and 2 workers encode, and one thread without a cluster."""
    n = 4_000 if quick else 40_000
    X = rows(n, 784)
    model = SparseAutoencoder(1024, k=32, epochs=1, random_state=0, n_threads=1).fit(X[:2000])
    array = distributed_shards.dask_array(X, (n // 16, 784))
    seconds: dict[str, list[float]] = {"local": [], "1": [], "2": []}
    held = {workers: client.persist(array) for workers, client in clients.items()}
    for _ in range(rounds + 1):
        started = time.perf_counter()
        with Threads(1), at_most(1):
            model.encode(X)
        seconds["local"].append(time.perf_counter() - started)
        for workers, client in clients.items():
            Z = nsae.distributed.encode(held[workers], model)
            started = time.perf_counter()
            done = client.compute(list(Z.to_delayed().ravel()))
            for future in done:
                future.exception()  # waits, and leaves the codes where they are
            seconds[str(workers)].append(time.perf_counter() - started)
    figures = {f"rows_per_s_{name}": n / statistics.median(times[1:]) for name, times in seconds.items()}
    return {**figures, "speedup_2_workers": figures["rows_per_s_2"] / figures["rows_per_s_1"]}


def _nothing(i: int) -> int:
    return i


def overhead(client: Any, rounds: int) -> dict[str, float]:
    """Return milliseconds of a task that does nothing, among many and alone, and of a step that computes nothing."""
    many, alone = [], []
    for _ in range(max(3, rounds)):
        started = time.perf_counter()
        client.gather([client.submit(_nothing, i, pure=False) for i in range(200)])
        many.append((time.perf_counter() - started) / 200)
        started = time.perf_counter()
        client.submit(_nothing, 0, pure=False).result()
        alone.append(time.perf_counter() - started)
    times, _, _ = cluster_steps(client, dask_rows(rows(160, 20)), SMALL)
    return {
        "task_ms": 1e3 * statistics.median(many),
        "task_alone_ms": 1e3 * statistics.median(alone),
        "smallest_step_ms": 1e3 * statistics.median(times),
    }


# ---- workers that are killed


def encode_survives(client: Any, kill: Kill) -> bool:
    """Encode 16 chunks, and kill a worker when a quarter of them is done: the same bits."""
    X = rows(16_000, 100, "float64")
    model = SparseAutoencoder(64, k=8, epochs=1, random_state=0, dtype="float64").fit(X[:1000])
    chunks = nsae.distributed.encode(
        distributed_shards.dask_array(X, (1000, 100)).map_blocks(_slowly, dtype=X.dtype), model
    )
    futures = client.compute(list(chunks.to_delayed().ravel()))
    while sum(future.done() for future in futures) < 4:
        time.sleep(0.01)
    kill()
    found, expected = Codes.concatenate(map(from_scipy, client.gather(futures))), model.encode(X)
    pairs = [(found.indptr, expected.indptr), (found.units, expected.units), (found.values, expected.values)]
    return all(np.array_equal(a, b) for a, b in pairs)


def _slowly(chunk: np.ndarray) -> np.ndarray:
    time.sleep(0.1)
    return chunk


def fit_survives(client: Any, kill: Kill) -> bool:
    """Fit, and kill a worker in the middle of a step: the same weights to 1e-10."""
    X, killers = rows(4_000, 100, "float64"), []
    options = {"n_units": 256, "k": 8, "batch_size": 1000, "epochs": 4, "random_state": 0, "dtype": "float64"}

    def kill_soon(traffic: Any) -> None:
        if traffic.step == 6:
            killers.append(threading.Timer(0.02, kill))
            killers[0].start()

    fitted = SparseAutoencoder(**options, backend="numba")
    nsae.distributed.fit(fitted, dask_rows(X), client=client, parts=4, on_step=kill_soon)
    killers[0].join()
    expected = SparseAutoencoder(**options, backend="numba").fit(X).autoencoder_.params
    params = fitted.autoencoder_.params
    return all(
        np.abs(params[name] - expected[name]).max() <= 1e-10 * np.abs(expected[name]).max()
        for name in expected
    )


TASKS: dict[str, Callable[[Any, Kill], bool]] = {
    "encode": encode_survives,
    "fit": fit_survives,
    "fit_images": distributed_shards.fit_images_survives,
    "build_index": distributed_shards.shards_survive,
}


def survived(task: Callable[[Any, Kill], bool]) -> bool:
    """Run a task on a cluster of its own, of two workers, and return whether it ended as without the kill."""
    with cluster(2) as client:
        pids = list(client.run(os.getpid).values())
        killed = []

        def kill() -> None:
            os.kill(pids[0], signal.SIGKILL)
            killed.append(pids[0])

        equal = task(client, kill)
        return equal and killed == pids[:1]


def main(argv: list[str] | None = None) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="small shapes, one round: to see that it runs")
    parser.add_argument("--rounds", type=usage.positive, help="turns of each contestant (3)")
    args = parser.parse_args(argv)
    usage.need("The benchmark of clusters", *PACKAGES, install='pip install "nsae[dask]"')
    args.rounds = rounds = args.rounds or (1 if args.quick else 3)
    figures: dict[str, Any] = {}
    with cluster(1) as one, cluster(2) as two:
        clients = {1: one, 2: two}
        figures["fit_rel_diff"] = fit_rel_diff(clients, args.quick)
        say(f"weights of 1 and 2 workers and of a local fit: {figures['fit_rel_diff']:.1e} apart")
        figures["overhead"] = overhead(two, rounds)
        figures["encode"] = encoding(clients, rounds, args.quick)
        say(f"encoding: {figures['encode']}")
        figures["steps"] = {}
        for name in SHAPES:
            figures["steps"][name] = speed(clients, name, rounds, args.quick)
            say(f"{name}: {figures['steps'][name]}")
        figures["images"] = distributed_shards.images_on_workers(clients, rounds, args.quick)
        figures["build"] = distributed_shards.building(clients, rounds, args.quick)
        figures["sharded"] = distributed_shards.searching(two, rounds, args.quick)
        say(f"images, shards: {figures['images']}, {figures['build']}, {figures['sharded']}")
    figures["merge"] = distributed_shards.merging(args.quick)
    say(f"merging: {figures['merge']}")
    figures["hits_equal"] = figures["sharded"]["hits_equal"]
    figures["speedup_2_workers"] = figures["steps"]["k_sparse"]["speedup_2_workers"]
    step = figures["steps"]["k_sparse"]
    rows_a_step = 256 if args.quick else SHAPES["k_sparse"]["batch_size"]
    figures["local_minutes_10m"] = 1e7 / rows_a_step * step["seconds_local"] / 60  # a pass over so many rows
    figures["bytes_a_step"] = figures["steps"]["k_sparse"]["bytes_a_step"]
    figures["killed"] = {name: survived(task) for name, task in TASKS.items()}
    figures["kills"], figures["survived"] = len(TASKS), sum(figures["killed"].values())

    print("one thread a worker; seconds a step, medians")
    print(f"{'':14} {'local':>8} {'1 worker':>9} {'2 workers':>9} {'2 over 1':>9} {'MB a step':>10}")
    for name, row in figures["steps"].items():
        times = " ".join(f"{row[f'seconds_{who}']:9.3f}" for who in ("local", "1", "2"))
        print(f"{name:13} {times} {row['speedup_2_workers']:9.2f} {row['bytes_a_step'] / 1e6:10.1f}")
    for name, value in figures["overhead"].items():
        print(f"{name}: {value:.2f}")
    for name in ("images", "build", "sharded", "merge"):
        print(f"{name}: {figures[name]}")
    print(f"killed and survived: {figures['survived']} of {figures['kills']} {figures['killed']}")
    results.finish(args, "distributed", figures, peers=PACKAGES, threads=1)
    return 0 if figures["survived"] == figures["kills"] and figures["hits_equal"] else 1


def say(text: str) -> None:
    """Print progress to stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(usage.run(main))
