"""The symbols of one plane of an image, in the order in which they are written and read.

A plane is brightness or one of the two colours.  For each patch, row by row, come its mean, the number of its units,
the units, and their values.  Both sides know all patches before this one, and expect its symbols accordingly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.compression.pursuit import MAX_UNITS
from nsae.compression.range_coder import Decoder, Encoder, Frequencies

Coder = Encoder | Decoder
SMALL = 31  # Numbers up to here are symbols of their own; larger ones are written bit by bit.
LONGEST = 20  # Bits of a larger number.
EDGES = np.array([1, 2, 3, 5, 7, 10, 14])  # between the contexts of counts and of differences
UNIT_CLASSES = np.array([2, 5])  # Codes of 1, of 2 to 4, and of more units use different units.
TAIL_BITS = 16
FAIR = np.ones(2, np.int64)


class Plane(NamedTuple):
    """Whole numbers that stand for a plane: a mean and a code for each of its rows × columns patches."""

    means: np.ndarray  # (rows, columns) int64, in steps
    codes: list[dict[int, int]]  # of each patch: unit -> value, 1 or more

    @property
    def counts(self) -> np.ndarray:
        """How many units each patch has, (rows, columns)."""
        return np.array([len(code) for code in self.codes]).reshape(self.means.shape)


def empty_plane(rows: int, columns: int) -> Plane:
    """Return a plane that a Decoder can fill.

    Parameters
    ----------
    rows, columns : int
        How many patches it has.
    """
    return Plane(np.zeros((rows, columns), np.int64), [{} for _ in range(rows * columns)])


def code_plane(coder: Coder, plane: Plane, unit_counts: np.ndarray, beside: np.ndarray) -> None:
    """Write a plane, or read it into an empty one.

    Parameters
    ----------
    coder : Encoder or Decoder
        What writes or reads.
    plane : Plane
        What is written; a Decoder overwrites it with what it reads.
    unit_counts : (h,) int
        How often each unit was active where the patterns were learned, 1 or more.
    beside : (rows, columns) int
        The numbers of units at the same places of a plane that came before, or zeros.
    """
    rows, columns = plane.means.shape
    means = np.pad(plane.means * 0, ((1, 0), (1, 0)))  # with a row above and a column at the left
    counts = np.pad(plane.means * 0, ((1, 0), (1, 0)))
    differences = [Number() for _ in range(len(EDGES) + 1)]
    values = [Number() for _ in range(len(UNIT_CLASSES) + 1)]
    lengths = [
        [Frequencies(1 + 64 // (1 + np.arange(MAX_UNITS + 1)), gain=24, limit=1 << 11) for _ in range(4)]
        for _ in range(len(EDGES) + 1)
    ]
    units = [Frequencies(unit_counts, gain=16, limit=1 << 16) for _ in range(len(UNIT_CLASSES) + 1)]
    context = np.searchsorted(EDGES, np.arange(4 * (MAX_UNITS + 1)), side="right")  # of 0, 1, 2, …
    beside = np.minimum(context[np.minimum(beside, MAX_UNITS)] + 1 >> 1, 3)
    for i in range(1, rows + 1):
        if i > 1:
            means[i, 0] = means[i - 1, 1]  # beyond the left edge it goes on as above
        for j in range(1, columns + 1):
            left, above, corner = int(means[i, j - 1]), int(means[i - 1, j]), int(means[i - 1, j - 1])
            if i == 1:
                above = corner = left
            expected = sorted((left, above, left + above - corner))[1]
            rough = context[min(abs(left - corner) + abs(above - corner), MAX_UNITS)]
            written = int(plane.means[i - 1, j - 1])
            means[i, j] = expected + differences[rough].code_signed(coder, written - expected)
            code = plane.codes[(i - 1) * columns + j - 1]
            near = context[counts[i, j - 1] + counts[i - 1, j]]
            n = lengths[near][beside[i - 1, j - 1]].code(coder, len(code))
            counts[i, j] = n
            if n:
                c = int(np.searchsorted(UNIT_CLASSES, n, side="right"))
                plane.codes[(i - 1) * columns + j - 1] = _code_units(coder, code, n, units[c], values[c])
    plane.means[:] = means[1:, 1:]


def _code_units(
    coder: Coder, code: dict[int, int], n: int, frequencies: Frequencies, values: Number
) -> dict[int, int]:
    """Code n units in ascending order, each with its value, and return them."""
    known, last, found = sorted(code), -1, {}
    h = len(frequencies.counts)
    for left in range(n, 0, -1):
        weights = first_of(frequencies.counts[last + 1 :], left)[: h - last - left]
        place = n - left
        unit = known[place] if place < len(known) else 0
        last += 1 + coder.code(weights, unit - last - 1)
        found[last] = 1 + values.code(coder, code.get(last, 1) - 1)
    for unit in found:
        frequencies.count(unit)
    return found


def first_of(counts: np.ndarray, n: int) -> np.ndarray:
    """Return how likely each symbol is to be the first, in order, of n that are drawn with frequencies ``counts``.

    n units have no order, so their smallest is coded first.  That it is unit j needs one draw of j and n − 1 of j
    or later ones: f_j t_j^(n−1), where t_j is the share of the units from j on.  Whole numbers, so that all machines
    agree.

    Parameters
    ----------
    counts : (h,) int64
        Frequencies, with a sum below 2¹⁷.
    n : int
        How many are drawn.

    Returns
    -------
    (h,) int64
        Frequencies, each 1 or more.
    """
    tail = counts[::-1].cumsum()[::-1]
    share = (tail << TAIL_BITS) // tail[0]
    weights = counts << (TAIL_BITS - 3)
    for _ in range(n - 1):
        weights = (weights * share) >> TAIL_BITS
    return weights + 1


class Number:
    """Whole numbers, of which small ones are likelier, and how much likelier is learned from those coded."""

    def __init__(self) -> None:
        self.small = Frequencies(1 + 32 // (1 + np.arange(SMALL + 1)), gain=24, limit=1 << 12)
        self.length = Frequencies(np.ones(LONGEST, np.int64))

    def code(self, coder: Coder, number: int) -> int:
        """Code a number that is 0 or more, and return it.

        Parameters
        ----------
        coder : Encoder or Decoder
            What writes or reads it.
        number : int
            At most 2²⁰.
        """
        symbol = self.small.code(coder, min(number, SMALL))
        if symbol < SMALL:
            return symbol
        rest = max(number - SMALL + 1, 1)  # 1 or more: its highest bit is 1 and need not be written
        length = self.length.code(coder, min(rest.bit_length(), LONGEST) - 1)
        found = 1
        for place in range(length - 1, -1, -1):
            found = 2 * found + coder.code(FAIR, rest >> place & 1)
        return found + SMALL - 1

    def code_signed(self, coder: Coder, number: int) -> int:
        """Code a number of either sign: 0, −1, 1, −2, 2, … become 0, 1, 2, 3, 4, …

        Parameters
        ----------
        coder : Encoder or Decoder
            What writes or reads it.
        number : int
            Its size is at most 2¹⁹.
        """
        found = self.code(coder, 2 * number if number >= 0 else -2 * number - 1)
        return found // 2 if found % 2 == 0 else -(found + 1) // 2
