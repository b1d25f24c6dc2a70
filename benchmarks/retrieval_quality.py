"""Does a sparse code find better neighbours than pixels?  Labels only judge: nothing here learns from them.

    python benchmarks/retrieval_quality.py [--data NAME] [--quick] [--json] [--seeds N]

Each method turns images into rows of numbers, learned on the database alone, and ranks the database for
each query: vectors by their cosine, binary codes by the number of units that they share.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nsae import Codes, ImageEncoder, archives, datasets
from nsae.images.components import Components

SETS = ("mnist", "fashion_mnist", "cifar10_jpeg", "corel1k")
DEPTHS = (1, 10, 20, 100)
BLOCK = 100  # queries ranked at a time
QUERIES_A_CLASS = 100
COREL_SIDE = 96


class Problem(NamedTuple):
    """Images (n, H, W[, 3]) uint8 and labels; a query that is in the database is left out of its ranking."""

    database: np.ndarray
    labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray
    leave_one_out: bool


def load(name: str, quick: bool) -> Problem:
    if name == "corel1k":
        images, labels = archives.corel1k(COREL_SIDE)
        if quick:
            images, labels = images[::4], labels[::4]
        return Problem(images, labels, images, labels, True)
    if name == "cifar10_jpeg":
        (X, y), (Q, z) = (archives.cifar10_jpeg(split) for split in ("train", "test"))
    else:
        parts = [getattr(datasets, name)(split) for split in ("train", "test")]
        X, y = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
        rng = np.random.default_rng(0)
        chosen = np.concatenate(
            [rng.permutation(np.flatnonzero(y == label))[:QUERIES_A_CLASS] for label in range(10)]
        )
        Q, z = X[chosen], y[chosen]
        X, y = np.delete(X, chosen, axis=0), np.delete(y, chosen)
    if quick:
        X, y, Q, z = X[:3000], y[:3000], Q[:: len(Q) // 200], z[:: len(z) // 200]
    return Problem(X, y, Q, z, False)


# ---- methods: each learns on the database and returns what encodes images as rows (n, d), and bytes a row

Encode = Callable[[np.ndarray], np.ndarray]


def flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / np.float32(255)  # (n, d)


def raw(X: np.ndarray, seed: int) -> tuple[Encode, int]:
    return flat, X[0].size


def histogram(X: np.ndarray, seed: int) -> tuple[Encode, int]:
    """Of colours in 8 × 8 × 8 bins, or of greys in 64; with the square root."""

    def encode(images: np.ndarray) -> np.ndarray:
        color = images.ndim == 4
        bins = images >> 5 if color else images >> 2
        bins = bins @ np.array([64, 8, 1]) if color else bins.astype(int)  # (n, H, W)
        counts = [np.bincount(b.ravel(), minlength=512 if color else 64) for b in bins]
        return np.sqrt(np.array(counts, np.float32))  # (n, bins)

    return encode, 512 if X.ndim == 4 else 64


def dct(X: np.ndarray, seed: int) -> tuple[Encode, int]:
    """The 8 × 8 lowest frequencies of the cosine transform of each colour, without the mean."""
    H, W = X.shape[1:3]

    def basis(n: int) -> np.ndarray:
        return np.cos(np.pi / n * (np.arange(n) + 0.5) * np.arange(8)[:, None]) * np.sqrt(2 / n)  # (8, n)

    D, E = basis(H).astype("f4"), basis(W).astype("f4")

    def encode(images: np.ndarray) -> np.ndarray:
        planes = np.moveaxis(images.reshape(*images.shape[:3], -1) / np.float32(255), 3, 1)  # (n, c, H, W)
        return (D @ planes @ E.T).reshape(len(images), planes.shape[1], 64)[:, :, 1:].reshape(len(images), -1)

    return encode, 4 * 63 * (3 if X.ndim == 4 else 1)


def pca(X: np.ndarray, seed: int) -> tuple[Encode, int]:
    """64 principal components of the pixels."""
    components = Components.fit(flat(X[:20_000]), 64, 0.0, np.random.default_rng(seed))
    return lambda images: components(flat(images)), 4 * 64


def random_projection(X: np.ndarray, seed: int) -> tuple[Encode, int]:
    mean = flat(X[:20_000]).mean(axis=0)
    R = np.random.default_rng(seed).standard_normal((mean.size, 64)).astype("f4")  # (d, 64)
    return lambda images: (flat(images) - mean) @ R, 4 * 64


BASELINES = {
    "raw": raw,
    "histogram": histogram,
    "dct": dct,
    "pca": pca,
    "random_projection": random_projection,
}


def dense(codes: Codes, binary: bool) -> np.ndarray:
    Z = codes.to_dense()  # (n, h)
    return (Z > 0).astype(np.float32) if binary else Z


# ---- ranking and its quality


def quality(problem: Problem, X: np.ndarray, Q: np.ndarray) -> dict[str, np.ndarray]:
    """Of each query, by the cosine of its row in Q (q, d) with the rows of X (n, d): (q,) arrays."""
    X, Q = (A / np.maximum(np.linalg.norm(A, axis=1, keepdims=True), 1e-12) for A in (X, Q))
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(Q), BLOCK):
        S = Q[start : start + BLOCK] @ X.T  # (block, n)
        rows = np.arange(len(S))
        if problem.leave_one_out:
            S[rows, start + rows] = -np.inf
        order = np.argsort(-S, axis=1, kind="stable")[:, : len(X) - problem.leave_one_out]  # (block, n)
        relevant = problem.labels[order] == problem.query_labels[start : start + BLOCK, None]  # (block, n)
        precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
        for k in DEPTHS:
            found.setdefault(f"precision@{k}", []).append(precision[:, k - 1])
        for name, depth in (("map", None), ("map@1000", 1000)):
            hit = relevant[:, :depth]
            ap = (precision[:, :depth] * hit).sum(axis=1) / np.maximum(hit.sum(axis=1), 1)
            found.setdefault(name, []).append(ap)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def row(values: dict[str, np.ndarray], size: int, **more: float) -> dict[str, float]:
    """Means over queries, and the half width of a bootstrap interval of 95 % for mAP."""
    rng = np.random.default_rng(0)
    ap = values["map"]
    means = ap[rng.integers(len(ap), size=(1000, len(ap)))].mean(axis=1)
    half = float(np.diff(np.percentile(means, [2.5, 97.5]))[0] / 2)
    return {
        **{name: float(v.mean()) for name, v in values.items()},
        "map_half_width": half,
        "bytes": size,
        **more,
    }


def evaluate_set(name: str, quick: bool, seeds: int) -> dict[str, dict[str, float]]:
    problem = load(name, quick)
    say(f"{name}: {len(problem.queries)} queries, {len(problem.database)} images")
    table = {}
    for method, make in BASELINES.items():
        encode, size = make(problem.database, 0)
        table[method] = row(quality(problem, encode(problem.database), encode(problem.queries)), size)
        show(method, table[method])
    runs: dict[str, list[dict[str, float]]] = {}
    options = {"epochs": 5, "n_patches": 30_000} if quick else {}
    for seed in range(seeds):
        for label, more in (("nsae", {}), ("nsae_k128", {"k": 128})):
            encoder = ImageEncoder(random_state=seed, **options, **more).fit(problem.database)
            started = time.perf_counter()
            codes = encoder.encode(problem.database)
            rate = len(problem.database) / (time.perf_counter() - started)
            queries = codes if problem.leave_one_out else encoder.encode(problem.queries)
            for suffix, binary in (("", False), ("_binary", True)):
                if binary and label != "nsae":
                    continue
                values = quality(problem, dense(codes, binary), dense(queries, binary))
                size = encoder.k * (2 if binary else 6)  # a unit in 2 bytes, a value in 4
                runs.setdefault(label + suffix, []).append(row(values, size, images_per_s=rate))
                show(label + suffix, runs[label + suffix][-1])
    for label, rows in runs.items():
        table[label] = {key: float(np.mean([r[key] for r in rows])) for key in rows[0]}
        table[label]["map_spread"] = float(np.ptp([r["map"] for r in rows]))  # over seeds
    return table


def show(method: str, figures: dict[str, float]) -> None:
    say(f"  {method:18} " + "  ".join(f"{key} {value:.4g}" for key, value in figures.items()))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="few images and epochs: to see that it runs")
    parser.add_argument("--data", choices=SETS, help="one set only")
    parser.add_argument("--seeds", type=int, default=1, help="of nsae; means over so many (1)")
    args = parser.parse_args(argv)
    result = {}
    for name in [args.data] if args.data else SETS:
        try:
            result[name] = evaluate_set(name, args.quick, args.seeds)
        except FileNotFoundError as error:
            say(f"{name} is left out: {error}")
            continue
        print(
            f"\n{name:18}{'prec@1':>8}{'prec@20':>9}{'mAP':>7}{'±':>7}{'mAP@1000':>10}{'bytes':>7}{'images/s':>10}"
        )
        for method, f in result[name].items():
            rate = f"{f['images_per_s']:10.0f}" if "images_per_s" in f else ""
            figures = (
                f"{f['precision@1']:8.3f}{f['precision@20']:9.3f}{f['map']:7.3f}{f['map_half_width']:7.3f}"
            )
            print(f"  {method:16}{figures}{f['map@1000']:10.3f}{f['bytes']:7.0f}{rate}", flush=True)
    if args.json:
        print(json.dumps(result))
    return 0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
