"""One query made of several codes: some added, some subtracted; or a query and the codes that it found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsae.codes import Codes, checked_codes
from nsae.retrieval.hits import Hits
from nsae.retrieval.stored_codes import StoredCodes


def compose(plus: Sequence[Codes], minus: Sequence[Codes] = ()) -> Codes:
    """Return the mean of the codes of ``plus`` minus the mean of those of ``minus``, where that is above 0.

    Each code is scaled to norm 1 first, so that all count alike; a zero code stays zero.  Codes that a model
    makes are not negative, so negative values become 0.  The query then does not look for a unit that
    ``minus`` has more of, but may still find rows with it.  To find no row with it, forbid the unit in the
    search.

    Parameters
    ----------
    plus, minus : sequences of Codes
        Of one width, with one row or more each; every row is a code.

    Returns
    -------
    Codes
        One row, float32.  Its units are among those of ``plus``; it has none if ``minus`` outweighs all.

    Raises
    ------
    ValueError
        If ``plus`` is empty, or the widths differ.
    """
    parts = [Codes.concatenate(codes) for codes in (plus, minus) if len(codes)]
    if not len(plus) or not len(parts[0]):
        raise ValueError("plus is empty. Give one code at least to compose a query of.")
    Codes.concatenate([part[:0] for part in parts])  # raises where widths differ
    z = _mean(parts[0])  # (h,)
    if len(parts) > 1 and len(parts[1]):
        z = z - _mean(parts[1])
    return Codes.from_dense(np.maximum(z, 0).astype(np.float32))


def expand(codes: Codes | np.ndarray, hits: Hits, index: StoredCodes) -> Codes:
    """Return the mean of each query and its hits, to search with once more: query expansion.

    It helps to find more rows of the query's class: docs/what_was_tried.md has how many more.  Two hits are
    usually enough.  A wrong hit leads the second search to wrong rows, and of many hits more are wrong.
    (Chum, Philbin, Sivic, Isard and Zisserman, "Total Recall: Automatic Query Expansion with a Generative
    Feature Model for Object Retrieval", ICCV 2007.)

    Parameters
    ----------
    codes : Codes, (q, h) array or (h,) array
        The queries.
    hits : Hits
        What the queries found, or those of it that a user has marked as right: all of them are used.
    index : CodeIndex
        That was searched, of metric "cosine": in the mean, codes are scaled to norm 1, as in that distance.

    Returns
    -------
    Codes
        q rows, float32.

    Raises
    ------
    ValueError
        If the metric is another, or the hits are not of as many queries.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae.retrieval import CodeIndex, expand
    >>> index = CodeIndex(3)
    >>> index.add(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    >>> query = np.array([[1.0, 0.0, 0.0]])
    >>> expand(query, index.search(query, k=1), index).to_dense().round(2)
    array([[0.85, 0.35, 0.  ]], dtype=float32)
    """
    if index.metric != "cosine":
        raise ValueError(
            f"An index of metric 'cosine' is expected, got {index.metric!r}: the mean is one of codes at norm 1."
        )
    queries, (stored, _) = checked_codes(codes, index.n_units), index.codes_and_ids()
    if len(hits) != len(queries):
        raise ValueError(f"{len(queries)} queries came with the hits of {len(hits)}. Give those of each.")
    means = [compose([queries[i], stored[hits.rows[i, :n]]]) for i, n in enumerate(hits.counts)]
    return Codes.concatenate([queries[:0], *means])


def _mean(codes: Codes) -> np.ndarray:
    """Return the mean (h,) float64 of codes (n, h), each scaled to norm 1."""
    norms = codes.norms()[codes.row_of_entry()]  # (nnz,), above 0: a stored value is not 0
    return np.bincount(codes.units, weights=codes.values / norms, minlength=codes.n_units) / len(codes)
