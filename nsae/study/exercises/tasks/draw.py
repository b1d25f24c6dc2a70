"""Inputs to try an answer on: random, in float64, of several sizes that are all different."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

SIZES = ((5, 3, 4), (7, 2, 3), (4, 6, 5))  # B, d, h: all different, so that a wrong axis shows


def sizes() -> Iterator[tuple[np.random.Generator, int, int, int]]:
    """Yield a random generator and B, d and h, for each set of sizes."""
    for seed, (B, d, h) in enumerate(SIZES):
        yield np.random.default_rng(seed), B, d, h


def sparse(rng: np.random.Generator, B: int, h: int) -> np.ndarray:
    """Return codes (B, h) drawn by ``rng`` of which about half the entries are 0, and none is negative."""
    return np.maximum(rng.normal(size=(B, h)), 0)


def between(rng: np.random.Generator, B: int, h: int) -> np.ndarray:
    """Return activations (B, h) drawn by ``rng`` between 0 and 1, as of a sigmoid."""
    return rng.uniform(0.05, 0.95, (B, h))
