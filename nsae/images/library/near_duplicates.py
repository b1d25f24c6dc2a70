"""Pairs of rows that are near to each other, as many as connect their groups."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nsae.retrieval import CodeIndex

QUERIES = 256  # So many are searched at a time.
DEPTH = 8  # Hits that each row is asked for at first: most groups of duplicates are smaller.
HITS_AT_ONCE = 1 << 20  # The most hits that are in memory at a time.


def near_pairs(index: CodeIndex, radius: float) -> np.ndarray:
    """Return pairs of rows of an ``index`` that lie within ``radius`` and connect all that such pairs connect.

    In a group of m rows there are up to m²/2 pairs within the radius.  Of large groups only as many are
    returned as connect it, so that time and memory grow with m.

    Parameters
    ----------
    index : CodeIndex
    radius : float
        A distance in the index's metric.

    Returns
    -------
    (p, 2) int64
        p is at most about 8 for each row.
    """
    codes, pairs = index.codes, [np.empty((0, 2), np.int64)]
    unseen = np.ones(len(index), bool)  # (n,): rows of large groups are taken out when they are found
    for start in range(0, len(index), QUERIES):
        queries = start + np.flatnonzero(unseen[start : start + QUERIES])  # (q,)
        hits = index.search(codes[queries], min(DEPTH, len(index)))
        near = hits.distances <= radius  # (q, k); padding is at infinity
        of = np.broadcast_to(queries[:, None], near.shape)  # (q, k)
        others = near & (of != hits.rows)  # (q, k)
        pairs.append(np.column_stack([of[others], hits.rows[others]]))
        for row in queries[near[:, -1]].tolist():  # there may be more than DEPTH
            if unseen[row]:
                pairs.extend(_group_of(row, index, radius, unseen))
    return np.concatenate(pairs)


def _group_of(row: int, index: CodeIndex, radius: float, unseen: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs (p, 2) that connect ``row`` with all rows of its group, and take these out of ``unseen``.

    Only rows that are not known yet are looked for, so there is one pair for each, and few more.
    """
    codes = index.codes
    unseen[row] = False
    waiting = [row]  # rows of the group from which others are looked for
    while waiting and unseen.any():
        at_once = min(QUERIES, max(1, HITS_AT_ONCE // int(np.count_nonzero(unseen))))
        asked, waiting = np.array(waiting[:at_once]), waiting[at_once:]
        hits = index.within(codes[asked], radius, where=unseen)
        found = hits.rows >= 0  # (q, k)
        of = np.broadcast_to(asked[:, None], found.shape)  # (q, k)
        new, first = np.unique(hits.rows[found], return_index=True)
        yield np.column_stack([of[found][first], new])
        unseen[new] = False
        waiting.extend(new.tolist())
