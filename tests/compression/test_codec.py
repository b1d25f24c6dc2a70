"""Images to bytes and back."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsae.compression import Dictionary, compress, decompress, refine
from nsae.compression.codec import HEADER, MAGIC, dequantise, quantise, step_of, to_rgb, to_ycc
from nsae.compression.range_coder import Decoder, Encoder
from nsae.compression.stream import Number, Plane, code_plane, empty_plane, first_of
from nsae.datasets import dead_leaves
from nsae.errors import ModelFormatError

PATTERNS = Dictionary.load()


def picture(height=40, width=56, seed=0):
    """A smooth surface with an edge and some noise, in colour."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    channels = [
        90 + 60 * np.sin(x / 9 + i) + 50 * (y > x / 2) + 5 * rng.standard_normal(x.shape) for i in range(3)
    ]
    return np.clip(np.stack(channels, axis=2), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_planes_come_back_as_they_were(rows, columns, seed):
    rng = np.random.default_rng(seed)
    means = rng.integers(-3000, 3000, (rows, columns)) // int(rng.choice([1, 100, 1000]))
    codes = []
    for _ in range(rows * columns):
        units = rng.choice(64, rng.integers(0, 60), replace=False).tolist()
        codes.append(
            dict(zip(units, rng.geometric(rng.choice([0.01, 0.7]), len(units)).tolist(), strict=True))
        )
    beside, counts = rng.integers(0, 240, (rows, columns)), rng.integers(1, 300, 64)
    coder = Encoder()
    code_plane(coder, Plane(means, codes), counts, beside)
    read = empty_plane(rows, columns)
    code_plane(Decoder(coder.finish()), read, counts, beside)
    assert np.array_equal(read.means, means)
    assert read.codes == codes


def test_numbers_come_back_as_they_were():
    numbers = [0, 30, 31, 32, 33, 62, 63, 64, 100, 1000, 2**18, 5]
    coder, writer = Encoder(), Number()
    for number in numbers:
        writer.code_signed(coder, number)
        writer.code_signed(coder, -number)
    decoder, reader = Decoder(coder.finish()), Number()
    assert [reader.code_signed(decoder, 0) for _ in range(2 * len(numbers))] == [
        s * n for n in numbers for s in (1, -1)
    ]


def test_the_first_of_n_units_in_order_has_its_probability():
    counts = np.array([100, 300, 200, 400])
    share = counts[::-1].cumsum()[::-1] / 1000
    for n in (1, 2, 5):
        exact = share**n - np.append(share[1:], 0) ** n  # the smallest of n draws, with replacement
        told = first_of(counts, n)
        assert np.all(told >= 1)
        limit = counts * share ** (n - 1) / (counts * share ** (n - 1)).sum()
        assert np.allclose(told / told.sum(), limit, atol=1e-3)
        assert n > 1 or np.allclose(limit, exact)


def test_the_image_is_that_of_the_quantised_codes():
    image = picture()[..., 0]
    step = step_of(50)
    plane = quantise(image.astype(float), step, PATTERNS)
    expected = np.clip(np.rint(dequantise(plane, step, PATTERNS)), 0, 255)
    assert np.array_equal(decompress(compress(image, 50)), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (7, 9), (8, 8, 3), (17, 3, 3), (1, 40, 3), (33, 31)])
def test_every_size_comes_back(shape):
    image = np.resize(picture(40, 40), (*shape[:2], 3))
    image = image if len(shape) == 3 else image[..., 0]
    back = decompress(compress(image, 80))
    assert back.shape == shape
    assert back.dtype == np.uint8
    flat = np.full(shape, 77, np.uint8)
    assert np.abs(decompress(compress(flat, 80)).astype(int) - flat).max() <= 1


def test_more_bytes_are_nearer():
    image = picture(96, 96)
    files = [compress(image, quality) for quality in (10, 30, 50, 70, 90)]
    lengths, errors = [len(f) for f in files], [psnr(image, decompress(f)) for f in files]
    assert lengths == sorted(lengths)
    assert errors == sorted(errors)
    assert errors[-1] > 33
    assert lengths[0] < 200


def test_the_same_image_gives_the_same_bytes():
    image = picture()
    assert (
        compress(image)
        == compress(image.copy(order="F"))
        == compress(np.ascontiguousarray(image), 50, PATTERNS)
    )


def test_black_and_white_noise_and_extremes_come_back():
    rng = np.random.default_rng(0)
    for image in (np.zeros((20, 20), np.uint8), np.full((20, 20, 3), 255, np.uint8)):
        assert np.abs(decompress(compress(image, 100)).astype(int) - image).max() <= 1
    noise = (rng.random((24, 24)) < 0.5).astype(np.uint8) * 255
    assert decompress(compress(noise, 100)).shape == (
        24,
        24,
    )  # few patterns are that rough, so it is far away


def test_damaged_bytes_are_refused():
    data = compress(picture())
    rng = np.random.default_rng(0)
    broken = [data[:n] for n in (0, 1, 5, HEADER.size - 1, HEADER.size, len(data) - 1)] + [
        data + b"\0",
        b"GIF89a" * 9,
    ]
    for _ in range(200):
        place = int(rng.integers(len(data)))
        broken.append(data[:place] + bytes([data[place] ^ int(rng.integers(1, 256))]) + data[place + 1 :])
    for bad in broken:
        with pytest.raises(ValueError, match=r"no image that compress wrote|damaged|pixels"):
            decompress(bad)


def with_checksum(kind, height, width, body, identity=PATTERNS.identity):
    fields = (MAGIC, kind, height, width, identity)
    return HEADER.pack(*fields, zlib.crc32(body, zlib.crc32(HEADER.pack(*fields, 0)))) + body


def test_made_up_bytes_with_a_right_checksum_do_no_harm():
    rng = np.random.default_rng(0)
    for n in range(60):
        body = rng.bytes(int(rng.integers(0, 400)))
        message = ""
        try:
            image = decompress(with_checksum(int(rng.integers(0, 256)), 40, 9, body))
        except ValueError as error:
            message = str(error)
        assert "compressed image" in message or image.shape[:2] == (40, 9), n
    with pytest.raises(ValueError, match="pixels in all"):
        decompress(with_checksum(50, 65535, 65535, b""))
    with pytest.raises(ValueError, match="Sides of 1"):
        decompress(with_checksum(50, 0, 5, b""))
    with pytest.raises(ValueError, match="cut short"):
        decompress(with_checksum(50, 1000, 1000, b"\x55\xaa"))


def test_another_dictionary_is_told():
    other = Dictionary(PATTERNS.V[:, ::-1], PATTERNS.counts[::-1])
    with pytest.raises(ValueError, match="Give decompress the dictionary"):
        decompress(compress(picture(), 50, other))
    assert decompress(compress(picture(), 50, other), other).shape == (40, 56, 3)


@pytest.mark.parametrize(
    ("image", "quality"),
    [
        (np.zeros((4, 4)), 50),
        (np.zeros((4, 4, 4), np.uint8), 50),
        (np.zeros(4, np.uint8), 50),
        (np.zeros((0, 4), np.uint8), 50),
        (np.zeros((1, 65536), np.uint8), 50),
        (np.zeros((4, 4), np.uint8), 0),
        (np.zeros((4, 4), np.uint8), 101),
        (np.zeros((4, 4), np.uint8), 50.0),
    ],
)
def test_what_cannot_be_compressed_is_refused(image, quality):
    with pytest.raises(ValueError, match=r"was given|pixels"):
        compress(image, quality)


def test_colours_come_back_from_their_planes():
    smooth = np.clip(np.add.outer(np.arange(20) * 4, np.arange(30) * 3)[..., None] + [10, 40, 70], 0, 255)
    smooth = smooth.astype(np.uint8)
    assert np.abs(to_rgb(*to_ycc(smooth)).astype(int) - smooth).max() <= 12  # where a channel ends at 255
    assert np.array_equal(to_rgb(*to_ycc(np.full((5, 7, 3), 9, np.uint8))), np.full((5, 7, 3), 9))


def test_a_dictionary_is_saved_and_read(tmp_path):
    PATTERNS.save(tmp_path / "patterns.npz")
    read = Dictionary.load(tmp_path / "patterns.npz")
    assert read.identity == PATTERNS.identity
    assert np.array_equal(read.V, PATTERNS.V)
    norms = np.linalg.norm(PATTERNS.patterns, axis=0)
    assert np.abs(norms - 1).max() < 0.01
    assert np.abs(PATTERNS.patterns.mean(axis=0)).max() < 1e-3
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "other.npz", V=np.zeros((3, 4)), counts=np.zeros(4))
    for name in ("empty.npz", "other.npz", "missing.npz"):
        with pytest.raises(ModelFormatError):
            Dictionary.load(tmp_path / name)


def test_refined_patterns_suit_the_codes_better():
    leaves = dead_leaves(20)[..., 1].astype(float)  # (20, 96, 96)
    X = leaves.reshape(20, 12, 8, 12, 8).swapaxes(2, 3).reshape(-1, 64)
    X -= X.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(0)
    V = rng.standard_normal((64, 96))
    errors = []
    for rounds in (1, 4):
        dictionary = refine(V, X, 40.0, rounds)
        codes = [quantise(x.reshape(8, 8), 40.0, dictionary) for x in X[:200]]
        back = np.array([dequantise(code, 40.0, dictionary).ravel() for code in codes])
        errors.append(np.mean((X[:200] - back) ** 2))
    assert errors[1] < 0.9 * errors[0]


def test_the_header_is_counted():
    assert HEADER.size == 14
    assert len(compress(np.zeros((8, 8), np.uint8))) < 30
    assert struct.unpack_from("<HH", compress(picture(40, 56)), 4) == (40, 56)
