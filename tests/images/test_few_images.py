"""One image, or a few: the same bits as a whole block of rows, and no block."""

import pickle

import numpy as np
import pytest
from small_images import SMALL, bars

from nsae import ImageEncoder
from nsae.images import few_images
from nsae.images.features.pca import BLOCK_ROWS, PCA


@pytest.fixture(scope="module", params=[(0.9, 4), (0.0, 4), (0.9, 0)], ids=str)
def pipeline(request):
    threshold, steps = request.param
    images, _ = bars(160)
    how = {**SMALL, "shrink_threshold": threshold, "neighbour_steps": steps}
    return ImageEncoder(96, k=4, random_state=0, **how).fit(images).encoder()


@pytest.fixture
def anew(pipeline):
    """The pipeline as it comes from another process."""
    return pickle.loads(pickle.dumps(pipeline))


def codes_equal(a, b):
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("indptr", "units", "values"))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_codes_are_those_of_a_block(anew, n):
    images, _ = bars(40, seed=1)
    for start in range(0, 40, n):
        some = images[start : start + n]
        anew._few, anew._asked = None, False
        whole = anew.encode(some)
        anew.encode(some)
        assert anew._few is not None
        few = anew.encode(some)
        assert codes_equal(few, whole)
        assert few.made_by == whole.made_by


def test_a_single_image_takes_no_whole_block(anew, monkeypatch):
    images, _ = bars(8, seed=1)
    anew.encode(images[:1])
    anew.encode(images[:1])
    monkeypatch.setattr(anew._few, "block_rows", 8)
    asked = []
    project = PCA.__call__
    monkeypatch.setattr(
        PCA, "__call__", lambda self, F, block_rows=BLOCK_ROWS: asked.append(block_rows) or project(self, F)
    )
    for n in (1, 4, 5):
        anew.encode(images[:n])
    assert asked == [8, 8, BLOCK_ROWS]


@pytest.mark.parametrize(("smallest", "found"), [(4, 4), (5, 8), (33, BLOCK_ROWS)])
def test_the_smallest_block_with_the_bits_of_a_whole_one_is_taken(pipeline, smallest, found):
    def components(F, block_rows):
        return pipeline._rows(F, BLOCK_ROWS) + np.float32(block_rows < smallest)

    n, layer = pipeline.features.n_features, pipeline.code_layer
    assert few_images.FewImages(components, n, layer, 4).block_rows == found


def test_where_rounding_could_hide_a_unit_a_block_must_do(anew):
    """All units are alike: none can be ruled out by a rough product."""
    images, _ = bars(2, seed=1)
    anew.code_layer.W[:] = anew.components(images).mean(axis=0)
    whole = anew.encode(images)
    anew.encode(images)
    assert anew._few.codes(anew.components(images)) is None
    assert codes_equal(anew.encode(images), whole)


def test_a_pickle_has_no_trials_of_this_machine(anew):
    images, _ = bars(1)
    anew.encode(images)
    anew.encode(images)
    again = pickle.loads(pickle.dumps(anew))
    assert anew._few is not None
    assert again._few is None
    assert not again._asked
