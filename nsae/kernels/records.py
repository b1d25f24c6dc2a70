"""The records that training steps hand to the compiled loops, which read them by name.

Numba knows a NamedTuple by its class, so each is defined at the top of a module: else a compiled loop
would not be found again in the cache by the next process.  They are in this folder since compiled loops
depend on the order of their fields: see compile.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

GROUPS = 3  # Groups of units for each of the k: more cost more, and bound the k-th largest better.


class AdamRates(NamedTuple):
    """The scalars of one step of Adam, Eqs. (16)–(19) and (34), each in the dtype of the parameters."""

    learning_rate: np.floating  # α
    one_minus_beta1: np.floating
    one_minus_beta2: np.floating
    eps: np.floating  # ε
    correction1: np.floating  # 1/(1 − β₁ᵗ)
    correction2: np.floating  # 1/(1 − β₂ᵗ)
    clip_factor: np.floating  # min(1, G/‖∇J‖), or 1


class FlatArrays(NamedTuple):
    """Parameters and Adam's moments, each as one flat array: W (h, d), Vᵀ (h, d), b (h,), c (d,) in this order."""

    theta: np.ndarray
    m1: np.ndarray
    m2: np.ndarray
    h: int
    d: int


class UnitArrays(NamedTuple):
    """What belongs to single units: a row of W, of Vᵀ and of b for each, and the two moments of each."""

    W: np.ndarray  # (h, d)
    b: np.ndarray  # (h,)
    V: np.ndarray  # (h, d): Vᵀ, so that the pattern of a unit is one run of memory
    W_m1: np.ndarray
    b_m1: np.ndarray
    V_m1: np.ndarray
    W_m2: np.ndarray
    b_m2: np.ndarray
    V_m2: np.ndarray


class OutputSums(NamedTuple):
    """Sums over a batch that the output layer adds to, (d,) each."""

    dc: np.ndarray  # Σ dU, Eq. (12)
    squares: np.ndarray  # Σ (x̂ − x)², Eq. (5)
    entropy: np.ndarray  # the terms of Eq. (6)


class ActiveUnits(NamedTuple):
    """The k-sparse codes of a batch.  Places that are not needed hold unit 0 with value 0."""

    units: np.ndarray  # (B, k) int32, ascending in each row
    values: np.ndarray  # (B, k)


class ColumnScratch(NamedTuple):
    """Workspace of ``top_k_columns``: for each of ``TILE`` columns, its candidates and what bounds them."""

    units: np.ndarray  # (TILE, h + 1 or more) int32
    values: np.ndarray  # (TILE, h + 1 or more)
    counts: np.ndarray  # (TILE,) int64
    maxima: np.ndarray  # (TILE, groups)
    best: np.ndarray  # (TILE,)
    above: np.ndarray  # (TILE,) uint8
    low: np.ndarray  # (TILE,)
    high: np.ndarray  # (TILE,)


def column_scratch(h: int, k: int, dtype: np.dtype, tile: int) -> ColumnScratch:
    """Return the workspace to select k of h units, for Y of this dtype and ``tile`` columns at a time."""
    room = h + 32  # Rows a power of two apart would share their places in the cache.
    units, values = np.empty((tile, room), np.int32), np.empty((tile, room), dtype)
    maxima = np.empty((tile, min(h, GROUPS * k)), dtype)
    best, low, high = np.empty((3, tile), dtype)
    return ColumnScratch(
        units, values, np.empty(tile, np.int64), maxima, best, np.empty(tile, np.uint8), low, high
    )


class UnitBounds(NamedTuple):
    """What is known of units from their weights in bytes, ŵ = scale · bytes; see byte_bounds.py.

    Units after the last, which fill up a panel, have −∞ in ``high`` and ``low``, and 0 elsewhere.
    """

    scale: np.ndarray  # (h,) float32, as all but total
    total: np.ndarray  # (h,) int32: the sum of the bytes
    norm: np.ndarray  # (h,) at least ‖w‖
    rest: np.ndarray  # (h,) at least ‖w − ŵ‖
    high: np.ndarray  # (h,) at least b
    low: np.ndarray  # (h,) at most b


class RowBounds(NamedTuple):
    """What is known of samples from their features in bytes, x̂ = scale · (bytes − zero)."""

    scale: np.ndarray  # (n,) float32, as all but zero
    zero: np.ndarray  # (n,) int32: the byte that stands for 0
    norm: np.ndarray  # (n,) at least ‖x̂‖
    rest: np.ndarray  # (n,) at least ‖x − x̂‖


class BatchFactors(NamedTuple):
    """Scalars of a batch of B samples, in the dtype of the parameters."""

    scale: np.floating  # 1/B
    l1: np.floating  # λ/B


class SampleGradients(NamedTuple):
    """The gradients of a batch with respect to U and to the active pre-activations, and two sums over it."""

    dU: np.ndarray  # (B, d), Eq. (11)
    dY: np.ndarray  # (B, k), Eq. (14)
    dc: np.ndarray  # (d,), Σ dU, Eq. (12)
    squares: np.ndarray  # (d,), Σ (x̂ − x)²


class SparseRows(NamedTuple):
    """A sparse batch: row i has the values ``values[indptr[i]:indptr[i + 1]]`` in the columns of the same entries."""

    indptr: np.ndarray  # (B + 1,) int64
    columns: np.ndarray  # (nnz,) int32, ascending in each row
    values: np.ndarray  # (nnz,)


class UnitBatch(NamedTuple):
    """A k-sparse batch by units: what the gradients of each unit are summed from.

    The data is in ``X``, or in ``rows`` if it is sparse; the other one has no rows.

    Unit j was active in the samples of the entries ``entry[start[j]:start[j + 1]]``; entry e is at row e // k,
    column e % k of ``values`` and ``dY``.  A dead unit j with gradients of Eq. (21) has them in row
    ``aux_row[j]`` of the last three arrays; for all others it is −1.
    """

    start: np.ndarray  # (h + 1,) int64
    entry: np.ndarray  # (B·k,) int64
    values: np.ndarray  # (B, k)
    dY: np.ndarray  # (B, k)
    X: np.ndarray  # (B, d), or (0, d)
    rows: SparseRows
    dU: np.ndarray  # (B, d)
    aux_row: np.ndarray  # (h,) int64
    aux_dW: np.ndarray  # (m, d)
    aux_db: np.ndarray  # (m,)
    aux_dV: np.ndarray  # (m, d)


class SmallNet(NamedTuple):
    """What the steps of a small dense net work on: parameters, gradients, and buffers for a batch."""

    gemm: int  # the address of BLAS's product in the dtype of the arrays
    flat: FlatArrays
    grad: np.ndarray  # (2hd + h + d,), laid out as the parameters are
    Z: np.ndarray  # (B, h)
    dZ: np.ndarray  # (B, h)
    U: np.ndarray  # (B, d)
    unit_sums: np.ndarray  # (2, h), Σz and how often a unit is active
    squared: np.ndarray  # (d,), Σ(x̂ − x)²
    terms: np.ndarray  # (2, d), in double precision: sums and products over the terms of Eq. (6)
    penalty: np.ndarray  # (h,), the penalties' part of Eq. (13)


class ModelTerms(NamedTuple):
    """What the steps of a small dense net need to know of the model, numbers in double precision."""

    cross_entropy: bool  # else squared error, Eqs. (5) and (6)
    keep_slope: bool  # whether the sigmoid's slope stays in Eq. (11)
    active_above: float
    l1: float  # λ
    kl: float  # β
    rho: float  # ρ
    weight_decay: float  # γ
    max_grad_norm: float  # G of Eq. (34), or infinity
    rounding: float  # the rounding error of the parameters' dtype


class StepRates(NamedTuple):
    """The scalars of Adam for n steps, Eqs. (16)–(19), in the dtype of the parameters."""

    learning_rate: np.floating  # α
    one_minus_beta1: np.floating
    one_minus_beta2: np.floating
    eps: np.floating  # ε
    correction1: np.ndarray  # (n,), 1/(1 − β₁ᵗ)
    correction2: np.ndarray  # (n,), 1/(1 − β₂ᵗ)


class RunSums(NamedTuple):
    """What a run of steps adds up, in double precision."""

    losses: np.ndarray  # (4,), the parts of J, each times the samples of its batch
    error: np.ndarray  # (1,), Σ‖x̂ − x‖²
    total: np.ndarray  # (h,), Σz
    active: np.ndarray  # (h,), how often a unit was active
