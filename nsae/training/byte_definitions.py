"""What the loops of byte_bounds.py compute, in NumPy: the same names and the same arguments.

tests/kernels/test_byte_bounds.py runs both on the same random input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nsae.training import definitions

if TYPE_CHECKING:
    from nsae.kernels.records import ActiveUnits, RowBounds, UnitBounds

Array = np.ndarray
TINY, FLOOR = np.float32(1e-30), np.float32(1e-18)  # as in byte_bounds.py


def byte_product(A: Array, panels: Array, S: Array) -> None:
    """Put the product of the bytes of samples, ``A`` (n, 4·groups) uint8, and of units in ``S`` (n, h) int32.

    ``panels`` (panels, groups, 64) int32 holds four int8 of a unit in each number; panel p has the units 64 p, …
    """
    units = panels.view(np.int8).reshape(*panels.shape, 4).swapaxes(1, 2)  # (panels, 64, groups, 4)
    S[:] = A.astype(np.int32) @ units.reshape(-1, A.shape[1]).T.astype(np.int32)  # (n, h)


def byte_units(W: Array, b: Array, panels: Array, units: UnitBounds, lo: int, hi: int) -> None:
    """Put the units lo:hi of ``W`` (h, d) and ``b`` (h,) as bytes in ``panels``, and their bounds in ``units``."""
    d = W.shape[1]
    bytes_of = panels.view(np.int8).reshape(*panels.shape, 4)  # (panels, groups, 64, 4)
    slack = np.float32((d + 16) * 2.0**-23)  # of rounding
    for j in range(lo, hi):
        w = W[j].astype(np.float32)  # (d,)
        scale, factor = _scale(abs(w).max(), 127)
        nearest = np.rint(w * factor)  # (d,)
        row = np.append(nearest, np.zeros(-d % 4)).reshape(-1, 4)  # (groups, 4)
        bytes_of[j // 64, :, j % 64] = row
        norm, rest = np.linalg.norm(w), np.linalg.norm(w - scale * nearest)
        units.scale[j], units.total[j] = scale, nearest.sum()
        units.norm[j] = norm * (1 + slack) + FLOOR
        units.rest[j] = rest * (1 + slack) + slack * units.norm[j] + FLOOR
        bias = np.float32(b[j])
        units.high[j] = bias + abs(bias) * np.float32(2.0**-21)
        units.low[j] = bias - abs(bias) * np.float32(2.0**-21)


def byte_rows(X: Array, A: Array, rows: RowBounds) -> None:
    """Put the samples ``X`` (n, d) as bytes in the first rows of ``A``, and their bounds in ``rows``."""
    n, d = X.shape
    slack = np.float32((d + 16) * 2.0**-23)
    for i in range(n):
        x = X[i].astype(np.float32)  # (d,)
        low, high = min(x.min(), np.float32(0)), max(x.max(), np.float32(0))
        scale, factor = _scale(high - low, 255)
        zero = np.clip(np.rint(-low * factor), 0, 255)
        A[i, :d] = nearest = np.clip(np.rint(x * factor) + zero, 0, 255)  # (d,)
        known = scale * (nearest - zero)  # (d,)
        rows.scale[i], rows.zero[i] = scale, zero
        rows.norm[i] = np.linalg.norm(known) * (1 + slack) + FLOOR
        rows.rest[i] = np.linalg.norm(x - known) * (1 + slack) + slack * np.linalg.norm(x) + FLOOR


def _scale(length: np.float32, most: int) -> tuple[np.float32, np.float32]:
    """Return what a byte counts for, and how many of them are 1; zeros where ``length`` is too small for that."""
    scale = length / np.float32(most)
    return (scale, np.float32(1) / scale) if scale > TINY else (np.float32(0), np.float32(0))


def select_bounded(
    S: Array,
    X: Array,
    W: Array,
    b: Array,
    rows: RowBounds,
    units: UnitBounds,
    code: ActiveUnits,
    found: Array,
) -> None:
    """Select the k largest positive entries of each row of X Wᵀ + b, (1) (4), as ``definitions.top_k`` does.

    ``X`` is (n, d), ``W`` (h, d), ``b`` (h,).  ``S``, ``rows`` and ``units`` only tell a loop what it need not look
    at.  The units and values (n, k) of ``code``, and ``found`` (n,), are set.
    """
    found[:] = 0
    definitions.top_k(X @ W.T, b, 0, code.units, code.values, found, 0, len(X))  # (1) (4)
