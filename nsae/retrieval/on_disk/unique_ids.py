"""Whether an id is in two indexes, found in constant memory.

A number stands for each id.  The numbers are in a file, from where they are dealt into parts that memory can hold,
equal ones into the same part, and sorted part by part; where two are equal, the ids are compared.  So each number
is read and written a few times, however many there are.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np

from nsae.retrieval.ids import Id, Ids, Texts
from nsae.system.npy import forget_pages
from nsae.validation import shown

MOST_KEYS = 1 << 20  # That are sorted at once: 8 MB.
MIXER = np.uint64(
    0x9E3779B97F4A7C15
)  # Odd, so that keys stay different; the upper bits depend on all lower ones.
KEY_BLOCK = 1 << 18  # That are looked at, at once, for those to sort.
ID_BLOCK = 1 << 14


def id_blocks(ids: Ids) -> Iterator[Ids]:
    """Yield ``ids`` in blocks; if they are mapped, no more than one is in memory."""
    for start in range(0, len(ids), ID_BLOCK):
        yield ids.part(start, min(start + ID_BLOCK, len(ids)))
        if isinstance(ids.stored, np.ndarray):
            forget_pages(ids.stored)
        elif isinstance(ids.stored, Texts):
            forget_pages(ids.stored.utf8, ids.stored.ends)


def check_unique(names: Sequence[str], ids: Sequence[Ids]) -> None:
    """Raise ValueError if an id comes twice.

    Parameters
    ----------
    names : sequence of str
        Of the indexes, for the message.
    ids : sequence of Ids
        Those of each index.
    """
    n = sum(map(len, ids))
    if n == 0:
        return
    integers = {some.kind for some in ids if len(some)} == {"integers"}
    with tempfile.TemporaryFile() as file:
        keys = np.memmap(file, np.uint64, shape=(n,))
        row = 0
        for some in ids:
            for block in id_blocks(some):
                keys[row : row + len(block)] = _keys(block, integers)
                row += len(block)
            forget_pages(keys)
        for suspects in _equal_keys(keys):
            _refuse_equal_ids(suspects, names, ids)


def _keys(ids: Ids, integers: bool) -> np.ndarray:
    """Return a number for each id, (n,) uint64: the same for the same id, and hardly ever for two."""
    if integers and isinstance(ids.stored, np.ndarray):
        return ids.stored.view(np.uint64)
    if integers:
        return np.array(ids.tolist(), np.int64).view(np.uint64)
    # repr tells 1 from "1".
    texts = (repr(id).encode("utf-8", "surrogatepass") for id in ids)
    digests = b"".join(hashlib.blake2b(text, digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, np.uint64)


def _equal_keys(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows whose keys are equal to that of another row, in as many parts as memory asks for."""
    for part in _parts(keys):
        some = np.sort(part)
        again = np.unique(some[1:][some[1:] == some[:-1]])
        if len(again):
            yield np.concatenate(
                [start + np.flatnonzero(np.isin(block, again)) for start, block in _blocks(keys)]
            )


def _parts(keys: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``keys (n,)`` in parts of some ``MOST_KEYS``, with equal keys in the same part; in two readings."""
    n_parts = -(-len(keys) // MOST_KEYS)
    if n_parts == 1:
        yield keys
        return
    sizes = sum(np.bincount(_part_of(block, n_parts), minlength=n_parts) for _, block in _blocks(keys))
    ends = np.cumsum(sizes)  # (n_parts,)
    with tempfile.TemporaryFile() as file:
        dealt = np.memmap(file, np.uint64, shape=keys.shape)
        free = ends - sizes  # (n_parts,): where the next key of each part goes
        for _, block in _blocks(keys):
            part = _part_of(block, n_parts)
            order, counts = np.argsort(part, kind="stable"), np.bincount(part, minlength=n_parts)
            before = np.cumsum(counts) - counts  # (n_parts,): keys of this block in earlier parts
            dealt[np.arange(len(block)) + np.repeat(free - before, counts)] = block[order]
            free += counts
            forget_pages(dealt)
        for start, end in zip([0, *ends], ends, strict=False):
            yield dealt[start:end]
            forget_pages(dealt)


def _part_of(keys: np.ndarray, n_parts: int) -> np.ndarray:
    """Return the part of each key, (n,) int64.  Also consecutive numbers are spread evenly."""
    return ((keys * MIXER >> np.uint64(32)) % np.uint64(n_parts)).astype(np.int64)


def _blocks(keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(keys), KEY_BLOCK):
        yield start, keys[start : start + KEY_BLOCK]
        forget_pages(keys)


def _refuse_equal_ids(rows: np.ndarray, names: Sequence[str], ids: Sequence[Ids]) -> None:
    """Raise ValueError if two of the ``rows``, counted through all indexes, have the same id."""
    ends = np.cumsum([len(some) for some in ids])
    seen: dict[Id, str] = {}
    for row in rows.tolist():
        which = int(np.searchsorted(ends, row, side="right"))
        id = ids[which][row - (int(ends[which - 1]) if which else 0)]
        if id in seen:
            raise ValueError(
                f"The id {shown(id)} is in {seen[id]} and in {names[which]}. Ids are unique: give each shard ids of "
                "its own, or remove that one from a shard with CodeIndex.load, remove and save."
            )
        seen[id] = names[which]
