"""Batches from a file larger than the pool that it is shuffled through."""

import numpy as np
import pytest

from nsae import SparseAutoencoder
from nsae.training import batches
from nsae.training.batches import minibatches
from nsae.validation import check_data


@pytest.fixture
def mapped(tmp_path, monkeypatch):
    """103 numbered rows on disk, with a pool of four runs of five."""
    monkeypatch.setattr(batches, "POOL_BYTES", 4 * 5 * 2 * 4)
    np.save(tmp_path / "rows.npy", np.arange(206, dtype=np.float32).reshape(103, 2))
    return np.load(tmp_path / "rows.npy", mmap_mode="r")


def rows_of(mapped, rng):
    return [batch[:, 0].astype(int) // 2 for batch in minibatches(mapped, 5, "float32", rng)]


def test_every_row_comes_once_in_whole_batches(mapped, rng):
    found = rows_of(mapped, rng)
    assert sorted(np.concatenate(found)) == list(range(103))
    assert [len(batch) for batch in found] == [5] * 20 + [3]


def test_batches_mix_runs_and_epochs_differ(mapped, rng):
    first, second = rows_of(mapped, rng), rows_of(mapped, rng)
    runs = [len(set(batch // 5)) for batch in first]
    assert np.mean(runs) > 2.5  # of five rows in a batch, from the four runs of a pool
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_pool_is_made_of_whole_runs(mapped, rng):
    found = rows_of(mapped, rng)
    for start in range(0, 16, 4):  # four batches a pool
        pool = np.sort(np.concatenate(found[start : start + 4])).reshape(4, 5)
        assert (pool % 5 == np.arange(5)).all()


def test_a_buffer_holds_each_batch_in_turn(mapped):
    plain = list(minibatches(mapped, 5, "float64", np.random.default_rng(0)))
    buffer = np.empty((5, 2))
    for ours, theirs in zip(
        minibatches(mapped, 5, "float64", np.random.default_rng(0), buffer), plain, strict=True
    ):
        assert np.shares_memory(ours, buffer)
        np.testing.assert_array_equal(ours, theirs)


def test_fewer_rows_than_a_batch(tmp_path, monkeypatch, rng):
    monkeypatch.setattr(batches, "POOL_BYTES", 1)
    np.save(tmp_path / "rows.npy", np.arange(6.0).reshape(3, 2))
    X = np.load(tmp_path / "rows.npy", mmap_mode="r")
    (batch,) = minibatches(X, 256, "float64", rng)
    assert sorted(batch[:, 0]) == [0, 2, 4]


def test_learning_from_a_file(tmp_path, monkeypatch, rng):
    monkeypatch.setattr(batches, "POOL_BYTES", 1 << 12)
    X = rng.random((500, 10)).astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    options = {"k": 3, "epochs": 20, "batch_size": 32, "random_state": 0}
    model = SparseAutoencoder(16, **options).fit(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    other = SparseAutoencoder(16, **options).fit(X)
    assert model.score(X) == pytest.approx(other.score(X), abs=0.05)  # another order, as good a model


def test_releasing_pages_keeps_what_was_written(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((4, 2)))
    X = np.load(tmp_path / "rows.npy", mmap_mode="c")
    X[1] = 7
    batches.drop_pages(X)
    np.testing.assert_array_equal(X[1], 7)
    batches.drop_pages(np.zeros(3))  # and an array that is not mapped is no error


def test_validation_leaves_a_mapped_array_mapped(mapped):
    """Else neither the pool nor ``drop_pages`` would know it for one."""
    assert isinstance(check_data(mapped), np.memmap)
