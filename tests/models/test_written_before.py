"""Files of earlier versions open, and give the codes that they gave; see tests/fixtures/README.md."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import nsae
from nsae import CodeIndex, Encoder, ImageEncoder, ModelFormatError, SparseAutoencoder
from nsae.images.library.library_folder import read_library_folder

BEFORE = Path(__file__).parent.parent / "fixtures" / "written_before"
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # another BLAS may sum in another order


@pytest.fixture(scope="module")
def expected():
    with np.load(BEFORE / "expected.npz") as stored:
        return dict(stored)


def test_a_dense_model_with_the_names_of_then(expected):
    model = SparseAutoencoder.load(BEFORE / "dense.npz")
    assert (model.warmup_steps, model.lr_schedule, model.max_grad_norm) == (3, "cosine", 0.5)
    np.testing.assert_allclose(model.transform(expected["X"]), expected["dense"], **CLOSE)


def test_a_k_sparse_model_with_its_optimizer(expected):
    path = BEFORE / "k_sparse_with_optimizer.npz"
    model, encoder = SparseAutoencoder.load(path), Encoder.load(path)
    assert model.aux_weight == 0.1
    assert model._state.optimizer.t == 9
    for codes in (model.transform(expected["X"]), encoder.transform(expected["X"])):
        np.testing.assert_allclose(codes, expected["k_sparse"], **CLOSE)
    np.testing.assert_allclose(
        model.partial_fit(expected["X"]).transform(expected["X"]), expected["partial"], **CLOSE
    )


def test_an_image_encoder_says_that_it_is_too_old():
    path = BEFORE / "image_encoder.npz"
    for load in (ImageEncoder.load, nsae.load_encoder):  # It would give other codes than then.
        with pytest.raises(ModelFormatError, match="from before codes had a threshold for each image"):
            load(path)


@pytest.mark.parametrize("mmap", [False, True])
def test_an_index(expected, mmap, tmp_path):
    index = CodeIndex.load(BEFORE / "index.nsae", mmap=mmap)
    assert (len(index), index.n_units, index.metric) == (60, 20, "cosine")
    codes = SparseAutoencoder.load(BEFORE / "k_sparse_with_optimizer.npz").encode(expected["X"])
    hits = index.search(codes, k=1)
    assert [row[0] for row in hits.ids] == [f"row {i}" for i in range(60)]
    np.testing.assert_allclose(hits.distances, 0, atol=1e-5)
    index.save(tmp_path / "again.nsae")
    assert len(CodeIndex.load(tmp_path / "again.nsae")) == 60


def test_a_library(tmp_path):
    shutil.copytree(BEFORE / "library.nsae", tmp_path / "library.nsae")  # nothing may write to the fixture
    with pytest.raises(ModelFormatError, match="Learn it again, and index with the new one"):
        read_library_folder(tmp_path / "library.nsae")
    assert len(CodeIndex.load(tmp_path / "library.nsae")) == 6  # The codes can still be read.


@pytest.mark.parametrize("name", ["dense.npz", "k_sparse_with_optimizer.npz"])
def test_a_model_written_before_goes_on_and_can_be_saved_again(name, tmp_path):
    model = SparseAutoencoder.load(BEFORE / name)
    assert model.backend_ is None  # the file does not say
    epochs = model.n_iter_
    model.partial_fit(np.random.default_rng(0).random((50, model.n_features_in_)))
    model.save(tmp_path / "again.npz")
    again = SparseAutoencoder.load(tmp_path / "again.npz")
    assert again.n_iter_ == epochs + 1
    assert {len(values) for values in again.history_.values()} == {epochs + 1}
    assert again.backend_ in ("numpy", "numba")
