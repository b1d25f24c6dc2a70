"""Each way to search gives the brute force's hits, bit by bit: ties, zero codes and all options included."""

import math
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.codes import Codes
from nsae.retrieval import CodeIndex, cosine, dot, hamming, jaccard, l2
from nsae.retrieval.filters import Filters
from nsae.retrieval.search import postings
from nsae.retrieval.search import searcher as searching
from nsae.retrieval.search.records import Found
from nsae.retrieval.search.searcher import Searcher

METRICS = {"cosine": cosine, "l2": l2, "dot": dot, "jaccard": jaccard, "hamming": hamming}
WINDOW = 1024
# few values, so that ties abound; 0.1 and 1/3 are not exact, so that the order of a sum shows
VALUES = [0.0, 0.0, 0.0, 1.0, 2.0, 0.1, 1 / 3]
SMALL = 1e-18
LARGE = 1e18


def small_windows(monkeypatch):
    """Several windows already in a small index, and a first look at each."""
    monkeypatch.setattr(postings, "WINDOW", WINDOW)


def codes(rng, n, h, density, values=VALUES[3:]):
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


def brute_distance(metric, q, z, w):
    qz = qq = zz = 0.0
    for a, b, c in zip(q, z, w, strict=True):
        if metric in ("jaccard", "hamming"):
            a, b = float(a != 0), float(b != 0)
        qz, qq, zz = qz + c * a * b, qq + c * a * a, zz + c * b * b
    if metric == "dot":
        return 0.0 - qz
    if metric == "l2":
        return math.sqrt(max(qq + zz - 2 * qz, 0.0))
    if metric == "hamming":
        return max(qq + zz - 2 * qz, 0.0)
    whole = qq + zz - qz if metric == "jaccard" else math.sqrt(qq * zz)
    return max(1 - qz / whole, 0.0) if whole > 0 else 1.0


def brute_search(metric, Q, Z, k, w, allowed, left_out):
    found = []
    for q, out in zip(Q.tolist(), left_out, strict=True):
        ranking = [
            (np.float32(brute_distance(metric, q, z, w)), row)
            for row, z in enumerate(Z.tolist())
            if allowed[row] and row != out
        ]
        found.append(sorted(ranking)[:k])
    return found


@st.composite
def cases(draw):
    h = draw(st.integers(1, 6))
    elements = st.sampled_from([*VALUES, -1.0]).map(np.float32)
    Z = draw(hnp.arrays(np.float32, (draw(st.integers(0, 12)), h), elements=elements))
    Q = draw(hnp.arrays(np.float32, (draw(st.integers(1, 3)), h), elements=elements))
    return Z, Q


@settings(max_examples=300, deadline=None)
@given(cases(), st.sampled_from(list(METRICS)), st.integers(1, 14), st.data())
def test_the_definition_is_the_brute_force_in_plain_python(case, metric, k, data):
    Z, Q = case
    n, h = Z.shape
    units = st.lists(st.integers(0, h - 1), max_size=2)
    require, forbid = data.draw(units), data.draw(units)
    w = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 0.3]), min_size=h, max_size=h))
    where = data.draw(st.none() | hnp.arrays(bool, n))
    left_out = data.draw(st.lists(st.integers(-1, n - 1), min_size=len(Q), max_size=len(Q)))
    allowed = np.ones(n, bool) if where is None else where.copy()
    allowed &= (Z[:, require] != 0).all(axis=1) & (Z[:, forbid] == 0).all(axis=1)
    hits = filled(Z, metric).search(
        Q,
        k,
        where=where,
        require=require,
        forbid=forbid,
        weights=None if set(w) == {1.0} else w,
        exclude=[None if row < 0 else row for row in left_out],
        backend="numpy",
    )
    for i, ranking in enumerate(brute_search(metric, Q, Z, k, w, allowed, left_out)):
        assert hits.counts[i] == len(ranking)
        assert hits.rows[i, : len(ranking)].tolist() == [row for _, row in ranking]
        assert hits.distances[i, : len(ranking)].tolist() == [d for d, _ in ranking]
        assert (hits.rows[i, len(ranking) :] == -1).all()


@pytest.mark.parametrize("metric", METRICS)
def test_the_definition_agrees_with_the_distances_of_dense_codes(rng, metric):
    Z = codes(rng, 90, 12, 0.4)
    hits = filled(Z, metric).search(Z[:20], 90)
    expected = np.take_along_axis(METRICS[metric](Z[:20], Z), hits.rows, axis=1)
    np.testing.assert_allclose(hits.distances, expected, rtol=1e-6, atol=3e-7)


def fastest(index, Q, k):
    """The name of the loop that is chosen for these queries."""
    searcher = index._state.searcher()
    queries, everything = Codes.from_dense(Q), Filters(None, np.full(len(Q), -1), None)
    search = searching._Search(searcher, queries, everything, math.inf, Found.nothing(len(Q), k))
    return searcher._fastest(search, everything).__name__


def same(a, b):
    np.testing.assert_array_equal(a.rows, b.rows)
    np.testing.assert_array_equal(a.distances, b.distances)
    np.testing.assert_array_equal(np.signbit(a.distances), np.signbit(b.distances))
    np.testing.assert_array_equal(a.counts, b.counts)


@pytest.mark.parametrize("way", ["over_postings", "over_products", "row_by_row"])
@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_compiled_ways_give_the_same_bits(monkeypatch, metric, way, data):
    pytest.importorskip("numba")
    small_windows(monkeypatch)
    monkeypatch.setattr(Searcher, "_fastest", lambda _, search, filters: getattr(search, way))
    monkeypatch.setattr(searching, "PRODUCT_BLOCKS", 3)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n, h = data.draw(st.integers(1, 100) | st.integers(1, 3000)), data.draw(st.integers(1, 40))
    values = data.draw(st.sampled_from([VALUES[3:], [1.0], [-1.0, 1.0, 0.1], [0.1, SMALL, LARGE], [SMALL]]))
    Z, Q = (codes(rng, m, h, data.draw(st.sampled_from([0.05, 0.3, 0.9])), values) for m in (n, 7))
    Q[0] = Z[0]
    k = data.draw(st.integers(1, n + 2))
    keep = data.draw(st.none() | st.integers(1, 3))
    options = {
        "where": data.draw(st.none() | st.just(rng.random(n) < 0.5)),
        "exclude": data.draw(st.none() | st.just(rng.integers(n, size=7))),
        "require": data.draw(st.just([]) | st.just([0])),
    }
    index = filled(Z, metric)
    same(
        index.search(Q, k, keep=keep, backend="numba", **options),
        index.search(Q, k, keep=keep, backend="numpy", **options),
    )
    radius = float(rng.choice(index.search(Q, n, backend="numpy").distances.ravel()))
    same(
        index.within(Q, radius, backend="numba", **options),
        index.within(Q, radius, backend="numpy", **options),
    )


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("density", "way"), [(0.06, "over_postings"), (0.5, "over_products")])
def test_a_million_pairs_give_the_same_bits(monkeypatch, metric, threads, density, way):
    """The whole of a search with its own choice of ways, with non-negative codes as models make them."""
    pytest.importorskip("numba")
    monkeypatch.setattr(searching, "QUERY_BLOCK", 64)
    rng = np.random.default_rng(1)
    Z = codes(rng, 6000, 200, density, values=rng.random(50).round(2) + 0.01)
    Q = np.concatenate([Z[:100], codes(rng, 100, 200, density)])
    index = filled(Z, metric)
    for q, k, expected in ((200, 10, way), (1, 10, "over_postings"), (200, 6000, "row_by_row")):
        assert fastest(index, Q[:q], k) == expected
    for k in (1, 10, 100, 6000):
        some = Q if k < 6000 else Q[:10]
        same(
            index.search(some, k, backend="numba", n_threads=threads), index.search(some, k, backend="numpy")
        )


@pytest.mark.parametrize("values", [VALUES[3:], [-1.0, 1.0, 0.1], [0.1, SMALL, LARGE]])
@pytest.mark.parametrize("metric", METRICS)
def test_rows_that_share_no_unit_give_the_same_bits(monkeypatch, metric, values):
    """Where a query shares units with few rows, those are met unit by unit, and the others at need."""
    pytest.importorskip("numba")
    small_windows(monkeypatch)
    rng = np.random.default_rng(2)
    Z, Q = (codes(rng, m, 300, 0.01, values) for m in (3000, 60))
    Q[:5] = Z[2000:2005]
    index = filled(Z, metric)
    options = [{}, {"where": rng.random(3000) < 0.5}, {"exclude": rng.integers(3000, size=60)}]
    for k in (1, 10, 70, 300):
        for some in options:
            hits = index.search(Q, k, backend="numba", **some)
            same(hits, index.search(Q, k, backend="numpy", **some))
    for radius in (0.2, 0.99, 1.0):
        found = index.within(Q, radius, backend="numba")
        same(found, index.within(Q, radius, backend="numpy"))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_weights(monkeypatch, metric, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    Z, w = codes(rng, 50, 8, 0.5), rng.random(8).round(1)
    index = filled(Z, metric)
    hits = index.search(Z[:9], 50, weights=w, backend=backend)
    root = np.sqrt(w)
    if metric in ("cosine", "l2", "dot"):  # as if values had been multiplied by √w
        expected = METRICS[metric](Z[:9] * root, Z * root)
        np.testing.assert_allclose(
            hits.distances, np.take_along_axis(expected, hits.rows, axis=1), rtol=1e-6, atol=3e-7
        )
    same(hits, index.search(Z[:9], 50, weights=w, backend="numpy"))
    same(index.search(Z[:9], 5, weights={3: 1.0}, backend=backend), index.search(Z[:9], 5))
    without = Z.copy()
    without[:, 2] = 0
    same(
        index.search(Z[:9], 50, weights={2: 0}, backend=backend),
        filled(without, metric).search(without[:9], 50),
    )


def test_within_finds_all_up_to_the_radius_and_at_it():
    Z = np.array([[3, 4], [0, 4], [3, 4], [4, 0], [0, 0]], np.float32)
    index = filled(Z, "l2", ["a", "b", "c", "d", "e"])
    hits = index.within(Z[:2], 3)
    assert hits.ids.tolist() == [["a", "c", "b"], ["b", "a", "c"]]
    assert index.within(Z[:2], 5).counts.tolist() == [5, 4]
    assert index.within(Z[:1], -1).rows.shape == (1, 0)
    assert index.within(Z[:1], math.inf).counts.tolist() == [5]
    assert index.within(Z[:1], 3, where=lambda id: id != "c", exclude=["a"]).ids.tolist() == [["b"]]
    with pytest.raises(ValueError, match="radius=nan"):
        index.within(Z, math.nan)


def test_a_radius_is_rounded_as_distances_are():
    """0.1 is a little more in float32."""
    index = filled(np.array([[0.1], [0.2]], np.float32), "l2")
    assert float(index.search(np.zeros(1), 1).distances[0, 0]) > 0.1
    assert index.within(np.zeros(1), 0.1).counts[0] == 1


def test_many_hits_within_come_complete():
    Z = np.repeat(np.eye(3, dtype=np.float32), [500, 2, 300], axis=0)
    hits = filled(Z).within(np.eye(3), 0.5)
    assert hits.counts.tolist() == [500, 2, 300]
    assert hits.rows[2, :300].tolist() == list(range(502, 802))


def test_where_takes_a_function_of_the_id():
    index = filled(np.eye(3), ids=["cat", "dog", "cow"])
    hits = index.search(np.ones(3), 3, where=lambda id: id.startswith("c"))
    assert hits.ids.tolist() == [["cat", "cow", None]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": np.ones(4, bool)}, r"3 booleans.*got \(4,\) of bool"),
        ({"where": np.ones(3)}, "float64"),
        ({"require": [3]}, "require: units from 0 to 2 are expected, got 3"),
        ({"forbid": [-1]}, "forbid: .* got -1"),
        ({"forbid": [True]}, "got True"),
        ({"weights": [1, 1]}, r"3 finite numbers.*got \(2,\)"),
        ({"weights": [1, -1, 1]}, "with -1 to 1"),
        ({"weights": [1, math.nan, 1]}, "finite"),
        ({"weights": {5: 1.0}}, "weights: units from 0 to 2"),
        ({"backend": "fortran"}, "'auto', 'numpy', 'numba'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        filled(np.eye(3)).search(np.eye(3), **options)


def test_auto_is_numba_once_there_is_enough_to_do(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.delitem(sys.modules, "nsae.kernels", raising=False)
    searcher = filled(np.eye(3))._state.searcher()
    assert searching.resolve_backend("auto", searcher._work(1)) == "numpy"
    searcher._compared = 10**8
    assert searching.resolve_backend("auto", searcher._work(1)) == "numba"


def test_a_saved_index_brings_its_postings(tmp_path, monkeypatch, rng):
    small_windows(monkeypatch)
    monkeypatch.setattr("nsae.retrieval.index.WINDOW", WINDOW)
    Z = codes(rng, 2100, 30, 0.2)
    index = filled(Z)
    expected = index.search(Z, 5)
    index.save(tmp_path / "index")
    for mmap in (False, True):
        again = CodeIndex.load(tmp_path / "index", mmap=mmap)
        assert again._state.searcher().has_postings()
        same(again.search(Z, 5), expected)
    again.add(Z[:1])
    assert again.search(Z, 5).counts.tolist() == [5] * 2100


def test_warm_up_leaves_nothing_to_load_or_to_make(monkeypatch):
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    index = CodeIndex(20)
    index.add((rng.random((3000, 20)) * (rng.random((3000, 20)) < 0.2)).astype(np.float32))
    assert not index._state.searcher().is_prepared()
    index.warm_up()
    CodeIndex(20).warm_up()  # nothing is there to prepare
    expected = index.search(index.codes[:5], 4)

    def never(*_args, **_options):
        raise AssertionError("made in a search")

    monkeypatch.setattr(searching.Postings, "of", never)
    monkeypatch.setattr(searching.BruteForce, "of", never)
    np.testing.assert_array_equal(index.search(index.codes[:5], 4).rows, expected.rows)


def test_stored_postings_answer_in_numpy_without_a_copy_of_the_codes(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    Z = (rng.random((20_000, 30)) * (rng.random((20_000, 30)) < 0.2)).astype(np.float32)
    index = CodeIndex(30)
    index.add(Z)
    index.save(tmp_path / "index")
    expected = index.search(Z[:3], 5, backend="numpy", where=np.arange(20_000) % 3 > 0)
    mapped = CodeIndex.load(tmp_path / "index", mmap=True)

    def never(*_args, **_options):
        raise AssertionError("a copy by unit")

    monkeypatch.setattr(searching.BruteForce, "of", never)
    hits = mapped.search(Z[:3], 5, backend="numpy", where=np.arange(20_000) % 3 > 0)
    np.testing.assert_array_equal(hits.rows, expected.rows)
    np.testing.assert_array_equal(hits.distances, expected.distances)


def test_without_numba_warm_up_prepares_what_numpy_searches(monkeypatch):
    rng = np.random.default_rng(2)
    index = CodeIndex(20)
    index.add((rng.random((300, 20)) * (rng.random((300, 20)) < 0.2)).astype(np.float32))
    expected = index.search(index.codes[:5], 4, backend="numpy")
    again = CodeIndex(20)
    again.add(index.codes)
    monkeypatch.setattr(searching, "resolve_backend", lambda *_: "numpy")
    again.warm_up()

    def never(*_args, **_options):
        raise AssertionError("made in a search")

    monkeypatch.setattr(searching.BruteForce, "of", never)
    monkeypatch.setattr(searching, "search_postings", never)
    np.testing.assert_array_equal(again.search(index.codes[:5], 4).rows, expected.rows)


def test_a_small_index_that_is_asked_often_makes_its_postings(rng):
    """Row by row is faster for the first queries alone."""
    pytest.importorskip("numba")
    codes = Codes.from_dense(rng.random((300, 40)).astype(np.float32) * (rng.random((300, 40)) < 0.1))
    index = CodeIndex(40)
    index.add(codes)
    first = [index.search(codes[i : i + 1], 5, backend="numba") for i in range(3)]
    assert not index._state.searcher().has_postings()
    for _ in range(20):
        again = [index.search(codes[i : i + 1], 5, backend="numba") for i in range(3)]
    assert index._state.searcher().has_postings()
    for before, after in zip(first, again, strict=True):
        np.testing.assert_array_equal(before.distances, after.distances)
        np.testing.assert_array_equal(before.ids, after.ids)


def test_auto_counts_what_was_compared_before(rng, monkeypatch):
    """Else an index that is asked query by query would never load Numba."""
    monkeypatch.delitem(sys.modules, "nsae.kernels", raising=False)
    works = []
    monkeypatch.setattr(searching, "resolve_backend", lambda _, work: works.append(work) or "numpy")
    index = CodeIndex(20)
    index.add(rng.random((30, 20)))
    for i in (0, 3, 6):
        index.search(index.codes[i : i + 3], 2)
    one = searching.NUMPY_WORK * 3 * 30
    assert works == [one, 2 * one, 3 * one]


def test_postings_that_are_there_are_used_from_the_first_query_on(rng, monkeypatch):
    pytest.importorskip("numba")
    index = CodeIndex(40)
    index.add(rng.random((300, 40)) * (rng.random((300, 40)) < 0.1))
    expected = index.search(index.codes[:1], 5, backend="numba")
    index._state.searcher().prepare()
    monkeypatch.setattr(searching._Search, "row_by_row", lambda *_: pytest.fail("compared with all rows"))
    same(index.search(index.codes[:1], 5, backend="numba"), expected)


def test_lists_of_the_definition_that_are_there_are_used_before_stored_postings(rng, monkeypatch):
    """In NumPy they answer sooner."""
    codes = Codes.from_dense((rng.random((300, 40)) * (rng.random((300, 40)) < 0.1)).astype(np.float32))
    stored = Searcher.stored(codes, "cosine", postings.Postings.of(codes, "cosine").arrays())
    filters = Filters(None, np.full(1, -1), None)
    expected = stored.search(codes[:1], 5, filters, backend="numpy")
    stored.brute_force(None)
    monkeypatch.setattr(searching, "search_postings", lambda *_: pytest.fail("over the postings"))
    found = stored.search(codes[:1], 5, filters, backend="numpy")
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("metric", METRICS)
def test_stored_postings_do_not_answer_under_weights(rng, metric):
    """Their norms and steps are of codes without weights."""
    codes = Codes.from_dense((rng.random((300, 40)) * (rng.random((300, 40)) < 0.1)).astype(np.float32))
    stored = Searcher.stored(codes, metric, postings.Postings.of(codes, metric).arrays())
    filters = Filters(None, np.full(9, -1), rng.random(40) * 10.0 ** rng.integers(-3, 3, 40))
    expected = Searcher(codes, metric).search(codes[:9], 5, filters, backend="numpy")
    for one, other in zip(stored.search(codes[:9], 5, filters, backend="numpy"), expected, strict=True):
        np.testing.assert_array_equal(one, other)
