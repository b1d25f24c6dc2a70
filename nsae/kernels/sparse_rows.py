"""Products with a sparse batch, and a step's loops over one: the cost is that of its nonzeros.

A batch is a ``SparseRows``.  Definitions: ``nsae.training.sparse_definitions``; compared in
tests/kernels/test_sparse_rows.py.

W (h, d) is stored by units, and a nonzero of x needs one feature of all units.  So the loops copy the rows of W
of a few units to a workspace (d, LANES), where the numbers of one feature lie side by side.  That reads W once
for a whole batch, and the workspace stays in cache: one nonzero is one vector of it.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.dense_step import _sigmoid_row, _squared_row
from nsae.kernels.options import INNER, KERNEL, REORDER

LANES = 32  # Units that are computed side by side: with more, the workspace leaves the cache.
STREAMS = 16  # Rows of W that are read side by side: a line of the cache in the workspace, for float32.
TOGETHER = (
    4  # Rows of V or of dU that are read in one pass: the sum is then loaded and stored a quarter as often.
)


@njit(**INNER)
def _to_features(W, features):
    """Copy the rows of some units, ``W`` (up to LANES, d), to the columns of ``features`` (d, LANES)."""
    for begin in range(0, W.shape[0], STREAMS):
        some = W[begin : begin + STREAMS]
        for l in range(features.shape[0]):
            feature = features[l, begin : begin + STREAMS]
            if some.shape[0] == STREAMS:
                for j in range(STREAMS):
                    feature[j] = some[j, l]
            else:
                for j in range(some.shape[0]):
                    feature[j] = some[j, l]


@njit(**KERNEL)
def sparse_product(X, W, features, Y, lo, hi):
    """Do what ``sparse_definitions.sparse_product`` does: Y = X Wᵀ for the units lo:hi, the product of (1).

    ``X`` is a ``SparseRows`` (B, d), ``W`` (h, d), ``features`` (d, LANES) a workspace, ``Y`` (B, h).  Products are
    added in the order of features, and none of them is fused with its sum: the bits are NumPy's.
    """
    indptr, columns, values = X.indptr, X.columns, X.values
    y = np.empty(LANES, Y.dtype)
    for first in range(lo, hi, LANES):
        width = min(LANES, hi - first)
        _to_features(W[first : first + width], features)
        for i in range(len(indptr) - 1):
            start, stop = indptr[i], indptr[i + 1]
            whole = start + (stop - start) // 4 * 4
            y[:] = 0
            for e in range(start, whole, 4):
                w0, w1 = features[columns[e]], features[columns[e + 1]]
                w2, w3 = features[columns[e + 2]], features[columns[e + 3]]
                x0, x1, x2, x3 = values[e], values[e + 1], values[e + 2], values[e + 3]
                for j in range(LANES):
                    y[j] = (((y[j] + x0 * w0[j]) + x1 * w1[j]) + x2 * w2[j]) + x3 * w3[j]  # (1)
            for e in range(whole, stop):
                w, x = features[columns[e]], values[e]
                for j in range(LANES):
                    y[j] += x * w[j]  # (1)
            for j in range(width):
                Y[i, first + j] = y[j]


@njit(**KERNEL)
def sparse_outer(dY, X, features, dW, lo, hi):
    """Do what ``sparse_definitions.sparse_outer`` does: dW = dYᵀ X for the units lo:hi, the sum of (15).

    ``dY`` is (B, h), ``X`` a ``SparseRows`` (B, d), ``features`` (d, LANES) a workspace, ``dW`` (h, d).
    """
    indptr, columns, values = X.indptr, X.columns, X.values
    dy = np.zeros(LANES, dY.dtype)
    for first in range(lo, hi, LANES):
        width = min(LANES, hi - first)
        features[:] = 0
        for i in range(len(indptr) - 1):
            for j in range(width):
                dy[j] = dY[i, first + j]
            for e in range(indptr[i], indptr[i + 1]):
                feature, x = features[columns[e]], values[e]
                for j in range(LANES):
                    feature[j] += x * dy[j]  # (15)
        for begin in range(0, width, STREAMS):
            end = min(begin + STREAMS, width)
            for l in range(features.shape[0]):
                for j in range(begin, end):
                    dW[first + j, l] = features[l, j]


@njit(**KERNEL)
def sparse_squared_output(U, c, X, dc, squares, lo, hi):
    """Do what ``sparse_definitions.sparse_squared_output`` does: dU = (U + c − X)/B, (3) (11), in place of ``U``.

    For the rows lo:hi, as ``squared_output`` with a batch ``X`` that is a ``SparseRows``: one row after the other is
    laid out.  ``c``, ``dc`` and ``squares`` are (d,).
    """
    indptr, columns, values = X.indptr, X.columns, X.values
    x, scale = np.zeros(len(c), U.dtype), U.dtype.type(1.0 / (len(indptr) - 1))
    for i in range(lo, hi):
        for e in range(indptr[i], indptr[i + 1]):
            x[columns[e]] = values[e]
        _squared_row(U[i], c, x, scale, dc, squares)
        for e in range(indptr[i], indptr[i + 1]):
            x[columns[e]] = 0


@njit(**KERNEL)
def sparse_sigmoid_output(U, E, L, X, keep_slope, sums, lo, hi):
    """Do what ``sparse_definitions.sparse_sigmoid_output`` does: put dU, (3) (11), in place of ``U`` (B, d).

    For the rows lo:hi, as ``sigmoid_output`` with a batch ``X`` that is a ``SparseRows``.  ``E``, ``L``,
    ``keep_slope`` and ``sums`` are as there.
    """
    indptr, columns, values = X.indptr, X.columns, X.values
    dc, squares, entropy = sums.dc, sums.squares, sums.entropy
    x, scale = np.zeros(len(dc), U.dtype), U.dtype.type(1.0 / (len(indptr) - 1))
    for i in range(lo, hi):
        for e in range(indptr[i], indptr[i + 1]):
            x[columns[e]] = values[e]
        _sigmoid_row(U[i], E[i], L[i], x, keep_slope, scale, (dc, squares, entropy))
        for e in range(indptr[i], indptr[i + 1]):
            x[columns[e]] = 0


@njit(**REORDER)
def _add_rows(total, weights, A, rows, n):
    """Add to ``total`` (d,) the first ``n`` of the ``rows`` of A, each times its weight."""
    whole = n // TOGETHER * TOGETHER
    for p in range(0, whole, TOGETHER):
        a0, a1, a2, a3 = A[rows[p]], A[rows[p + 1]], A[rows[p + 2]], A[rows[p + 3]]
        w0, w1, w2, w3 = weights[p], weights[p + 1], weights[p + 2], weights[p + 3]
        for l in range(len(total)):
            total[l] += w0 * a0[l] + w1 * a1[l] + w2 * a2[l] + w3 * a3[l]
    for p in range(whole, n):
        a, w = A[rows[p]], weights[p]
        for l in range(len(total)):
            total[l] += w * a[l]


@njit(**REORDER)
def _products_with_rows(u, A, rows, n, out, more):
    """Set ``out[p]`` to the product of u (d,) with the row ``rows[p]`` of A, plus ``more``, for the first ``n``."""
    zero = u.dtype.type(0)
    whole = n // TOGETHER * TOGETHER
    for p in range(0, whole, TOGETHER):
        a0, a1, a2, a3 = A[rows[p]], A[rows[p + 1]], A[rows[p + 2]], A[rows[p + 3]]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for l in range(len(u)):
            s0 += u[l] * a0[l]
            s1 += u[l] * a1[l]
            s2 += u[l] * a2[l]
            s3 += u[l] * a3[l]
        out[p], out[p + 1], out[p + 2], out[p + 3] = s0 + more, s1 + more, s2 + more, s3 + more
    for p in range(whole, n):
        a, s = A[rows[p]], zero
        for l in range(len(u)):
            s += u[l] * a[l]
        out[p] = s + more


@njit(**REORDER)
def sparse_decode_and_backprop(code, V, c, X, factors, grads, lo, hi):
    """Do what ``sparse_definitions.sparse_decode_and_backprop`` does: (3), (11), (13), (14) of the rows lo:hi.

    As ``decode_and_backprop`` with a batch ``X`` that is a ``SparseRows``.  ``code``, ``V``, ``c``, ``factors`` and
    ``grads`` are as there.
    """
    indptr, columns, x = X.indptr, X.columns, X.values
    scale, l1, dc, squares = factors.scale, factors.l1, grads.dc, grads.squares
    units, values, dU, dY = code.units, code.values, grads.dU, grads.dY
    kept = np.zeros(units.shape[1], values.dtype)
    places = np.zeros(units.shape[1], np.int64)
    for i in range(lo, hi):
        u, dy, n = dU[i], dY[i], 0
        for place in range(units.shape[1]):
            if values[i, place] > 0:
                places[n], kept[n] = units[i, place], values[i, place]
                n += 1
        for l in range(len(c)):
            u[l] = c[l]
        for e in range(indptr[i], indptr[i + 1]):
            u[columns[e]] -= x[e]
        _add_rows(u, kept, V, places, n)  # (3): u is now x̂ − x
        for l in range(len(c)):
            error = u[l]
            squares[l] += error * error
            u[l] = error * scale  # (11)
            dc[l] += u[l]
        _products_with_rows(u, V, places, n, kept, l1)  # (13)
        n = 0
        for place in range(units.shape[1]):
            dy[place] = 0
            if values[i, place] > 0:  # (14)
                dy[place] = kept[n]
                n += 1


@njit(**REORDER)
def add_sparse_samples(entries, values, dY, X, dU, dw, dv, db):
    """Add (12) and (15) of one unit, over the ``entries`` of its samples, to dw, dv (d,) and db; return db.

    As in ``update_units``, with a batch ``X`` that is a ``SparseRows``: dw changes where a sample is not 0.
    ``values`` and ``dY`` are (B, k), ``dU`` is (B, d).
    """
    indptr, columns, x = X.indptr, X.columns, X.values
    k = values.shape[1]
    z, rows = np.empty(TOGETHER, values.dtype), np.empty(TOGETHER, np.int64)
    for first in range(0, len(entries), TOGETHER):
        n = min(TOGETHER, len(entries) - first)
        for p in range(n):
            e = entries[first + p]
            row, at = e // k, e % k
            rows[p], z[p] = row, values[row, at]
            dy = dY[row, at]
            db += dy  # (15)
            for i in range(indptr[row], indptr[row + 1]):
                dw[columns[i]] += dy * x[i]  # (15)
        _add_rows(dv, z, dU, rows, n)  # (12)
    return db
