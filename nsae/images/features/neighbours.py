"""Predicted neighbours (38): where the images like this one are, from its own row alone.

Images of one kind lie along a curved surface.  A step from each row towards the mean of its neighbours, taken
several times, moves along that surface, and rows of one kind come together.  A new image has no such neighbours
yet, so a network of one hidden layer learns to predict where its row would have gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nsae.images.features.pca import BLOCK_ROWS, map_in_order

NEAREST = 10  # The neighbours of a row, at most;
IMAGES_A_NEIGHBOUR = 50  # of few rows there is one for each 50: more would be of other kinds.
HIDDEN = 1000  # units of the hidden layer
RIDGE = 1e-3  # what large weights cost, relative to the mean square of the hidden units
GRAPH_PRODUCTS = 1 << 23  # Of rows with all others, that are made at once: 128 MB with their order.


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Return the rows of ``X`` (n, m) at norm 1, Eq. (37), as float32; a row of zeros stays."""
    norms = np.sqrt(np.einsum("nm,nm->n", X, X, dtype=np.float64))[:, None]  # (n, 1)
    return (X / np.maximum(norms, 1e-30)).astype(np.float32)  # (37) (n, m)


@dataclass(frozen=True, eq=False)
class NeighbourMap:
    """x ↦ [x; ŝ(x)]/√2: a row beside its prediction, both of norm 1.

    Attributes
    ----------
    hidden_W : (HIDDEN, m) float32
        Ψ of Eq. (38): random directions, which are not learned.
    hidden_b : (HIDDEN,) float32
        ψ.
    output_W : (m, HIDDEN + m) float32
        M, learned by ridge regression.
    output_b : (m,) float32
        Less the mean prediction, so that predictions lie around 0.
    """

    hidden_W: np.ndarray
    hidden_b: np.ndarray
    output_W: np.ndarray
    output_b: np.ndarray

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        steps: int,
        rng: np.random.Generator,
        on_parts: Callable[..., Iterable[Any]] = map_in_order,
    ) -> NeighbourMap | None:
        """Learn to predict where ``steps`` steps towards their neighbours lead the rows of X.

        Parameters
        ----------
        X : (n, m) float32 array
            Rows of norm 1.
        steps : int
            t of Eq. (38).
        rng : numpy.random.Generator
        on_parts : callable
            As of ``PCA.fit``: looks for the neighbours of some rows at a time.

        Returns
        -------
        NeighbourMap or None
            None if there are no steps, or too few rows to have neighbours.
        """
        n_nearest = min(NEAREST, len(X) // IMAGES_A_NEIGHBOUR)
        if not steps or not n_nearest:
            return None
        m = X.shape[1]
        S = steps_to_neighbours(X, nearest_rows(X, n_nearest, on_parts), steps)  # (n, m)
        Psi = rng.standard_normal((HIDDEN, m)).astype(np.float32)  # (HIDDEN, m)
        psi = (rng.standard_normal(HIDDEN) / 2).astype(np.float32)  # (HIDDEN,)
        H = _hidden(X, Psi, psi)  # (n, HIDDEN + m)
        G = (H.T @ H).astype(np.float64)  # (HIDDEN + m, HIDDEN + m)
        G[np.diag_indices(len(G))] += RIDGE * np.trace(G) / len(G)
        M = np.linalg.solve(G, (H.T @ S).astype(np.float64)).T.astype(np.float32)  # (38) (m, HIDDEN + m)
        mean = (M @ H.mean(axis=0, dtype=np.float64)).astype(np.float32)  # s̄ (m,)
        return cls(Psi, psi, np.ascontiguousarray(M), -mean)

    def __call__(self, X: np.ndarray, block_rows: int = BLOCK_ROWS) -> np.ndarray:
        """Return the rows [x; ŝ(x)]/√2 (n, 2m) float32 of ``X`` (n, m), whose rows have norm 1.

        They are made ``block_rows`` at a time.
        """
        n, m = X.shape
        out = np.empty((n, 2 * m), np.float32)  # (n, 2m)
        block = np.zeros((block_rows, m), np.float32)  # (block_rows, m)
        for start in range(0, n, block_rows):
            rows = X[start : start + block_rows]
            block[: len(rows)], block[len(rows) :] = rows, 0
            predicted = self._predictions(block)[: len(rows)]  # (38) (rows, m)
            both = out[start : start + len(rows)]
            both[:, :m], both[:, m:] = rows, unit_rows(predicted)
        return out * np.float32(np.sqrt(0.5))

    def linear_at(self, x: np.ndarray, W: np.ndarray) -> np.ndarray:
        """Return weights (s, m) that act on x alone as W acts on [x; ŝ(x)] near this x, up to a factor.

        Parameters
        ----------
        x : (m,) array
            Of norm 1.
        W : (s, 2m) array
            Rows of weights.
        """
        m = len(x)
        active = self.hidden_W @ x + self.hidden_b > 0  # (HIDDEN,)
        of_hidden, of_x = self.output_W[:, :-m], self.output_W[:, -m:]  # (m, HIDDEN), (m, m)
        J = of_hidden[:, active] @ self.hidden_W[active] + of_x  # (m, m), the derivative of ŝ
        length = float(np.linalg.norm(self._predictions(x[None])[0]))
        linear: np.ndarray = W[:, :m] + W[:, m:] @ J / max(length, 1e-30)
        return linear

    def _predictions(self, X: np.ndarray) -> np.ndarray:
        """The predictions ŝ (n, m) of rows X (n, m), before they get norm 1."""
        S: np.ndarray = _hidden(X, self.hidden_W, self.hidden_b) @ self.output_W.T + self.output_b  # (38)
        return S


def nearest_rows(
    X: np.ndarray, n_nearest: int, on_parts: Callable[..., Iterable[Any]] = map_in_order
) -> np.ndarray:
    """Return the ``n_nearest`` other rows with the largest products with each row of ``X``, (n, n_nearest) int64.

    ``on_parts`` is that of ``PCA.fit``.
    """
    rows = max(1, GRAPH_PRODUCTS // len(X))
    parts = [slice(start, start + rows) for start in range(0, len(X), rows)]
    return np.concatenate(list(on_parts(_nearest_to_some, parts, X, n_nearest)))


def _nearest_to_some(some: slice, X: np.ndarray, n_nearest: int) -> np.ndarray:
    """The nearest other rows of some rows of X, (rows, n_nearest) int64."""
    S = X[some] @ X.T  # (rows, n)
    S[np.arange(len(S)), some.start + np.arange(len(S))] = -np.inf
    # A copy, because the whole partition would stay in memory with a view.
    return np.argpartition(-S, n_nearest, axis=1)[:, :n_nearest].copy()


def steps_to_neighbours(X: np.ndarray, nearest: np.ndarray, steps: int) -> np.ndarray:
    """Return the rows after ``steps`` steps halfway to the mean of their ``nearest`` rows: Eq. (38).

    Parameters
    ----------
    X : (n, m) float32 array
        Rows of norm 1.
    nearest : (n, K) int64 array
        From :func:`nearest_rows`; the same in each step.
    steps : int

    Returns
    -------
    (n, m) float32 array
        Rows of norm 1.
    """
    S = X  # (n, m)
    for _ in range(steps):
        mean = np.zeros_like(S)  # (n, m)
        for column in nearest.T:
            mean += S[column]
        S = unit_rows(S / 2 + mean / (2 * nearest.shape[1]))  # (38)
    return S


def _hidden(X: np.ndarray, Psi: np.ndarray, psi: np.ndarray) -> np.ndarray:
    """The hidden units max(0, Ψx + ψ) beside x itself, (n, HIDDEN + m) float32."""
    return np.concatenate([np.maximum(X @ Psi.T + psi, 0), X], axis=1)
