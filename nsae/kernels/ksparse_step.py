"""A k-sparse step on (unit, value) pairs: nothing of size batch × units is written but the pre-activation.

For each sample, ``units`` (B, k) int32 and ``values`` (B, k) hold its active units in ascending order;
places that are not needed hold unit 0 with value 0.  Vᵀ (h, d) is stored by rows, so that the pattern of
a unit is one run of memory.  Definitions: ``nsae.training.definitions``; compared in
tests/kernels/test_definitions.py.
"""

import numpy as np

from nsae.kernels.adam import adam, squares
from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL, REORDER
from nsae.kernels.sparse_rows import add_sparse_samples

BLOCK = 64  # So many pre-activations are skipped at once if none of them can be among the k largest.
LANES = 64  # The first pass over a sample keeps so many maxima side by side: see _lower_bound.


@njit(**INNER)
def _sift_down(heap, place, n):
    """Restore the order of a heap of n (value, unit) pairs from ``place`` down.

    The root is the pair that is dropped first: the smallest value, and of equal values the highest unit.
    """
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


@njit(**INNER)
def _lower_bound(y, b, lane, level, chosen):
    """Return a lower bound of the k largest of y + b, found in one vectorised pass.

    ``lane[l]`` becomes the maximum of the entries l, l + LANES, l + 2·LANES, …  These maxima are entries of
    y + b, so the k-th largest of them is at most the k-th largest of all.  Few entries lie between the two.
    ``level`` and ``chosen`` (k,) are workspace.
    """
    k = len(level)
    for l in range(LANES):
        lane[l] = y[l] + b[l]
    for start in range(LANES, len(y) - LANES + 1, LANES):
        some, its_b = y[start : start + LANES], b[start : start + LANES]
        for l in range(LANES):
            value = some[l] + its_b[l]
            lane[l] = value if value > lane[l] else lane[l]
    for l in range(k):
        level[l], chosen[l] = lane[l], 0
    for place in range(k // 2 - 1, -1, -1):
        _sift_down((level, chosen), place, k)
    for l in range(k, LANES):
        if lane[l] > level[0]:
            level[0] = lane[l]
            _sift_down((level, chosen), 0, k)
    return level[0]


@njit(**INNER)
def _push(y, b, start, stop, first, root, n, heap):
    """Put the entries of y + b in start:stop that are above ``root`` on the heap of (value, unit) pairs.

    ``n`` pairs are on it.  With k pairs, an entry must be above the heap's root.  Returns the new root and n.
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
    """Do what ``definitions.top_k`` does: select the k largest positive entries of each row of Y + b, (1) (4).

    It looks at one run of units, the units first, first + 1, …; ``Y`` (B, units of the run) and ``b`` (units of
    the run,) belong to them.  Called for one run after the other in ascending order, it leaves the k largest of
    all runs in ``units`` and ``values`` (B, k), as a heap, and their number in ``found`` (B,) int64, which
    must be zeros before the first run.  :func:`by_unit` then sorts them.  Rows lo:hi.

    A block is skipped if no entry is above the heap's root, or at first above a lower bound.  Units come in
    ascending order, so an entry that only equals the root would lose the tie.
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
    """Do what ``definitions.by_unit`` does: sort the pairs of each row by unit.

    For the rows lo:hi of ``units`` and ``values`` (B, k).  Places from ``found[i]`` on are set to unit 0 with
    value 0.  It is an insertion sort, since k is small.  With ascending units, later loops walk forward in
    memory.
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
def decode_and_backprop(code, V, c, X, factors, grads, lo, hi):
    """Do what ``definitions.decode_and_backprop`` does: (3), (11), (13) and (14) for the rows lo:hi.

    For k-sparse units, linear output and squared error.  x̂ is summed from k rows of Vᵀ, and for dY the same
    rows are read again while they are in cache.

    ``code`` is an ``ActiveUnits``, ``V`` is Vᵀ (h, d), ``c`` (d,), ``X`` (B, d), ``factors`` a ``BatchFactors``.
    ``grads`` is a ``SampleGradients``: dU and dY are set, dc and squares added to.
    """
    scale, l1, dc, squares = factors.scale, factors.l1, grads.dc, grads.squares
    units, values, dU, dY = code.units, code.values, grads.dU, grads.dY
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
def unit_lists(code, start, entry):
    """Do what ``definitions.unit_lists`` does: list for each unit the entries of ``code`` that it is active in.

    ``code`` is an ``ActiveUnits`` (B, k).  Unit j gets ``entry[start[j]:start[j + 1]]``: ``start`` is (h + 1,)
    int64, and ``entry`` (B·k,) int64 holds positions in the flattened code, ascending for each unit.  Entries
    with value 0 are left out.  It is a counting sort.
    """
    start[:] = 0
    units, values = code.units, code.values
    B, k = units.shape
    for i in range(B):
        for place in range(k):
            if values[i, place] > 0:
                start[units[i, place] + 1] += 1
    for j in range(len(start) - 1):
        start[j + 1] += start[j]
    for i in range(B):
        for place in range(k):
            if values[i, place] > 0:
                entry[start[units[i, place]]] = i * k + place
                start[units[i, place]] += 1
    for j in range(len(start) - 1, 0, -1):  # each start has moved on to the next one's
        start[j] = start[j - 1]
    start[0] = 0


@njit(**REORDER)
def _start_gradient(row, aux_dW, aux_db, aux_dV, dw, dv):
    """Set dw and dv (d,) to the row ``row`` of the gradients of (21), or to 0 if it is −1; return db."""
    if row >= 0:
        of_w, of_v = aux_dW[row], aux_dV[row]
        for l in range(len(dw)):
            dw[l], dv[l] = of_w[l], of_v[l]
        return aux_db[row]
    dw[:] = 0
    dv[:] = 0
    return dw.dtype.type(0)


@njit(**REORDER)
def _add_samples(entries, values, dY, X, dU, dw, dv, db):
    """Add (12) and (15) of one unit, over the ``entries`` of its samples, to dw, dv (d,) and db; return db."""
    for place in range(len(entries)):
        e = entries[place]
        row, at = e // values.shape[1], e % values.shape[1]
        z, dy, x, u = values[row, at], dY[row, at], X[row], dU[row]
        db += dy  # (15)
        for l in range(len(dw)):
            dw[l] += dy * x[l]  # (15)
            dv[l] += z * u[l]  # (12)
    return db


@njit(**REORDER)
def _make_tangent(dv, v):
    """Take from dv (d,) its part along v (d,), whose norm is 1: (20) before the step."""
    along = dv.dtype.type(0)
    for l in range(len(dv)):
        along += dv[l] * v[l]
    for l in range(len(dv)):
        dv[l] -= along * v[l]  # (20)


@njit(**REORDER)
def _normalise(v):
    """Scale v (d,) to norm 1, unless it is zero: (20) after the step."""
    square = v.dtype.type(0)
    for l in range(len(v)):
        square += v[l] * v[l]
    if square > 0:
        norm = np.sqrt(square)
        for l in range(len(v)):
            v[l] /= norm  # (20)


@njit(**REORDER)
def update_units(batch, arrays, decay, unit_norm, rates, scratch, lo, hi):
    """Do what ``definitions.update_units`` does: (12), (15), Adam (16)–(19) and unit norm (20) of the units lo:hi.

    The gradients of one unit are summed in ``scratch`` (3, d) and used while they are in cache: dW and dV are
    never written as a whole.  A unit that was not active moves too, since Adam's moments fade.

    ``batch`` is a ``UnitBatch``, ``arrays`` a ``UnitArrays``, ``decay`` is γ, ``unit_norm`` asks for (20), and
    ``rates`` is an ``AdamRates``.
    """
    # Records are unpacked before the loop: to read an array from one counts a reference each time.
    start, entry, values, dY, X, dU = batch.start, batch.entry, batch.values, batch.dY, batch.X, batch.dU
    aux_row, aux_dW, aux_db, aux_dV = batch.aux_row, batch.aux_dW, batch.aux_db, batch.aux_dV
    W, W_m1, W_m2 = arrays.W, arrays.W_m1, arrays.W_m2
    V, V_m1, V_m2 = arrays.V, arrays.V_m1, arrays.V_m2
    b, b_m1, b_m2 = arrays.b, arrays.b_m1, arrays.b_m2
    dw, dv, db = scratch[0], scratch[1], scratch[2, :1]
    nothing = decay * 0
    decay_of_V = nothing if unit_norm else decay  # γV lies along V's columns: (20) takes it away again
    rows, sparse = batch.rows, len(X) == 0
    for j in range(lo, hi):
        v, entries = V[j], entry[start[j] : start[j + 1]]
        db[0] = _start_gradient(aux_row[j], aux_dW, aux_db, aux_dV, dw, dv)  # (21)
        if sparse:
            db[0] = add_sparse_samples(entries, values, dY, rows, dU, dw, dv, db[0])  # (12) (15)
        else:
            db[0] = _add_samples(entries, values, dY, X, dU, dw, dv, db[0])  # (12) (15)
        if unit_norm:
            _make_tangent(dv, v)  # (20)
        adam(W[j], dw, W_m1[j], W_m2[j], decay, rates, 0, len(dw))
        adam(v, dv, V_m1[j], V_m2[j], decay_of_V, rates, 0, len(dv))
        adam(b[j : j + 1], db, b_m1[j : j + 1], b_m2[j : j + 1], nothing, rates, 0, 1)
        if unit_norm:
            _normalise(v)  # (20)


@njit(**REORDER)
def unit_squares(batch, arrays, decay, unit_norm, scratch, lo, hi):
    """Do what ``definitions.unit_squares`` does: return ‖∇J‖² over W, V and b of the units lo:hi, for (34).

    ``batch``, ``arrays``, ``decay``, ``unit_norm`` and ``scratch`` are as in :func:`update_units`.
    """
    start, entry, values, dY, X, dU = batch.start, batch.entry, batch.values, batch.dY, batch.X, batch.dU
    aux_row, aux_dW, aux_db, aux_dV = batch.aux_row, batch.aux_dW, batch.aux_db, batch.aux_dV
    W, V, dw, dv = arrays.W, arrays.V, scratch[0], scratch[1]
    decay_of_V = decay * 0 if unit_norm else decay
    total = 0.0
    rows, sparse = batch.rows, len(X) == 0
    for j in range(lo, hi):
        entries = entry[start[j] : start[j + 1]]
        db = _start_gradient(aux_row[j], aux_dW, aux_db, aux_dV, dw, dv)  # (21)
        if sparse:
            db = add_sparse_samples(entries, values, dY, rows, dU, dw, dv, db)  # (12) (15)
        else:
            db = _add_samples(entries, values, dY, X, dU, dw, dv, db)  # (12) (15)
        db_square = np.float64(db) ** 2
        if unit_norm:
            _make_tangent(dv, V[j])  # (20)
        total += squares(W[j], dw, decay, 0, len(dw)) + squares(V[j], dv, decay_of_V, 0, len(dv)) + db_square
    return total
