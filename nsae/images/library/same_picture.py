"""Whether two photos are the same picture: small, grey, aligned pixels decide, not codes.

Codes cannot tell two pages of text apart.  So each photo is reduced to 128 × 128 grey pixels, which are
compared in small blocks.  A copy that was resized or compressed differs from the original by a fraction of
the contrast in each block; another page, another drawing, or the next photo of a burst differs by as much as
the contrast itself somewhere.

Which pairs are worth a comparison is found by 16 × 16 pixels of all photos at once, by matrix products.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from nsae.errors import ImageReadError, require
from nsae.images.decoding import load_thumbnail
from nsae.images.files import OnError, read_ahead
from nsae.images.library.disjoint_sets import DisjointSets
from nsae.system.threads import n_cpus

SIDE = 128  # of the grey pixels that are compared
THUMBNAIL = 256  # longer side of what they are made from: twice as fine stays sharp
COARSE = 16  # side of the pixels that find candidates
BLOCK = 8  # side of a block of the pixels that are compared
NOISE = 4.0  # grey levels of 256: differences like these are of compression, whatever the contrast
SHIFT = 8.0  # grey levels by which a block may be lighter or darker: JPEG darkens small print on white
# Largest difference of two pictures that are the same, as a fraction of contrast and NOISE together.  Chosen by
# benchmarks/duplicates.py on one half of its photos.
COARSE_LIMIT = 0.40  # of the whole, at 16 × 16 and at 32 × 32 pixels, with SHIFT in place of NOISE
# Of the blocks: (the fraction of them that it is for, the limit).  A page differs from another one in most
# blocks, a photo of a burst from the next in some.
BLOCK_LIMITS = ((0.75, 0.48), (0.98, 0.70), (1.00, 1.00))
SHAPE_LIMIT = 1.05  # ratio of the proportions: sizes are rounded to pixels
ROWS = 256  # photos whose candidates are found at once
TRIES = 4  # photos of one group that a photo is compared with, at most
KEPT = 2048  # signatures that are kept in memory, 16 KB each


class Signature(NamedTuple):
    """What is compared of a photo."""

    grey: np.ndarray  # (SIDE, SIDE) uint8, the whole photo stretched to a square
    proportion: float  # width over height
    detail: int  # pixels of the shorter side, at most THUMBNAIL


def signature_of(path: str | os.PathLike) -> Signature:
    """Return the signature of the photo in the file ``path``; ImageReadError if it cannot be read."""
    Image = require("PIL.Image", "images", "comparing photos")
    thumbnail = load_thumbnail(path, THUMBNAIL)  # (h, w, 3)
    h, w = thumbnail.shape[:2]
    grey = Image.fromarray(thumbnail).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return Signature(np.asarray(grey), w / h, min(h, w))


def orientations(signature: Signature) -> list[Signature]:
    """Return a ``signature`` as it is, turned by 90°, 180° and 270°, and each of these mirrored."""
    found = []
    for turns in range(4):
        grey = np.rot90(signature.grey, turns)
        proportion = 1 / signature.proportion if turns % 2 else signature.proportion
        found += [signature._replace(grey=g, proportion=proportion) for g in (grey, grey[:, ::-1])]
    return found


def is_same_picture(one: Signature, other: Signature) -> bool:
    """Return whether ``one`` and the ``other`` are the same picture, in the same orientation."""
    if not 1 / SHAPE_LIMIT <= one.proportion / other.proportion <= SHAPE_LIMIT:
        return False
    if _difference(_reduced(one.grey, 4), _reduced(other.grey, 4)) > COARSE_LIMIT:
        return False
    differences = block_differences(one, other)
    return all(np.quantile(differences, fraction) <= limit for fraction, limit in BLOCK_LIMITS)


def block_differences(one: Signature, other: Signature) -> np.ndarray:
    """Return the root mean square difference of each block of ``one`` and the ``other``, (blocks,).

    It is a fraction of the contrast in the block and NOISE together, and leaves out a shift of all pixels by
    up to SHIFT.
    """
    detail = min(one.detail, other.detail)  # a small copy has lost what is finer
    step = 1 if detail >= 0.9 * SIDE else 2 if detail >= 0.45 * SIDE else 4
    size = min(BLOCK, SIDE // step // 8)
    A, B = (_blocks(_reduced(x.grey, step), size) for x in (one, other))  # (blocks, size²)
    contrast = (A.var(axis=1) + B.var(axis=1)) / 2  # (blocks,)
    D = A - B  # (blocks, size²)
    shift = np.maximum(np.abs(D.mean(axis=1)) - SHIFT, 0)  # (blocks,)
    differences: np.ndarray = np.sqrt((D.var(axis=1) + shift**2) / (contrast + NOISE**2))
    return differences


def join_same_pictures(
    paths: Sequence[str | os.PathLike],
    join: Callable[[int, int], object],
    *,
    invariant: bool = False,
    on_error: OnError | None = None,
    progress: Callable[[], object] = lambda: None,
) -> None:
    """Find photos that are the same picture, and join each with one that comes before it.

    Of a group, each photo is joined with one other or a few, so time and memory grow with its size.

    Parameters
    ----------
    paths : sequence of str or PathLike
        Files of photos.
    join : callable
        Is called with two positions in ``paths``.
    invariant : bool
        Pictures that are mirrored, or turned by 90°, 180° or 270°, are the same, too.
    on_error : callable, optional
        Is given an ImageReadError for each file that cannot be read, which is like no other then.  Without
        it, the error is raised.
    progress : callable, optional
        Is called once for each file.
    """
    coarse = np.zeros((len(paths), COARSE**2), np.float32)  # (n, 256)
    readable = np.zeros(len(paths), bool)
    names = [os.fspath(path) for path in paths]
    signature = lru_cache(KEPT)(signature_of)
    for i, read in enumerate(read_ahead(signature, names, n_cpus())):
        try:
            coarse[i] = _reduced(read.result().grey, SIDE // COARSE).ravel()
            readable[i] = True
        except ImageReadError as error:
            if on_error is None:
                raise
            on_error(error)
        progress()
    rows = np.flatnonzero(readable)
    groups = DisjointSets(len(paths))
    for i, others in _candidates(coarse, rows, invariant):
        tried: dict[int, int] = {}  # group -> photos of it that i was compared with
        mine = orientations(signature(names[i])) if invariant else [signature(names[i])]
        for j in others:
            root = groups.root_of(j)
            if root == groups.root_of(i) or tried.get(root, 0) == TRIES:
                continue
            tried[root] = tried.get(root, 0) + 1
            if any(is_same_picture(turned, signature(names[j])) for turned in mine):
                groups.join(i, j)
                join(j, i)


def _candidates(coarse: np.ndarray, rows: np.ndarray, invariant: bool) -> Iterator[tuple[int, list[int]]]:
    """For each photo, those before it that may be the same picture, by their coarse pixels (n, 256)."""
    X = coarse[rows]  # (m, 256)
    X -= np.float32(128)  # smaller numbers, smaller rounding errors
    squares, variances = np.einsum("nd,nd->n", X, X), X.var(axis=1)  # (m,), (m,)
    for start in range(0, len(rows), ROWS):
        stop = min(start + ROWS, len(rows))
        scale = (variances[start:stop, None] + variances[:stop]) / 2 + SHIFT**2  # (rows, stop)
        near = np.zeros(scale.shape, bool)
        for turned in _turned(X[start:stop], invariant):
            distances = squares[start:stop, None] + squares[:stop] - 2 * (turned @ X[:stop].T)
            near |= distances / COARSE**2 <= COARSE_LIMIT**2 * scale  # (rows, stop)
        for i in range(start, stop):
            others = np.flatnonzero(near[i - start, :i])
            if len(others):
                yield int(rows[i]), rows[others].tolist()


def _turned(X: np.ndarray, invariant: bool) -> Iterable[np.ndarray]:
    """Coarse pixels X (m, 256) in the orientations that are asked for."""
    if not invariant:
        return [X]
    images = X.reshape(len(X), COARSE, COARSE)
    turned = [np.rot90(images, turns, axes=(1, 2)) for turns in range(4)]
    return [one.reshape(len(X), -1) for image in turned for one in (image, image[:, :, ::-1])]


def _reduced(grey: np.ndarray, step: int) -> np.ndarray:
    """Means over squares of step × step pixels, float32."""
    side = len(grey) // step
    means: np.ndarray = grey.reshape(side, step, side, step).mean(axis=(1, 3), dtype=np.float32)
    return means


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference of two arrays, as a fraction of their contrast and SHIFT together."""
    return float(np.sqrt(np.mean((a - b) ** 2) / ((a.var() + b.var()) / 2 + SHIFT**2)))


def _blocks(image: np.ndarray, size: int) -> np.ndarray:
    """The blocks of a square image, a row each."""
    n = len(image) // size
    rows: np.ndarray = image.reshape(n, size, n, size).swapaxes(1, 2).reshape(n * n, size * size)
    return rows
