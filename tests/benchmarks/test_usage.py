"""What all scripts of benchmarks/ do with what they are given: one line that says what is wrong, never a traceback."""

import argparse
import json
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPTS = sorted(path.stem for path in (Path(__file__).parents[2] / "benchmarks").glob("*.py"))
TOOLS = {"make_photos", "make_playgrounds", "render", "reproduce"}  # they measure nothing


@pytest.fixture(scope="module")
def usage(benchmark_module):
    return benchmark_module("demo").usage


@pytest.fixture(scope="module")
def results(benchmark_module):
    return benchmark_module("demo").results


def ended(module, monkeypatch, capsys, *arguments):
    """Return the exit code of a script with these arguments, what it printed, and its messages."""
    monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *arguments])
    try:
        code = module.main()
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_has_the_options_that_all_have(name, benchmark_module, monkeypatch, capsys):
    code, out, _ = ended(benchmark_module(name), monkeypatch, capsys, "--help")
    assert code == 0
    for option in ("--debug",) if name in TOOLS else ("--quick", "--json", "--save", "--note", "--debug"):
        assert option in out
    code, _, err = ended(benchmark_module(name), monkeypatch, capsys, "--nonsense")
    assert code == 2
    assert "error:" in err


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - TOOLS))
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    name, benchmark_module, monkeypatch, capsys, tmp_path
):
    (tmp_path / "file").write_text("a file is no folder")
    for place in (tmp_path, tmp_path / "file" / "result.json"):
        code, _, err = ended(benchmark_module(name), monkeypatch, capsys, "--quick", "--save", str(place))
        assert code == 2
        assert "cannot be written" in err
        assert str(place) in err


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *((name, "--rounds") for name in ("ann_speed", "distributed", "first_minute", "import_time")),
        *((name, "--rounds") for name in ("library_speed", "scaling", "search_speed", "sparse_input")),
        *((name, "--rounds") for name in ("text_search", "training_speed", "tutorial_example")),
        *((name, "--seeds") for name in ("dead_units", "gradient_errors", "models_of_others", "published")),
        *((name, "--seeds") for name in ("retrieval_levers", "retrieval_quality")),
        *((name, "--threads") for name in ("scaling", "sparse_input", "thread_test", "training_speed")),
        *((name, "--kills") for name in ("kill_test", "kill_training")),
        ("tutorial_example", "--threads"),
        ("thread_test", "--calls"),
        ("fuzz", "--inputs"),
        ("broken_images", "--count"),
        ("dead_units", "--epochs"),
        ("duplicates", "--edits"),
        ("large_index", "--sizes"),
        ("large_index", "--queries"),
        ("published", "--units"),
        ("scaling", "--memmap-gb"),
        ("same_photos", "--radius"),
        ("small_folders", "--sizes"),
        ("small_folders", "--draws"),
        ("text_search", "--rows"),
    ],
)
def test_none_fewer_than_none_and_words_are_no_numbers(name, option, benchmark_module, monkeypatch, capsys):
    for value in ("0", "-1", "many", "nan"):
        code, _, err = ended(benchmark_module(name), monkeypatch, capsys, "--quick", option, value)
        assert code == 2
        assert f"argument {option}: '{value}' came" in err
        assert "was expected" in err


@pytest.mark.parametrize("name", ["dead_units", "search_speed", "large_index", "ann_speed", "library_speed"])
def test_data_that_are_not_there_are_named_with_the_way_out(
    name, usage, benchmark_module, monkeypatch, capsys, tmp_path
):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    module = benchmark_module(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    assert usage.run(module.main) == usage.FAILED
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith(f"{name}.py: {tmp_path}")
    assert "NSAE_DATA" in lines[-1]


def test_what_stops_a_script_is_one_line(usage, monkeypatch, capsys):
    def fails():
        raise ValueError("7 came; 8 was expected")

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["/a/b/some.py"])
    assert usage.run(fails) == 2
    assert capsys.readouterr().err.startswith("some.py: 7 came; 8 was expected")
    assert usage.run(interrupted) == 130
    assert usage.run(lambda: 1) == 1
    assert usage.run(lambda: None) == 0
    monkeypatch.setattr(sys, "argv", ["some.py", "--debug"])
    with pytest.raises(ValueError, match="7 came"):
        usage.run(fails)


def test_a_damaged_archive_is_one_line(usage, monkeypatch, capsys, tmp_path):
    (tmp_path / "kodak.tar").write_text("no archive")
    monkeypatch.setattr(sys, "argv", ["some.py"])

    def opens():
        with tarfile.open(tmp_path / "kodak.tar"):
            pass

    assert usage.run(opens) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "damaged or cut short" in line


def test_packages_that_are_missing_are_named(usage):
    usage.need("It", "json", install="nothing")
    with pytest.raises(
        ModuleNotFoundError, match=r"It needs no_such_package, which is not installed.*pip install x"
    ):
        usage.need("It", "json", "no_such_package", install="pip install x")


def test_names_of_pictures_end_as_matplotlib_needs_it(usage, tmp_path):
    assert usage.picture(str(tmp_path / "new" / "a.PNG")).parent.is_dir()
    with pytest.raises(argparse.ArgumentTypeError, match=r"\.png, \.pdf or \.svg was expected"):
        usage.picture(str(tmp_path / "a.xyz"))


def test_nothing_and_quick_figures_do_not_replace_a_result(results, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    args = argparse.Namespace(save=results.DEFAULT, json=False, note=None, quick=True)
    with pytest.raises(ValueError, match="--quick"):
        results.finish(args, "some", {"a": 1})
    args.quick = False
    with pytest.raises(ValueError, match="Nothing was measured"):
        results.finish(args, "some", {})
    assert not list(tmp_path.iterdir())
    results.finish(args, "some", {"a": 1})
    assert results.read("some", tmp_path / "some.json")["figures"] == {"a": 1}


@pytest.mark.parametrize("content", ["", "no JSON", "[]", "{}", '{"name": "demo", "figures": {}}', "\xff"])
@pytest.mark.parametrize("name", ["search_speed", "retrieval_quality", "retrieval_levers"])
def test_a_file_that_is_no_result_is_refused(
    name, content, usage, benchmark_module, monkeypatch, capsys, tmp_path
):
    file = tmp_path / "file.json"
    file.write_bytes(content.encode("latin-1"))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--from", str(file)])
    assert usage.run(benchmark_module(name).main) == 2
    assert f"{name}.py: {file}" in capsys.readouterr().err


def test_figures_of_another_script_are_no_tables_of_images(benchmark_module, monkeypatch, capsys, tmp_path):
    file = tmp_path / "file.json"
    file.write_text(json.dumps({"name": "demo", "figures": {"L1": {"map": 0.1}, "KL": {"map": 0.1}}}))
    with pytest.raises(ValueError, match="no figures of rankings"):
        benchmark_module("retrieval_quality").main(["--from", str(file)])
