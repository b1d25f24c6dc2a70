"""The compiled search beside its definitions in NumPy, from the same arguments."""

import numpy as np
import pytest

pytest.importorskip("numba")

from nsae import kernels
from nsae.codes import Codes
from nsae.kernels.search_postings import Query
from nsae.kernels.thresholds import PART, allowed_part, part_threshold
from nsae.kernels.upper_bounds import leave_out
from nsae.retrieval.hits import nearest
from nsae.retrieval.search import postings
from nsae.retrieval.search.brute_force import METRICS, BruteForce, compared_values, squared_norms_of
from nsae.retrieval.search.postings import Postings
from nsae.retrieval.search.records import CodeArrays, Found, QueryArrays, RowFilter
from nsae.retrieval.search.search_postings import exact_distances, search_postings, upper_bounds

VALUES = {"usual": [0.1, 1 / 3, 1.0, 2.0], "signed": [-1.0, 0.1, 1.0], "extreme": [1e-18, 0.1, 1e18]}
WINDOW = 64


@pytest.fixture(params=METRICS)
def metric(request):
    return request.param


@pytest.fixture(params=VALUES)
def case(request, metric, monkeypatch):
    """Codes in several windows, half of them dense and half sparse, and queries among them."""
    monkeypatch.setattr(postings, "WINDOW", WINDOW)
    rng = np.random.default_rng(0)
    Z = rng.choice(VALUES[request.param], (300, 40)) * (
        rng.random((300, 40)) < rng.choice([0.03, 0.4], (300, 1))
    )
    Z[20:40] = Z[0]  # ties
    Z[50:60] = 0
    codes = Codes.from_dense(Z.astype(np.float32))
    asked = codes[np.arange(0, 60, 3)]
    squares = squared_norms_of(codes, metric)
    scales = np.ones(len(asked))
    if metric == "cosine":
        scales = np.sqrt(squared_norms_of(asked, metric))
    elif metric in ("l2", "dot"):
        scales = np.maximum(squared_norms_of(asked, metric), squares.max())
    queries = QueryArrays(
        asked.indptr,
        asked.units,
        compared_values(asked, metric),
        squared_norms_of(asked, metric),
        np.where(scales > 0, scales, 1.0),
    )
    arrays = CodeArrays(codes.indptr, codes.units, codes.values, squares, METRICS.index(metric), 40)
    return codes, queries, arrays, Postings.of(codes, metric).lists


def by_brute_force(codes, queries, metric, row_filter, k):
    """The same from all distances, sorted."""
    found, brute_force = Found.nothing(len(queries.scales), k), BruteForce.of(codes, metric)
    for i in range(len(queries.scales)):
        entries = slice(queries.indptr[i], queries.indptr[i + 1])
        distances = brute_force.distances(
            queries.units[entries], queries.factors[entries], queries.squared_norms[i]
        )
        if len(row_filter.allowed):
            distances[~row_filter.allowed] = np.inf
        if row_filter.excluded[i] >= 0:
            distances[row_filter.excluded[i]] = np.inf
        distances[distances >= row_filter.limit] = np.inf
        rows = nearest(distances, k)
        found.counts[i] = len(rows)
        found.distances[i, : len(rows)], found.rows[i, : len(rows)] = distances[rows], rows
    return found


def filters(name, metric, q):
    nobody, everything = np.full(q, -1), np.empty(0, bool)
    if name == "all":
        return RowFilter(everything, nobody, np.inf)
    if name == "some":
        return RowFilter(np.random.default_rng(1).random(300) < 0.5, np.arange(0, 3 * q, 3), np.inf)
    return RowFilter(everything, nobody, float(np.float32({"dot": -1e-20, "hamming": 9.0}.get(metric, 0.7))))


@pytest.mark.parametrize("k", [1, 10, 299])
@pytest.mark.parametrize("which", ["all", "some", "near"])
def test_search_postings_is_its_definition_and_the_brute_force(case, metric, which, k):
    codes, queries, arrays, lists = case
    q = len(queries.scales)
    row_filter = filters(which, metric, q)
    expected = by_brute_force(codes, queries, metric, row_filter, k)
    for function in (search_postings, kernels.search_postings):
        found = Found.nothing(q, k)
        for lo, hi in ((0, 7), (7, q)):
            function(queries, arrays, lists, row_filter, found, lo, hi)
        for name, array in found._asdict().items():
            np.testing.assert_array_equal(array, getattr(expected, name), err_msg=f"{function}: {name}")


def test_upper_bounds_are_never_below_the_products(case, metric):
    codes, queries, arrays, lists = case
    Z = codes.to_dense().astype(float)
    Z = (Z != 0).astype(float) if metric in ("jaccard", "hamming") else Z
    for i in range(len(queries.scales)):
        entries = slice(queries.indptr[i], queries.indptr[i + 1])
        q = np.zeros(40)
        q[queries.units[entries]] = queries.factors[entries]
        products = Z[lists.order] @ q
        assert (upper_bounds(i, queries, arrays, lists) >= products * (1 - 1e-12)).all()


def test_distances_to_rows_are_the_definition_bit_by_bit(case, metric):
    codes, queries, arrays, _ = case
    rows = np.arange(len(codes))
    for i in range(len(queries.scales)):
        entries = slice(queries.indptr[i], queries.indptr[i + 1])
        units, factors, square = queries.units[entries], queries.factors[entries], queries.squared_norms[i]
        expected = BruteForce.of(codes, metric).distances(units, factors, square)
        dense, distances = np.zeros(40), np.empty(len(codes), np.float32)
        dense[units] = factors
        kernels.distances_to(rows, arrays, dense, square, distances)
        np.testing.assert_array_equal(distances, expected)
        np.testing.assert_array_equal(exact_distances(i, rows, queries, arrays), expected)


def test_the_heap_keeps_the_nearest_and_sorts_them():
    rng = np.random.default_rng(0)
    for n, k in ((1, 1), (5, 9), (200, 7), (200, 200)):
        distances = rng.integers(0, 20, n).astype(np.float32)
        found = Found.nothing(1, k)
        for row in rng.permutation(n):
            count = found.counts[0]
            worst = found.distances[0, 0], found.rows[0, 0]
            if count < k or (distances[row], row) < worst:
                found.counts[0] = kernels.enter(found.distances[0], found.rows[0], count, distances[row], row)
        kernels.sort_hits(found, 0, 1)
        expected = nearest(distances, k)
        assert found.rows[0, : len(expected)].tolist() == expected.tolist()
        assert found.distances[0, : len(expected)].tolist() == distances[expected].tolist()


def test_the_checks_would_notice_a_bound_that_is_too_low(case, metric):
    codes, queries, arrays, lists = case
    if metric in ("jaccard", "hamming"):
        pytest.skip("their lists have no levels")
    halved = lists._replace(levels=(lists.levels // 8).astype(np.uint8))
    expected = by_brute_force(codes, queries, metric, filters("all", metric, len(queries.scales)), 10)
    found = Found.nothing(len(queries.scales), 10)
    search_postings(
        queries, arrays, halved, filters("all", metric, len(queries.scales)), found, 0, len(queries.scales)
    )
    assert not np.array_equal(found.rows, expected.rows)


@pytest.mark.parametrize("metric", ["cosine", "dot"], indirect=True)
def test_long_lists_of_little_weight_are_left_out_and_no_hit_is_lost(metric, monkeypatch):
    monkeypatch.setattr(postings, "WINDOW", 128)
    rng = np.random.default_rng(0)
    frequency = np.r_[np.full(20, 0.9), np.full(80, 0.03)]  # (h,)
    codes = Codes.from_dense(
        (rng.random((1000, 100)) * (rng.random((1000, 100)) < frequency)).astype(np.float32)
    )
    weights = np.r_[np.full(20, 0.01), np.full(80, 1.0)]  # as words of a text: frequent ones say little
    Q = rng.random((30, 100)) * weights * (rng.random((30, 100)) < 0.5)
    Q[3] *= -1
    Q[4, :20] *= -1
    asked = Codes.from_dense(Q.astype(np.float32))
    values, squares = compared_values(asked, metric), squared_norms_of(asked, metric)
    scales = np.sqrt(squares * (1 if metric == "cosine" else squared_norms_of(codes, metric).max()))
    queries = QueryArrays(asked.indptr, asked.units, values, squares, scales)
    code_squares = squared_norms_of(codes, metric)
    arrays = CodeArrays(codes.indptr, codes.units, codes.values, code_squares, METRICS.index(metric), 100)
    lists, row_filter = (
        Postings.of(codes, metric).lists,
        RowFilter(np.empty(0, bool), np.full(30, -1), np.inf),
    )
    expected, found = by_brute_force(codes, queries, metric, row_filter, 10), Found.nothing(30, 10)
    kernels.search_postings(queries, arrays, lists, row_filter, found, 0, 30)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.distances, expected.distances)

    theirs = slice(asked.indptr[0], asked.indptr[1])
    query = Query(asked.units[theirs], values[theirs], np.zeros(100), squares[0], scales[0], 0.0, 0.0, 0.0)
    lengths = np.diff(lists.starts[query.units, :2].astype(int), axis=1)[:, 0]  # (m,) in the first window
    entries = int(lengths.sum())
    number = METRICS.index(metric)
    share, weight, left = leave_out(query, lists, 0, 0.3, entries, number)
    weights = query.factors**2 / squares[0]  # (m,)
    if metric == "dot":
        weights = np.abs(query.factors) * 255 * np.abs(lists.steps[query.units, 0]) / scales[0]
    out = weights <= share * lengths  # (m,)
    assert 0 < left == lengths[out].sum() < entries
    assert weight == pytest.approx(weights[out].sum(), rel=1e-5)
    assert 0 < weight <= 0.3
    assert leave_out(query, lists, 0, 1e-9, entries, number)[1:] == (0, 0)


def test_what_lists_that_are_read_must_exceed_follows_from_the_geometry():
    """A row's product is above the threshold only if the part that is read is above its own, which is tight."""
    rng = np.random.default_rng(0)
    Q, Z = (X / np.linalg.norm(X, axis=1, keepdims=True) for X in rng.random((2, 20_000, 6)) ** 3)
    Z[::2] = Q[::2] + 0.3 * Z[::2]
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    products, parts = (Q * Z).sum(axis=1), (Q * Z)[:, :4].sum(axis=1)
    fractions = (Q[:, 4:] ** 2).sum(axis=1)
    least = np.array([part_threshold(t, f) for t, f in zip(products, fractions, strict=True)])
    assert (parts >= least - 1e-12).all()
    assert np.min(parts - least) < 1e-4
    for threshold in (0.1, 0.5, 0.9, 0.999):
        allowed = allowed_part(threshold)
        assert 0 < allowed < 1
        assert part_threshold(threshold, allowed) == pytest.approx(PART * threshold)
        assert part_threshold(threshold, 0.0) == threshold
