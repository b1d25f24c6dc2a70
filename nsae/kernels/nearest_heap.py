"""The k nearest rows of a query as they are found: a heap of (distance, row) pairs.

The definition is ``nsae.retrieval.hits.nearest``, which sorts all distances;
``tests/kernels/test_search_kernels.py`` holds the two together.
"""

from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL


@njit(**INNER)
def sift_down(distances, rows, start, n):
    """Restore a heap of n pairs (``distances``, ``rows``) from the node ``start`` down.

    Its root is the first pair to be replaced: the largest distance, and of equal distances the last row.
    """
    distance, row, node = distances[start], rows[start], start
    while True:
        child = 2 * node + 1
        if child >= n:
            break
        other = child + 1
        if other < n and (
            distances[other] > distances[child]
            or (distances[other] == distances[child] and rows[other] > rows[child])
        ):
            child = other
        if distances[child] < distance or (distances[child] == distance and rows[child] < row):
            break
        distances[node], rows[node] = distances[child], rows[child]
        node = child
    distances[node], rows[node] = distance, row


@njit(**KERNEL)
def enter(distances, rows, count, distance, i):
    """Add row ``i`` at ``distance`` to the k nearest, and return how many there are now.

    ``distances (k,)`` and ``rows (k,)`` hold the ``count`` nearest so far, a heap once there are k.  Then row
    ``i`` replaces the root.
    """
    k = len(distances)
    if count == k:
        distances[0], rows[0] = distance, i
        sift_down(distances, rows, 0, k)
        return count
    distances[count], rows[count] = distance, i
    count += 1
    if count == k:
        for node in range(k // 2 - 1, -1, -1):
            sift_down(distances, rows, node, k)
    return count


@njit(**KERNEL)
def sort_hits(found, lo, hi):
    """Sort the hits of the queries lo:hi by ascending distance; ties by row.  ``found`` is a ``Found``."""
    for i in range(lo, hi):
        distances, rows, count = found.distances[i], found.rows[i], found.counts[i]
        for node in range(count // 2 - 1, -1, -1):  # fewer than k are no heap yet
            sift_down(distances, rows, node, count)
        for last in range(count - 1, 0, -1):
            distances[0], distances[last] = distances[last], distances[0]
            rows[0], rows[last] = rows[last], rows[0]
            sift_down(distances, rows, 0, last)
