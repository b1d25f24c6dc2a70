"""The benchmark of duplicates judges groups as it says, and runs."""

import json

import pytest

pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def duplicates(benchmark_module):
    return benchmark_module("duplicates")


def test_groups_are_judged_by_pairs(duplicates):
    made = {
        "a": duplicates.Made("photos", "a", ""),
        "ae": duplicates.Made("photos", "a", "resized"),
        "b": duplicates.Made("photos", "b", ""),
        "be": duplicates.Made("photos", "b", "resized"),
        "p": duplicates.Made("pages", "p", ""),
    }
    figures = duplicates.judged([["a", "ae", "b"]], made)
    assert figures["photos"]["resized"] == 0.5
    assert figures["photos"]["precision"] == pytest.approx(1 / 3)
    assert figures["photos"]["largest"] == 3
    assert figures["pages"] == {"precision": 1.0, "largest": 0}


def test_quick_run_without_photos(duplicates, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NSAE_DATA", str(tmp_path))
    assert duplicates.main(["--quick", "--json", "--half", "choose"]) == 0
    captured = capsys.readouterr()
    assert "pages and drawings alone" in captured.err
    result = json.loads(captured.out.splitlines()[-1])
    for kind in ("pages", "drawings"):
        assert result["after"][kind]["precision"] == 1
        assert result["after"][kind]["resized"] == result["after"][kind]["JPEG 50"] == 1
        assert result["after, --invariant"][kind]["mirrored"] == 1
    assert set(result["differences"]) == {"75% of blocks", "98% of blocks", "100% of blocks"}
