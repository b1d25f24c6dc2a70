"""A k-sparse step on (unit, value) pairs: nothing of size batch × units is written but the pre-activation.

For each sample, ``units`` (B, k) int32 and ``values`` (B, k) hold its active units in ascending order;
places that are not needed hold unit 0 with value 0.  Vᵀ (h, d) is stored by rows, so that the pattern of
a unit is one run of memory.
"""

import numpy as np

from nsae.kernels.adam import adam, squares
from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL, REORDER

BLOCK = 64  # pre-activations that are passed over at once if none of them can be among the k largest
LANES = 64  # of the first look at a sample, see _lower_bound


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
def _lower_bound(y, b, lane, level, chosen):
    """A value that the k largest of y + b reach for certain, found in one vectorised pass.

    ``lane`` (LANES,) comes to hold the maximum of every LANES-th entry.  They are entries of y + b, and so
    the k-th largest of them is at most the k-th largest of all; few entries lie between the two.  ``level``
    and ``chosen`` (k,) are workspace.
    """
    k = len(level)
    for l in range(LANES):
        lane[l] = y[l] + b[l]
    for start in range(LANES, len(y) - LANES + 1, LANES):
        some, its_b = y[start : start + LANES], b[start : start + LANES]
        for l in range(LANES):
            value = some[l] + its_b[l]
            lane[l] = value if value > lane[l] else lane[l]
    level[:], chosen[:] = lane[:k], 0
    for place in range(k // 2 - 1, -1, -1):
        _sift_down((level, chosen), place, k)
    for l in range(k, LANES):
        if lane[l] > level[0]:
            level[0] = lane[l]
            _sift_down((level, chosen), 0, k)
    return level[0]


@njit(**KERNEL)
def _push(y, b, start, stop, first, root, n, heap):
    """Put the entries of y + b in start:stop that are above ``root`` on the heap of (value, unit) pairs.

    ``n`` pairs are on it.  Once k are, its root is the one to beat.  Returns the new root and n.
    """
    level, chosen = heap
    k = len(level)
    for j in range(start, stop):
        value = y[j] + b[j]
        if value > root:
            if n < k:
                level[n], chosen[n] = value, first + j
                n += 1
                if n == k:
                    for place in range(k // 2 - 1, -1, -1):
                        _sift_down(heap, place, k)
                    root = level[0]
            else:
                level[0], chosen[0] = value, first + j
                _sift_down(heap, 0, k)
                root = level[0]
    return root, n


@njit(**KERNEL)
def top_k(Y, b, first, units, values, found, lo, hi):
    """The k largest positive entries of Y + b, (1) (4), of each sample, over the units first, first + 1, …

    ``Y`` (B, some) and ``b`` (some,) are of these units alone; called for one run of units after the other,
    in ascending order, ``units`` and ``values`` (B, k) come to hold the k largest of all, as a heap, and
    ``found`` (B,) int64, zeros at the start, how many there are.  :func:`by_unit` then puts them in order.

    A block without an entry above the heap's root, or at first above a lower bound, is passed over.  Units
    come in ascending order, so one that only equals the root would lose the tie.
    """
    k, zero = units.shape[1], Y.dtype.type(0)
    lane = np.empty(LANES, Y.dtype)
    Y, units, values, found = Y[lo:hi], units[lo:hi], values[lo:hi], found[lo:hi]
    for i in range(Y.shape[0]):
        y, chosen, level, n = Y[i], units[i], values[i], found[i]
        root = level[0] if n == k else zero
        if n == 0 and k <= LANES <= len(y) // 2:
            bound = _lower_bound(y, b, lane, level, chosen)
            if bound > 0:
                root = np.nextafter(bound, zero)  # what equals the bound may be among the k
        whole = len(y) // BLOCK * BLOCK
        for start in range(0, whole, BLOCK):
            above = np.int32(0)
            for j in range(BLOCK):  # a count vectorises; a maximum would have to care for NaN
                above += np.int32(y[start + j] + b[start + j] > root)
            if above > 0:
                root, n = _push(y, b, start, start + BLOCK, first, root, n, (level, chosen))
        root, n = _push(y, b, whole, len(y), first, root, n, (level, chosen))
        found[i] = n


@njit(**KERNEL)
def by_unit(units, values, found, lo, hi):
    """Sort each sample's pairs by unit, and fill the places that are not needed with unit 0 at value 0.

    By insertion: k is small.  Ascending units walk forward in memory.
    """
    for i in range(lo, hi):
        chosen, level, n = units[i], values[i], found[i]
        chosen[n:], level[n:] = 0, 0
        for place in range(1, n):
            value, unit = level[place], chosen[place]
            before = place - 1
            while before >= 0 and chosen[before] > unit:
                level[before + 1], chosen[before + 1] = level[before], chosen[before]
                before -= 1
            level[before + 1], chosen[before + 1] = value, unit


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
def _unit_gradient(j, start, entry, values, dY, X, dU, extra, v, unit_norm, dw, dv):
    """(12), (15) and (20) of unit j: its gradients with respect to W into dw (d,), to V into dv (d,); and db.

    They are summed over the samples that the unit was active in.  ``extra`` is of (21): the row (h,) of each
    unit in the gradients dW (m, d), db (m,) and dVᵀ (m, d) that follow, or −1.
    """
    extra_row, extra_dW, extra_db, extra_dV = extra
    row = extra_row[j]
    db = dw.dtype.type(0)
    if row >= 0:  # (21)
        dw[:] = extra_dW[row]
        dv[:] = extra_dV[row]
        db += extra_db[row]
    else:
        dw[:] = 0
        dv[:] = 0
    for place in range(start[j], start[j + 1]):
        e = entry[place]
        row, at = e // values.shape[1], e % values.shape[1]
        z, dy, x, u = values[row, at], dY[row, at], X[row], dU[row]
        db += dy  # (15)
        for l in range(len(dw)):
            dw[l] += dy * x[l]  # (15)
            dv[l] += z * u[l]  # (12)
    if unit_norm:
        along = dw.dtype.type(0)
        for l in range(len(dv)):
            along += dv[l] * v[l]
        for l in range(len(dv)):
            dv[l] -= along * v[l]  # (20)
    return db


@njit(**REORDER)
def update_units(
    start, entry, values, dY, X, dU, extra, W, b, V, moments, decay, unit_norm, rates, scratch, lo, hi
):
    """Twin of (12), (15), Adam (16)–(19) and unit norm (20), one unit after the other.

    A unit's gradients are summed in ``scratch`` (3, d) and used up while they are in cache: dW and
    dV are never written.  ``moments`` are m1 and m2 of W, of b and of Vᵀ.  A unit that was not active moves,
    too: Adam's moments fade.  ``extra`` is as in :func:`_unit_gradient`.
    """
    W_m1, W_m2, b_m1, b_m2, V_m1, V_m2 = moments
    dw, dv, db = scratch[0], scratch[1], scratch[2, :1]
    none = decay * 0
    decay_of_V = none if unit_norm else decay  # γV lies along V's columns: (20) takes it away again
    for j in range(lo, hi):
        v = V[j]
        db[0] = _unit_gradient(j, start, entry, values, dY, X, dU, extra, v, unit_norm, dw, dv)
        adam(W[j], dw, W_m1[j], W_m2[j], decay, rates, 0, len(dw))
        adam(v, dv, V_m1[j], V_m2[j], decay_of_V, rates, 0, len(dv))
        adam(b[j : j + 1], db, b_m1[j : j + 1], b_m2[j : j + 1], none, rates, 0, 1)
        if unit_norm:
            square = dw.dtype.type(0)
            for l in range(len(v)):
                square += v[l] * v[l]
            if square > 0:
                norm = np.sqrt(square)
                for l in range(len(v)):
                    v[l] /= norm  # (20)


@njit(**REORDER)
def unit_squares(start, entry, values, dY, X, dU, extra, W, V, decay, unit_norm, scratch, lo, hi):
    """‖∇J‖² over the W, V and b of some units, for (34): their gradients are made, measured and let go."""
    dw, dv = scratch[0], scratch[1]
    decay_of_V = decay * 0 if unit_norm else decay
    total = 0.0
    for j in range(lo, hi):
        db = np.float64(_unit_gradient(j, start, entry, values, dY, X, dU, extra, V[j], unit_norm, dw, dv))
        total += squares(W[j], dw, decay, 0, len(dw)) + squares(V[j], dv, decay_of_V, 0, len(dv)) + db * db
    return total
