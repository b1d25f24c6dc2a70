"""A k-sparse step on (unit, value) pairs: nothing of size batch × units is written but the pre-activation.

For each sample, ``units`` (B, k) int32 and ``values`` (B, k) hold its active units in ascending order;
places that are not needed hold unit 0 with value 0.  Vᵀ (h, d) is stored by rows, so that the pattern of
a unit is one run of memory.
"""

import numpy as np
from numba import njit

from nsae.kernels.optimizers import adam
from nsae.kernels.options import KERNEL, REORDER

BLOCK = 128  # pre-activations that are passed over at once if none of them can be among the k largest
GUESS = 0.7  # of a sample's k-th largest value: the next sample's is rarely below it


@njit(**KERNEL)
def _count_above(y, level):
    """How many entries are above ``level``.  (A count vectorises; a maximum would have to care for NaN.)"""
    count = 0
    for j in range(len(y)):
        count += y[j] > level
    return count


@njit(**KERNEL)
def _sift_down(heap, place, n):
    """Restore a heap of (value, unit) pairs from ``place`` down; its root is the first to go:
    the smallest value, and of equal values the highest unit."""
    values, units = heap
    value, unit = values[place], units[place]
    while True:
        child = 2 * place + 1
        if child >= n:
            break
        other = child + 1
        if other < n and (
            values[other] < values[child] or (values[other] == values[child] and units[other] > units[child])
        ):
            child = other
        if values[child] > value or (values[child] == value and units[child] < unit):
            break
        values[place], units[place] = values[child], units[child]
        place = child
    values[place], units[place] = value, unit


@njit(**KERNEL)
def _largest(y, root, chosen, level):
    """Put the k largest entries of y above ``root`` on the heap (level, chosen); how many there are.

    Once k are found, the heap's root is the one to beat, and a block without an entry above it is passed
    over.  Units come in ascending order, so one that only equals the root would lose the tie.
    """
    k, n = len(chosen), 0
    for start in range(0, len(y), BLOCK):
        stop = min(start + BLOCK, len(y))
        if _count_above(y[start:stop], root) > 0:
            for j in range(start, stop):
                if y[j] > root:
                    if n < k:
                        level[n], chosen[n] = y[j], j
                        n += 1
                        if n == k:
                            for place in range(k // 2 - 1, -1, -1):
                                _sift_down((level, chosen), place, k)
                            root = level[0]
                    else:
                        level[0], chosen[0] = y[j], j
                        _sift_down((level, chosen), 0, k)
                        root = level[0]
    return n


@njit(**KERNEL)
def _by_unit(chosen, level):
    """Sort the pairs by unit, by insertion: k is small, and ascending units walk forward in memory."""
    for place in range(1, len(chosen)):
        value, unit = level[place], chosen[place]
        before = place - 1
        while before >= 0 and chosen[before] > unit:
            level[before + 1], chosen[before + 1] = level[before], chosen[before]
            before -= 1
        level[before + 1], chosen[before + 1] = value, unit


@njit(**KERNEL)
def top_k(Y, b, units, values, lo, hi):
    """Twin of ``KSparse``, (4), on Y + b: (1) (2).  ``Y`` keeps Y + b.

    The search starts from a guess, so that few entries pass over the heap that do not stay.  If k entries
    are above the guess, the k largest are among them; if not, the sample is searched again from 0.
    """
    k, zero = units.shape[1], Y.dtype.type(0)
    guess = zero
    for i in range(lo, hi):
        y, chosen, level = Y[i], units[i], values[i]
        for j in range(len(y)):
            y[j] += b[j]
        n = _largest(y, guess, chosen, level)
        if n < k and guess > 0:
            n = _largest(y, zero, chosen, level)
        guess = level[0] * Y.dtype.type(GUESS) if n == k else zero
        chosen[n:], level[n:] = 0, 0
        _by_unit(chosen[:n], level[:n])


@njit(**REORDER)
def decode_and_backprop(units, values, V, c, X, scale, l1, dU, dY, dc, squares, lo, hi):
    """Twin of (3), (11), (13) and (14) for k-sparse units, linear output and squared error.

    For each sample: x̂ from k rows of Vᵀ (h, d), dU (B, d) = (x̂ − x)·scale, and dY (B, k), for which the
    same k rows are read again while they are in cache.  ``l1`` is λ/B.  Adds Σ dU to ``dc`` and
    Σ(x̂ − x)² to ``squares``, (d,).
    """
    for i in range(lo, hi):
        u, x, unit, value, dy = dU[i], X[i], units[i], values[i], dY[i]
        for l in range(len(c)):
            u[l] = c[l]
        for place in range(len(unit)):
            z = value[place]
            if z > 0:
                v = V[unit[place]]
                for l in range(len(c)):
                    u[l] += z * v[l]  # (3)
        for l in range(len(c)):
            error = u[l] - x[l]
            squares[l] += error * error
            u[l] = error * scale  # (11)
            dc[l] += u[l]
        for place in range(len(unit)):
            dy[place] = 0
            if value[place] > 0:  # (14)
                v = V[unit[place]]
                dz = u.dtype.type(0)
                for l in range(len(c)):
                    dz += u[l] * v[l]
                dy[place] = dz + l1  # (13)


@njit(**KERNEL)
def unit_lists(units, values, start, entry):
    """Turn rows of units into lists of entries by unit: unit j owns ``entry[start[j]:start[j + 1]]``.

    ``start`` (h + 1,) int64; ``entry`` (B·k,) int64 holds positions in the flattened (B, k) arrays, in
    ascending order for each unit.  Entries with value 0 are left out.  A counting sort.
    """
    start[:] = 0
    units, values = units.ravel(), values.ravel()
    for e in range(len(units)):
        if values[e] > 0:
            start[units[e] + 1] += 1
    for j in range(len(start) - 1):
        start[j + 1] += start[j]
    for e in range(len(units)):
        if values[e] > 0:
            entry[start[units[e]]] = e
            start[units[e]] += 1
    for j in range(len(start) - 1, 0, -1):  # each start has moved on to the next one's
        start[j] = start[j - 1]
    start[0] = 0


@njit(**REORDER)
def update_units(
    start, entry, values, dY, X, dU, extra, W, b, V, moments, decay, unit_norm, rates, scratch, lo, hi
):
    """Twin of (12), (15), Adam (16)–(19) and unit norm (20), one unit after the other.

    A unit's two gradient rows are summed over the samples that it was active in, in ``scratch`` (2, d),
    and used up while they are in cache: dW and dV are never written.  ``moments`` are m1 and m2 of W,
    of b and of Vᵀ.  A unit that was not active moves, too: Adam's moments fade.  ``extra`` is of (21): the
    row (h,) of each unit in the gradients dW (m, d), db (m,) and dVᵀ (m, d) that follow, or −1.
    """
    extra_row, extra_dW, extra_db, extra_dV = extra
    k = values.shape[1]
    values, dY = values.ravel(), dY.ravel()
    W_m1, W_m2, b_m1, b_m2, V_m1, V_m2 = moments
    dw, dv = scratch[0], scratch[1]
    decay_of_V = decay * 0 if unit_norm else decay  # γV lies along V's columns: (20) takes it away again
    alpha, new1, new2, eps, correct1, correct2 = rates
    for j in range(lo, hi):
        row = extra_row[j]
        if row >= 0:  # (21)
            dw[:] = extra_dW[row]
            dv[:] = extra_dV[row]
            db = extra_db[row]
        else:
            dw[:] = 0
            dv[:] = 0
            db = dw.dtype.type(0)
        for place in range(start[j], start[j + 1]):
            e = entry[place]
            z, dy, x, u = values[e], dY[e], X[e // k], dU[e // k]
            db += dy  # (15)
            for l in range(len(dw)):
                dw[l] += dy * x[l]  # (15)
                dv[l] += z * u[l]  # (12)
        v = V[j]
        if unit_norm:
            along = dw.dtype.type(0)
            for l in range(len(dv)):
                along += dv[l] * v[l]
            for l in range(len(dv)):
                dv[l] -= along * v[l]  # (20)
        adam(W[j], dw, W_m1[j], W_m2[j], decay, rates, 0, len(dw))
        adam(v, dv, V_m1[j], V_m2[j], decay_of_V, rates, 0, len(dv))
        if unit_norm:
            square = dw.dtype.type(0)
            for l in range(len(v)):
                square += v[l] * v[l]
            if square > 0:
                norm = np.sqrt(square)
                for l in range(len(v)):
                    v[l] /= norm  # (20)
        b_m1[j] += new1 * (db - b_m1[j])
        b_m2[j] += new2 * (db * db - b_m2[j])
        b[j] -= alpha * (b_m1[j] * correct1) / (np.sqrt(b_m2[j] * correct2) + eps)
