"""How well classes can be told from codes: soft nearest neighbours, Eq. (39), and a linear probe, Eq. (40).

Both are what the literature on learned representations reports.  They take codes, or dense vectors to compare
them with.  Labels judge alone: nothing that encodes learns from them.
"""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.hits import Hits
from nsae.validation import at_least

NEIGHBOURS = 30
TEMPERATURE = 0.03  # of similarities: a neighbour that is nearer by 0.03 weighs e times as much
FEWEST = 10  # rows that a probe learns from
FOLDS = 5  # of rows that are database and queries at once
EPOCHS = 10
LEAST_STEPS = 500  # of Adam: few rows are learned from in more epochs
BATCH = 256  # rows of a step, or fewer if an epoch then has fewer than STEPS of them
STEPS = 50
LEARNING_RATE = 0.1  # of Adam, falling to 0

DENSE = 32  # units to an active one, below which products with dense rows are faster

Rows = Codes | np.ndarray


# ---- soft nearest neighbours


def soft_knn(
    hits: Hits,
    labels: np.ndarray,
    *,
    query_labels: np.ndarray | None = None,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> float:
    """Return how often the k nearest, weighed by similarity, vote for the query's class: Eq. (39).

    Wu et al. (2018), https://arxiv.org/abs/1805.01978, who take k = 200 and a temperature of 0.07.

    Parameters
    ----------
    hits : Hits
        Of a search by cosine distance, at least k deep where there are as many rows.
    labels : (n,) str or int
        Of the index's rows.
    query_labels : (q,) str or int, optional
        Without them query i is row i of the index (leave-one-out), and its own row has no vote.
    k : int
    temperature : float
        Above 0.

    Returns
    -------
    float
        Accuracy, from 0 to 1.  Of classes with equal votes the first in sorted order wins.

    Raises
    ------
    ValueError
        If labels and hits do not fit each other, or k or the temperature is out of range.
    """
    at_least("k", k, 1, whole=True)
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} is expected to be above 0.")
    labels = np.asarray(labels)  # (n,)
    of_queries = labels if query_labels is None else np.asarray(query_labels)  # (q,)
    rows = hits.rows  # (q, K)
    if len(of_queries) != len(rows) or len(rows) == 0:
        raise ValueError(f"One label for each query is expected, got {len(of_queries)} for {len(rows)}.")
    if len(labels) == 0:
        raise ValueError("No labels came: nobody can vote. Give the label of each row of the index.")
    if rows.max() >= len(labels):
        raise ValueError(f"The hits name row {rows.max()}, but only {len(labels)} labels came.")
    votes = rows >= 0  # (q, K): who may vote
    if query_labels is None:
        votes &= rows != np.arange(len(rows))[:, None]
    votes &= np.cumsum(votes, axis=1) <= k
    similarities = np.where(votes, 1 - hits.distances.astype(np.float64), -np.inf)  # (q, K)
    right = winners(rows, similarities, labels, temperature) == of_queries  # (q,)
    return float(np.mean(right & votes.any(axis=1)))  # A query for which nobody votes is not right.


def winners(
    rows: np.ndarray, similarities: np.ndarray, labels: np.ndarray, temperature: float = TEMPERATURE
) -> np.ndarray:
    """Return the class with the largest vote of each query, Eq. (39), as (q,) labels.

    Parameters
    ----------
    rows : (q, k) int array
        The neighbours of each query.
    similarities : (q, k) array
        Their cosines; −inf for those that have no vote.
    labels : (n,) str or int
        Of all rows.
    temperature : float
    """
    classes, numbers = np.unique(labels, return_inverse=True)  # (C,), (n,)
    largest = np.maximum(similarities.max(axis=1, keepdims=True), -1e9)  # (q, 1); a factor of all votes
    weights = np.exp((similarities - largest) / temperature)  # (39)  (q, k)
    ballots = np.arange(len(rows))[:, None] * len(classes) + numbers[rows]  # (q, k)
    size = len(rows) * len(classes)
    votes = np.bincount(ballots.ravel(), weights.ravel(), size).reshape(len(rows), -1)  # (39)  (q, C)
    return np.asarray(classes[votes.argmax(axis=1)])


# ---- linear probe


def linear_probe(
    X: Rows,
    labels: np.ndarray,
    Q: Rows | None = None,
    query_labels: np.ndarray | None = None,
    *,
    epochs: int = EPOCHS,
    random_state: int = 0,
) -> float:
    """Return the accuracy of softmax regression on frozen codes: Eq. (40).

    Codes and vectors are scaled to norm 1, as the cosine does, and dense ones are centred.  Adam learns on nine
    rows of ten; of its epochs that is taken which does best on the tenth.  The same input gives the same result.

    Parameters
    ----------
    X : Codes or (n, d) array
        Of the database, from which it learns.
    labels : (n,) str or int
    Q : Codes or (q, d) array, optional
        Of the queries, by which it is judged.  Without them five classifiers are learned, each without a
        fifth of the rows, drawn at random, which judge it.
    query_labels : (q,) str or int, optional
    epochs : int
        At least; more where there are few rows, so that Adam makes 500 steps.
    random_state : int

    Returns
    -------
    float
        Accuracy, from 0 to 1.

    Raises
    ------
    ValueError
        If rows and labels do not fit each other, or there are fewer than 10 rows or 2 classes.
    """
    at_least("epochs", epochs, 1, whole=True)
    labels = np.asarray(labels)  # (n,)
    X = _checked_rows("X", X)
    if labels.ndim != 1 or len(labels) != len(X) or len(X) < FEWEST or len(np.unique(labels)) < 2:
        raise ValueError(
            f"At least {FEWEST} rows with a label each, of 2 classes, are expected; {len(X)} rows came with "
            f"{len(labels)} labels of {len(np.unique(labels))} classes."
        )
    if Q is None and query_labels is not None:
        raise ValueError("query_labels came without Q, the rows that they are of. Give both, or neither.")
    if Q is not None:
        asked, Q = np.asarray(query_labels), _checked_rows("Q", Q)
        if X.shape[1] != Q.shape[1] or isinstance(X, Codes) != isinstance(Q, Codes):
            raise ValueError(
                f"X {X.shape} and Q {Q.shape} are expected to be of one width, and both Codes or both arrays."
            )
        if query_labels is None or asked.shape != (len(Q),) or len(Q) == 0:
            raise ValueError(f"One label for each of {len(Q)} queries is expected, got {query_labels}.")
        return float(np.mean(_predictions(X, labels, Q, epochs, random_state) == asked))
    right = np.empty(len(X), bool)  # (n,)
    fold = np.random.default_rng(random_state).permutation(len(X)) % FOLDS  # (n,); classes may come in turns
    for i in range(FOLDS):
        others, own = np.flatnonzero(fold != i), np.flatnonzero(fold == i)
        found = _predictions(X[others], labels[others], X[own], epochs, random_state)
        right[own] = found == labels[own]
    return float(right.mean())


def _checked_rows(name: str, rows: Rows) -> Rows:
    """Return rows as Codes or as an array (n, d), or raise ValueError."""
    if not isinstance(rows, Codes):
        rows = np.asarray(rows)
        if rows.ndim != 2 or rows.dtype.kind not in "fiub":
            raise ValueError(
                f"{name} is expected to have rows of numbers (n, d), got {rows.shape} of {rows.dtype}."
            )
    if not np.isfinite(rows.values if isinstance(rows, Codes) else rows).all():
        raise ValueError(f"{name} has NaN or infinite values. Remove these rows.")
    return rows


def _predictions(X: Rows, labels: np.ndarray, Q: Rows, epochs: int, random_state: int) -> np.ndarray:
    """Return the classes (q,) that softmax regression learned from X predicts for Q."""
    rng = np.random.default_rng(random_state)
    classes, y = np.unique(labels, return_inverse=True)  # (C,), (n,)
    mixed = rng.permutation(len(X))
    n_held_out = max(1, len(X) // 10)
    held_out, rows = mixed[:n_held_out], mixed[n_held_out:]
    batch = int(np.clip(len(rows) // STEPS, 16, BATCH))
    mean = np.zeros(X.shape[1], np.float32)  # (d,); codes are not centred, so that they stay sparse
    if not isinstance(X, Codes):
        blocks = (X[start : start + BATCH] for start in range(0, len(X), BATCH))
        mean = sum(_Batch(block, mean).X.sum(axis=0) for block in blocks) / np.float32(len(X))
    theta = np.zeros((X.shape[1] + 1, len(classes)), np.float32)  # (d + 1, C): weights, and biases below them
    m1, m2 = np.zeros_like(theta), np.zeros_like(theta)
    steps = -(-len(rows) // batch)  # in an epoch
    epochs = max(epochs, -(-LEAST_STEPS // steps))
    best, most, step, n_steps = theta.copy(), -1.0, 0, epochs * steps
    for _ in range(epochs):
        order = rng.permutation(rows)
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            B = _Batch(X[some], mean)
            P = B.scores(theta)  # (b, C)
            P = np.exp(P - P.max(axis=1, keepdims=True))  # (b, C)
            P /= P.sum(axis=1, keepdims=True)  # (40)  (b, C)
            P[np.arange(len(some)), y[some]] -= 1  # the gradient of the summed loss
            grad = B.gradient(P / np.float32(len(some)))  # (d + 1, C)
            step += 1
            m1 += np.float32(0.1) * (grad - m1)
            m2 += np.float32(0.001) * (grad**2 - m2)
            rate = LEARNING_RATE * (1 - (step - 1) / n_steps)
            rate *= (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
            theta -= np.float32(rate) * m1 / (np.sqrt(m2) + np.float32(1e-8))
        right = float(np.mean(_classify(X[held_out], theta, mean) == y[held_out]))
        if right >= most:
            best, most = theta.copy(), right
    return np.asarray(classes[_classify(Q, best, mean)])


def _classify(X: Rows, theta: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the number of the likeliest class of each row of X, (n,)."""
    blocks = (X[start : start + BATCH] for start in range(0, len(X), BATCH))
    return np.concatenate([_Batch(block, mean).scores(theta).argmax(axis=1) for block in blocks])


class _Batch:
    """Rows at norm 1, dense ones less a mean, and their two products with weights: those of codes are sparse.

    Codes of which a unit in DENSE is active are made dense as well: that is faster.
    """

    def __init__(self, X: Rows, mean: np.ndarray):
        if isinstance(X, Codes) and X.n_units * len(X) < DENSE * len(X.units):
            X = X.to_dense()  # (b, h); the mean is 0
        self.codes = X if isinstance(X, Codes) else None
        if isinstance(X, Codes):
            self.row = X.row_of_entry()  # (nnz,)
            scale = 1 / np.maximum(X.norms(), 1e-12)  # (b,)
            self.values = (X.values * scale[self.row]).astype(np.float32)[:, None]  # (nnz, 1)
        else:
            norms = np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)  # (b, 1)
            self.X = (X / norms - mean).astype(np.float32, copy=False)  # (b, d)

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """Return X W + bias, (b, C), for theta (d + 1, C)."""
        W, bias = theta[:-1], theta[-1]
        if self.codes is None:
            return np.asarray(self.X @ W + bias)
        S = np.zeros((len(self.codes), len(bias)), np.float32)  # (b, C)
        some = self.codes.counts > 0  # a sum over no entries would be one over the next row's
        if some.any():
            S[some] = np.add.reduceat(W[self.codes.units] * self.values, self.codes.indptr[:-1][some], axis=0)
        return S + bias

    def gradient(self, dS: np.ndarray) -> np.ndarray:
        """Return the gradient (d + 1, C) of theta, for that of the scores, (b, C)."""
        if self.codes is None:
            return np.vstack([self.X.T @ dS, dS.sum(axis=0)])
        grad = np.zeros((self.codes.n_units + 1, dS.shape[1]), np.float32)  # (h + 1, C)
        order = np.argsort(self.codes.units, kind="stable")  # (nnz,)
        units, first = np.unique(self.codes.units[order], return_index=True)
        if len(units):
            grad[units] = np.add.reduceat(dS[self.row[order]] * self.values[order], first, axis=0)
        grad[-1] = dS.sum(axis=0)
        return grad
