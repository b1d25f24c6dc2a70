"""How good a ranking is: precision@k, recall@k and average precision, Eqs. (27)–(28).

The three functions read a boolean matrix ``relevant (q, K)``: row i tells, rank by rank, whether that hit
is relevant to query i.  ``evaluate`` makes the matrix from hits and class labels.
"""

from __future__ import annotations

import numpy as np

from nsae.retrieval.hits import Hits


def precision_at(relevant: np.ndarray, k: int) -> np.ndarray:
    """The relevant part of the first k hits, Eq. (27).

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
    """The part of all relevant items that is among the first k hits, Eq. (27).

    ``n_relevant`` is how many there are to find, (q,) or one number; where it is 0 the recall is NaN.
    Otherwise as :func:`precision_at`.
    """
    return _divide(_found(relevant, k), n_relevant)  # (27)


def average_precision(relevant: np.ndarray, n_relevant: np.ndarray | int | None = None) -> np.ndarray:
    """Average precision, Eq. (28): Σ precision at the rank of each relevant hit, over ``n_relevant``.

    Parameters
    ----------
    relevant : (q, K) bool
    n_relevant : (q,) int, int or None
        How many relevant items there are to find.  None divides by the number found among the K hits,
        the convention of the hashing literature for mAP@1000: it rewards order, and doesn't
        punish a list that is too short to hold everything.  A query that found none then scores 0.

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
    labels: np.ndarray,
    *,
    query_labels: np.ndarray | None = None,
    k: int | tuple[int, ...] = (1, 10, 100),
) -> dict[str, float]:
    """Means over the queries of Eqs. (27)–(28), where a hit is relevant if its label is the query's.

    Without ``query_labels``, query i is row i of the index (leave-one-out).  Its own row then is neither
    among the items to find nor among the hits: it is dropped where ``search(exclude=)`` had not left it
    out, and the ranking is one hit less deep.

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
    labels, rows = np.asarray(labels), hits.rows  # (n,), (q, K)
    leave_one_out = query_labels is None
    query_labels = labels if leave_one_out else np.asarray(query_labels)  # (q,)
    _check_labels(labels, query_labels, rows, leave_one_out)

    if leave_one_out:
        rows = _without_own(rows)
    classes, numbers = np.unique(np.concatenate([labels, query_labels]), return_inverse=True)
    of_row, of_query = numbers[: len(labels)], numbers[len(labels) :]  # (n,), (q,)
    relevant = (of_row[rows] == of_query[:, None]) & (rows >= 0)  # (q, K); row −1 is padding
    n_relevant = np.bincount(of_row, minlength=len(classes))[of_query] - leave_one_out  # (q,)
    matched = n_relevant > 0  # (q,)
    n_candidates, depth = len(labels) - leave_one_out, rows.shape[1]

    depths = [int(depth_k) for depth_k in np.atleast_1d(k) if depth_k <= n_candidates]
    if max(depths, default=0) > depth:
        raise ValueError(
            f"k={max(depths)} was asked for, but the hits are {depth} deep (a query's own row not counted). "
            f"Search with k={max(depths) + leave_one_out} or more."
        )
    result = {f"precision@{d}": _mean(precision_at(relevant, d)) for d in depths}
    result |= {f"recall@{d}": _mean(recall_at(relevant, d, n_relevant)[matched]) for d in depths}
    if (np.count_nonzero(rows >= 0, axis=1) == n_candidates).all():
        result["map"] = _mean(average_precision(relevant, n_relevant)[matched])
    else:
        result[f"map@{depth}"] = _mean(average_precision(relevant)[matched])
    if not matched.all():
        result["queries_without_match"] = float(np.count_nonzero(~matched))
    return result


def _without_own(rows: np.ndarray) -> np.ndarray:
    """Hits (q, K) without row i in row i: (q, K − 1), or as they came if no query found itself."""
    own = rows == np.arange(len(rows))[:, None]  # (q, K)
    if not own.any():
        return rows
    own[~own.any(axis=1), -1] = True  # a query that did not find itself gives up its last hit instead
    return rows[~own].reshape(len(rows), -1)


def _check_labels(
    labels: np.ndarray, query_labels: np.ndarray, rows: np.ndarray, leave_one_out: bool
) -> None:
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
    """(q,): how many of the first k hits are relevant."""
    relevant = _matrix(relevant)
    if not 1 <= k <= relevant.shape[1]:
        raise ValueError(f"k={k} is expected to be from 1 to {relevant.shape[1]}, the depth of the ranking.")
    return np.count_nonzero(relevant[:, :k], axis=1)


def _matrix(relevant: np.ndarray) -> np.ndarray:
    relevant = np.asarray(relevant, dtype=bool)
    if relevant.ndim != 2:
        raise ValueError(f"relevant must be a (q, K) matrix, got shape {relevant.shape}.")
    return relevant


def _divide(part: np.ndarray, whole: np.ndarray | int) -> np.ndarray:
    """part / whole as (q,) float64, NaN where there is nothing to find."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
