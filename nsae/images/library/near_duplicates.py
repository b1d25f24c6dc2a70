"""Groups of rows that are near to each other: the connected groups of a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from nsae.retrieval import CodeIndex

QUERIES = 256  # that are searched at a time
DEPTH = 8  # hits that are asked for at first: groups of duplicates are small


def near_pairs(index: CodeIndex, radius: float) -> np.ndarray:
    """Return the pairs of rows i < j of an ``index`` at a distance of at most ``radius``, (p, 2) int64."""
    pairs = [np.empty((0, 2), np.int64)]
    for start in range(0, len(index), QUERIES):
        queries = np.arange(start, min(start + QUERIES, len(index)))  # (q,)
        depth = DEPTH
        while len(queries):
            hits = index.search(index.codes[queries], min(depth, len(index)))
            near = hits.distances <= radius  # (q, k); padding is at infinity
            complete = ~near[:, -1] | (depth >= len(index))  # (q,): what comes after the last is further away
            of = np.broadcast_to(queries[:, None], near.shape)  # (q, k)
            mine = near & (of < hits.rows) & complete[:, None]
            pairs.append(np.column_stack([of[mine], hits.rows[mine]]))
            queries, depth = queries[~complete], 4 * depth
    return np.concatenate(pairs)


def connected_groups(n: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the groups of two and more of ``n`` items that ``pairs`` connect, items and groups ascending."""
    parent = list(range(n))

    def root_of(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]  # halves the way for the next one
            i = parent[i]
        return i

    for i, j in pairs:
        a, b = sorted((root_of(i), root_of(j)))
        parent[b] = a  # the lowest is the root
    groups = defaultdict(list)
    for i in range(n):
        groups[root_of(i)].append(i)
    return [group for group in groups.values() if len(group) > 1]
