"""Which units can be among the k largest of a sample: bounds from a product of bytes, exact at the end.

A weight and a feature in 8 bits are off by a known length, and so is their product, by Cauchy and Schwarz:

    w·x = ŵ·x̂ + w·(x − x̂) + (w − ŵ)·x̂,   so   |w·x − ŵ·x̂| ≤ ‖w‖‖x − x̂‖ + ‖w − ŵ‖‖x̂‖

A unit whose upper bound is below the k-th largest lower bound is not among the k largest.  The few others are
computed from W itself, so nothing is approximate in the end.

BLAS has no product of bytes, so this is the one product in a kernel.  Processors with AVX-512 VNNI multiply and
add 64 pairs of bytes at a time, four times as many as of float32, and ``BYTE_PRODUCTS`` tells whether this one
does.  LLVM does not find that instruction by itself, so ``_tile`` names it.
"""

import numba
import numpy as np
from numba.extending import intrinsic

from nsae.kernels.compile import njit
from nsae.kernels.ksparse_step import _sift_down
from nsae.kernels.options import INNER, KERNEL, REORDER

PANEL = 64  # So many units lie side by side, four bytes of each: four registers of the processor.
TILE_ROWS = 6  # So many rows are multiplied with a panel at a time: 24 registers of sums.
MAXIMA = 256  # A threshold is found among so many maxima of lower bounds.
RUN = 32  # Upper bounds are compared in runs of so many.
TINY = np.float32(1e-30)  # A byte that counts for less is not used: its inverse may not be a number.
FLOOR = np.float32(1e-18)  # Added to every length: the square of a smaller number may be 0 in float32.


def _has_vnni():
    """Return whether loops are compiled for a processor that multiplies bytes."""
    if numba.config.DISABLE_JIT:
        return False
    try:
        from numba.core.registry import cpu_target

        features = cpu_target.target_context.codegen().magic_tuple()[2]
    except (ImportError, AttributeError):
        return False
    return "+avx512vnni" in features.split(",")


BYTE_PRODUCTS = _has_vnni()


@intrinsic
def _tile(typing_context, x, row, panel, n, out, out_row):
    """Multiply ``TILE_ROWS`` rows of bytes with a panel.  Arguments are addresses, and steps in bytes.

    For n groups of four features, from the address ``x`` with ``row`` bytes a row, and from ``panel``.  Sums go to
    ``out``, int32, with ``out_row`` bytes a row.
    """
    from llvmlite import ir
    from numba.core import cgutils, types

    word, address = ir.IntType(32), ir.IntType(64)
    lanes = ir.VectorType(word, 16)
    registers = PANEL // 16
    tile = [(i, j) for i in range(TILE_ROWS) for j in range(registers)]

    def generate(context, builder, signature, args):
        x, row, panel, n, out, out_row = args
        number = lambda value: ir.Constant(address, value)  # noqa: E731
        at = lambda base, step, count: builder.add(base, builder.mul(step, number(count)))  # noqa: E731
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(lanes, [lanes, lanes, lanes]), "llvm.x86.avx512.vpdpbusd.512"
        )
        before = builder.block
        loop, end = builder.append_basic_block("groups"), builder.append_basic_block("end")
        builder.branch(loop)
        builder.position_at_end(loop)
        group = builder.phi(address)
        group.add_incoming(number(0), before)
        sums = {place: builder.phi(lanes) for place in tile}
        weights = []
        for j in range(registers):
            start = builder.add(at(panel, group, 4 * PANEL), number(64 * j))
            weights.append(builder.load(builder.inttoptr(start, lanes.as_pointer()), align=4))
        for i in range(TILE_ROWS):
            start = builder.add(at(x, row, i), builder.mul(group, number(4)))
            four = builder.load(builder.inttoptr(start, word.as_pointer()), align=1)
            one = builder.insert_element(ir.Constant(lanes, ir.Undefined), four, ir.Constant(word, 0))
            all16 = builder.shuffle_vector(one, one, ir.Constant(lanes, [0] * 16))
            for j in range(registers):
                total = builder.call(function, [sums[i, j], all16, weights[j]])
                sums[i, j].add_incoming(ir.Constant(lanes, [0] * 16), before)
                sums[i, j].add_incoming(total, loop)
                sums[i, j].total = total
        following = builder.add(group, number(1))
        group.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, n), loop, end)
        builder.position_at_end(end)
        for i, j in tile:
            start = builder.add(at(out, out_row, i), number(64 * j))
            builder.store(sums[i, j].total, builder.inttoptr(start, lanes.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), generate


@njit(**KERNEL)
def byte_product(A, panels, S):
    """Do what ``byte_definitions.byte_product`` does: put the product of bytes and panels in ``S``.

    ``A`` (n, 4·groups) uint8, ``panels`` (panels, groups, PANEL) int32 of four int8 each, ``S``
    (n, PANEL·panels) int32.  n is a multiple of ``TILE_ROWS``.
    """
    row, out_row = A.shape[1], 4 * S.shape[1]
    for p in range(len(panels)):
        panel = panels[p].ctypes.data
        for i in range(0, len(A), TILE_ROWS):
            out = S.ctypes.data + i * out_row + 4 * PANEL * p
            _tile(A.ctypes.data + i * row, row, panel, panels.shape[1], out, out_row)


@njit(**REORDER)
def _byte_of(value, factor, zero, least, most):
    """Return value · factor + zero to the nearest whole number between ``least`` and ``most``; NaN is ``most``."""
    whole = np.rint(value * factor) + zero
    whole = whole if whole < most else most
    return whole if whole > least else least


@njit(**REORDER)
def byte_units(W, b, panels, units, lo, hi):
    """Do what ``byte_definitions.byte_units`` does: put the units lo:hi in panels, and their bounds in ``units``.

    ``W`` (h, d), ``b`` (h,), ``panels`` as in :func:`byte_product`; ``units`` is a ``UnitBounds``.
    """
    d, groups = W.shape[1], panels.shape[1]
    whole = np.zeros(4 * groups, np.int8)
    words = whole.view(np.int32)
    slack = (d + 16) * np.float32(2.0**-23)
    most, least, zero = np.float32(127), np.float32(-127), np.float32(0)
    scales, totals, norms, rests = units.scale, units.total, units.norm, units.rest
    highs, lows = units.high, units.low
    for j in range(lo, hi):
        w = W[j]
        largest = zero
        for l in range(d):
            size = np.float32(abs(w[l]))
            largest = size if size > largest else largest
        scale = largest / most
        scale = scale if scale > TINY else zero
        factor = np.float32(1) / scale if scale > 0 else zero
        total, square, rest = np.int32(0), zero, zero
        for l in range(d):
            value = np.float32(w[l])
            nearest = _byte_of(value, factor, zero, least, most)
            off = value - scale * nearest
            whole[l] = np.int8(nearest)
            total += np.int32(nearest)
            square += value * value
            rest += off * off
        panel, at = panels[j // PANEL], j % PANEL
        for t in range(groups):
            panel[t, at] = words[t]
        norm = np.sqrt(square) * (1 + slack) + FLOOR
        scales[j], totals[j], norms[j] = scale, total, norm
        rests[j] = np.sqrt(rest) * (1 + slack) + slack * norm + FLOOR
        bias = np.float32(b[j])
        highs[j] = bias + abs(bias) * np.float32(2.0**-21)
        lows[j] = bias - abs(bias) * np.float32(2.0**-21)


@njit(**REORDER)
def byte_rows(X, A, rows):
    """Do what ``byte_definitions.byte_rows`` does: put the samples X (n, d) in bytes ``A``, and bounds in ``rows``.

    ``A`` as in :func:`byte_product`, with at least n rows; ``rows`` is a ``RowBounds``.
    """
    n, d = X.shape
    slack = (d + 16) * np.float32(2.0**-23)
    most, nothing = np.float32(255), np.float32(0)
    scales, zeros, norms, rests = rows.scale, rows.zero, rows.norm, rows.rest
    for i in range(n):
        x, a = X[i], A[i]
        low, high = nothing, nothing
        for l in range(d):
            value = np.float32(x[l])
            low = value if value < low else low
            high = value if value > high else high
        scale = (high - low) / most
        scale = scale if scale > TINY else nothing
        factor = np.float32(1) / scale if scale > 0 else nothing
        zero = _byte_of(-low, factor, nothing, nothing, most)
        square, rest, whole = nothing, nothing, nothing
        for l in range(d):
            value = np.float32(x[l])
            nearest = _byte_of(value, factor, zero, nothing, most)
            known = scale * (nearest - zero)
            off = value - known
            a[l] = np.uint8(nearest)
            square += known * known
            whole += value * value
            rest += off * off
        scales[i], zeros[i] = scale, np.int32(zero)
        norms[i] = np.sqrt(square) * (1 + slack) + FLOOR
        rests[i] = np.sqrt(rest) * (1 + slack) + slack * np.sqrt(whole) + FLOOR


@njit(**REORDER)
def _dot(w, x):
    """Return w·x, added in the same order for any batch."""
    total = w.dtype.type(0)
    for l in range(len(w)):
        total += w[l] * x[l]
    return total


@njit(**INNER)
def _threshold(products, sample, units, maxima, heap):
    """Return a number that the k largest pre-activations of a sample are above, or 0 if none is known.

    Lower bounds are looked at in ``MAXIMA`` groups: j, j + MAXIMA, j + 2·MAXIMA, …  The k-th largest of the groups'
    maxima is the lower bound of k units.  ``products`` (h,) are of bytes; ``sample`` is zero, scale, rest and norm of
    a ``RowBounds``; ``heap`` are k numbers and k units.
    """
    zero, scale, rest, norm = sample
    level, chosen = heap
    k, zero_f = len(level), np.float32(0)
    scales, totals, norms, rests, lows = units.scale, units.total, units.norm, units.rest, units.low
    maxima[:] = 0
    for start in range(0, len(products) - MAXIMA + 1, MAXIMA):
        p, t = products[start : start + MAXIMA], totals[start : start + MAXIMA]
        s, n = scales[start : start + MAXIMA], norms[start : start + MAXIMA]
        r, b = rests[start : start + MAXIMA], lows[start : start + MAXIMA]
        for l in range(MAXIMA):
            known = scale * (s[l] * np.float32(np.int32(p[l] - zero * t[l])))
            value = known + b[l] - (n[l] * rest + r[l] * norm)
            maxima[l] = value if value > maxima[l] else maxima[l]
    for l in range(k):
        level[l], chosen[l] = maxima[l], 0
    for place in range(k // 2 - 1, -1, -1):
        _sift_down(heap, place, k)
    for l in range(k, MAXIMA):
        if maxima[l] > level[0]:
            level[0] = maxima[l]
            _sift_down(heap, 0, k)
    return max(level[0], zero_f)


@njit(**KERNEL)
def _candidates(products, sample, units, least, who, bound):
    """Put the units whose upper bound is above ``least`` in ``who``, ascending, and the bounds in ``bound``.

    Returns how many there are.  A bound that is no number rules nothing out.
    """
    zero, scale, rest, norm = sample
    upper = np.empty(RUN, np.float32)
    scales, totals, norms, rests, highs = units.scale, units.total, units.norm, units.rest, units.high
    n = 0
    for start in range(0, len(products), RUN):
        p, t = products[start : start + RUN], totals[start : start + RUN]
        s, m = scales[start : start + RUN], norms[start : start + RUN]
        r, b = rests[start : start + RUN], highs[start : start + RUN]
        above = np.int32(0)
        for l in range(RUN):
            known = scale * (s[l] * np.float32(np.int32(p[l] - zero * t[l])))
            value = known + b[l] + (m[l] * rest + r[l] * norm)
            upper[l] = value
            above += np.int32(not value <= least)
        if above > 0:
            for l in range(RUN):
                who[n], bound[n] = start + l, upper[l]
                n += np.int64(not upper[l] <= least)
    return n


@njit(**KERNEL)
def select_bounded(S, X, W, b, rows, units, code, found):
    """Do what ``byte_definitions.select_bounded`` does: select the k largest positive entries of X Wᵀ + b, (1) (4).

    ``S`` (at least n, at least h) int32 are the products of bytes, whose bounds are ``rows`` and ``units``; X (n, d),
    W (h, d), b (h,).  The units and values (n, k) of ``code`` are left as a heap, and their number in ``found`` (n,):
    :func:`by_unit` sorts them.
    """
    k, h = code.units.shape[1], len(W)
    maxima, roots = np.empty(MAXIMA, np.float32), np.empty(k, np.float32)
    who, bound = np.empty(S.shape[1] + 1, np.int32), np.empty(S.shape[1] + 1, np.float32)
    all_units, all_values = code.units, code.values
    scales, zeros, norms, rests = rows.scale, rows.zero, rows.norm, rows.rest
    for i in range(len(X)):
        x, chosen, level = X[i], all_units[i], all_values[i]
        sample = zeros[i], scales[i], rests[i], norms[i]
        least = _threshold(S[i], sample, units, maxima, (roots, chosen))
        root = level.dtype.type(least)  # The pre-activations of k units are above it: bounds have some slack.
        n = 0
        for place in range(_candidates(S[i], sample, units, least, who, bound)):
            j = who[place]
            if j >= h or bound[place] <= root:
                continue
            value = _dot(W[j], x) + b[j]
            if value > root:
                if n < k:
                    level[n], chosen[n] = value, j
                    n += 1
                    if n == k:
                        for at in range(k // 2 - 1, -1, -1):
                            _sift_down((level, chosen), at, k)
                        root = level[0]
                else:
                    level[0], chosen[0] = value, j
                    _sift_down((level, chosen), 0, k)
                    root = level[0]
        found[i] = n
