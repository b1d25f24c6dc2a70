"""One query code made of several: what these have and those have not; a query and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nsae.codes import Codes, checked_codes

if TYPE_CHECKING:
    from nsae.retrieval.hits import Hits
    from nsae.retrieval.index import CodeIndex


def compose(plus: Sequence[Codes], minus: Sequence[Codes] = ()) -> Codes:
    """The mean of the codes of ``plus``, less the mean of those of ``minus``, where that is above 0.

    Each code counts at norm 1, so that none is louder than another; a zero code counts as it is.  Stored
    codes are not negative, and neither is a code that a model makes: so what would be negative is cut off
    at 0.  A unit that ``minus`` has more of is then one that is not looked for.  To keep out whatever has
    it, forbid the unit in the search.

    Parameters
    ----------
    plus, minus : sequences of Codes
        Of one width, with one row or more each; every row is a code.

    Returns
    -------
    Codes
        One row, float32: its units are among those of ``plus``.  It has none if ``minus`` outweighs them all.

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


def expand(codes: Codes | np.ndarray, hits: Hits, index: CodeIndex) -> Codes:
    """Query expansion: the mean of each query and of its hits, to search with once more.

    (Chum, Philbin, Sivic, Isard and Zisserman 2007.)  Where whole classes are wanted, that finds more of
    them: docs/what_was_tried.md has how many more.  Two hits or so do; a wrong one leads
    astray, and the more are taken in, the more often one is wrong.

    Parameters
    ----------
    codes : Codes, (q, h) array or (h,) array
        The queries.
    hits : Hits
        What they found, or what of it a user has marked: all of them are taken in.
    index : CodeIndex
        In which they found it.  Of metric "cosine": in the mean, codes count at norm 1, as in that distance.

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
    queries, stored = checked_codes(codes, index.n_units), index.codes
    if len(hits) != len(queries):
        raise ValueError(f"{len(queries)} queries came with the hits of {len(hits)}. Give those of each.")
    means = [compose([queries[i], stored[hits.rows[i, :n]]]) for i, n in enumerate(hits.counts)]
    return Codes.concatenate([queries[:0], *means])


def _mean(codes: Codes) -> np.ndarray:
    """The mean (h,) float64 of codes (n, h), each at norm 1."""
    norms = codes.norms()[codes.row_of_entry()]  # (nnz,), above 0: a stored value is not 0
    return np.bincount(codes.units, weights=codes.values / norms, minlength=codes.n_units) / len(codes)
