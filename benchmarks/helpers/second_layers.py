"""What retrieval_quality.py puts in the place of the second autoencoder: L1, KL, k-means, and nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae import Codes, ImageEncoder, SparseAutoencoder

from .ranking import Problem, held_out, quality, say
from .retrieval_methods import BLOCK, Encode, some_of
from .retrieval_rows import dense, in_blocks, row, show

# second layers that the k-sparse one is compared with, each with the weights that are tried
SPARSITIES = {
    "nsae_l1": [{"l1": l1, "unit_norm": True, "init": "scaled samples"} for l1 in (3.0, 10.0)],
    "nsae_kl": [{"kl": kl, "rho": 0.03, "activation": "sigmoid", "learning_rate": 3e-3} for kl in (0.1, 1.0)],
}


Rows = dict[str, dict[str, Any]]


def other_second_layers(problem: Problem, encoder: ImageEncoder, quick: bool, criterion: str) -> Rows:
    """Return rows of the pooled vectors before the second autoencoder, and of others in its place.

    Parameters
    ----------
    problem
        With images.
    encoder
        Fitted; its pooled vectors and principal components are what the others learn from.
    quick
        Whether only one setting of each is tried.
    criterion
        The measure by which settings are chosen, on held-out queries.
    """

    def pooled(images: np.ndarray) -> np.ndarray:
        return encoder.pca_(encoder.pooled(images))

    X = in_blocks(pooled, problem.database)  # (n, m)
    Q = X if problem.leave_one_out else in_blocks(pooled, problem.queries)  # (q, m)
    rows = {}
    for m in (X.shape[1], min(96, X.shape[1])):
        half = [A[:, :m].astype(np.float16).astype(np.float32) for A in (X, Q)]
        rows[f"pooled_{m}"] = row(quality(problem, *half), bytes=2 * m)
        show(f"pooled_{m}", rows[f"pooled_{m}"])
    on_components = problem._replace(database=X, queries=Q)
    for label, tries in SPARSITIES.items():
        rows |= sparsity(label, tries[-1:] if quick else tries, on_components, encoder, criterion)
    try:
        rows |= k_means(on_components, encoder.n_units, criterion)
    except ImportError as error:
        say(f"  k-means is left out: {error}")
    return rows


def sparsity(
    label: str, tries: list[dict[str, Any]], problem: Problem, encoder: ImageEncoder, criterion: str
) -> Rows:
    """Return two rows of an autoencoder with another sparsity: all its values, and the 32 largest.

    Of the settings in ``tries``, that is taken which ranks best for held-out queries.
    """
    trial, some = held_out(problem, 6000), some_of(problem.database, 0)
    best: tuple[float, SparseAutoencoder, dict[str, Any]] | None = None
    for options in tries:
        model = SparseAutoencoder(
            encoder.n_units, epochs=encoder.epochs, lr_schedule="linear", random_state=0, **options
        ).fit(some)
        figures = quality(trial, *(model.transform(A) for A in (trial.database, trial.queries)))
        figure = float(figures[criterion].mean())
        if best is None or figure > best[0]:
            best = figure, model, options
    _, model, options = best
    codes, queries = (Codes.from_dense(model.transform(A)) for A in (problem.database, problem.queries))
    rows = {}
    for name, X, Q in ((label, codes, queries), (f"{label}_k32", codes.keep(32), queries.keep(32))):
        size = 6 * float(X.counts.mean())
        rows[name] = row(quality(problem, dense(X), dense(Q)), bytes=size, settings=options)
        show(name, rows[name])
    return rows


def k_means(problem: Problem, n_centres: int, criterion: str) -> Rows:
    """Return a row of k-means with as many centres as nsae has units, on the same components.

    A code has the 32 nearest centres.  Their values are what ranks better for held-out queries: how much nearer
    than the mean centre one is ("triangle" of Coates, Lee and Ng 2011), or the cosine.
    """
    from sklearn.cluster import MiniBatchKMeans

    some = some_of(problem.database, 0)  # (n, m)
    n_centres = min(n_centres, len(some))
    learner = MiniBatchKMeans(n_centres, batch_size=4096, n_init=1, max_iter=100, random_state=0)
    C = learner.fit(some).cluster_centers_.astype(np.float32)  # (h, m)

    def triangle(X: np.ndarray) -> np.ndarray:
        squares = (X**2).sum(axis=1, keepdims=True) + (C**2).sum(axis=1) - 2 * X @ C.T  # (n, h)
        distances = np.sqrt(np.maximum(squares, 0))
        return np.maximum(distances.mean(axis=1, keepdims=True) - distances, 0)

    def cosine(X: np.ndarray) -> np.ndarray:
        lengths = [np.maximum(np.linalg.norm(A, axis=1, keepdims=True), 1e-12) for A in (X, C)]
        return np.maximum((X / lengths[0]) @ (C / lengths[1]).T, 0)  # (n, h)

    trial = held_out(problem, 6000)
    best: dict[str, float] = {}
    values = {"triangle": triangle, "cosine": cosine}
    for name, value in values.items():
        some_codes = (kept(value, A) for A in (trial.database, trial.queries))
        best[name] = float(quality(trial, *map(dense, some_codes))[criterion].mean())
    chosen = max(best, key=best.__getitem__)
    X, Q = (kept(values[chosen], A) for A in (problem.database, problem.queries))
    found = row(quality(problem, dense(X), dense(Q)), bytes=6 * 32, settings={"values": chosen})
    show("kmeans_k32", found)
    return {"kmeans_k32": found}


def kept(value: Encode, X: np.ndarray) -> Codes:
    """Return codes of the 32 largest of the values of rows X (n, m)."""
    blocks = (X[start : start + BLOCK] for start in range(0, len(X), BLOCK))
    return Codes.concatenate([Codes.from_dense(value(block)).keep(32) for block in blocks])
