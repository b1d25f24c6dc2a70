"""Files of results, and the tables that are made from them: README's and docs' are what the files say."""

import argparse
import json
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(benchmark_module):
    return benchmark_module("helpers.results")


@pytest.fixture(scope="module")
def tables(benchmark_module):
    return benchmark_module("helpers.tables")


@pytest.fixture(scope="module")
def render(benchmark_module):
    return benchmark_module("render")


def arguments(results, *given):
    parser = argparse.ArgumentParser()
    results.add_options(parser)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--codes")
    return parser.parse_args(given)


# ---- files


def test_a_saved_result_says_what_it_depends_on(results, tmp_path, capsys):
    path = tmp_path / "some" / "speed.json"
    args = arguments(results, "--json", "--save", str(path), "--codes", "/somewhere")
    results.finish(args, "speed", {"a": 1 / 3, "b": {7: float("nan")}}, threads=2, seeds=range(2))
    result = json.loads(path.read_text(encoding="utf-8"))
    assert result["figures"] == {"a": 0.333333, "b": {"7": None}}
    assert (result["name"], result["threads"], result["seeds"]) == ("speed", 2, [0, 1])
    assert result["settings"] == {
        "rounds": 3
    }  # where codes are kept changes no figure, and is nobody's business
    assert {"nsae", "numpy"} <= set(result["versions"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", result["date"])
    assert result["processors"] == os.cpu_count()
    assert json.loads(capsys.readouterr().out)["a"] == 1 / 3
    assert list(path.parent.iterdir()) == [path]


def test_the_line_below_a_table_names_the_kernels_of_blas(tables):
    haswell, other = {"internal_api": "openblas", "architecture": "Haswell"}, {"internal_api": "openmp"}
    assert tables.blas_kernels([haswell, other, haswell]) == ", OpenBLAS for Haswell"
    two = {"numpy": [haswell], "torch": [other, {**haswell, "architecture": "SkylakeX"}], "none": None}
    assert tables.blas_kernels(two) == ", OpenBLAS for Haswell and SkylakeX"
    assert tables.blas_kernels(None) == tables.blas_kernels([other]) == ""


def test_nothing_is_written_unless_asked_for(results, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    results.finish(arguments(results), "speed", {"a": 1.0})
    assert list(tmp_path.iterdir()) == []
    results.finish(arguments(results, "--save"), "speed", {"a": 1.0})
    assert results.load("speed", tmp_path)["figures"] == {"a": 1.0}
    assert results.load("another", tmp_path) is None


def test_blas_is_told_with_its_kernels(results):
    pytest.importorskip("threadpoolctl")
    for library in results.blas_info():
        assert {"internal_api", "num_threads"} <= set(library)
        assert "filepath" not in library


@pytest.mark.parametrize("path", sorted(ROOT.glob("benchmarks/results/*.json")), ids=lambda p: p.name)
def test_committed_results_are_whole_and_tell_nothing_about_who_made_them(path):
    text = path.read_text(encoding="utf-8")
    result = json.loads(text)
    keys = {
        "name",
        "date",
        "commit",
        "python",
        "versions",
        "processor",
        "blas",
        "threads",
        "seeds",
        "settings",
    }
    assert keys <= set(result)
    assert result["name"] == path.stem
    for secret in (os.path.expanduser("~/"), str(ROOT), "/tmp/", "/home/"):
        assert secret not in text


# ---- tables


def a_result(results, folder, name, figures):
    results.save(folder / f"{name}.json", results.document(name, figures, {}, threads=2))


def test_a_page_is_rendered_from_its_files(results, render, tmp_path):
    a_result(
        results,
        tmp_path,
        "import_time",
        {
            "nsae_over_numpy": 1.034,
            "first_fit_warm_s": 0.6,
            "first_fit_cold_s": 13,
            "first_small_fit_s": 0.001,
        },
    )
    page = (
        "# Speed\n\n<!-- results: import_time -->\nold\n<!-- end -->\n\n"
        "It takes <!-- figure: import_time nsae_over_numpy .2f -->9<!-- end --> ×.\n"
    )
    new = render.rendered(page, "../benchmarks/results", tmp_path)
    assert "| `import nsae`, whole process, of `import numpy` | 1.03 × |" in new
    assert "[import_time.json](../benchmarks/results/import_time.json)" in new
    assert "It takes <!-- figure: import_time nsae_over_numpy .2f -->1.03<!-- end --> ×." in new
    assert "old" not in new
    assert render.rendered(new, "../benchmarks/results", tmp_path) == new  # and once more is the same


def test_what_was_not_measured_is_said(render, tmp_path):
    page = "<!-- results: demo -->\n<!-- end -->\n<!-- figure: demo KL/map .3f --><!-- end -->"
    new = render.rendered(page, "results", tmp_path)
    assert "*Not measured yet: `python benchmarks/demo.py --save`.*" in new
    assert ".3f -->?<!-- end -->" in new


def test_a_part_that_was_not_measured_is_said(results, tables, tmp_path):
    rows = {"nsae, image codes, k=6": {"qps": 37345.0, "precision@1": 0.848}, "FAISS flat": {"qps": 580.4}}
    a_result(results, tmp_path, "search_speed", {"fashion_60k": {"rows": rows}})
    assert "| FAISS flat | 580 | | |" in tables.render("search", "results", tmp_path)
    assert "| **nsae, image codes, k=6** | 37,300 | 0.848 | |" in tables.render("search", "results", tmp_path)
    assert tables.render("million", "results", tmp_path).startswith("*Not measured yet")
    assert tables.render("speed_three", "results", tmp_path).startswith("*Not measured yet")


def test_folders_of_few_photos(results, tables, tmp_path):
    figures = {"5": {"nsae": 0.25, "histogram": 0.2, "draws": 20}, "1000": {"nsae": 0.9, "histogram": 0.7}}
    a_result(results, tmp_path, "small_folders", {"corel1k": figures})
    text = tables.render("small_folders", "results", tmp_path)
    assert "| photos in the folder | 5 | 1,000 |" in text
    assert "| **`nsae index`** | 0.250 | 0.900 |" in text
    assert "learned" not in text  # was not run


def test_what_a_code_keeps(results, tables, tmp_path):
    keys = ("precision@1", "precision@10", "map@1000", "soft_knn", "linear_probe")
    vector = {"bytes": 400.0, **dict.fromkeys(keys, 0.5)}
    code = {"bytes": 192, **dict.fromkeys(keys, 0.49), "retention@1": 0.98, "retention@10": 0.97}
    a_result(
        results,
        tmp_path,
        "retrieval_quality",
        {"mnist": {"vector": vector, "nsae": code}, "corel1k": {"nsae": code}},
    )
    text = tables.render("kept", "results", tmp_path)
    assert "| MNIST | the vector | 400 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | | | | |" in text
    assert "| | nsae, k = 32 | 192 | 0.490 | 0.490 | 0.490 | 0.490 | 0.490 | 0.980 | 0.970 | | |" in text
    assert "Corel-1K" not in text  # of which there is no vector


def test_a_table_that_there_is_not(tables):
    with pytest.raises(ValueError, match=r"no table 'nonsense'.*quality_five"):
        tables.render("nonsense", "results")


def test_a_difference_is_found(results, render, tmp_path, monkeypatch, capsys):
    for folder in ("docs", "benchmarks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "benchmarks" / "README.md").write_text("", encoding="utf-8")
    (tmp_path / "README.md").write_text("<!-- figure: a b .1f -->2.0<!-- end -->", encoding="utf-8")
    (tmp_path / "docs" / "speed.md").write_text("<!-- figure: a b .1f -->3.0<!-- end -->", encoding="utf-8")
    a_result(results, tmp_path, "a", {"b": 2.0})
    pages, rendered = render.pages(tmp_path), render.rendered
    monkeypatch.setattr(render.results, "ROOT", tmp_path)
    monkeypatch.setattr(render, "pages", lambda: pages)
    monkeypatch.setattr(render, "rendered", lambda text, link: rendered(text, link, tmp_path))
    assert render.main(["--check"]) == 1
    assert "speed.md" in (said := capsys.readouterr().err)
    assert "README.md" not in said
    assert render.main([]) == 0
    assert render.main(["--check"]) == 0
    assert "2.0" in (tmp_path / "docs" / "speed.md").read_text(encoding="utf-8")


def test_the_tables_of_readme_and_docs_are_what_the_files_say(render, capsys):
    assert render.main(["--check"]) == 0, capsys.readouterr().err


def test_every_table_has_a_script(render, capsys, tables):
    assert render.main(["--names"]) == 0
    assert capsys.readouterr().out.split() == sorted(tables.TABLES)
    for table in tables.TABLES.values():
        for file in table.files:
            assert (ROOT / "benchmarks" / f"{file}.py").exists()
