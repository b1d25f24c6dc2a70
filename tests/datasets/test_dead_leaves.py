import numpy as np
import pytest

from nsae.datasets import dead_leaves


def test_pictures_are_uint8_and_the_same_for_the_same_number():
    pictures = dead_leaves(3, size=20, random_state=4)
    assert (pictures.shape, pictures.dtype) == ((3, 20, 20, 3), np.uint8)
    np.testing.assert_array_equal(dead_leaves(3, size=20, random_state=4), pictures)
    assert (dead_leaves(3, size=20, random_state=5) != pictures).any()


def test_pictures_have_edges_and_areas_as_photos_have():
    """Neighbours are mostly alike, and some are not: a heavy tail, which noise has not."""
    steps = np.diff(dead_leaves(20, size=64).astype(float).mean(axis=3), axis=2)
    assert np.median(np.abs(steps)) < 5
    assert (steps**4).mean() / (steps**2).mean() ** 2 > 6  # kurtosis; that of a Gaussian is 3


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 2, "size": 0}])
def test_numbers_below_one_are_refused(options):
    with pytest.raises(ValueError, match="at least 1"):
        dead_leaves(**options)
