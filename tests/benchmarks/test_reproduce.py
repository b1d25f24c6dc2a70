"""All benchmarks by one command: goes on after an interruption, and tells before from after."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reproduce(benchmark_module):
    return benchmark_module("reproduce")


@pytest.fixture
def scripts(reproduce, tmp_path, monkeypatch):
    """Two benchmarks that write down that they ran; the second one fails if a file "broken" is there."""
    (tmp_path / "nsae").mkdir()
    (tmp_path / "benchmarks").mkdir()
    for name in ("first", "second"):
        (tmp_path / "benchmarks" / f"{name}.py").write_text(
            "import json, pathlib, sys\n"
            f"here = pathlib.Path({str(tmp_path)!r})\n"
            f"log = here / 'log'; log.write_text((log.read_text() if log.exists() else '') + '{name} ')\n"
            f"assert {name!r} == 'first' or not (here / 'broken').exists()\n"
            "print('a table')\n"
            "path = pathlib.Path(sys.argv[sys.argv.index('--save') + 1])\n"
            "path.write_text(json.dumps({'figures': {'a': {'b': 3.0, 'c': 1.0}, 'd': 'text'}}))\n"
        )
    monkeypatch.setattr(reproduce.results, "ROOT", tmp_path)
    monkeypatch.setattr(reproduce, "REPRODUCED", tmp_path / "fresh")
    monkeypatch.setattr(reproduce, "fingerprint", lambda plain=reproduce.fingerprint: plain(tmp_path))
    both = tuple(reproduce.Script(name, 1, ("a/b",)) for name in ("first", "second"))
    monkeypatch.setattr(reproduce, "SCRIPTS", both)
    return tmp_path


def ran(folder):
    log = folder / "log"
    names = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return names


def test_what_has_run_is_not_run_again_until_the_code_changes(reproduce, scripts, capsys):
    (scripts / "broken").touch()
    assert reproduce.main(["--quick"]) == 1
    assert ran(scripts) == ["first", "second"]
    assert "FAILED" in capsys.readouterr().err
    (scripts / "broken").unlink()
    assert reproduce.main(["--quick"]) == 0
    assert ran(scripts) == ["second"]
    assert (scripts / "fresh" / "quick" / "second.txt").read_text() == "a table\n"
    assert reproduce.main(["--quick"]) == 0
    assert ran(scripts) == []
    assert reproduce.main([]) == 0  # other settings
    assert ran(scripts) == ["first", "second"]
    (scripts / "nsae" / "new.py").write_text("x = 1\n")
    assert reproduce.main(["--only", "first"]) == 0
    assert ran(scripts) == ["first"]


def test_it_goes_on_where_it_was_interrupted(reproduce, scripts, monkeypatch, capsys):
    plain = reproduce.run

    def interrupted(name, *rest):
        if name == "second":
            raise KeyboardInterrupt
        return plain(name, *rest)

    monkeypatch.setattr(reproduce, "run", interrupted)
    assert reproduce.main([]) == 130
    assert "first: a/b" in capsys.readouterr().out
    monkeypatch.setattr(reproduce, "run", plain)
    ran(scripts)
    assert reproduce.main([]) == 0
    assert ran(scripts) == ["second"]


def test_before_and_after(reproduce, tmp_path):
    results, script = reproduce.results, reproduce.Script("x", 1, ("a/b", "new"))
    results.save(tmp_path / "old" / "x.json", {"figures": {"a": {"b": 2.0, "c": 1.0}, "list": [1, 2]}})
    results.save(tmp_path / "new" / "x.json", {"figures": {"a": {"b": 3.0, "c": 1.01}, "new": 7.0}})
    _, changed, added, other = reproduce.comparison([script], tmp_path / "new", tmp_path / "old")
    assert changed.split() == ["x:", "a/b", "2", "3", "1.50"]
    assert added.split() == ["x:", "new", "7"]
    assert other.strip() == "of 2 figures, 1 differ by more than 5%"


def test_without_data_a_script_is_left_out(reproduce, scripts, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "data_folder", lambda: scripts / "nowhere")
    monkeypatch.setattr(reproduce, "SCRIPTS", (reproduce.SCRIPTS[0]._replace(data=("mnist",)),))
    assert reproduce.main([]) == 0
    assert ran(scripts) == []
    assert "left out, there is no mnist" in capsys.readouterr().err


def test_every_script_is_in_the_list_and_in_the_table_of_the_readme(reproduce, capsys):
    assert reproduce.main(["--list"]) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    there = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert there - listed == {"make_photos", "make_playgrounds", "render", "reproduce"}
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\[(\w+)\.py\]", readme)) >= listed
