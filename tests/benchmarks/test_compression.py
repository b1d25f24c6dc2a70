"""benchmarks/compression.py: rate and distortion beside JPEG, and patterns that are learned."""

import json

import numpy as np
import pytest

pytest.importorskip("PIL")

from nsae.compression import Dictionary
from nsae.datasets import dead_leaves


@pytest.fixture(scope="module")
def script(benchmark_module):
    return benchmark_module("compression")


def test_quick_run_with_its_picture(script, capsys, tmp_path):
    pytest.importorskip("matplotlib")
    picture, saved = tmp_path / "compression.png", tmp_path / "compression.json"
    assert script.main(["--quick", "--json", "--save", str(saved), "--pictures", str(picture)]) == 0
    assert "kodak" in json.loads(saved.read_text(encoding="utf-8"))["figures"]
    kodak = json.loads(capsys.readouterr().out.splitlines()[-1])["kodak"]
    assert set(kodak["db_over_jpeg"]) == {"0.25", "0.4", "0.6"}
    photo = kodak["photos"]["03"]
    assert kodak["db_over_jpeg"]["0.6"] == pytest.approx(photo["nsae"]["0.6"] - photo["jpeg"]["0.6"])
    assert picture.stat().st_size > 1000


def test_a_curve_is_not_continued_beyond_its_ends(script):
    found = script.at_rates([(0.5, 32.0), (0.3, 28.0)])
    assert found["0.4"] == pytest.approx(30)
    assert np.isnan(found["0.25"])
    assert np.isnan(found["0.6"])


def test_patterns_are_learned_and_written(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script.datasets, "caltech101", lambda side: (dead_leaves(12, size=48), None))
    for name, value in {"UNITS": 64, "EPOCHS": 1, "PATCHES": 200}.items():
        monkeypatch.setattr(script, name, value)
    figures = script.learn(tmp_path / "patterns.npz")
    assert figures["bytes"] == (tmp_path / "patterns.npz").stat().st_size
    assert Dictionary.load(tmp_path / "patterns.npz").V.shape == (64, 64)
