"""Vectors with the statistics of learned sparse text, and the plain ways to search them.

Published, of SPLADE on MS MARCO: some 30,000 units, means of 120 nonzeros a passage and 49 a query (NeurIPS 2023
challenge, sparse track); of the sum of weights, the 50 largest of a passage and the 10 largest of a query hold 75 %
(Bruch, Nardini, Rulli, Venturini, SIGIR 2024); weights are log(1 + ReLU of a logit) (Formal et al., SIGIR 2021).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from nsae import Codes

from .search_peers import Search

UNITS = 30_000
TOGETHER = 8  # queries that one pass over the rows answers, in scan_together
CHUNK = 20_000  # rows that are made at a time


class Kind(NamedTuple):
    """Rows or queries: their mean number of nonzeros, and the mean and spread of the weights' logits.

    A weight is log(1 + exp(logit)) of a normal logit.  Mean and spread are such that the largest weights hold
    their 75 %, and that the largest is about 2.
    """

    nonzeros: int
    mean: float
    spread: float
    largest: int  # so many weights hold 75 % of the sum


PASSAGES = Kind(120, -1.0, 1.17, 50)
QUERIES = Kind(49, -2.5, 2.3, 10)


def made(kind: Kind, n: int, seed: int, passages: Codes | None = None, related: float = 0.0) -> Codes:
    """Return ``n`` made vectors.

    The number of nonzeros is drawn from a Poisson distribution.  Units are drawn by Zipf's law, unit j as often as
    1/(j + 1), each once a row, whatever the others are.  Real text has more order: words of one subject come together.
    So ``related`` of a query's units, those of its largest weights, are the strongest units of one of the
    ``passages``, drawn at random, which is the one that it asks for.
    """
    rng = np.random.default_rng(seed)
    frequency = np.cumsum(1 / np.arange(1, UNITS + 1))
    parts = []
    for start in range(0, n, CHUNK):
        counts = np.maximum(rng.poisson(kind.nonzeros, min(CHUNK, n - start)), 1)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        logits = kind.mean + kind.spread * rng.standard_normal(indptr[-1])
        values = np.logaddexp(0, logits).astype(np.float32)  # (nnz,)
        units, taken = np.empty(indptr[-1], np.int32), np.zeros(len(counts), np.int64)
        rows = np.repeat(np.arange(len(counts)), counts)  # (nnz,)
        if passages is not None and related:
            values = values[np.lexsort((-values, rows))]  # each row's largest first
            for i, row in enumerate(rng.integers(0, len(passages), len(counts))):
                theirs, weights = passages.row(row)
                taken[i] = min(round(related * counts[i]), len(theirs))
                strongest = np.argsort(-weights, kind="stable")[: taken[i]]
                units[indptr[i] : indptr[i] + taken[i]] = theirs[strongest]
        _draw(indptr, taken, frequency / frequency[-1], units, rng)
        order = np.lexsort((units, rows))
        parts.append(Codes(indptr, units[order], values[order], UNITS))
    return Codes.concatenate(parts)


def held_by_largest(codes: Codes, largest: int) -> float:
    """Return the mean fraction of a row's sum that its ``largest`` values hold."""
    sums = np.bincount(codes.row_of_entry(), codes.values, len(codes))
    kept = codes.keep(largest)
    return float(np.mean(np.bincount(kept.row_of_entry(), kept.values, len(kept)) / sums))


@njit(cache=True, nogil=True)
def _draw(indptr, taken, cumulative, units, rng):
    """Fill the units of each row from its first ``taken`` ones on, each unit once a row."""
    row_of_unit = np.full(len(cumulative), -1, np.int64)
    for i in range(len(indptr) - 1):
        drawn = indptr[i] + taken[i]
        for e in range(indptr[i], drawn):
            row_of_unit[units[e]] = i
        while drawn < indptr[i + 1]:
            unit = np.searchsorted(cumulative, rng.random(), side="right")
            if row_of_unit[unit] != i:
                row_of_unit[unit] = i
                units[drawn] = unit
                drawn += 1


# ---- plain searches by the largest product, in float32


class Arrays(NamedTuple):
    """The three arrays of ``Codes``, as loops read them."""

    indptr: np.ndarray
    units: np.ndarray
    values: np.ndarray


def searches(codes: Codes) -> dict[str, Search]:
    """Return the plain searches of ``codes``, by name; each takes queries and k, and returns rows (q, k)."""
    by_unit = np.argsort(codes.units, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes.units, minlength=codes.n_units))]).astype(
        np.int64
    )
    lists = Arrays(starts, codes.row_of_entry()[by_unit].astype(np.int32), codes.values[by_unit])
    rows, n, h = Arrays(codes.indptr, codes.units, codes.values), len(codes), codes.n_units

    def of(loop: Any, arrays: Arrays, size: int) -> Search:
        def search(queries: Codes, k: int) -> np.ndarray:
            found = np.full((len(queries), k), -1, np.int64)  # (q, k)
            asked = Arrays(queries.indptr, queries.units, queries.values)
            loop(arrays, asked, np.full(found.shape, -np.inf, np.float32), found, size)
            return found

        return search

    return {
        "linear scan": of(scan, rows, h),
        f"linear scan, {TOGETHER} queries together": of(scan_together, rows, h),
        "plain inverted lists": of(add_lists, lists, n),
    }


@njit(cache=True, nogil=True)
def _keep(scores, rows, score, row):
    """Put a row into the k best of a query, largest score first, the earlier row first of equals."""
    p = len(scores) - 1
    while p > 0 and scores[p - 1] < score:
        scores[p], rows[p] = scores[p - 1], rows[p - 1]
        p -= 1
    scores[p], rows[p] = score, row


@njit(cache=True, nogil=True)
def scan(codes, queries, scores, found, h):
    """Compare every row with a query that is dense, one query after the other."""
    dense = np.zeros(h, np.float32)
    for i in range(len(found)):
        mine = slice(queries.indptr[i], queries.indptr[i + 1])
        dense[queries.units[mine]] = queries.values[mine]
        for row in range(len(codes.indptr) - 1):
            total = np.float32(0)
            for e in range(codes.indptr[row], codes.indptr[row + 1]):
                total += dense[codes.units[e]] * codes.values[e]
            if total > scores[i, -1]:
                _keep(scores[i], found[i], total, row)
        dense[queries.units[mine]] = 0


@njit(cache=True, nogil=True)
def scan_together(codes, queries, scores, found, h):
    """Compare every row with several queries at a time, whose values of one unit lie side by side."""
    dense, totals = np.zeros((h, TOGETHER), np.float32), np.zeros(TOGETHER, np.float32)
    for first in range(0, len(found), TOGETHER):
        some = min(TOGETHER, len(found) - first)
        for l in range(some):
            for e in range(queries.indptr[first + l], queries.indptr[first + l + 1]):
                dense[queries.units[e], l] = queries.values[e]
        for row in range(len(codes.indptr) - 1):
            totals[:] = 0
            for e in range(codes.indptr[row], codes.indptr[row + 1]):
                theirs, value = dense[codes.units[e]], codes.values[e]
                for l in range(TOGETHER):
                    totals[l] += theirs[l] * value
            for l in range(some):
                if totals[l] > scores[first + l, -1]:
                    _keep(scores[first + l], found[first + l], totals[l], row)
        for l in range(some):
            for e in range(queries.indptr[first + l], queries.indptr[first + l + 1]):
                dense[queries.units[e], l] = 0


@njit(cache=True, nogil=True)
def add_lists(lists, queries, scores, found, n):
    """Add up the whole list of each of a query's units, then look at all sums."""
    sums = np.zeros(n, np.float32)
    for i in range(len(found)):
        sums[:] = 0
        for e in range(queries.indptr[i], queries.indptr[i + 1]):
            unit, value = queries.units[e], queries.values[e]
            for p in range(lists.indptr[unit], lists.indptr[unit + 1]):
                sums[lists.units[p]] += value * lists.values[p]
        for row in range(n):
            if sums[row] > scores[i, -1]:
                _keep(scores[i], found[i], sums[row], row)
