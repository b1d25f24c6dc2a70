"""The range coder: what it writes is read back, and costs what the frequencies say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsae.compression.range_coder import Decoder, Encoder, Frequencies


def written(frequencies, symbols):
    coder = Encoder()
    for f, symbol in zip(frequencies, symbols, strict=True):
        coder.code(f, symbol)
    return coder.finish()


def test_eq47_a_symbol_costs_the_logarithm_of_its_share():
    rng = np.random.default_rng(0)
    frequencies = np.array([1, 3, 60, 900, 36])
    symbols = rng.choice(5, 20_000, p=frequencies / frequencies.sum())
    bits = np.log2(frequencies.sum() / frequencies[symbols]).sum()
    length = 8 * len(written([frequencies] * len(symbols), symbols))
    assert (
        bits - 1 <= length <= bits + 48
    )  # a range coder loses less than a millionth; the last number is 6 bytes


@given(st.integers(0, 2**32), st.integers(0, 300))
def test_what_was_written_is_read(seed, n):
    rng = np.random.default_rng(seed)
    frequencies, symbols = [], []
    for _ in range(n):
        f = rng.integers(0, 2 ** int(rng.integers(1, 25)), int(rng.integers(1, 40)))
        f[rng.integers(len(f))] += 1
        frequencies.append(f)
        symbols.append(int(rng.choice(np.flatnonzero(f))))
    decoder = Decoder(written(frequencies, symbols))
    assert [decoder.code(f) for f in frequencies] == symbols


def test_a_carry_runs_through_bytes_that_are_255():
    # The last of 256 symbols makes bytes of 255; the symbol after them then carries into all of them.
    even, uneven = np.ones(256, np.int64), np.array([1, 2**31])
    for n in range(1, 12):
        frequencies, symbols = [even] * n + [uneven] * 3, [255] * (n - 1) + [254] + [1] * 3
        decoder = Decoder(written(frequencies, symbols))
        assert [decoder.code(f) for f in frequencies] == symbols


def test_a_decoder_that_is_asked_for_more_than_there_is_says_so():
    frequencies = np.ones(256, np.int64)
    decoder = Decoder(written([frequencies] * 10, [7] * 10))
    with pytest.raises(ValueError, match="cut short"):
        [decoder.code(frequencies) for _ in range(100)]


def test_frequencies_learn_what_comes_often():
    often, seldom = Encoder(), Encoder()
    frequencies, same = Frequencies(np.ones(16)), np.ones(16, np.int64)
    for _ in range(1000):
        frequencies.code(often, 3)
        seldom.code(same, 3)
    assert len(often.finish()) < 40 < 490 < len(seldom.finish())
    assert frequencies.total == frequencies.counts.sum() <= frequencies.limit
