"""The k largest units of each row, (1) (4), read from the columns of W Xᵀ as a BLAS writes it: nothing is transposed.

The columns of a tile stand side by side in memory, so that one instruction looks at one unit for many rows.
Definition: ``nsae.training.definitions``; compared in tests/kernels/test_definitions.py.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL

TILE = 128  # Columns at a time.
WORD = 8  # Flags that are looked at together.
ROUNDS = 10  # of halving for a first threshold: another round costs more than it saves


@njit(**KERNEL)
def count_above(values, threshold):
    """Return how many of the ``values`` are above ``threshold``."""
    count = np.int32(0)
    for l in range(len(values)):
        count += np.int32(values[l] > threshold)
    return count


@njit(**INNER)
def _halve(values, k, low, high, rounds):
    """Return ``low`` raised and ``high`` lowered in ``rounds`` of halving, with the k-th largest between them.

    At least k of the ``values`` are above ``low``, and fewer above ``high``; if there are fewer than k above the first
    ``low``, it is returned.  Halving ends with k values above ``low``, or with no number between the two.
    """
    half = values.dtype.type(0.5)
    if count_above(values, low) > k:
        for _ in range(rounds):
            middle = low * half + high * half
            if middle in (low, high):
                break
            count = count_above(values, middle)
            if count >= k:
                low = middle
                if count == k:
                    break
            else:
                high = middle
    return low, high


@njit(**INNER)
def _group_maxima(tiles, t, b, scratch):
    """Write the largest positive y of each group of units, for the columns of tile t.

    They go to ``scratch.maxima`` (TILE, groups), and the largest of all to ``scratch.high`` (TILE,).
    """
    maxima, best, high = scratch.maxima, scratch.best, scratch.high
    groups, zero = maxima.shape[1], tiles.dtype.type(0)
    size = len(b) // groups
    largest = np.nextafter(tiles.dtype.type(np.inf), zero)  # ∞ cannot be halved
    high[:] = 0
    for g in range(groups):
        best[:] = 0
        for j in range(g * size, len(b) if g == groups - 1 else (g + 1) * size):
            y, its_b = tiles[j, t], b[j]
            for c in range(TILE):
                value = y[c] + its_b
                best[c] = value if value > best[c] else best[c]  # NaN is above nothing
        for c in range(TILE):
            high[c] = best[c] if best[c] > high[c] else high[c]
        for c in range(TILE):
            maxima[c, g] = best[c]
    for c in range(TILE):
        high[c] = min(high[c], largest)


@njit(**INNER)
def _collect(tiles, t, b, scratch):
    """Write the units above ``scratch.low`` (TILE,) of each column of tile t, ascending, and their number.

    All of a word are written, and the place moves on behind those that count: a branch for each would often be
    predicted badly.
    """
    units, values, counts = scratch.units, scratch.values, scratch.counts
    low, above = scratch.low, scratch.above
    words = above.view(np.uint64)  # (TILE / WORD,)
    counts[:] = 0
    for j in range(len(b)):
        y, its_b = tiles[j, t], b[j]
        for c in range(TILE):
            above[c] = y[c] + its_b > low[c]
        for w in range(TILE // WORD):
            if words[w]:
                for c in range(w * WORD, (w + 1) * WORD):
                    n = counts[c]
                    units[c, n], values[c, n] = j, y[c] + its_b
                    counts[c] = n + above[c]


@njit(**KERNEL)
def _keep(candidates, level, low, high, units, values):
    """Write the k largest of the candidates to ``units`` and ``values`` (k,), ascending by unit as they came.

    The k-th largest is between ``low`` and ``high``.  Of candidates that equal it, the first are kept.
    """
    k, n = len(units), 0
    low, high = _halve(
        level, k, low, high, 1 << 12
    )  # floats have no more numbers between two than so many halvings
    ties = k - count_above(level, high)
    for l in range(len(level)):
        value, tie = level[l], (level[l] > low) & (level[l] <= high)
        keep = ((value > high) | (tie & (ties > 0))) & (n < k)
        candidates[n], level[n] = candidates[l], value
        n += keep
        ties -= tie
    for l in range(n):
        units[l], values[l] = candidates[l], level[l]
    units[n:] = 0
    values[n:] = 0


@njit(**KERNEL)
def top_k_columns(Yt, b, units, values, scratch, lo, hi):
    """Do what ``definitions.top_k_columns`` does: select the k largest positive of each column of Yt + b, (1) (4).

    Units are put into groups.  If the maxima of k groups are above a threshold, so are at least k units, and
    hardly more where groups are many.  Those above it are collected, and the k largest of these are kept.

    ``Yt`` (h, n) is W Xᵀ, where n is a multiple of ``TILE``, and ``b`` is (h,).  ``units`` and ``values`` (rows, k) are
    written for the rows lo:hi, which are columns of Yt.  ``scratch`` is a ``ColumnScratch``.
    """
    h, k, zero = len(b), units.shape[1], Yt.dtype.type(0)
    tiles = Yt.reshape(h, Yt.shape[1] // TILE, TILE)
    low, high, counts = scratch.low, scratch.high, scratch.counts
    for t in range(lo // TILE, (hi + TILE - 1) // TILE):
        _group_maxima(tiles, t, b, scratch)
        for c in range(TILE):
            low[c] = _halve(scratch.maxima[c], k, zero, high[c], ROUNDS)[0]
        _collect(tiles, t, b, scratch)
        for c in range(max(lo - t * TILE, 0), min(hi - t * TILE, TILE)):
            n, i = counts[c], t * TILE + c
            _keep(scratch.units[c, :n], scratch.values[c, :n], low[c], high[c], units[i], values[i])
