"""Postings of codes that do not fit into memory: made window by window, the same arrays as ``Postings.of`` makes.

The codes are mapped from files, and so are the arrays that are filled.  Four passes: norms and strongest units;
the order of rows, for which a sample of them ranks the units; how many entries each unit has in each window; and each
window's lists, by the same loop that fills all windows at once.  In memory there are a block of rows, or one window, a
few numbers for each unit, and those pages of the files that a pass has touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.search import postings
from nsae.retrieval.search.brute_force import BINARY, METRICS
from nsae.retrieval.search.postings import FILES, WINDOW, squared_norms
from nsae.retrieval.search.records import CodeArrays, InvertedLists
from nsae.retrieval.search.row_order import sampled_rows, unit_ranks
from nsae.system.backends import resolve_backend
from nsae.system.npy import forget_pages

Make = Callable[[str, tuple[int, ...], type], np.ndarray]  # An array of zeros in a file of that name.

BLOCK_ENTRIES = 1 << 20  # Of rows that are read one after the other, or the entries of one row.
ENTRY_WORK = 32  # What one entry costs in NumPy, in multiplications: see nsae.system.backends.


def row_blocks(codes: Codes) -> Iterator[tuple[int, Codes]]:
    """Yield the number of the first row, and the rows, of blocks of mapped ``codes``, which bound memory."""
    n = len(codes)
    rows = rows_of_block(n, len(codes.units))
    for start in range(0, n, rows):
        stop = min(start + rows, n)
        first, last = int(codes.indptr[start]), int(codes.indptr[stop])
        indptr = np.asarray(codes.indptr[start : stop + 1] - first, np.int64)
        units = codes.units[first:last].astype(np.int32)  # as the loops are compiled for
        yield start, Codes(indptr, units, np.asarray(codes.values[first:last]), codes.n_units)
        forget_pages(codes.indptr, codes.units, codes.values)


def rows_of_block(n: int, n_entries: int) -> int:
    """Return how many of ``n`` rows, which have ``n_entries`` together, are read at a time."""
    return max(1, min(WINDOW, BLOCK_ENTRIES * n // max(1, n_entries)))


def write_postings(codes: Codes, metric: str, make: Make) -> None:
    """Make the postings of mapped codes; a file for each array, named as ``Postings.arrays`` names it.

    Parameters
    ----------
    codes : Codes
        n rows, values float32.
    metric : str
    make : function of name, shape and dtype
        Returns an array of zeros, mapped to a file.
    """
    n, h, nnz, windows = len(codes), codes.n_units, len(codes.units), -(-len(codes) // WINDOW)
    loops: ModuleType = postings
    if resolve_backend("auto", ENTRY_WORK * nnz) == "numba":
        from nsae import kernels as loops
    for array in (codes.indptr, codes.units, codes.values):
        if isinstance(array, np.memmap):
            array.flush()  # Some of it is read from the files below.
    binary = metric in BINARY
    lists = InvertedLists(
        order=make(FILES["order"], (n,), np.uint32),
        begins=make(FILES["begins"], (h + 1,), np.int64),
        starts=make(FILES["starts"], (h, windows + 1), np.uint32),
        positions=make(FILES["positions"], (nnz,), np.uint16),
        levels=make(FILES["levels"], (0 if binary else nnz,), np.uint8),
        steps=make(FILES["steps"], (h, 0 if binary else windows), np.float32),
        window=WINDOW,
    )
    squares = make(FILES["squared_norms"], (n,), np.float64)
    ranks = np.arange(h + 1)  # (h + 1,): of the strongest unit; the last have none
    if windows > 1:
        some = _scattered_rows(codes, sampled_rows(n))
        ranks = unit_ranks(some, _strongest(loops, some))
    counts = np.zeros(h + 1, np.int64)  # (h + 1,): rows by that rank
    for start, block in row_blocks(codes):
        squares[start : start + len(block)] = squared_norms(block, metric, compiled=loops is not postings)
        counts += np.bincount(ranks[_strongest(loops, block)], minlength=h + 1)
        forget_pages(squares)
    free = np.cumsum(counts) - counts  # (h + 1,): the next free place in the order, by rank
    for start, block in row_blocks(codes):
        places = _places(ranks[_strongest(loops, block)], free)  # (rows,)
        lists.order[places] = start + np.arange(len(block))
        window_of_entry = np.repeat(places // WINDOW, block.counts)  # (entries,)
        np.add.at(lists.starts, (block.units, window_of_entry + 1), 1)
        forget_pages(lists.order, lists.starts)
    begin = 0
    for unit in range(h):
        np.cumsum(lists.starts[unit], out=lists.starts[unit])
        lists.begins[unit] = begin
        begin += int(lists.starts[unit, -1])
    lists.begins[h] = begin
    for w in range(windows):
        _fill_window(loops, codes, metric, lists, w)
        forget_pages(*lists[:-1])


def _strongest(loops: ModuleType, codes: Codes) -> np.ndarray:
    """Return the strongest unit of each row, (rows,) int32; h of a row without one."""
    strongest = np.full(len(codes), codes.n_units, np.int32)
    loops.strongest_units(codes.indptr, codes.units, codes.values, strongest)
    return strongest


def _places(keys: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Return the place of each of ``keys (rows,)`` in a stable order, and move ``free`` on, by key, behind them."""
    order = np.argsort(keys, kind="stable")  # (rows,)
    counts = np.bincount(keys, minlength=len(free))  # (h + 1,)
    before = np.cumsum(counts) - counts  # (h + 1,)
    places = np.empty(len(keys), np.int64)
    places[order] = (free - before)[keys[order]] + np.arange(len(keys))
    free += counts
    return places


def _fill_window(loops: ModuleType, codes: Codes, metric: str, lists: InvertedLists, w: int) -> None:
    """Fill window ``w`` of the ``lists``, whose order, begins and starts are there, as a window of its own."""
    rows = lists.order[w * WINDOW : (w + 1) * WINDOW].astype(np.int64)  # (rows,)
    some = _scattered_rows(codes, rows)
    zz = squared_norms(some, metric, compiled=loops is not postings)  # (rows,)
    scales = np.sqrt(zz) if metric == "cosine" else np.ones(len(rows))  # (rows,)
    nnz, h = len(some.units), codes.n_units
    one = InvertedLists(
        order=np.arange(len(rows), dtype=np.uint32),
        begins=np.zeros(h + 1, np.int64),
        starts=np.zeros((h, 2), np.uint32),
        positions=np.empty(nnz, np.uint16),
        levels=np.empty(min(nnz, len(lists.levels)), np.uint8),
        steps=np.zeros((h, min(1, lists.steps.shape[1])), np.float32),
        window=WINDOW,
    )
    arrays = CodeArrays(some.indptr, some.units, some.values, zz, METRICS.index(metric), h)
    loops.fill_postings(arrays, scales, one)
    first, counts = lists.begins[:h] + lists.starts[:, w], np.diff(one.begins)  # (h,), (h,)
    _write(lists.positions, first, counts, one.positions)
    if metric not in BINARY:
        _write(lists.levels, first, counts, one.levels)
        lists.steps[:, w] = one.steps[:, 0]


def _scattered_rows(codes: Codes, rows: np.ndarray) -> Codes:
    """Return some ``rows`` (int64) of mapped ``codes``, which lie all over the files."""
    ends = _read(codes.indptr, rows, np.full(len(rows), 2)).reshape(-1, 2)  # (rows, 2)
    first, counts = ends[:, 0], ends[:, 1] - ends[:, 0]  # (rows,), (rows,)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)  # (rows + 1,)
    units, values = (_read(array, first, counts) for array in (codes.units, codes.values))  # (nnz,), (nnz,)
    return Codes(indptr, units.astype(np.int32), values, codes.n_units)


def _read(array: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the numbers ``first[i]`` to ``first[i] + counts[i]`` of a mapped array, for each i, one behind the other.

    They are read from the file.  Through the mapping, each touch would bring the pages around it into memory.
    """
    out = np.empty(counts.sum(), array.dtype)
    for file, place, some in _pieces(array, first, counts, out, "rb"):
        file.seek(place)
        file.readinto(some)
    return out


def _write(array: np.ndarray, first: np.ndarray, counts: np.ndarray, numbers: np.ndarray) -> None:
    """Write ``numbers`` to the places that :func:`_read` would read them from."""
    for file, place, some in _pieces(array, first, counts, numbers, "r+b"):
        file.seek(place)
        file.write(some)


def _pieces(
    array: np.ndarray, first: np.ndarray, counts: np.ndarray, numbers: np.ndarray, mode: str
) -> Iterator[tuple[Any, int, memoryview]]:
    """Yield the file of a mapped ``array``, a place in it, and the part of ``numbers`` that belongs there."""
    if not len(numbers):
        return
    assert isinstance(array, np.memmap)
    assert array.filename is not None
    size, view, to = array.itemsize, numbers.data.cast("B"), np.cumsum(counts)
    some = np.flatnonzero(counts)
    places, begins, ends = ((x[some] * size).tolist() for x in (first, to - counts, to))
    with open(array.filename, mode, buffering=0) as file:
        for place, begin, end in zip(places, begins, ends, strict=True):
            yield file, array.offset + place, view[begin:end]
