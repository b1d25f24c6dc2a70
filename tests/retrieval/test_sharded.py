"""Shards searched as one index, and merged to one, against a single index of all rows."""

import copy

import numpy as np
import pytest

from nsae import CodeIndex
from nsae.retrieval import ShardedIndex
from nsae.retrieval.search.brute_force import METRICS
from nsae.retrieval.sharded import _open_once

H = 12


def integer_codes(rng, n):
    """Codes of few small whole numbers: many rows are at the same distance of a query."""
    return rng.integers(0, 3, (n, H)) * (rng.random((n, H)) < 0.3)


def single_and_shards(Z, ids, sizes, metric="cosine"):
    one, shards = CodeIndex(H, metric=metric), []
    one.add(Z, ids)
    ends = np.cumsum(sizes)
    for start, stop in zip(ends - sizes, ends, strict=True):
        shards.append(CodeIndex(H, metric=metric))
        shards[-1].add(Z[start:stop], ids[start:stop])
    return one, shards


def assert_same(hits, expected):
    for part in ("distances", "rows", "counts", "ids"):
        np.testing.assert_array_equal(getattr(hits, part), getattr(expected, part), strict=True)


OPTIONS = {
    "none": {},
    "keep": {"keep": 2},
    "where": {"where": np.arange(60) % 3 > 0},
    "a function": {"where": lambda id: id.endswith(("1", "4", "7"))},
    "require": {"require": [3]},
    "forbid": {"forbid": [1, 2]},
    "weights": {"weights": {2: 5.0, 4: 0.0}},
    "exclude": {"exclude": ["n0", "n13", None, "n59"]},
    "threads": {"n_threads": 2, "backend": "numpy"},
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("sizes", [(60,), (1, 0, 25, 34), (7, 13, 40), (0, 60)], ids=str)
def test_hits_are_those_of_one_index(rng, metric, options, sizes):
    Z, Q = integer_codes(rng, 60), integer_codes(rng, 4)
    one, shards = single_and_shards(Z, [f"n{i}" for i in range(60)], sizes, metric)
    sharded = ShardedIndex(shards)
    for k in (1, 5, 60, 200):
        assert_same(sharded.search(Q, k, **options), one.search(Q, k, **options))
    radius = float(np.median(one.search(Q, 60).distances))
    assert_same(sharded.within(Q, radius, **options), one.within(Q, radius, **options))


@pytest.mark.parametrize(
    "options",
    [{"require": [3]}, {"forbid": [1, 2]}, {"exclude": ["n0", "n13", None, "n59"]}, {"exclude": ["n0"] * 4}],
    ids=str,
)
def test_iterators_are_options_of_every_shard(rng, options):
    Z, Q = integer_codes(rng, 60), integer_codes(rng, 4)
    one, shards = single_and_shards(Z, [f"n{i}" for i in range(60)], (7, 13, 40))
    expected = one.search(Q, 60, **options)
    assert not np.array_equal(expected.rows, one.search(Q, 60).rows)
    ((name, values),) = options.items()
    for index in (one, ShardedIndex(shards)):
        assert_same(index.search(Q, 60, **{name: iter(values)}), expected)
        assert_same(index.search(Q, 60, **{name: np.array(values)}), expected)


def test_ties_come_shard_by_shard(rng):
    Z = np.repeat(integer_codes(rng, 1) + 1, 50, axis=0)
    one, shards = single_and_shards(Z, list(range(50)), (20, 30))
    hits = ShardedIndex(shards).search(Z[0], k=25)
    assert hits.rows[0].tolist() == list(range(25))
    assert_same(hits, one.search(Z[0], k=25))


def test_more_shards_than_hits_and_one_query_over_threads(rng):
    Z = integer_codes(rng, 40)
    one, shards = single_and_shards(Z, list(range(40)), (1,) * 40)
    for k in (3, 60):
        assert_same(ShardedIndex(shards).search(Z[7], k, n_threads=2), one.search(Z[7], k))


def test_folders_are_mapped_and_shared_things_are_told_of_all_shards(rng, tmp_path):
    Z = integer_codes(rng, 30)
    one, shards = single_and_shards(Z, [f"n{i}" for i in range(30)], (10, 20))
    for i, shard in enumerate(shards):
        shard.save(tmp_path / str(i))
    sharded = ShardedIndex([tmp_path / "0", str(tmp_path / "1")])
    assert_same(sharded.search(Z[:3], 4), one.search(Z[:3], 4))
    assert (len(sharded), sharded.ids, sharded.n_units, sharded.metric) == (30, one.ids, H, "cosine")
    assert "n29" in sharded
    assert "n30" not in sharded
    assert sharded.row_of("n17") == 17
    assert repr(sharded) == "ShardedIndex(12, metric='cosine') with 30 rows in 2 shards"
    for id in ("n3", "n25"):
        assert sharded.explain(Z[5], id) == one.explain(Z[5], id)
    assert len(ShardedIndex(tmp_path / "0")) == 10
    no_rows = ShardedIndex(CodeIndex(H))
    assert_same(no_rows.search(Z[:2], 3), CodeIndex(H).search(Z[:2], 3))
    assert_same(no_rows.within(Z[:2], 3), CodeIndex(H).within(Z[:2], 3))
    assert_same(sharded.search(Z[:0], 3), one.search(Z[:0], 3))


def refused(match, call, error=ValueError):
    with pytest.raises(error, match=match):
        call()


def test_shards_that_do_not_belong_together_are_refused(rng, tmp_path):
    _, (a, b) = single_and_shards(integer_codes(rng, 8), list(range(8)), (4, 4))
    refused(r"No index was given", lambda: ShardedIndex([]))
    refused(r"The id 0 is in shard 0 and in shard 1.*remove", lambda: ShardedIndex([a, copy.copy(a)]))
    refused(
        r"metric='cosine', and shard 1 has metric='l2'", lambda: ShardedIndex([a, CodeIndex(H, metric="l2")])
    )
    refused(
        r"n_units=12, and shard 1 has n_units=5.*different models", lambda: ShardedIndex([a, CodeIndex(5)])
    )
    a.save(tmp_path / "a", extra_files={"encoder.npz": b"one"})
    b.save(tmp_path / "b", extra_files={"encoder.npz": b"another"})
    refused(r"encoder\.npz .* different models", lambda: ShardedIndex([tmp_path / "a", tmp_path / "b"]))
    assert len(ShardedIndex([CodeIndex.load(tmp_path / "a"), tmp_path / "b"])) == 8
    refused(
        r"encoder\.npz of .*a is not that of .*b, ",
        lambda: ShardedIndex([CodeIndex(H), tmp_path / "a", tmp_path / "b"]),
    )
    refused(r"folders that its workers see", lambda: ShardedIndex([a], client=object()), TypeError)
    refused(r"none does not exist", lambda: ShardedIndex([tmp_path / "none"]))
    assert len(ShardedIndex([a, copy.copy(a)], check_ids=False)) == 8


def test_a_shard_that_was_replaced_is_not_opened_under_its_old_seal(rng, tmp_path):
    one, (a, _) = single_and_shards(integer_codes(rng, 8), list(range(8)), (4, 4))
    a.save(tmp_path / "a")
    sharded = ShardedIndex([tmp_path / "a"])
    (seal,) = sharded._seals
    a.save(tmp_path / "a", overwrite=True)  # the same content
    assert len(_open_once(str(tmp_path / "a"), seal)) == 4
    _open_once.cache_clear()
    one.save(tmp_path / "a", overwrite=True)
    refused(
        r"a was replaced after.*Open the ShardedIndex again", lambda: _open_once(str(tmp_path / "a"), seal)
    )
    (other,) = ShardedIndex([tmp_path / "a"])._seals
    assert len(_open_once(str(tmp_path / "a"), other)) == 8


def test_options_that_fit_no_shard_are_refused(rng):
    Z = integer_codes(rng, 8)
    sharded = ShardedIndex(single_and_shards(Z, list(range(8)), (4, 4))[1])
    refused(r"where: 8 booleans", lambda: sharded.search(Z, where=np.ones(4, bool)))
    refused(r"where: 8 booleans", lambda: sharded.search(Z, where=np.ones(8)))
    masked = np.ma.masked_array(np.ones(8, bool), mask=[True] + [False] * 7)
    refused("1 entries are masked", lambda: sharded.search(Z, where=masked))
    refused(r"The id 8 is not in these 2 shards of 8 rows", lambda: sharded.search(Z[0], exclude=[8]))
    refused(r"1 entries of exclude", lambda: sharded.search(Z[:2], exclude=[1]))
    refused(r"k=0", lambda: sharded.search(Z, 0))
    refused(r"have 3 units, the index has 12", lambda: sharded.search(np.ones(3)))
    refused(r"radius=nan", lambda: sharded.within(Z, np.nan))
    refused(r"unexpected keyword argument 'near'", lambda: sharded.search(Z, near=1), TypeError)
    refused(r"The id 'x' is not in these", lambda: sharded.explain(Z[0], "x"))


def test_a_shard_that_no_worker_answers_for_is_searched_here(tmp_path):
    from asyncio import TimeoutError as TooLong

    class NoAnswer:
        def result(self, timeout):
            raise TooLong

        def cancel(self):
            pass

    class Client:
        def nthreads(self):
            return {"a worker": 1}

        def submit(self, *_args, **_options):
            return NoAnswer()

    rng = np.random.default_rng(0)
    Z = (rng.random((40, 6)) * (rng.random((40, 6)) < 0.5)).astype(np.float32)
    for i, part in enumerate((Z[:25], Z[25:])):
        shard = CodeIndex(6)
        shard.add(part, range(25 * i, 25 * i + len(part)))
        shard.save(tmp_path / f"{i}")
    whole = CodeIndex(6)
    whole.add(Z)
    sharded = ShardedIndex([tmp_path / "0", tmp_path / "1"], client=Client())
    np.testing.assert_array_equal(sharded.search(Z[:5], 4).ids, whole.search(Z[:5], 4).ids)
