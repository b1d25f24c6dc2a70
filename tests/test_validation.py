"""What may come in as X, and what the refusals say."""

import numpy as np
import pytest

from nsae import validation
from nsae.validation import check_data


class Sparse:
    """Stands for scipy.sparse."""

    def toarray(self):
        return np.zeros((2, 2))


def spoilt(value, shape=(7, 3), at=(5, 2), dtype=float):
    X = np.zeros(shape, dtype)
    X[at] = value
    return X


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (spoilt(np.nan), ValueError, ["NaN", "row 5", "column 2", "nan_to_num"]),
        (spoilt(np.inf), ValueError, ["X has infinity", "row 5", "column 2"]),
        (spoilt(-np.inf), ValueError, ["-infinity", "row 5", "column 2"]),
        (spoilt(np.nan, dtype=np.float16), ValueError, ["NaN", "row 5", "column 2"]),
        (np.ma.masked_invalid(spoilt(np.nan)), ValueError, ["1 entries are masked", "X.filled(0)"]),
        (spoilt(-1e39), ValueError, ["-1e+39", "row 5", "column 2", "float32", "Scale"]),
        (spoilt(np.longdouble("1e400"), dtype=np.longdouble), ValueError, ["row 5", "column 2", "float32"]),
        (spoilt(256, dtype=int), ValueError, ["256", "row 5", "column 2", "±255", "X / 65535"]),
        (spoilt(-256, dtype=np.int16), ValueError, ["-256", "row 5", "column 2", "±255"]),
        (spoilt(2**64 - 1, dtype=np.uint64), ValueError, [str(2**64 - 1), "row 5", "±255"]),
        (np.zeros((0, 3)), ValueError, ["0 sample(s)", "(0, 3)", "minimum of 1"]),
        (np.zeros((3, 0)), ValueError, ["0 feature(s)", "(3, 0)", "minimum of 1"]),
        ([], ValueError, ["1-D", "2-D"]),
        (np.zeros(3), ValueError, ["1-D", "(3,)", "X.reshape(1, -1)"]),
        (np.zeros((2, 4, 4)), ValueError, ["3-D", "(2, 4, 4)", "X.reshape(len(X), -1)"]),
        (5.0, ValueError, ["0-D", "2-D"]),
        (None, ValueError, ["0-D", "2-D"]),
        ([[None, 1.0]], ValueError, ["NaN", "row 0", "column 0"]),
        ([[1j]], ValueError, ["Complex data not supported", "X.real"]),
        ([["1", "2"]], ValueError, ["dtype <U1", "Convert"]),
        (np.zeros((2, 2), "M8[s]"), ValueError, ["datetime64"]),
        ([[1, 2], [3]], ValueError, ["2-D array of numbers"]),
        ([[{}, 1]], TypeError, ["Numbers", "dict"]),
        (Sparse(), TypeError, ["Sparse", "dense", "X.toarray()"]),
    ],
)
def test_refused(X, error, words):
    with pytest.raises(error) as caught:
        check_data(X)
    for word in words:
        assert word in str(caught.value)


def test_the_wrong_width():
    with pytest.raises(ValueError, match=r"X has 3 features, but Owner is expecting 4 features.*fitted on"):
        check_data(np.zeros((2, 3)), owner="Owner", n_features=4)


@pytest.mark.parametrize("dtype", [float, np.float16, np.int16])
@pytest.mark.parametrize("row", [0, 4, 9])
def test_a_later_block_names_the_row_of_the_whole(monkeypatch, dtype, row):
    monkeypatch.setattr(validation, "BLOCK_BYTES", 2 * 3 * np.dtype(dtype).itemsize)  # two rows
    with pytest.raises(ValueError, match=f"row {row}, column 1"):
        check_data(spoilt(300 if dtype is np.int16 else np.nan, (10, 3), (row, 1), dtype))


@pytest.mark.parametrize("value", [-0.001, 1.001, 2])
def test_cross_entropy_wants_the_unit_interval(value):
    X = spoilt(value)
    check_data(X)
    with pytest.raises(ValueError, match=r"row 5, column 2.*\[0, 1\].*X / 255.*loss='squared'"):
        check_data(X, unit_interval=True)


def test_the_rounding_of_a_scaler_is_forgiven():
    check_data(
        np.array([[np.nextafter(1, 2), -1e-16], [np.nextafter(np.float32(1), 2), 1]]), unit_interval=True
    )


@pytest.mark.parametrize("X", [np.eye(3), np.eye(3, dtype=bool), np.eye(3, dtype=np.uint8)])
def test_the_ends_of_the_unit_interval_are_in_it(X):
    assert check_data(X, unit_interval=True) is X


@pytest.mark.parametrize(
    "X",
    [
        np.ones((4, 2), np.float32),
        np.asfortranarray(np.random.default_rng(0).random((4, 2))),
        np.ones((8, 4))[::2, ::2],
        np.ones((4, 2), ">f4"),
        np.ones((4, 2), np.float16),
        np.ones((4, 2), bool),
        np.array([[0, 255]], np.uint8),
        np.array([[-128, 127]], np.int8),
        np.array([[-255, 255]]),
        np.full((1, 1), np.finfo(np.float32).max),
    ],
)
def test_arrays_come_back_as_they_are(X):
    X.flags.writeable = False  # and a write would raise
    assert check_data(X) is X


@pytest.mark.parametrize("X", [[[1, 2.5]], ((1, 2.5),), np.array([[1, 2.5]], object), [np.array([1, 2.5])]])
def test_what_only_looks_like_an_array(X):
    np.testing.assert_array_equal(check_data(X), [[1, 2.5]])


def test_a_memory_mapped_array_is_not_copied(tmp_path):
    X = np.memmap(tmp_path / "x", np.float32, "w+", shape=(5, 3))
    assert np.shares_memory(check_data(X), X)


def test_masked_entries_are_refused_and_a_mask_of_nothing_is_none():
    from nsae import SparseAutoencoder
    from nsae.images.image_blocks import check_images

    X = np.ma.masked_array(np.full((7, 3), 0.5), mask=spoilt(True, dtype=bool))
    model = SparseAutoencoder(2, epochs=1).fit(X.filled(0))
    for read in (check_data, model.fit, model.encode, model.transform):
        with pytest.raises(ValueError, match=r"1 entries are masked.*filled"):
            read(X)
    with pytest.raises(ValueError, match="are masked"):
        check_images(np.ma.masked_array(np.zeros((2, 8, 8), np.uint8), mask=True))
    with pytest.raises(ValueError, match="3 entries are masked"):
        check_images(
            [np.zeros((4, 3)), np.ma.masked_array(np.zeros((4, 3)), mask=[[True] * 3] + [[False] * 3] * 3)]
        )
    with pytest.raises(ValueError, match="1 entries are masked"):
        check_data(list(X))
    np.testing.assert_array_equal(check_data(np.ma.masked_array(np.ones((7, 3)))), np.ones((7, 3)))
