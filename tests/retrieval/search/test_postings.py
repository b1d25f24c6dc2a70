"""Postings: bounds from above, the same arrays compiled, and what becomes of stored ones."""

import numpy as np
import pytest

from nsae.errors import ModelFormatError
from nsae.retrieval import CodeIndex
from nsae.retrieval.filters import Filters
from nsae.retrieval.search import postings, row_order
from nsae.retrieval.search.postings import Postings
from nsae.retrieval.search.row_order import sampled_rows, unit_ranks
from nsae.retrieval.search.searcher import Searcher

METRICS = ("cosine", "l2", "dot", "jaccard", "hamming")
WINDOW = 1024
SMALL = 1e-18
LARGE = 1e18


def small_windows(monkeypatch):
    """Several windows already in a small index, and a first look at each."""
    monkeypatch.setattr(postings, "WINDOW", WINDOW)


def codes(rng, n, h, density, values=(1.0, 2.0, 0.1, 1 / 3)):
    """(n, h) float32 where codes repeat, and some are zero or have a single unit."""
    Z = rng.choice(values, (n, h)) * (rng.random((n, h)) < density)
    Z[rng.random(n) < 0.2] = Z[0]
    Z[rng.random(n) < 0.1] = 0
    single = np.flatnonzero(rng.random(n) < 0.1)
    Z[single] = 0
    Z[single, rng.integers(h, size=len(single))] = rng.choice(values, len(single))
    return Z.astype(np.float32)


def filled(Z, metric="cosine", ids=None):
    index = CodeIndex(Z.shape[1], metric=metric)
    index.add(Z, ids)
    return index


@pytest.mark.parametrize("metric", METRICS)
def test_compiled_postings_are_the_same_arrays(monkeypatch, rng, metric):
    pytest.importorskip("numba")
    small_windows(monkeypatch)
    Z = codes(rng, 2100, 30, 0.2, values=[0.1, -3.0, SMALL, LARGE, 1 / 3])
    made = Postings.of(filled(Z).codes, metric).arrays()
    for name, array in Postings.of(filled(Z).codes, metric, compiled=True).arrays().items():
        np.testing.assert_array_equal(array, made[name], strict=True, err_msg=name)


@pytest.mark.parametrize("metric", METRICS)
def test_postings_bound_every_value_from_above(monkeypatch, rng, metric):
    small_windows(monkeypatch)
    Z = codes(rng, 2100, 30, 0.2, values=[0.1, -3.0, 1 / 3, 1e-3])
    made = Postings.of(filled(Z).codes, metric)
    lists = made.lists
    strongest = np.where(Z.any(axis=1), np.abs(Z).argmax(axis=1), 30)
    sample = sampled_rows(2100)
    ranks = unit_ranks(filled(Z).codes[sample], strongest[sample])
    assert sorted(ranks.tolist()) == list(range(31))
    assert ranks[30] == 30
    assert lists.order.tolist() == np.argsort(ranks[strongest], kind="stable").tolist()
    for unit in range(30):
        assert made.rows_of(unit).tolist() == np.flatnonzero(Z[:, unit]).tolist()
    assert made.document_frequencies().tolist() == np.count_nonzero(Z, axis=0).tolist()
    if metric in ("jaccard", "hamming"):
        return
    scales = np.linalg.norm(Z, axis=1) if metric == "cosine" else np.ones(2100)
    for unit, begin in enumerate(lists.begins[:-1]):
        for w in range(3):
            entries = slice(begin + int(lists.starts[unit, w]), begin + int(lists.starts[unit, w + 1]))
            rows = lists.order[lists.positions[entries].astype(int) + WINDOW * w]
            step = abs(lists.steps[unit, w])
            assert (lists.steps[unit, w] < 0) == (Z[rows, unit] < 0).any()
            bound = lists.levels[entries] * step
            size = np.abs(Z[rows, unit]) / scales[rows]
            assert (bound >= size * (1 - 1e-6)).all()
            assert (bound - size <= step * 1.001).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("density", [0.02, 0.3])
def test_damaged_postings_do_not_lead_out_of_the_arrays(monkeypatch, rng, metric, density):
    """Arrays of the right sizes, as a mapped file has them, with numbers that stand for no row."""
    pytest.importorskip("numba")
    small_windows(monkeypatch)
    Z = codes(rng, 2100, 30, density)
    whole = filled(Z, metric).codes
    for name in ("rows", "order"):
        arrays = Postings.of(whole, metric).arrays()
        arrays[name][:] = np.iinfo(arrays[name].dtype).max
        everything = Filters(None, np.full(20, -1), None)
        _, rows = Searcher.stored(whole, metric, arrays).search(whole[:20], 5, everything, backend="numba")
        assert rows.min() >= -1
        assert rows.max() < len(Z)


@pytest.mark.parametrize("metric", ["cosine", "jaccard"])
@pytest.mark.parametrize("name", ["rows", "order", "starts"])
def test_damaged_postings_are_a_format_error_in_numpy(monkeypatch, rng, metric, name):
    small_windows(monkeypatch)
    whole = filled(codes(rng, 2100, 30, 0.3), metric).codes
    arrays = Postings.of(whole, metric).arrays()
    arrays[name][:] = rng.integers(np.iinfo(arrays[name].dtype).max, size=arrays[name].shape)
    searcher = Searcher.stored(whole, metric, arrays)
    everything = Filters(None, np.full(20, -1), None)
    with pytest.raises(ModelFormatError, match=r"damaged: .*CodeIndex.verify\(path\)"):
        searcher.search(whole[:20], 5, everything, backend="numpy")
    with pytest.raises(ModelFormatError, match=r"CodeIndex.verify\(path\)"):
        searcher.rows_of(2)


@pytest.mark.parametrize("metric", ["cosine", "jaccard"])
def test_stored_postings_are_used_and_others_refused(rng, metric):
    Z = codes(rng, 80, 10, 0.3)
    whole = filled(Z, metric).codes
    arrays = Postings.of(whole, metric).arrays()
    assert all(array.ndim == 1 for array in arrays.values())
    again = Postings.from_arrays(arrays, whole, metric)
    for name, array in again.arrays().items():
        assert np.shares_memory(array, arrays[name]) or not array.size
    assert again.nbytes == sum(array.nbytes for array in arrays.values())
    for name in arrays:
        for wrong in (arrays[name][:-1], arrays[name].astype(np.int16)):
            if len(arrays[name]):
                with pytest.raises(ValueError, match=name):
                    Postings.from_arrays({**arrays, name: wrong}, whole, metric)
    with pytest.raises(ValueError, match="are expected, got rows"):
        Postings.from_arrays({"rows": arrays["rows"]}, whole, metric)
    assert not Searcher.stored(whole, metric, {}).has_postings()
    assert Searcher.stored(whole, metric, arrays).has_postings()


def test_units_that_are_active_together_follow_each_other(rng):
    groups = rng.permutation(24).reshape(6, 4)  # units that come together
    which = rng.integers(6, size=600)  # (600,): the group of each row
    Z = np.zeros((600, 30), np.float32)  # six units are never active
    np.put_along_axis(Z, groups[which], rng.random((600, 4)).astype(np.float32) + 0.1, axis=1)
    Z[:5] = 0
    strongest = np.where(Z.any(axis=1), Z.argmax(axis=1), 30)
    ranks = unit_ranks(filled(Z).codes, strongest)
    assert sorted(ranks.tolist()) == list(range(31))
    assert ranks[np.bincount(strongest[5:], minlength=30).argmax()] == 0
    assert all(np.ptp(ranks[group]) == 3 for group in groups)
    assert ranks[24:].tolist() == list(range(24, 31))


def test_units_that_are_seldom_the_strongest_keep_their_order(rng, monkeypatch):
    monkeypatch.setattr(row_order, "ORDERED", 5)
    Z = codes(rng, 300, 40, 0.2)
    strongest = np.where(Z.any(axis=1), Z.argmax(axis=1), 40)
    ranks = unit_ranks(filled(Z).codes, strongest)
    often = np.argsort(-np.bincount(strongest, minlength=41)[:40], kind="stable")[:5]
    assert sorted(ranks[often].tolist()) == list(range(5))
    others = np.setdiff1d(np.arange(41), often)
    assert ranks[others].tolist() == list(range(5, 41))


def test_sampled_rows_are_spread_over_all_rows(monkeypatch):
    monkeypatch.setattr(row_order, "SAMPLED", 10)
    assert sampled_rows(0).tolist() == []
    assert sampled_rows(3).tolist() == [0, 1, 2]
    assert sampled_rows(10**12).tolist() == [i * 10**11 for i in range(10)]
