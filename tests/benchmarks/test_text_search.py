"""Text vectors are as they are said to be, and the plain searches find what the index finds."""

import json

import numpy as np
import pytest

from nsae import CodeIndex, Codes

pytest.importorskip("numba")


@pytest.fixture(scope="module")
def text(benchmark_module):
    return benchmark_module("helpers.text_vectors")


@pytest.fixture(scope="module")
def passages(text):
    return text.made(text.PASSAGES, 2000, seed=0)


def test_passages_and_queries_have_the_published_statistics(text, passages):
    queries = text.made(text.QUERIES, 1000, 1, passages, 0.5)
    for codes, kind in ((passages, text.PASSAGES), (queries, text.QUERIES)):
        assert codes.counts.mean() == pytest.approx(kind.nonzeros, rel=0.02)
        assert text.held_by_largest(codes, kind.largest) == pytest.approx(0.75, abs=0.02)
        assert codes.values.min() > 0
    frequency = np.bincount(passages.units, minlength=text.UNITS)
    # Of rare units, which hardly come twice in a row, unit j is as frequent as 1/(j + 1).
    assert frequency[1000:2000].sum() / frequency[4000:8000].sum() == pytest.approx(1, rel=0.05)


def test_vectors_are_valid_codes_and_the_same_each_time(text, passages):
    CodeIndex(text.UNITS, metric="dot").add(passages)  # raises if units are not ascending, each once
    again = text.made(text.PASSAGES, 2000, seed=0)
    np.testing.assert_array_equal(again.units, passages.units)
    np.testing.assert_array_equal(again.values, passages.values)
    assert not np.array_equal(text.made(text.PASSAGES, 2000, seed=1).units[:100], passages.units[:100])


def test_related_queries_have_the_strongest_units_of_a_passage(text, passages):
    queries = text.made(text.QUERIES, 20, 1, passages, 0.5)
    strongest = passages.keep(12)
    for units, values in queries:
        mine = set(units[np.argsort(-values)[:12]].tolist())
        assert max(len(mine & set(theirs.tolist())) for theirs, _ in strongest) >= 11
    alone = text.made(text.QUERIES, 20, 1, passages, 0.0)
    shared = [max(len(set(u.tolist()) & set(t.tolist())) for t, _ in strongest) for u, _ in alone]
    assert np.mean(shared) < 10


def test_all_plain_searches_find_the_nearest(text, rng):
    Z, Q = (rng.random((n, 30)) * (rng.random((n, 30)) < 0.4) for n in (300, 11))
    codes, queries = (Codes.from_dense(A.astype(np.float32)) for A in (Z, Q))
    index = CodeIndex(30, metric="dot")
    index.add(codes)
    expected = index.search(queries, 5).rows
    searches = text.searches(codes)
    assert len(searches) == 3
    for name, search in searches.items():
        np.testing.assert_array_equal(search(queries, 5), expected, err_msg=name)


def test_the_script_compares_all_with_the_index(benchmark_module, tmp_path, monkeypatch):
    pytest.importorskip("threadpoolctl")
    script = benchmark_module("text_search")
    monkeypatch.setattr(script.peers, "one_thread", lambda: None)
    monkeypatch.setattr(benchmark_module("helpers.search_race"), "TURN", 0.01)
    assert script.main(["--quick", "--rows", "500", "--save", str(tmp_path / "x.json")]) == 0
    figures = json.loads((tmp_path / "x.json").read_text())["figures"]
    (found,) = figures.values()
    for kind in script.RELATED:
        assert found[kind]["definition"] == 1
        assert {row["equal"] for row in found[kind]["rows"].values()} == {1.0}
        assert found[kind]["postings_a_query"] > 0
    head, rows = benchmark_module("helpers.text_report").text_rows(figures)
    assert len(head) == 3
    assert len(rows) == len(found["drawn alone"]["rows"])
