"""Rows of the tables of retrieval_quality.py: figures of rankings, with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae import Codes
from nsae.images.features.pca import PCA

from .ranking import Problem, say
from .retrieval_methods import BLOCK, Encode

BYTES = 192  # of 32 active units: a unit in 2, its value in 4
MANY = 2000  # rows of the curves go by so many queries at most, the others by all


def row(values: dict[str, np.ndarray], **more: Any) -> dict[str, Any]:
    """Return means over queries, with bootstrap intervals of 95 %.

    Parameters
    ----------
    values
        By measure, (q,) figures of the queries.
    more
        What else the row has.
    """
    rng = np.random.default_rng(0)
    n = len(values["map"])
    picks = rng.integers(n, size=(500, n))
    interval = {}
    for name in ("precision@1", "precision@20", "map", "map@1000"):
        interval[name] = np.percentile(values[name][picks].mean(axis=1), [2.5, 97.5]).round(5).tolist()
    means = {name: float(v.mean()) for name, v in values.items()}
    return {**means, **more, "queries": n, "interval": interval}


def in_blocks(encode: Encode, images: np.ndarray, reduce: Encode | None = None) -> np.ndarray:
    """Return rows of images, encoded and, if asked for, reduced block by block: memory is for the result only."""
    parts = []
    for start in range(0, len(images), BLOCK):
        part = encode(images[start : start + BLOCK])
        parts.append(part if reduce is None else reduce(part))
    return np.concatenate(parts)


def smaller(rows_of_some: np.ndarray, m: int, whiten: float) -> Encode:
    """Return what cuts rows to m principal components in float16, learned from some rows."""
    components = PCA.fit(rows_of_some, min(m, rows_of_some.shape[1]), whiten, np.random.default_rng(0))
    return lambda F: components(F).astype(np.float16).astype(np.float32)


def thinned(problem: Problem) -> Problem:
    """Return the problem with at most MANY of its queries, evenly spaced."""
    step = 1 if problem.leave_one_out else -(-len(problem.queries) // MANY)
    return problem._replace(queries=problem.queries[::step], query_labels=problem.query_labels[::step])


def binary(codes: Codes) -> Codes:
    """Return only which units are active, as values of 1."""
    return Codes(codes.indptr, codes.units, np.ones_like(codes.values), codes.n_units)


def retained(values: dict[str, np.ndarray], vector: dict[str, np.ndarray]) -> dict[str, float]:
    """Return how good a code is over the vector it is made from, from figures of the same queries.

    retention@1 and retention@10 are of precision, retention_map@1000 is of mAP@1000.
    """
    names = {
        "retention@1": "precision@1",
        "retention@10": "precision@10",
        "retention_map@1000": "map@1000",
    }
    return {name: float(values[key].mean() / max(vector[key].mean(), 1e-12)) for name, key in names.items()}


def show(method: str, figures: dict[str, Any]) -> None:
    """Print a row as progress."""
    say(
        f"  {method:22} "
        + "  ".join(f"{k} {v:.4g}" for k, v in figures.items() if isinstance(v, (int, float)))
    )
