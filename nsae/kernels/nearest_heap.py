"""The k nearest rows of a query as they are found: a heap of (distance, row) pairs."""

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL


@njit(**KERNEL)
def sift_down(distances, rows, place, n):
    """Restore a heap of (distance, row) pairs from ``place`` down; its root is the first to go:
    the largest distance, and of equal distances the last row."""
    distance, row = distances[place], rows[place]
    while True:
        child = 2 * place + 1
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
        distances[place], rows[place] = distances[child], rows[child]
        place = child
    distances[place], rows[place] = distance, row


@njit(**KERNEL)
def enter(distances, rows, count, distance, i):
    """Take a row in among the k nearest, of which ``count`` are known; when they are k, the root goes."""
    k = len(distances)
    if count == k:
        distances[0], rows[0] = distance, i
        sift_down(distances, rows, 0, k)
        return count
    distances[count], rows[count] = distance, i
    count += 1
    if count == k:
        for place in range(k // 2 - 1, -1, -1):
            sift_down(distances, rows, place, k)
    return count


@njit(**KERNEL)
def sort_hits(distances, rows, counts, lo, hi):
    """Bring each query's first ``counts`` pairs into ascending order; ties by row."""
    for i in range(lo, hi):
        d, r = distances[i], rows[i]
        for place in range(counts[i] // 2 - 1, -1, -1):  # fewer than k are no heap yet
            sift_down(d, r, place, counts[i])
        for n in range(counts[i] - 1, 0, -1):
            d[0], d[n] = d[n], d[0]
            r[0], r[n] = r[n], r[0]
            sift_down(d, r, 0, n)
