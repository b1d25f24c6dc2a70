"""CodeIndex against a brute force in plain Python, and a saved index against what may happen to its files."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nsae.codes import Codes
from nsae.retrieval import CodeIndex, cosine, dot, l2
from nsae.retrieval.search.brute_force import METRICS as ALL_METRICS

METRICS = {"cosine": cosine, "l2": l2, "dot": dot}
# few values, so that ties abound; 0.1 and 1/3 are not exact, so that the order of a sum shows
VALUES = st.sampled_from([0.0, 0.0, 0.0, 1.0, 2.0, 0.1, 1 / 3, -1.0])


@st.composite
def cases(draw):
    """Z (n, h), Q (q, h), where h may be 1, n may be 0, and codes may be zero or equal."""
    h = draw(st.integers(1, 6))
    Z = draw(hnp.arrays(np.float32, (draw(st.integers(0, 12)), h), elements=VALUES.map(np.float32)))
    Q = draw(hnp.arrays(np.float32, (draw(st.integers(1, 3)), h), elements=VALUES.map(np.float32)))
    return Z, Q


def largest(code, k):
    """The code with only its k largest active values, ties to the lowest unit."""
    active = sorted(
        (unit for unit, value in enumerate(code) if value != 0), key=lambda unit: (-code[unit], unit)
    )
    return [value if unit in active[:k] else 0.0 for unit, value in enumerate(code)]


def brute_distance(metric, q, z):
    qz = qq = zz = 0.0
    for a, b in zip(q, z, strict=True):
        qz, qq, zz = qz + a * b, qq + a * a, zz + b * b
    if metric == "dot":
        return 0.0 - qz
    if metric == "l2":
        return math.sqrt(max(qq + zz - 2 * qz, 0.0))
    return max(1 - qz / math.sqrt(qq * zz), 0.0) if qq * zz > 0 else 1.0


def brute_search(metric, Q, Z, k, keep=None, left_out=None):
    """[(distance, row), ...] for each query, by sorting everything."""
    hits = []
    for i, q in enumerate(Q.tolist()):
        ranking = []
        for row, z in enumerate(Z.tolist()):
            if left_out is not None and left_out[i] == row:
                continue
            if keep is not None:
                q, z = largest(q, keep), largest(z, keep)
            ranking.append((np.float32(brute_distance(metric, q, z)), row))
        hits.append(sorted(ranking)[:k])
    return hits


def filled(Z, metric="cosine", ids=None):
    index = CodeIndex(Z.shape[1], metric=metric)
    index.add(Z, ids)
    return index


def check(hits, expected, ids, k):
    assert hits.distances.shape == hits.rows.shape == hits.ids.shape == (len(expected), k)
    assert (hits.distances.dtype, hits.rows.dtype) == (np.float32, np.int64)
    for i, ranking in enumerate(expected):
        padding = k - len(ranking)
        assert hits.counts[i] == len(ranking)
        assert hits.rows[i].tolist() == [row for _, row in ranking] + [-1] * padding
        assert hits.distances[i].tolist() == [d for d, _ in ranking] + [math.inf] * padding
        assert hits.ids[i].tolist() == [ids[row] for _, row in ranking] + [None] * padding


@settings(max_examples=300, deadline=None)
@given(cases(), st.sampled_from(list(METRICS)), st.integers(1, 14), st.none() | st.integers(1, 4), st.data())
def test_search_is_the_brute_force(case, metric, k, keep, data):
    Z, Q = case
    ids = [f"code {row}" for row in range(len(Z))]
    index = filled(Z, metric, ids)
    left_out = None
    if len(Z):
        left_out = data.draw(
            st.none() | st.lists(st.none() | st.integers(0, len(Z) - 1), min_size=len(Q), max_size=len(Q))
        )
    exclude = left_out and [None if row is None else ids[row] for row in left_out]
    hits = index.search(Q, k, keep=keep, exclude=exclude)
    check(hits, brute_search(metric, Q, Z, k, keep, left_out), ids, k)


@given(cases(), st.sampled_from(list(METRICS)))
def test_search_agrees_with_the_definitions(case, metric):
    Z, Q = case
    hits = filled(Z, metric).search(Q, max(len(Z), 1))
    D = METRICS[metric](Q, Z)
    for i in range(len(Q)):
        np.testing.assert_allclose(
            hits.distances[i, : len(Z)], D[i, hits.rows[i, : len(Z)]], rtol=1e-6, atol=1e-7
        )


@pytest.mark.parametrize("metric", METRICS)
def test_equal_codes_tie_wherever_they_stand(metric):
    rng = np.random.default_rng(0)
    Z = rng.random((500, 64), np.float32) * (rng.random((500, 64)) < 0.3)
    twins = [3, 17, 64, 255, 256, 499]
    Z[twins] = Z[3]
    D = filled(Z, metric).search(Z[40], 500)
    places = np.flatnonzero(np.isin(D.rows[0], twins))
    assert D.rows[0, places].tolist() == twins
    assert len(set(D.distances[0, places].tolist())) == 1
    if metric != "dot":
        itself = filled(Z, metric).search(Z, 1)
        assert not itself.distances.any()


def test_order_is_that_of_the_reported_distances():
    """1 + 1e-12 is nearer than 1 in float64 only: as reported they tie, so insertion order decides."""
    Z = np.array([[1.0, 1.0], [1.0, 1.0 + 2**-23]], np.float32)
    hits = filled(Z, "l2").search(np.array([1e6, 1e6], np.float32), 2)
    assert hits.distances[0, 0] == hits.distances[0, 1]
    assert hits.rows.tolist() == [[0, 1]]


@pytest.mark.parametrize("metric", METRICS)
def test_rounding_does_not_go_below_zero(metric):
    """Codes so near to parallel or equal that the last bits would decide the sign."""
    rng = np.random.default_rng(0)
    code = rng.random((30, 1, 50), np.float32)
    parallel = (code * np.array([1, 3, 1 / 3, 1 + 2**-23, 7], np.float32)[:, None]).reshape(-1, 50)
    uneven = code[:, 0] * np.where(np.arange(50) == 0, 1, 0.01).astype(np.float32)
    almost = uneven.copy()
    almost[:, -1] = np.nextafter(almost[:, -1], np.float32(2))  # below what ‖q‖² + ‖z‖² − 2q·z can see
    Z = np.concatenate([parallel, uneven, almost])
    D = filled(Z, metric).search(Z, len(Z)).distances
    assert np.isfinite(D).all()
    if metric != "dot":
        assert D.min() == 0


def test_a_dot_of_nothing_shared_is_plain_zero():
    D = filled(np.eye(2), "dot").search(np.eye(2), 2).distances
    assert D.tolist() == [[-1, 0]] * 2
    assert not np.signbit(D[:, 1]).any()


def test_keep_is_for_one_search():
    index = filled(np.array([[3.0, 4.0], [0.0, 4.0]]))
    query = np.array([3.0, 4.0])
    for keep, expected in [(None, [0, 0.2]), (1, [0, 0]), (2, [0, 0.2]), (None, [0, 0.2])]:
        assert index.search(query, 2, keep=keep).distances[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("metric", METRICS)
def test_an_empty_index_gives_padding(metric):
    hits = CodeIndex(4, metric=metric).search(np.ones((2, 4)), 3)
    check(hits, [[], []], [], 3)


def test_no_queries_give_no_hits():
    assert filled(np.eye(3)).search(np.zeros((0, 3)), 2).rows.shape == (0, 2)


def test_queries_come_as_codes_table_or_single_code():
    Z = np.eye(4, dtype=np.float32)
    index = filled(Z)
    for query in (Codes.from_dense(Z[2:3]), Z[2:3], Z[2]):
        assert index.search(query, 1).ids.tolist() == [[2]]


def test_search_follows_add_and_remove():
    index = filled(np.eye(3), ids=["a", "b", "c"])
    assert index.search(np.eye(3)[1], 1).ids.tolist() == [["b"]]
    index.add(2 * np.eye(3)[1], "d")
    assert index.search(np.eye(3)[1], 2).ids.tolist() == [["b", "d"]]
    index.remove(["b"])
    assert (index.ids, len(index)) == (["a", "c", "d"], 3)
    hits = index.search(np.eye(3)[1], 1)
    assert (hits.ids.tolist(), hits.rows.tolist()) == ([["d"]], [[2]])
    np.testing.assert_array_equal(index.codes.to_dense(), np.array([[1, 0, 0], [0, 0, 1], [0, 2, 0]]))


def test_default_ids_never_come_back():
    index = filled(np.eye(3))
    index.remove([2, 0])
    index.add(np.eye(3)[:1])
    index.add(np.eye(3)[:2])
    assert index.ids == [1, 3, 4, 5]


def test_numpy_ids_are_the_same_as_pythons():
    index = filled(np.eye(3), ids=np.array([5, 6, 7]))
    index.remove(np.array([6]))
    assert index.ids == [5, 7]
    assert all(type(id) is int for id in index.ids)


def test_the_index_does_not_share_memory_with_what_came():
    Z = np.eye(2, dtype=np.float32)
    codes = Codes.from_dense(Z)
    index = CodeIndex(2)
    index.add(codes)
    codes.values[:] = 7
    codes.units[:] = 0
    np.testing.assert_array_equal(index.codes.to_dense(), Z)


def raw(indptr, units, values, n_units=3):
    return Codes(np.array(indptr), np.array(units, np.int64), np.array(values, float), n_units)


@pytest.mark.parametrize(
    ("codes", "ids", "message"),
    [
        (np.eye(3), ["x", "y", "x"], "'x' comes twice"),
        (np.eye(3), ["x", "a", "y"], "'a' comes twice"),
        (np.eye(3), ["x", "y"], "3 codes came with 2 ids"),
        (np.eye(4), None, "have 4 units, the index has 3"),
        (np.array([[0, 1, 0], [0, np.nan, 0]]), None, "row 1 has norm nan"),
        (np.array([[0, -np.inf, 0]]), None, "row 0 has norm inf"),
        (np.array([[0, 1e200, 0]]), None, "row 0 has norm inf"),
        (np.array([[0, 1e19, 1e19]]), None, "up to 1e\\+19"),
        (np.ones((1, 1, 3)), None, r"\(n, h\)"),
        (np.array([["1", "0", "0"]]), None, "got shape"),
        (raw([0, 1], [3], [1]), None, "from 0 to 2 are expected, got 3"),
        (raw([0, 1], [-1], [1]), None, "got -1"),
        (raw([0, 1, 3], [0, 2, 1], [1, 1, 1]), None, "row 1 do not"),
        (raw([0, 2], [1, 1], [1, 1]), None, "row 0 do not"),
        (raw([0, 2, 1, 3], [0, 1, 2], [1, 1, 1]), None, "must not decrease"),
    ],
)
def test_add_takes_all_or_nothing(codes, ids, message):
    index = filled(np.eye(3), ids=["a", "b", "c"])
    index.search(np.eye(3))
    with pytest.raises(ValueError, match=message):
        index.add(codes, ids)
    assert index.ids == ["a", "b", "c"]
    np.testing.assert_array_equal(index.codes.to_dense(), np.eye(3))
    assert index.search(np.eye(3), 4).counts.tolist() == [3, 3, 3]
    index.add(np.eye(3))
    assert index.ids == ["a", "b", "c", 3, 4, 5]


@pytest.mark.parametrize("id", [1.5, None, True, b"x", ("a",)])
def test_an_id_is_a_string_or_an_integer(id):
    index = CodeIndex(3)
    with pytest.raises(TypeError, match="string or an integer"):
        index.add(np.eye(3)[:1], [id])
    assert len(index) == 0


def test_zeros_are_not_stored():
    index = CodeIndex(3)
    index.add(raw([0, 2, 3], [0, 1, 2], [0.0, 2.0, 1e-60]))
    assert index.codes.counts.tolist() == [1, 0]
    assert index.explain(np.ones(3), 0) == [(1, pytest.approx(3**-0.5))]


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=5),
    st.sampled_from(["raise", "replace", "skip"]),
    st.lists(st.integers(0, 5), max_size=2),
)
def test_add_is_a_dict(batches, on_duplicate, removed):
    """Each batch is a list of ids; every code has a value of its own."""
    index, expected, value = CodeIndex(2), {}, 0
    for ids in batches:
        values = [value + i + 1 for i in range(len(ids))]
        value += len(ids)
        codes = np.array([[0, v] for v in values], np.float32).reshape(-1, 2)
        if on_duplicate == "raise" and (len(set(ids)) < len(ids) or expected.keys() & set(ids)):
            with pytest.raises(ValueError, match="comes twice"):
                index.add(codes, ids)
        else:
            index.add(codes, ids, on_duplicate=on_duplicate)
            for id, v in zip(ids, values, strict=True):
                if on_duplicate != "skip" or id not in expected:
                    expected[id] = v  # a dict keeps the place where an id came first, too
        for id in removed:
            if id in index:
                index.remove([id])
                del expected[id]
        assert index.ids == list(expected)
        assert index.codes.values.tolist() == list(expected.values())
        assert [index.row_of(id) for id in expected] == list(range(len(expected)))
    hits = index.search(np.array([0, 1.0]), 1)
    assert hits.counts[0] == (1 if expected else 0)


def test_on_duplicate_is_one_of_three():
    with pytest.raises(ValueError, match="'raise', 'replace', 'skip'"):
        filled(np.eye(3)).add(np.eye(3), on_duplicate="ignore")


def test_a_default_id_does_not_come_back_after_skip():
    index = filled(np.eye(3), ids=[3, 4, "a"])
    index.add(np.eye(3), on_duplicate="skip")  # 3, 4 and 5
    index.add(np.eye(3)[:1])
    assert index.ids == [3, 4, "a", 5, 6]


def test_merge():
    a, b, c = filled(np.eye(3), ids=["a", "b", "c"]), filled(2 * np.eye(3)[:1], ids=[7]), CodeIndex(3)
    a.search(np.eye(3))
    a.merge(b, c)
    assert a.ids == ["a", "b", "c", 7]
    assert a.codes.values.tolist() == [1, 1, 1, 2]
    assert a.search(np.eye(3)[0], 2).ids.tolist() == [["a", 7]]
    assert (b.ids, len(c)) == ([7], 0)
    a.merge()
    assert len(a) == 4


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (filled(np.eye(3), ids=["x", "b", "y"]), "'b' comes twice"),
        (filled(np.eye(4), ids=list("wxyz")), "3 units cannot take in one of 4"),
        (filled(np.eye(3), "l2", ids=["x", "y", "z"]), "'cosine' cannot take in one with 'l2'"),
    ],
)
def test_merge_takes_all_or_nothing(other, message):
    index = filled(np.eye(3), ids=["a", "b", "c"])
    with pytest.raises(ValueError, match=message):
        index.merge(filled(np.eye(3), ids=["d", "e", "f"]), other)
    assert index.ids == ["a", "b", "c"]


def test_stats():
    assert filled(np.array([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 0]])).stats() == {
        "rows": 3,
        "units": 4,
        "nonzeros": 3,
        "bytes": 4 * 8 + 3 * (4 + 4),
        "active_units_a_row": 1,
        "zero_codes": 1,
        "dead_units": 2,
        "most_common_unit_fraction": pytest.approx(2 / 3),
    }
    empty = CodeIndex(4).stats()
    assert (empty["rows"], empty["dead_units"], empty["active_units_a_row"]) == (0, 4, 0)


def test_row_of_an_id_that_is_none():
    index = filled(np.eye(3), ids=["a", "b", 7])
    assert index.row_of(np.int64(7)) == 2
    with pytest.raises(ValueError, match="'x' is not in this index"):
        index.row_of("x")
    with pytest.raises(TypeError, match=r"1\.5"):
        index.row_of(1.5)


def test_removing_an_unknown_id_removes_nothing():
    index = filled(np.eye(3))
    with pytest.raises(ValueError, match="9 is not in this index of 3 rows"):
        index.remove([0, 9])
    assert index.ids == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"keep": 0}, "keep=0"),
        ({"exclude": [0]}, "3 queries came with 1"),
        ({"exclude": [0, None, 8]}, "8 is not in"),
    ],
)
def test_search_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        filled(np.eye(3)).search(np.eye(3), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"), [((3, "l1"), "'cosine', 'l2', 'dot'"), ((0, "l2"), "n_units=0")]
)
def test_the_constructor_refuses(arguments, message):
    n_units, metric = arguments
    with pytest.raises(ValueError, match=message):
        CodeIndex(n_units, metric=metric)


def test_explain_by_hand():
    index = filled(np.array([[3.0, 0, 4, 0]]), ids=["photo"])
    assert index.explain(np.array([4.0, 1, 3, 0]), "photo") == [
        (0, pytest.approx(12 / 5 / 26**0.5)),
        (2, pytest.approx(12 / 5 / 26**0.5)),
    ]
    with pytest.raises(ValueError, match="'other' is not in"):
        index.explain(np.ones(4), "other")
    with pytest.raises(ValueError, match="got 2 codes"):
        index.explain(np.ones((2, 4)), "photo")
    with pytest.raises(ValueError, match="top=0"):
        index.explain(np.ones(4), "photo", top=0)


def test_a_large_k_takes_memory_for_the_rows_that_there_are():
    index = filled(np.eye(3))
    for k in (10**7, 10**30):
        hits = index.search(np.eye(3), k)
        assert hits.distances.shape == hits.rows.shape == hits.ids.shape == (3, 1000)
        assert hits.counts.tolist() == [3, 3, 3]
    assert index.search(np.eye(3), 1000).rows.shape == (3, 1000)
    assert filled(np.ones((1500, 2))).search(np.ones(2), 10**7).rows.shape == (1, 1501)
    assert index.counterfactual(np.ones(3), 0, 10**30) is None
    assert index.search(np.eye(3), 1, keep=10**30).ids[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda index: index.row_of("x" * 10**6),
        lambda index: index.remove(["x" * 10**6]),
        lambda index: index.add(np.eye(3), ["x" * 10**6] * 3),
        lambda index: index.add(np.eye(3), [np.zeros(10**6)] * 3),
        lambda index: index.add(np.eye(3), [list(range(10**6))] * 3),
        lambda index: index.add(np.eye(3), on_duplicate="x" * 10**6),
        lambda index: index.search(np.eye(3), -(10**9999)),
        lambda index: index.search(np.eye(3), forbid=[10**9999]),
        lambda index: index.search(np.eye(3), forbid=["x" * 10**6]),
        lambda index: index.search(np.eye(3), exclude=["x" * 10**6] * 3),
        lambda index: index.search(np.eye(3), where=np.zeros(10**6)),
        lambda index: index.search(np.eye(3), weights=np.zeros(10**6)),
        lambda index: index.search(np.eye(3), weights="x" * 10**6),
        lambda index: index.search(np.eye(3), weights={0: "x" * 10**6}),
        lambda index: index.search(np.eye(3), weights=[10**9999] * 3),
        lambda index: index.search(np.eye(3), keep=-(10**9999)),
        lambda index: index.within(np.eye(3), "x" * 10**6),
        lambda index: index.within(np.eye(3), np.zeros(10**6)),
        lambda index: index.merge("x" * 10**6),
        lambda index: index.save("x", extra_files={10**9999: b""}),
        lambda index: index.search(np.eye(3), backend="x" * 10**6),
        lambda index: index.search(np.eye(3), **{"x" * 10**6: 1}),
        lambda index: index.explain(np.ones(3), "x" * 10**6),
        lambda index: index.explain(np.ones(3), 0, top=-(10**9999)),
        lambda index: CodeIndex(-(10**9999)),
        lambda index: CodeIndex(3, metric="x" * 10**6),
    ],
)
def test_messages_are_short_whatever_came(call):
    with pytest.raises((ValueError, TypeError)) as error:
        call(filled(np.eye(3)))
    assert len(str(error.value)) < 500


def test_options_of_another_name_are_refused():
    index = filled(np.eye(3))
    for name, call in (
        ("search", lambda: index.search(np.eye(3), 1, thread=2)),
        ("within", lambda: index.within(np.eye(3), 0.5, thread=2)),
        ("counterfactual", lambda: index.counterfactual(np.ones(3), 0, thread=2)),
    ):
        with pytest.raises(
            TypeError, match=rf"{name}\(\) .*'thread'. Allowed are: keep, .*n_threads, backend"
        ):
            call()


MASKED = np.ma.masked_array(np.ones((2, 3)), mask=[[True, False, True], [False] * 3])


@pytest.mark.parametrize(
    "read",
    [
        Codes.from_dense,
        CodeIndex(3).add,
        CodeIndex(3).search,
        lambda Z: CodeIndex(3).search(Z[0]),
        lambda Z: CodeIndex(3).add([*Z]),
        lambda Z: CodeIndex(3).add(Codes(np.array([0, 3]), np.arange(3), Z[0], 3)),
        lambda Z: CodeIndex(3).search(np.ones(3), weights=Z[0]),
        lambda Z: CodeIndex(3).search(np.ones(3), weights=[*Z[0]]),
        lambda Z: filled(np.eye(3)).search(np.ones(3), where=Z[0] > 0),
    ],
)
def test_masked_entries_are_not_read(read):
    """The mask was dropped, and what lies below it became codes, queries and weights."""
    with pytest.raises(ValueError, match="2 entries are masked"):
        read(MASKED)


def test_a_mask_of_nothing_is_none():
    index = filled(np.ma.masked_array(np.eye(3)))
    assert index.search(np.ma.masked_array(np.eye(3)[1]), 1).rows.tolist() == [[1]]


@pytest.mark.parametrize("metric", ALL_METRICS)
@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_weights_whose_distances_would_be_lost_are_refused(metric, backend):
    """Squares under 1e200 were infinite, and those under 1e-200 were 0: all rows seemed equally far, or were gone."""
    Z = np.random.default_rng(0).random((6, 4)) + 0.1
    index = CodeIndex(4, metric=metric)
    index.add(Z)
    for large in (1e38, 1e120, 1e200, 1e308):
        with pytest.raises(ValueError, match=r"weights: up to .*could be infinite. Divide"):
            index.search(Z, 3, weights=[large] * 4, backend=backend)
    for small in (1e-61, 1e-200, 5e-324):
        with pytest.raises(ValueError, match=r"weights: 0, or at least 1e-60, is expected, got .*Multiply"):
            index.search(Z, 3, weights={2: small}, backend=backend)
    ones = index.search(Z, 6, backend=backend)
    for size in (1e30, 1e-30):
        hits = index.search(Z, 6, weights=[size] * 4, backend=backend)
        assert hits.rows.tolist() == ones.rows.tolist()
    if metric == "cosine":
        tiny = CodeIndex(4)
        tiny.add(Z * 1e-44)
        at_limit = tiny.search(Z * 1e-44, 3, weights=[1e-60] * 4, backend=backend)
        assert at_limit.rows.tolist() == tiny.search(Z * 1e-44, 3, backend=backend).rows.tolist()


def test_a_code_of_the_largest_norm_is_found_with_weights():
    index = filled(np.array([[1e19, 0.0, 0.0], [1.0, 0.0, 0.0]]), metric="dot")
    hits = index.search(np.array([1e19, 0.0, 0.0]), 2, weights=[1.0, 1.0, 0.0])
    assert hits.rows.tolist() == [[0, 1]]
    assert np.isfinite(hits.distances).all()


def test_a_radius_is_a_number():
    index = filled(np.eye(3))
    for radius in (None, "1", 1j, [1.0], np.ones(1), np.ma.masked):
        with pytest.raises(TypeError, match=r"radius=.*a number was expected"):
            index.within(np.eye(3), radius)
    with pytest.raises(ValueError, match="radius=nan"):
        index.within(np.eye(3), math.nan)
    for radius in (10**400, 1e300, math.inf, np.float32(2), np.array(2.0)):
        assert index.within(np.eye(3), radius).counts.tolist() == [3, 3, 3]
    for radius in (-(10**400), -1e300, -math.inf):
        assert index.within(np.eye(3), radius).counts.tolist() == [0, 0, 0]


def test_the_name_of_an_encoder_is_a_text():
    """Another name was saved, and the index could not be loaded again."""
    index = filled(np.eye(3))
    with pytest.raises(TypeError, match="made_by=5 is of type int"):
        index.made_by = 5
    assert index.made_by is None
