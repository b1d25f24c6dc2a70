"""What ``distributed.py`` measures of images on workers, and of indexes in shards."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import nsae.distributed
from nsae import CodeIndex, Codes, Hits, ImageEncoder
from nsae.distributed.image_fitting import OnWorkers
from nsae.images import pipeline
from nsae.images.features import pca as pca_steps
from nsae.images.pipeline import block_size
from nsae.images.pooled_components import components_of
from nsae.images.work import InThisProcess, cut
from nsae.retrieval import ShardedIndex, merge_folders

H, K = 4096, 32  # units, and active units a row, of the codes that are indexed
SHARDS = 4
QUERIES = 500
SMALL: dict[str, Any] = {"k": 4, "patch_units": 32, "epochs": 2, "patch_epochs": 1, "n_patches": 20_000}
WARM = 20_000  # Rows of an index that has a search structure.
# Merges the folders of the command line and prints the growth of the process's memory in MB; the first merge, of
# another folder, loads the compiled loops.  Or it does the same in memory.
MERGE = """
import json, sys
from nsae import CodeIndex
from nsae.retrieval import merge_folders
from nsae.retrieval.search import stream_postings
stream_postings.ENTRY_WORK = 1e9
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
how, target, warm, *shards = sys.argv[1:]
merge_folders([warm], target + " first")
before = peak()
if how == "streaming":
    merge_folders(shards, target)
else:
    index = CodeIndex.load(shards[0])
    index.merge(*map(CodeIndex.load, shards[1:]))
    index.save(target)
print(json.dumps((peak() - before) / 1024))
"""


def dask_array(X: np.ndarray, chunks: tuple[int, ...]) -> Any:
    """Return X as a Dask array of chunks of this shape."""
    import dask.array

    return dask.array.from_array(X, chunks)


def random_images(n: int) -> np.ndarray:
    """Return images (n, 48, 48, 3) uint8 of noise, with colours of their own."""
    rng = np.random.default_rng(0)
    base = rng.integers(0, 200, (n, 1, 1, 3))  # (n, 1, 1, 3)
    return (base + rng.integers(0, 56, (n, 48, 48, 3))).astype(np.uint8)


def random_codes(n: int, seed: int) -> Codes:
    """Return n codes of K units out of H."""
    rng = np.random.default_rng(seed)
    units = np.sort(rng.integers(0, H // K, (n, K)) + np.arange(K) * (H // K), axis=1).astype(
        np.int32
    )  # (n, K)
    values = 0.1 + rng.random(n * K).astype(np.float32)  # (nnz,)
    return Codes(np.arange(n + 1, dtype=np.int64) * K, units.ravel(), values, H)


def images_on_workers(clients: dict[int, Any], rounds: int, quick: bool) -> dict[str, float]:
    """Return images a second that 1 and 2 workers take to their components, and one thread without a cluster."""
    images = random_images(200 if quick else 1600)
    encoder = ImageEncoder(64, **{**SMALL, "patch_units": 256}, random_state=0).fit(images[:200])
    features, pca = encoder.pipeline_.features, encoder.pca_
    block = min(block_size(features.geometry, features.n_features), len(images) // 8)
    held = {w: client.persist(dask_array(images, (block, 48, 48, 3))) for w, client in clients.items()}
    seconds: dict[str, list[float]] = {"local": [], "1": [], "2": []}
    for _ in range(rounds + 1):
        work: Any = InThisProcess(None, 1)
        started = time.perf_counter()
        work.on_images(components_of, cut(images, block), features, "auto", pca)
        seconds["local"].append(time.perf_counter() - started)
        for workers, client in clients.items():
            started = time.perf_counter()
            OnWorkers(client).on_images(components_of, cut(held[workers], block), features, "auto", pca)
            seconds[str(workers)].append(time.perf_counter() - started)
    figures = {f"images_per_s_{name}": len(images) / statistics.median(s[1:]) for name, s in seconds.items()}
    return {**figures, "speedup_2_workers": figures["images_per_s_2"] / figures["images_per_s_1"]}


def building(clients: dict[int, Any], rounds: int, quick: bool) -> dict[str, float]:
    """Return rows a second that 1 and 2 workers write as shards, and one process without a cluster."""
    n = 2_000 if quick else 40_000
    held = {
        workers: [client.submit(random_codes, n, seed, pure=False) for seed in range(SHARDS)]
        for workers, client in clients.items()
    }
    codes = [random_codes(n, seed) for seed in range(SHARDS)]
    seconds: dict[str, list[float]] = {"local": [], "1": [], "2": []}
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            for seed, some in enumerate(codes):
                index = CodeIndex(H)
                index.add(some, range(seed * n, seed * n + n))
                index.save(Path(folder, str(seed)))
            seconds["local"].append(time.perf_counter() - started)
            for workers, client in clients.items():
                started = time.perf_counter()
                to = Path(folder, f"shards-{workers}")
                nsae.distributed.build_index(held[workers], to, n_units=H, client=client)
                seconds[str(workers)].append(time.perf_counter() - started)
    figures = {f"rows_per_s_{name}": SHARDS * n / statistics.median(s[1:]) for name, s in seconds.items()}
    return {**figures, "speedup_2_workers": figures["rows_per_s_2"] / figures["rows_per_s_1"]}


def merging(quick: bool) -> dict[str, Any]:
    """Return the memory that a merge takes of few rows, and of ten times as many, beside one in memory."""
    sizes = (20_000, 40_000) if quick else (40_000, 400_000)
    figures: dict[str, Any] = {"rows": sizes, "streaming_mb": [], "seconds": []}
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            shards, _ = _saved(Path(folder), n // SHARDS, with_single=False)
            warm = CodeIndex(H)
            warm.add(random_codes(WARM, 0))
            warm.save(Path(folder, "warm"))
            for how in ("streaming", "in_memory")[: 2 if n == sizes[1] else 1]:
                started = time.perf_counter()
                command = [sys.executable, "-c", MERGE, how]
                command += map(str, (Path(folder, how), Path(folder, "warm"), *shards))
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                if how == "streaming":
                    figures["streaming_mb"].append(json.loads(said))
                    figures["seconds"].append(time.perf_counter() - started)
                else:
                    figures["in_memory_mb"] = json.loads(said)
                    figures["same_bytes"] = _same_bytes(Path(folder, "streaming"), Path(folder, "in_memory"))
    return figures


def searching(client: Any, rounds: int, quick: bool) -> dict[str, Any]:
    """Return milliseconds a query of one index, of shards here and on workers, and whether hits are equal."""
    n = 20_000 if quick else 200_000
    queries = random_codes(QUERIES, 99)
    with tempfile.TemporaryDirectory() as folder:
        shards, single = _saved(Path(folder), n // SHARDS, with_single=True)
        contestants = {
            "single": CodeIndex.load(single, mmap=True),
            "shards": ShardedIndex(shards),
            "shards_on_2_workers": ShardedIndex(shards, client=client),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds + 1):
            hits = {}
            for name, index in contestants.items():
                started = time.perf_counter()
                hits[name] = index.search(queries, 10)
                seconds[name].append(time.perf_counter() - started)
        merged = Path(folder, "merged")
        merge_folders(shards, merged)
        equal = all(_same_hits(some, hits["single"]) for some in hits.values())
        equal &= _same_bytes(merged, single)
    times = {f"ms_{name}": 1e3 * statistics.median(s[1:]) / QUERIES for name, s in seconds.items()}
    return {**times, "rows": n, "hits_equal": equal}


def _saved(folder: Path, n: int, *, with_single: bool) -> tuple[list[Path], Path]:
    """Write shards of n rows each, and an index of all of them."""
    shards, single = [], CodeIndex(H)
    for seed in range(SHARDS):
        index, codes, ids = CodeIndex(H), random_codes(n, seed), range(seed * n, seed * n + n)
        index.add(codes, ids)
        shards.append(folder / f"shard-{seed}")
        index.save(shards[-1])
        if with_single:
            single.add(codes, ids)
    if with_single:
        single.save(folder / "single")
    return shards, folder / "single"


def _same_bytes(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    return names == sorted(path.name for path in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def _same_hits(one: Hits, other: Hits) -> bool:
    parts = ("distances", "rows", "counts", "ids")
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in parts)


# ---- workers that are killed


def fit_images_survives(client: Any, kill: Callable[[], None]) -> bool:
    """Fit an ImageEncoder, and kill a worker in a round of its components: the same bits."""
    images, done = random_images(160)[:, :16, :16], []

    class Killing(OnWorkers):
        def on_parts(self, function: Any, parts: Any, *shared: Any) -> Any:
            for result in super().on_parts(function, parts, *shared):
                yield result
                if function is pca_steps._covariance_times and not done:
                    done.append(kill())

    usual, pipeline.BLOCK_BYTES = pipeline.BLOCK_BYTES, 1 << 18  # many blocks of few images
    try:
        models = [ImageEncoder(32, **SMALL, random_state=0, n_threads=1) for _ in range(2)]
        ours, theirs = models[0].learn_from(images, Killing(client)), models[1].fit(images)
    finally:
        pipeline.BLOCK_BYTES = usual
    return bool(done) and all(
        np.array_equal(here, there) for here, there in zip(_learned(ours), _learned(theirs), strict=True)
    )


def _learned(model: ImageEncoder) -> list[np.ndarray]:
    """Return all that encodes images."""
    made = model.pipeline_
    return [made.features.layer.W, made.features.layer.b, made.pca.A, made.pca.a, made.code_layer.W]


def shards_survive(client: Any, kill: Callable[[], None]) -> bool:
    """Write eight shards, and kill a worker when two are there: merged, they are the bytes of a single build."""
    n = 5_000
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "shards")

        def kill_soon() -> None:
            while not target.exists() or sum("shard-0" in name for name in os.listdir(target)) < 3:
                time.sleep(0.005)
            kill()

        killer = threading.Thread(target=kill_soon)
        killer.start()
        chunks = [client.submit(random_codes, n, seed, pure=False) for seed in range(8)]
        shards = nsae.distributed.build_index(chunks, target, n_units=H, client=client)
        killer.join()
        single = CodeIndex(H)
        single.add(Codes.concatenate(random_codes(n, seed) for seed in range(8)))
        single.save(Path(folder, "single"))
        merge_folders(shards, Path(folder, "merged"))
        return sorted(target.iterdir()) == shards and _same_bytes(
            Path(folder, "merged"), Path(folder, "single")
        )
