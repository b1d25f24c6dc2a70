"""A range coder: symbols with frequencies to bytes, and back.

The coder keeps an interval [low, low + width).  Each symbol cuts out its part of it: with frequency f of a total F,
the width becomes f/F of what it was, so a symbol costs log₂(F/f) bits, Eq. (47).  In the end, any number in the
interval tells all symbols.  All of it is integers: every machine makes the same bytes (Martin 1979).

``Encoder`` and ``Decoder`` have one method of the same name and arguments, so that what walks over an image's
symbols is written once and serves for both.
"""

from __future__ import annotations

import numpy as np

WIDTH_BITS = 48  # The interval starts with this width.
LEAST_WIDTH = 1 << 40  # A narrower interval is widened by 8 bits, which gives one byte.
LARGEST_TOTAL = 1 << 32  # Of frequencies: each symbol then gets at least 256 numbers of the interval.
SPARE_BYTES = WIDTH_BITS // 8  # What a decoder reads beyond the last byte, as zeros.


class Encoder:
    """Write symbols.  ``code`` takes each one, ``finish`` returns the bytes."""

    def __init__(self) -> None:
        self.low, self.width = 0, 1 << WIDTH_BITS
        self.out = bytearray()

    def code(self, frequencies: np.ndarray, symbol: int) -> int:
        """Write a symbol, and return it.

        Parameters
        ----------
        frequencies : (n,) int64
            Of all symbols that are possible here, each 0 or more, with a sum of at most 2³².
        symbol : int
            Its place in ``frequencies``.  Its frequency must be above 0.
        """
        ends = frequencies.cumsum()
        size, unit = int(frequencies[symbol]), self.width // int(ends[-1])
        self.low += unit * (int(ends[symbol]) - size)
        self.width = unit * size  # (47)
        if self.low >> WIDTH_BITS:  # a carry: one is added to the bytes that are out already
            self.low -= 1 << WIDTH_BITS
            self._carry()
        while self.width < LEAST_WIDTH:
            self.out.append(self.low >> (WIDTH_BITS - 8))
            self.low = (self.low << 8) & ((1 << WIDTH_BITS) - 1)
            self.width <<= 8
        return symbol

    def finish(self) -> bytes:
        """Return the bytes.

        The last ones are the number in the interval with the most zeros at its end, and these are left out.
        """
        for bits in range(WIDTH_BITS, -1, -8):
            number = (self.low + (1 << bits) - 1) >> bits << bits
            if number < self.low + self.width:
                break
        if number >> WIDTH_BITS:
            number -= 1 << WIDTH_BITS
            self._carry()
        return bytes(self.out) + number.to_bytes(SPARE_BYTES, "big").rstrip(b"\0")

    def _carry(self) -> None:
        place = len(self.out) - 1
        while self.out[place] == 255:
            self.out[place] = 0
            place -= 1
        self.out[place] += 1


class Decoder:
    """Read the symbols that an ``Encoder`` wrote, with the same frequencies in the same order.

    Parameters
    ----------
    data : bytes
        From ``Encoder.finish``.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.place, self.width = data, SPARE_BYTES, 1 << WIDTH_BITS
        self.number = int.from_bytes(data[:SPARE_BYTES].ljust(SPARE_BYTES, b"\0"), "big")  # minus low

    def code(self, frequencies: np.ndarray, symbol: int = 0) -> int:
        """Read a symbol.

        Parameters
        ----------
        frequencies : (n,) int64
            As they were when it was written.
        symbol : int
            Not used: ``Encoder.code`` has it.

        Raises
        ------
        ValueError
            The bytes are none that an Encoder wrote with these frequencies, or are cut short.
        """
        ends = frequencies.cumsum()
        unit = self.width // int(ends[-1])
        symbol = int(ends.searchsorted(self.number // unit, side="right"))
        if symbol == len(ends):
            raise ValueError("The compressed image is damaged: its bytes end in no symbol.")
        size = int(frequencies[symbol])
        self.number -= unit * (int(ends[symbol]) - size)
        self.width = unit * size  # (47)
        while self.width < LEAST_WIDTH:
            byte = self.data[self.place] if self.place < len(self.data) else 0
            if self.place >= len(self.data) + SPARE_BYTES:
                raise ValueError("The compressed image is cut short: its symbols go on after its bytes.")
            self.number, self.width, self.place = (self.number << 8) | byte, self.width << 8, self.place + 1
        return symbol


class Frequencies:
    """Frequencies of symbols that adapt: each symbol that was coded becomes likelier.

    Parameters
    ----------
    start : (n,) array of int
        Frequencies to begin with, each 1 or more.
    gain : int
        What is added to the frequency of a symbol when it was coded.
    limit : int
        When the sum is above it, all frequencies are halved, so that old symbols count less.
    """

    def __init__(self, start: np.ndarray, gain: int = 32, limit: int = 1 << 14) -> None:
        self.counts = np.asarray(start, dtype=np.int64).copy()
        self.gain, self.limit = gain, limit
        self.total = int(self.counts.sum())

    def code(self, coder: Encoder | Decoder, symbol: int) -> int:
        """Code one symbol, count it, and return it.

        Parameters
        ----------
        coder : Encoder or Decoder
            What writes or reads it.
        symbol : int
            Its place.  A Decoder does not look at it.
        """
        symbol = coder.code(self.counts, symbol)
        self.count(symbol)
        return symbol

    def count(self, symbol: int) -> None:
        """Make a symbol likelier.

        Parameters
        ----------
        symbol : int
            Its place.
        """
        self.counts[symbol] += self.gain
        self.total += self.gain
        if self.total > self.limit:
            self.counts = (self.counts + 1) // 2
            self.total = int(self.counts.sum())
