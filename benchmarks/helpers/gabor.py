"""How well a Gabor function fits the weights of a unit: a wave under a bell, as the edges of natural images are."""

from __future__ import annotations

import numpy as np

PROPOSALS, ROUNDS = 40, 40  # of the search near the best of the grid


def fit_gabor(patterns: np.ndarray, side: int, seed: int = 0) -> np.ndarray:
    """Return R² (h,) of the best Gabor function for each pattern, from 0 to 1.

    The function is exp(−½(x′²/s² + y′²/t²)) · (a cos 2πfx′ + b sin 2πfx′), with x′ and y′ turned by an angle around
    a centre.  a and b are found by least squares, the other six by a grid, and then by random steps that become
    smaller.  1 − R² is what is left of the squared pattern less its mean; f is at least half a wave over the patch.

    Parameters
    ----------
    patterns
        (h, side²) rows.
    side
        Pixels.
    seed
        Of the steps.
    """
    rng = np.random.default_rng(seed)
    T = patterns - patterns.mean(axis=1, keepdims=True)  # (h, d)
    T = T / np.linalg.norm(T, axis=1, keepdims=True)
    at = np.linspace(0.5, side - 1.5, 5)
    angles, waves, widths = np.arange(8) * np.pi / 8, np.array([0.5, 1, 1.5, 2]) / side, (0.8, 1.6, 3.2)
    grid = np.stack(np.meshgrid(at, at, angles, waves, widths, widths, indexing="ij"), -1).reshape(-1, 6)
    best, R2 = grid[np.zeros(len(T), int)], np.zeros(len(T))
    for start in range(0, len(grid), 2000):
        some = grid[start : start + 2000]
        found = explained(some, T, side)  # (2000, h)
        i = found.argmax(axis=0)  # (h,)
        better = found[i, np.arange(len(T))] > R2
        best[better], R2[better] = some[i[better]], found[i[better], np.flatnonzero(better)]
    steps = np.array([1.0, 1.0, 0.3, 0.3 / side, 0.5, 0.5])
    for round_ in range(ROUNDS):
        scale = 0.9**round_
        for j in range(len(T)):
            near = best[j] + scale * steps * rng.standard_normal((PROPOSALS, 6))
            near[:, 3] = np.clip(near[:, 3], 0.5 / side, 0.5)
            near[:, 4:] = np.clip(near[:, 4:], 0.5, side)
            found = explained(near, T[j : j + 1], side)[:, 0]  # (PROPOSALS,)
            if found.max() > R2[j]:
                best[j], R2[j] = near[found.argmax()], found.max()
    return R2


def explained(parameters: np.ndarray, T: np.ndarray, side: int) -> np.ndarray:
    """Return R² (m, h) of patterns T (h, d), of mean 0 and norm 1, by Gabor functions of these parameters (m, 6)."""
    row, column = (A.ravel() for A in np.mgrid[:side, :side])  # (d,) each
    r, c, angle, f, s, t = (p[:, None] for p in parameters.T)  # (m, 1) each
    x = (column - c) * np.cos(angle) + (row - r) * np.sin(angle)  # (m, d)
    y = (row - r) * np.cos(angle) - (column - c) * np.sin(angle)  # (m, d)
    bell = np.exp(-0.5 * ((x / s) ** 2 + (y / t) ** 2))  # (m, d)
    G = np.stack([bell * np.cos(2 * np.pi * f * x), bell * np.sin(2 * np.pi * f * x)])  # (2, m, d)
    G -= G.mean(axis=2, keepdims=True)
    G[0] /= np.linalg.norm(G[0], axis=1, keepdims=True) + 1e-12
    G[1] -= G[0] * np.sum(G[0] * G[1], axis=1, keepdims=True)  # now at right angles to the first one
    G[1] /= np.linalg.norm(G[1], axis=1, keepdims=True) + 1e-12
    return np.square(G @ T.T).sum(axis=0)
