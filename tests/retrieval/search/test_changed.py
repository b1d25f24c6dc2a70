"""The search of codes that changed since they were prepared: the hits of a search from scratch, without its cost."""

import copy
import pickle

import numpy as np
import pytest

from nsae import CodeIndex, Codes
from nsae.retrieval import index_state
from nsae.retrieval.search.changed import ChangedSearcher
from nsae.retrieval.search.postings import Postings

H = 24
BACKENDS = ["numpy", "numba"]


def codes_of(rng, n):
    """n codes with few different values, so that there are ties, and some rows without a unit."""
    Z = rng.integers(1, 4, (n, H)) * (rng.random((n, H)) < 0.2) * rng.choice([-1, 1], (n, H), p=[0.1, 0.9])
    return Codes.from_dense(Z.astype(np.float32))


def prepared(rng, n=800, metric="cosine"):
    index = CodeIndex(H, metric=metric)
    index.add(codes_of(rng, n), [f"first {i}" for i in range(n)])
    index._state.searcher().prepare()
    return index


def from_scratch(index):
    fresh = CodeIndex(H, metric=index.metric)
    fresh.add(index.codes, index.ids)
    return fresh


def assert_same_hits(index, queries, **options):
    fresh = from_scratch(index)
    for k in (1, 7, 300):
        a, b = (one.search(queries, k, **options) for one in (index, fresh))
        np.testing.assert_array_equal(a.distances, b.distances)
        np.testing.assert_array_equal(a.rows, b.rows)
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.counts, b.counts)
    radius = {"dot": -4.0, "hamming": 4.0, "l2": 3.0}.get(index.metric, 0.5)
    a, b = (one.within(queries, radius, **options) for one in (index, fresh))
    np.testing.assert_array_equal(a.rows, b.rows)
    np.testing.assert_array_equal(a.distances, b.distances)


def change(index, rng, step):
    """Add, remove or replace some rows, one or several."""
    n = int(rng.choice([1, 1, 5]))
    what = rng.choice(["add", "remove", "replace", "both"])
    some = [str(id) for id in rng.choice(index.ids, n, replace=False)]
    new = [f"step {step}, {i}" for i in range(n)]
    if what == "add":
        index.add(codes_of(rng, n), new)
    elif what == "remove":
        index.remove(some)
    else:
        ids = some if what == "replace" else [*new, *some]
        index.add(codes_of(rng, len(ids)), ids, on_duplicate="replace")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", ["cosine", "l2", "dot", "jaccard", "hamming"])
def test_hits_after_changes_are_those_of_an_index_made_anew(metric, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    rng = np.random.default_rng(BACKENDS.index(backend))
    index, queries = prepared(rng, metric=metric), codes_of(rng, 5)
    for step in range(24):
        change(index, rng, step)
        if step % 3 == 0:
            assert_same_hits(index, queries, backend=backend)
    assert isinstance(index._state.searcher(), ChangedSearcher)
    where = rng.random(len(index)) < 0.5
    exclude = [None, index.ids[0], index.ids[-1], index.ids[400], str(rng.choice(index.ids))]
    weights = {int(unit): 2.0 for unit in rng.choice(H, 3, replace=False)}
    options = [{"where": where}, {"exclude": exclude}, {"require": [3]}, {"forbid": [2, 5]}, {"keep": 2}]
    options += [{"weights": weights}, {"where": where, "exclude": exclude, "forbid": [1]}]
    for some in options:
        assert_same_hits(index, queries, backend=backend, **some)


def test_small_changes_make_no_postings_anew_and_large_ones_do(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    index, queries = prepared(rng), codes_of(rng, 10)
    made, of = [], Postings.of.__func__

    def counted(cls, codes, *args, **options):
        made.append(len(codes))
        return of(cls, codes, *args, **options)

    monkeypatch.setattr(Postings, "of", classmethod(counted))
    for step in range(5):
        index.add(codes_of(rng, 1), [f"more {step}"])
        index.remove([f"first {step}"])
        index.search(queries, 3, backend="numba")
    assert made == []
    index.add(codes_of(rng, index_state.FEW_ADDED), [f"many {i}" for i in range(index_state.FEW_ADDED)])
    index.search(queries, 3, backend="numba")
    assert made == [800 + index_state.FEW_ADDED]
    index.remove(index.ids[: len(index) // 3])
    assert_same_hits(index, queries, backend="numba")
    assert not isinstance(index._state.searcher(), ChangedSearcher)


def test_all_rows_can_be_removed_and_come_back():
    rng = np.random.default_rng(1)
    index = prepared(rng, 40)
    again = index.codes
    index.remove(index.ids)
    assert len(index) == 0
    assert index.search(again[0], 2).counts.tolist() == [0]
    index.add(again[:3], ["a", "b", "c"])
    assert_same_hits(index, again[:4])


def test_a_changed_index_is_saved_pickled_and_copied_as_it_is(tmp_path):
    rng = np.random.default_rng(2)
    index, queries = prepared(rng), codes_of(rng, 4)
    for step in range(6):
        change(index, rng, step)
    index.search(queries, 3)
    expected = from_scratch(index).search(queries, 9)
    older = copy.copy(index)
    index.save(tmp_path / "index")
    for one in (index, CodeIndex.load(tmp_path / "index"), pickle.loads(pickle.dumps(older)), older):
        np.testing.assert_array_equal(one.search(queries, 9).ids, expected.ids)
    assert older.explain(queries[0], older.ids[5]) == from_scratch(older).explain(queries[0], older.ids[5])


def test_rows_that_come_one_by_one_are_joined_in_few_parts():
    index, rng = CodeIndex(H), np.random.default_rng(3)
    codes = codes_of(rng, 600)
    for i in range(600):
        index.add(codes[i])
    assert len(index._state._layers.added) < 3 * index_state.PARTS
    np.testing.assert_array_equal(index.codes.to_dense(), codes.to_dense())


def test_an_id_that_is_named_twice_is_removed_once():
    for n in (2, 70):  # few rows are taken out one by one
        index = prepared(np.random.default_rng(4), 200)
        index.remove([f"first {i % n}" for i in range(n + 60)])
        assert index.ids == [f"first {i}" for i in range(n, 200)]
        assert_same_hits(index, index.codes[:4])


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_index_that_was_prepared_can_be_asked(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    rng = np.random.default_rng(5)
    index, queries = CodeIndex(H), codes_of(rng, 2)
    index.warm_up()
    index.add(codes_of(rng, 0))
    assert index.search(queries, 3, backend=backend).counts.tolist() == [0, 0]
    index.add(codes_of(rng, 1), ["a"])
    index.remove(["a"])
    hits = index.search(queries, 3, backend=backend, require=[1], exclude=[None, None])
    assert hits.counts.tolist() == [0, 0]


def test_searches_with_keep_are_not_made_anew_either(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(6)
    index, queries = prepared(rng), codes_of(rng, 10)
    index.search(queries, 3, keep=2, backend="numba")
    made, of = [], Postings.of.__func__

    def counted(cls, codes, *args, **options):
        made.append(len(codes))
        return of(cls, codes, *args, **options)

    monkeypatch.setattr(Postings, "of", classmethod(counted))
    for step in range(4):
        index.add(codes_of(rng, 1), [f"more {step}"])
        index.remove([f"first {step}"])
        index.search(queries, 3, keep=2, backend="numba")
        index.search(queries, 3, backend="numba")
    assert made == []
    index.search(queries, 3, keep=3, backend="numba")
    index.add(codes_of(rng, 1))
    index.search(queries, 3, keep=3, backend="numba")
    assert made == [800]
    monkeypatch.undo()
    for keep in (2, 3):
        assert_same_hits(index, queries, keep=keep, backend="numba")


def test_what_was_replaced_is_not_kept_for_ever():
    rng = np.random.default_rng(7)
    index, codes = prepared(rng, 300), codes_of(rng, 3000)
    for i in range(3000):
        index.add(codes[i], ["first 5"], on_duplicate="replace")
    held = len(index._state._layers.before) + sum(map(len, index._state._layers.added))
    assert held < 300 + 2 * index_state.FEW_ADDED
    np.testing.assert_array_equal(index.codes[5].to_dense(), codes[-1].to_dense())
    assert_same_hits(index, codes[-3:])
