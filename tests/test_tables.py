"""What a prompt and a notebook show of an object."""

import numpy as np
import pytest

from nsae import CodeIndex, Codes, Hits, SparseAutoencoder, compare_gradients
from nsae.tables import counted, first_rows, html_table, size_text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (148_000_000, "148 MB"),
        (3e15, "3e+03 TB"),
    ],
)
def test_sizes(n_bytes, text):
    assert size_text(n_bytes) == text


def test_counts_and_rows():
    assert (counted(1, "row"), counted(2000, "row"), counted(0, "query", "queries")) == (
        "1 row", "2,000 rows", "0 queries",
    )  # fmt: skip
    assert first_rows(["a"], 1, "rows") == ["  a"]
    assert first_rows(["a"], 3, "rows") == ["  a", "  … 2 more rows"]


def test_html_is_escaped():
    table = html_table("a < b", ("<i>",), [("<script>", 3)])
    assert table.count("<script>") == 0
    assert "<caption>a &lt; b</caption>" in table
    assert "<th>&lt;i&gt;</th>" in table
    assert "<td>&lt;script&gt;</td><td>3</td>" in table
    assert "<thead>" not in html_table("", (), [])


CODES = Codes.from_dense(
    np.array([[0, 0.5, 0, 2], [0, 0, 0, 0], [1, -3, 2, 0.25], [1, 0, 0, 0], [0, 1, 0, 0]], np.float32)
)


def test_codes_show_the_strongest_units_of_their_first_rows():
    assert repr(CODES).splitlines() == [
        "Codes: 5 rows, 4 units, 1.6 active a row, float32, 112 B",
        "  row 0: 3 (2), 1 (0.5)",
        "  row 1: no unit",
        "  row 2: 1 (-3), 2 (2), 0 (1), 3 (0.25)",
        "  … 2 more rows",
    ]
    table = CODES._repr_html_()
    assert "<caption>Codes: 5 rows, 4 units" in table
    assert "<tr><td>2</td><td>4</td><td>1 (-3), 2 (2), 0 (1), 3 (0.25)</td></tr>" in table
    assert table.count("<tr>") == 6


def test_codes_of_any_size_are_a_few_short_lines(tmp_path):
    many = Codes.from_dense(np.random.default_rng(0).random((2000, 300)))
    for text in (repr(many), many._repr_html_()):
        assert len(text) < 1000
        assert "600 kB" not in text
    assert "…" in repr(many).splitlines()[1]
    assert repr(many[:1]).startswith("Codes: 1 row, 300 units, 300 active a row, float64")
    assert repr(many[:0]) == "Codes: 0 rows, 300 units, 0 active a row, float64, 8 B"
    np.save(tmp_path / "values.npy", many.values)
    mapped = Codes(many.indptr, many.units, np.load(tmp_path / "values.npy", mmap_mode="r"), 300)
    assert repr(mapped) == repr(many)


def test_hits_show_ids_and_distances():
    index = CodeIndex(4)
    index.add(CODES, ["a", "<b>", "folder/" * 5 + "photo.jpg", "d\n", 7])
    hits = index.search(CODES, k=2)
    lines = repr(hits).splitlines()
    assert lines[0] == "Hits: 5 queries, 2 columns, 2 hits a query; ids (and distances)"
    assert lines[1] == "  query 0: a (0), 7 (0.7575)"
    assert lines[3].startswith("  query 2: …folder/folder/photo.jpg (0), ")
    assert lines[4] == "  … 2 more queries"
    table = index.search(CODES[3:4], k=1)._repr_html_()
    assert "<th>query</th><th>1</th></tr>" in table
    assert r"<td>&#x27;d\n&#x27; (0)</td>" in table
    assert "<td>…</td>" not in table
    assert "&lt;b&gt;" in index.search(CODES, k=5)._repr_html_()


def test_hits_without_hits():
    index = CodeIndex(4)
    assert repr(index.search(CODES[:1], k=3)).splitlines()[1] == "  query 0: no hit"
    assert (
        repr(index.search(CODES[:0], k=3))
        == "Hits: 0 queries, 3 columns, 0 hits a query; ids (and distances)"
    )
    assert isinstance(index.search(CODES[:0], k=3), Hits)
    assert "<tbody>\n</tbody>" in index.search(CODES[:0], k=3)._repr_html_()


def test_many_hits_are_cut():
    index = CodeIndex(3)
    index.add(np.ones((500, 3)))
    hits = index.search(np.ones((400, 3)), k=500)
    assert max(map(len, repr(hits).splitlines())) < 120
    assert repr(hits).splitlines()[1] == "  query 0: 0 (0), 1 (0), 2 (0), 3 (0), …"
    assert len(hits._repr_html_()) < 2000
    assert hits._repr_html_().count("<td>…</td>") == 6


def test_encoders_say_what_they_take_and_give():
    X = np.random.default_rng(0).random((40, 6))
    sparse = SparseAutoencoder(8, k=2, epochs=1).fit(X).encoder()
    assert repr(sparse) == "Encoder: 6 features to 8 units, k = 2, linear output, float32, 440 B"
    sigmoid = SparseAutoencoder(8, activation="sigmoid", output="sigmoid", epochs=1).fit(X).encoder()
    assert "Sigmoid, sigmoid output" in repr(sigmoid)


def test_a_gradient_check_is_shown_as_its_lines():
    W = np.ones((2, 2))
    check = compare_gradients(lambda: float(W.sum()), {"W": W}, {"W": np.ones((2, 2))})
    assert repr(check) == str(check)
    assert repr(check).startswith("W    right")
