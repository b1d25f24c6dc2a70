"""Units, steps and thresholds, tried on images that are held out."""

import json

import pytest
from small_images import SMALL, bars

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def script(benchmark_module):
    return benchmark_module("unit_choices")


def test_a_run(script, monkeypatch, capsys):
    images, labels = bars(170)
    problem = script.Problem(images[20:], labels[20:], images[:20], labels[:20], False)
    learned = script.components(problem, **{name: SMALL[name] for name in SMALL if name != "epochs"})
    monkeypatch.setattr(script, "load", lambda name, quick: problem)
    monkeypatch.setattr(script, "held_out", lambda problem, n, queries: problem)
    monkeypatch.setattr(script, "components", lambda problem: learned)
    monkeypatch.setattr(script, "UNITS", {"mnist": (40, 1000)})
    assert script.main(["--data", "mnist", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["mnist"]
    assert {"vector, t = 0", "vector, t = 4", "40 units, k = 32, t = 2, phi = 0.9"} <= set(rows)
    assert "150 units, k = 32, t = 0, phi = 0.0" in rows  # no more than there are images
    assert all(0 <= row[m] <= 1 for row in rows.values() for m in ("precision@1", "precision@10", "map"))
    # What is right in a ranking of bars is plain to see: codes beat chance by far.
    assert rows["150 units, k = 32, t = 0, phi = 0.9"]["precision@1"] > 0.8
