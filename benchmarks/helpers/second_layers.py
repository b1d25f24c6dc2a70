"""The second autoencoder of retrieval_quality.py, and what else can stand in its place: k-means, L1, KL, nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from nsae import Codes, ImageEncoder, SparseAutoencoder
from nsae.equations.layers import Dense
from nsae.images.features.image_threshold import thresholded_codes
from nsae.images.pipeline import ImagePipeline

from .ranking import Problem, held_out, probe, quality
from .retrieval_methods import BLOCK, some_of
from .retrieval_rows import binary, retained, row, show

# second layers that the k-sparse one is compared with, each with the weights that are tried
SPARSITIES = {
    "nsae_l1": [{"l1": l1, "unit_norm": True, "init": "scaled samples"} for l1 in (3.0, 10.0)],
    "nsae_kl": [{"kl": kl, "rho": 0.03, "activation": "sigmoid", "learning_rate": 3e-3} for kl in (0.1, 1.0)],
}
MOST_UNITS = 1024  # of L1 and KL, which are dense while they learn, and of KL's codes
ROUNDS = 20  # of k-means: the mean cosine to the nearest centre grows by less than a thousandth afterwards

Rows = dict[str, dict[str, Any]]


def codes_of(pipeline: ImagePipeline, X: np.ndarray) -> Codes:
    """Return the codes of rows X (n, m) of ``pipeline.components``, as the pipeline makes them."""
    return thresholded_codes(pipeline.code_layer, X, pipeline.k, pipeline.shrink_threshold)


def decoder_of(encoder: ImageEncoder) -> np.ndarray:
    """Return what a unit adds to a reconstruction, (h, m), where its weights have norm 1."""
    core = encoder.model_.autoencoder_
    return core.decoder_layer.W.T * np.linalg.norm(core.encoder_layer.W, axis=1, keepdims=True)


# ---- nsae's own and k-means, on the same components


def vector_rows(problem: Problem, predicted: bool) -> tuple[Rows, dict[str, np.ndarray]]:
    """Return the row of the vectors themselves, and its figures of each query, by which codes are measured.

    The images of ``problem`` are vectors, here and below.  If a half of each is ``predicted`` neighbours, there is
    a second row of the components alone.
    """
    X, Q = problem.database, problem.queries
    values = quality(problem, X, Q)
    rows = {"vector": row(values, bytes=4 * X.shape[1], linear_probe=probe(problem, X, Q))}
    show("vector", rows["vector"])
    if predicted:
        X, Q = (A[:, : A.shape[1] // 2] for A in (X, Q))
        about = {"bytes": 4 * X.shape[1], "linear_probe": probe(problem, X, Q)}
        rows["components"] = row(quality(problem, X, Q), **about)
        show("components", rows["components"])
    return rows, values


def code_rows(
    name: str,
    problem: Problem,
    pipeline: ImagePipeline,
    vector: dict[str, np.ndarray],
    centres: np.ndarray,
    **more: Any,
) -> Rows:
    """Return the row of codes with the pipeline's k, and of only which units they are.

    Parameters
    ----------
    name
        Of the row.
    problem
        Of components.
    pipeline
        That makes codes of them.
    vector
        Figures of the components, for each query.
    centres
        (n_units, m): what a unit adds to a reconstruction.
    more
        What else the rows have.
    """
    X = codes_of(pipeline, problem.database)
    Q = X if problem.leave_one_out else codes_of(pipeline, problem.queries)
    k, size = pipeline.k, 2 if pipeline.n_units <= 1 << 16 else 4
    suffix = "" if k == 32 else f"_k{k}"
    rows: Rows = {}
    tries: dict[str, tuple] = {f"{name}{suffix}": (X, Q, (4 + size) * k)}
    if name == "nsae":
        tries[f"{name}_binary{suffix}"] = binary(X), binary(Q), size * k
    for label, (some, asked, n_bytes) in tries.items():
        values = quality(problem, some, asked)
        about = {"linear_probe": probe(problem, some, asked), **retained(values, vector), **more}
        rows[label] = row(values, bytes=n_bytes, **about)
        show(label, rows[label])
    rows[f"{name}{suffix}"]["explained_variance"] = explained(problem.database, X, centres)
    return rows


def explained(T: np.ndarray, codes: Codes, D: np.ndarray) -> float:
    """Return the variance of rows T (n, m) that s Z D explains, Z being their codes and s the best single factor.

    A factor, because a code that a threshold made is shorter than what it is made from.
    """
    product = squares = 0.0
    for start in range(0, len(T), BLOCK):
        made = codes[start : start + BLOCK].to_dense() @ D  # (b, m)
        product += float((made * T[start : start + BLOCK]).sum(dtype=np.float64))
        squares += float((made**2).sum(dtype=np.float64))
    total = float((T.astype(np.float64) ** 2).sum())
    left = total - product**2 / max(squares, 1e-12)
    return 1 - left / (total - len(T) * float((T.mean(axis=0, dtype=np.float64) ** 2).sum()))


def with_centres(pipeline: ImagePipeline, C: np.ndarray) -> ImagePipeline:
    """Return the pipeline with centres C (h, m) in place of the second autoencoder's units."""
    layer = Dense(C, np.zeros(len(C), np.float32))
    more: dict[str, Any] = {"neighbours": pipeline.neighbours, "shrink_threshold": pipeline.shrink_threshold}
    return ImagePipeline(pipeline.features, pipeline.pca, layer, pipeline.k, pipeline.header, **more)


def spherical_k_means(T: np.ndarray, n_centres: int, seed: int) -> tuple[np.ndarray, float]:
    """Return centres (n_centres, m) of norm 1 of rows T (n, m), by Lloyd's algorithm, and its seconds.

    It starts from rows.  A centre that is nearest to no row moves to the row that is farthest from its own.
    """
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    T = T / np.maximum(np.linalg.norm(T, axis=1, keepdims=True), 1e-12)  # (n, m)
    C = T[rng.permutation(len(T))[: min(n_centres, len(T))]].copy()  # (h, m)
    for _ in range(ROUNDS):
        nearest, cosine = np.empty(len(T), int), np.empty(len(T), np.float32)  # (n,), (n,)
        for rows in _blocks(len(T)):
            S = T[rows] @ C.T  # (b, h)
            nearest[rows] = S.argmax(axis=1)
            cosine[rows] = S.max(axis=1)
        order = np.argsort(nearest, kind="stable")
        used, first = np.unique(nearest[order], return_index=True)
        C[used] = np.add.reduceat(T[order], first, axis=0)
        idle = np.setdiff1d(np.arange(len(C)), used)
        C[idle] = T[np.argsort(cosine, kind="stable")[: len(idle)]]
        C /= np.maximum(np.linalg.norm(C, axis=1, keepdims=True), 1e-12)
    return C, time.perf_counter() - started


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


# ---- other sparsities


def sparsities(problem: Problem, encoder: ImageEncoder, quick: bool, criterion: str) -> Rows:
    """Return rows of L1 and KL in place of k active units: all values, and the 32 largest.

    Parameters
    ----------
    problem
        Of components.
    encoder
        Fitted: its number of units, or MOST_UNITS if it has more, and of epochs.
    quick
        Whether only one setting of each is tried.
    criterion
        The measure by which settings are chosen, on held-out queries.
    """
    rows: Rows = {}
    for label, tries in SPARSITIES.items():
        rows |= sparsity(label, tries[-1:] if quick else tries, problem, encoder, criterion)
    return rows


def sparsity(
    label: str, tries: list[dict[str, Any]], problem: Problem, encoder: ImageEncoder, criterion: str
) -> Rows:
    """Return two rows of an autoencoder with another sparsity, the best of ``tries`` for held-out queries."""
    trial, some = held_out(problem, 6000), some_of(problem.database, 0)
    best: tuple[float, SparseAutoencoder, dict[str, Any]] | None = None
    for options in tries:
        model = SparseAutoencoder(
            min(MOST_UNITS, encoder.model_.n_units),
            epochs=encoder.epochs,
            lr_schedule="linear",
            random_state=0,
            **options,
        ).fit(some)
        figures = quality(trial, *(model.encode(A) for A in (trial.database, trial.queries)))
        figure = float(figures[criterion].mean())
        if best is None or figure > best[0]:
            best = figure, model, options
    _, model, options = best
    codes, queries = (model.encode(A) for A in (problem.database, problem.queries))
    rows = {}
    for name, X, Q in ((label, codes, queries), (f"{label}_k32", codes.keep(32), queries.keep(32))):
        size = 6 * float(X.counts.mean())
        sparse = X.counts.mean() < X.n_units / 8
        pair = (X, Q) if sparse else (X.to_dense(), Q.to_dense())
        about = {"bytes": size, "linear_probe": probe(problem, *pair)}
        rows[name] = row(quality(problem, *pair), settings=options, **about)
        show(name, rows[name])
    return rows
