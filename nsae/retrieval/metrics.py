"""How good a ranking is: precision@k, recall@k and average precision, Eqs. (27)–(28).

The first three functions read a boolean matrix ``relevant (q, K)``: row i tells, rank by rank, whether that hit
is relevant to query i.  ``evaluate`` makes the matrix from hits and class labels, ``evaluate_blocks`` from
rankings that come in blocks of queries, where they would not all fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from nsae.retrieval.hits import Hits
from nsae.validation import shown


def precision_at(relevant: np.ndarray, k: int) -> np.ndarray:
    """Return the fraction of the first k hits that is relevant, Eq. (27).

    Parameters
    ----------
    relevant : (q, K) bool
    k : int
        1 ≤ k ≤ K.  It is the divisor even where a query has fewer hits.

    Returns
    -------
    (q,) float64

    Raises
    ------
    ValueError
        If the ranking is not k deep.
    """
    return _found(relevant, k) / k  # (27)


def recall_at(relevant: np.ndarray, k: int, n_relevant: np.ndarray | int) -> np.ndarray:
    """Return the fraction of all relevant items that is among the first k hits, Eq. (27).

    ``n_relevant`` is how many there are to find, (q,) or one number; where it is 0 the recall is NaN.
    ``relevant`` and ``k`` are those of :func:`precision_at`.
    """
    return _divide(_found(relevant, k), n_relevant)  # (27)


def average_precision(relevant: np.ndarray, n_relevant: np.ndarray | int | None = None) -> np.ndarray:
    """Return average precision, Eq. (28): Σ precision at the rank of each relevant hit, over ``n_relevant``.

    Parameters
    ----------
    relevant : (q, K) bool
    n_relevant : (q,) int, int or None
        How many relevant items there are to find.  None divides by the number found among the K hits, as the
        hashing literature does for mAP@1000: that measures the order of the hits alone, whatever their
        number.  A query that found none then scores 0.

    Returns
    -------
    (q,) float64
        NaN where ``n_relevant`` is 0.
    """
    relevant = _matrix(relevant)
    query, column = np.nonzero(relevant)  # query by query, ranks ascending
    found = np.count_nonzero(relevant, axis=1)  # (q,)
    first = np.cumsum(found) - found  # (q,): where a query's entries begin
    nth = np.arange(len(query)) - first[query] + 1  # the nth relevant hit of its query ...
    precision = nth / (column + 1)  # ... at this rank: precision there
    total = np.bincount(query, weights=precision, minlength=len(relevant))  # (q,)
    return _divide(total, np.maximum(found, 1) if n_relevant is None else n_relevant)  # (28)


def evaluate(
    hits: Hits,
    labels: ArrayLike,
    *,
    query_labels: ArrayLike | None = None,
    k: int | tuple[int, ...] = (1, 10, 100),
) -> dict[str, float]:
    """Return means over the queries of Eqs. (27)–(28), where a hit is relevant if its label is the query's.

    Without ``query_labels``, query i is row i of the index (leave-one-out).  Its own row then is not one of the
    items to find.  If it is among the hits, because ``search(exclude=)`` was not used, it is dropped, and the
    ranking is one hit less deep.

    Parameters
    ----------
    hits : Hits
        From q queries.  Padding is never relevant.
    labels : (n,) str or int
        Of the index's rows, in its order (that of ``index.ids``).
    query_labels : (q,) str or int, optional
    k : int or tuple of int
        Depths for precision and recall; those that exceed the number of rows to be found are skipped.

    Returns
    -------
    dict of float
        "precision@k" over all queries, "recall@k", and "map" if the hits hold the whole database.
        With only the K nearest it is "map@K", which divides by the number found (see
        :func:`average_precision`).  Queries that have no relevant row in the database are
        left out of recall and map; if there are any, "queries_without_match" counts them.

    Raises
    ------
    ValueError
        If labels, queries and hits do not fit each other, or the hits are less deep than a k.
    """
    of_rows, rows = np.asarray(labels), hits.rows  # (n,), (q, K)
    leave_one_out = query_labels is None
    of_queries = of_rows if query_labels is None else np.asarray(query_labels)  # (q,)
    _check_labels(of_rows, of_queries, rows, leave_one_out)

    if leave_one_out:
        rows = _without_own(rows)
    n_candidates, depth = len(of_rows) - leave_one_out, rows.shape[1]
    depths = [int(depth_k) for depth_k in np.atleast_1d(k) if depth_k <= n_candidates]
    if max(depths, default=0) > depth:
        raise ValueError(
            f"k={max(depths)} was asked for, but the hits are {depth} deep (a query's own row not counted). "
            f"Search with k={max(depths) + leave_one_out} or more."
        )
    whole = bool((np.count_nonzero(rows >= 0, axis=1) == n_candidates).all())
    return evaluate_blocks(
        [rows], of_rows, query_labels=query_labels, k=depths, map_at=(None if whole else depth,)
    )


def evaluate_blocks(
    rankings: Iterable[np.ndarray],
    labels: ArrayLike,
    *,
    query_labels: ArrayLike | None = None,
    k: Sequence[int] = (1, 10, 100),
    map_at: Sequence[int | None] = (None,),
) -> dict[str, float]:
    """Return the figures of :func:`evaluate` from rankings that come in blocks of queries.

    Only one block and a few numbers for each query are in memory at a time.

    Parameters
    ----------
    rankings : iterable of (b, K) int arrays
        Row numbers, nearest first, of the queries in their order; padded with −1.  In leave-one-out, a
        query's own row is left out.
    labels : (n,) str or int
        Of the rows.
    query_labels : (q,) str or int, optional
        Without them, query i is row i (leave-one-out).
    k : sequence of int
        Depths for precision and recall, at most K.
    map_at : sequence of int or None
        A depth K gives "map@K", which divides by the number found among the first K.  None gives "map", which
        divides by the number in the database and needs whole rankings.

    Returns
    -------
    dict of float
        As :func:`evaluate` returns it.
    """
    leave_one_out = query_labels is None
    row_labels = np.asarray(labels)
    of_queries = row_labels if query_labels is None else np.asarray(query_labels)
    classes, numbers = np.unique(np.concatenate([row_labels, of_queries]), return_inverse=True)
    of_row, of_query = numbers[: len(row_labels)], numbers[len(row_labels) :]  # (n,), (q,)
    n_relevant = np.bincount(of_row, minlength=len(classes))[of_query] - leave_one_out  # (q,)
    blocks, start = [], 0
    for rows in rankings:
        some = slice(start, start + len(rows))
        relevant = relevant_hits(rows, of_row, of_query[some])  # (b, K)
        blocks.append(figures_of_queries(relevant, n_relevant[some], k=k, map_at=map_at))
        start += len(rows)
    return mean_figures(blocks)


def relevant_hits(rows: np.ndarray, labels: np.ndarray, query_labels: np.ndarray) -> np.ndarray:
    """Return which hits have their query's label, (b, K) bool.

    ``rows (b, K)`` are row numbers, or −1 for padding; ``labels (n,)`` and ``query_labels (b,)`` are classes.
    """
    relevant: np.ndarray = (labels[rows] == query_labels[:, None]) & (rows >= 0)
    return relevant


def figures_of_queries(
    relevant: np.ndarray, n_relevant: np.ndarray, *, k: Sequence[int], map_at: Sequence[int | None] = (None,)
) -> dict[str, np.ndarray]:
    """Return the figures of each query, by name, as (b,) arrays.

    Parameters
    ----------
    relevant : (b, K) bool
    n_relevant : (b,) int
        How many relevant rows there are to find.
    k, map_at
        As in :func:`evaluate_blocks`.

    Returns
    -------
    dict of (b,) float64
        "precision@k", and "recall@k", "map" or "map@K", which are NaN where there is nothing to find.
    """
    figures = {f"precision@{depth}": precision_at(relevant, depth) for depth in k}
    figures |= {f"recall@{depth}": recall_at(relevant, depth, n_relevant) for depth in k}
    for depth in map_at:
        if depth is None:
            figures["map"] = average_precision(relevant, n_relevant)
        else:
            precision = average_precision(relevant[:, :depth])
            figures[f"map@{depth}"] = np.where(n_relevant > 0, precision, np.nan)
    return figures


def mean_figures(blocks: Sequence[Mapping[str, np.ndarray]]) -> dict[str, float]:
    """Return the mean over all queries of each figure of :func:`figures_of_queries`.

    ``blocks`` are its results.  NaN are left out; if there are any, "queries_without_match" counts their queries.
    """
    means, unmatched = {}, 0
    for name in blocks[0]:
        values = np.concatenate([block[name] for block in blocks])  # (q,)
        matched = values[~np.isnan(values)]
        means[name] = float(matched.mean()) if len(matched) else float("nan")
        unmatched = max(unmatched, len(values) - len(matched))
    if unmatched:
        means["queries_without_match"] = float(unmatched)
    return means


def _without_own(rows: np.ndarray) -> np.ndarray:
    """Return the hits (q, K) of query i without row i: (q, K − 1), or as they came if no query found itself."""
    own = rows == np.arange(len(rows))[:, None]  # (q, K)
    if not own.any():
        return rows
    own[~own.any(axis=1), -1] = True  # a query that did not find itself gives up its last hit instead
    return rows[~own].reshape(len(rows), -1)


def _check_labels(
    labels: np.ndarray, query_labels: np.ndarray, rows: np.ndarray, leave_one_out: bool
) -> None:
    """Raise ValueError where labels and hits do not fit each other."""
    if labels.ndim != 1 or query_labels.ndim != 1:
        raise ValueError(
            f"One label for each row is expected, got shapes {labels.shape} and {query_labels.shape}. "
            "Give a list with a string or an integer for each."
        )
    if len(rows) == 0 or len(labels) == 0:
        raise ValueError(
            f"{len(rows)} queries and {len(labels)} labels came, at least one of each is expected: "
            "there is no mean over nothing."
        )
    if len(query_labels) != len(rows):
        way_out = "Give query_labels." if leave_one_out else "Give one label for each query."
        raise ValueError(f"{len(rows)} queries came with {len(query_labels)} labels. {way_out}")
    if rows.max() >= len(labels):
        raise ValueError(
            f"The hits name row {rows.max()}, but only {len(labels)} labels came. "
            "Give a label for each row of the index."
        )
    if (labels.dtype.kind in "US") != (query_labels.dtype.kind in "US") and "O" not in (
        labels.dtype.kind,
        query_labels.dtype.kind,
    ):
        raise ValueError(
            f"Labels of one kind are expected, got {labels.dtype} for the rows and {query_labels.dtype} "
            "for the queries. Make both strings or both integers."
        )


def _found(relevant: np.ndarray, k: int) -> np.ndarray:
    """Return how many of the first k hits are relevant, (q,)."""
    relevant = _matrix(relevant)
    if not 1 <= k <= relevant.shape[1]:
        raise ValueError(
            f"k={shown(k)} is expected to be from 1 to {relevant.shape[1]}, the depth of the ranking."
        )
    return np.count_nonzero(relevant[:, :k], axis=1)


def _matrix(relevant: np.ndarray) -> np.ndarray:
    relevant = np.asarray(relevant, dtype=bool)
    if relevant.ndim != 2:
        raise ValueError(f"relevant must be a (q, K) matrix, got shape {relevant.shape}.")
    return relevant


def _divide(part: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    """Return part / whole as (q,) float64, NaN where there is nothing to find."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
