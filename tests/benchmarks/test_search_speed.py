"""The search benchmark: its peers find what they should, and its own checks hold on small codes."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from nsae import CodeIndex, Codes

pytest.importorskip("PIL")
pytest.importorskip("numba")


@pytest.fixture(scope="module")
def speed(benchmark_module):
    return benchmark_module("search_speed")


@pytest.fixture
def codes(rng):
    """300 codes over 20 units, with no two similarities alike."""
    return Codes.from_dense((rng.random((300, 20)) * (rng.random((300, 20)) < 0.4)).astype(np.float32))


@pytest.mark.parametrize("peer", ["numpy_codes", "scipy_codes", "sparse_dot_topn_codes", "faiss_codes"])
def test_peers_over_codes_find_the_nearest(speed, codes, monkeypatch, peer):
    package = {"scipy_codes": "scipy", "sparse_dot_topn_codes": "sparse_dot_topn", "faiss_codes": "faiss"}
    pytest.importorskip(package.get(peer, "scipy"))
    monkeypatch.setattr(speed.peers, "PRODUCTS", 900)  # three queries at a time
    index = CodeIndex(20)
    index.add(codes)
    expected = index.search(codes[:10], 5).rows
    np.testing.assert_array_equal(getattr(speed.peers, peer)(codes)(codes[:10], 5), expected)


def test_scipys_product_stays_sparse_and_ranks_by_cosine_or_product(speed, codes, monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    for name in ("toarray", "todense"):
        monkeypatch.setattr(sparse.csr_matrix, name, lambda self: pytest.fail("the product was made dense"))
    found = {}
    for metric, unit_norm in (("cosine", True), ("dot", False)):
        index = CodeIndex(20, metric=metric)
        index.add(codes)
        found[metric] = speed.peers.scipy_codes(codes, unit_norm=unit_norm)(codes[:10], 5)
        np.testing.assert_array_equal(found[metric], index.search(codes[:10], 5).rows)
    assert not np.array_equal(found["cosine"], found["dot"])


def test_the_fastest_setting_that_reaches_a_recall_is_taken(speed, rng, monkeypatch):
    def fake(X, share):
        def search(Q, k, setting):
            """Right in so many of the rows as the setting says."""
            rows = np.tile(np.arange(k), (len(Q), 1))
            rows[:, min(k, setting + share) :] = -1
            return rows

        return search

    monkeypatch.setitem(speed.peers.APPROXIMATE, "fake", fake)
    monkeypatch.setitem(speed.peers.BUILDS, "fake", [{"share": 0}])
    monkeypatch.setitem(speed.peers.SETTINGS, "fake", [1, 5, 9])
    X, true = rng.random((20, 3)), np.tile(np.arange(10), (4, 1))
    found = list(speed.peers.tuned("fake", X, X[:4], true, (0.4, 0.9, 0.99)))
    assert [(least, chosen) for least, _, chosen, _ in found] == [
        (0.4, "share=0, setting=5"),
        (0.9, "share=0, setting=9"),
    ]
    assert speed.peers.recall(found[0][1](X[:4], 10), true) == 0.5


def test_variants_are_of_each_image_in_turn_and_near_it(speed):
    images = np.zeros((3, 28, 28), np.uint8)
    for i in range(3):
        images[i, 8:20, 8:20] = 80 * (i + 1)
    blocks = [block() for block in speed.variants(images, 7, block=4)]
    assert [len(block) for block in blocks] == [4, 3]
    made = np.concatenate(blocks)
    assert made.max(axis=(1, 2)).tolist() == [80, 160, 240, 80, 160, 240, 80]
    assert not np.array_equal(made[0], made[3])
    assert (made[:, :2].max(), made[:, 14, 14].min()) == (0, 80)


def test_exact_compares_all_metrics(speed, rng, capsys):
    images = rng.integers(0, 256, (600, 28, 28), dtype=np.uint8)
    small = speed.Images(images[:500], np.zeros(500), images[500:], np.zeros(100))
    figures = speed.exact(small, SimpleNamespace(codes=None, quick=True))
    assert figures.pop("pairs") > 0
    assert figures == dict.fromkeys(["cosine", "l2", "dot", "jaccard", "hamming"], 1.0)
    assert "equal to the definition" in capsys.readouterr().out


def test_a_slow_contestant_gets_fewer_queries(speed, codes, monkeypatch):
    race = sys.modules[speed.Contestant.__module__]
    monkeypatch.setattr(race, "BATCH", 64)
    clock = iter(np.arange(0, 100, 4.0))  # each look at it is 4 s later
    monkeypatch.setattr(race.time, "perf_counter", lambda: next(clock))
    slow = speed.Contestant(lambda Q, k: None, codes)
    slow.shorten()
    assert len(slow.queries) == 64
    slow.turn()
    assert slow.rates == [16.0]


def test_k_is_enough_only_if_every_larger_one_is(speed, rng, monkeypatch):
    queries = speed.Codes.from_dense(np.ones((8, 70), np.float32))
    enough = {4: True, 6: False, 8: True, 12: True}
    monkeypatch.setattr(speed, "indexed", lambda codes: codes)
    monkeypatch.setattr(speed, "search_of", lambda codes: lambda Q, k: int(codes.counts[0]))
    task = SimpleNamespace(enough=lambda k: enough.get(k, True), choose=slice(4))
    assert speed.fewest(task, queries, queries) == 8
    enough[64] = False
    assert speed.fewest(task, queries, queries) == 64


def test_enough_is_more_than_an_accident(speed):
    q = 400
    true = np.zeros((q, 10), np.int64)
    of = speed.Fashion(None, np.array([0, 1]), None, np.zeros(q, int), true, slice(0, q), slice(q, None))
    rows = true.copy()
    assert of.enough(rows)
    rows[: int(0.015 * q)] = 1  # exactly as many right as are asked for: no margin
    assert not of.enough(rows)


def test_codes_that_were_kept_are_not_made_again(speed, rng, tmp_path):
    images = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8)
    blocks = [lambda: images[:40], lambda: images[40:]]

    def coder():
        return speed.Coder("pixel", images, str(tmp_path), True)

    made = coder().codes("some", blocks)
    assert made.shape == (60, 1024)

    def fail():
        raise AssertionError("encoded again")

    again = coder().codes("some", [fail, blocks[1]])
    np.testing.assert_array_equal(made.to_dense(), again.to_dense())
    next(tmp_path.glob("*some_001.npz")).unlink()
    np.testing.assert_array_equal(made.to_dense(), coder().codes("some", [fail, blocks[1]]).to_dense())


def test_parts_of_earlier_runs_are_kept(speed, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "fashion", lambda quick: None)
    monkeypatch.setattr(
        speed, "PARTS", {"a": lambda images, options: {"x": 1}, "b": lambda images, options: {"x": 2}}
    )
    first, both = tmp_path / "first.json", tmp_path / "both.json"
    assert speed.main(["--only", "a", "--save", str(first)]) == 0
    assert speed.main(["--only", "b", "--from", str(first), "--save", str(both)]) == 0
    assert json.loads(both.read_text())["figures"] == {"a": {"x": 1}, "b": {"x": 2}}
