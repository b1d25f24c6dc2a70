"""The benchmark of dead units counts what it says, and runs."""

import json

import numpy as np
import pytest

from nsae import SparseAutoencoder


@pytest.fixture(scope="module")
def dead_units(benchmark_module):
    return benchmark_module("dead_units")


def test_a_unit_is_dead_if_no_image_activates_it(dead_units, rng):
    X = np.repeat(rng.random((2, 6), dtype=np.float32), 20, axis=0)  # two images, 20 times each
    figures = dead_units.run(X, h=8, k=1, options={}, epochs=3, seed=0)
    model = SparseAutoencoder(8, k=1, epochs=3, random_state=0).fit(X)
    used = set(model.encode(X).units)
    assert 1 <= len(used) <= 2  # one unit an image at most
    assert figures["dead"] == 1 - len(used) / 8
    assert figures["explained_variance"] == model.score(X)
    assert figures["seconds"] > 0


def test_k_comes_down_from_so_many_times_k(dead_units, rng):
    X = rng.random((40, 6), dtype=np.float32)
    figures = dead_units.run(X, h=20, k=2, options={"k_start": 8}, epochs=2, seed=0)
    model = SparseAutoencoder(20, k=2, k_start=16, epochs=2, random_state=0).fit(X)
    assert figures["explained_variance"] == model.score(X)


def test_quick_run(dead_units, capsys, monkeypatch):
    monkeypatch.setattr(
        dead_units, "load", lambda name: np.random.default_rng(0).random((300, 16), np.float32)
    )
    only = ["start from samples", "start from samples, resampling, falling rate"]
    assert dead_units.main(["--quick", "--json", "--only", *only]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["data"] == "glyphs"
    assert set(result["h300_k4"]) == set(only)
    for row in result["h300_k4"].values():
        assert 0 <= row["dead"] <= 1


def test_glyphs_are_rows_from_0_to_1(dead_units, monkeypatch):
    monkeypatch.setattr(
        dead_units.datasets, "glyphs", lambda n, random_state: (np.full((3, 28, 28), 0.5), np.zeros(3))
    )
    X = dead_units.load("glyphs")
    assert (X.shape, X.dtype, X.max()) == ((3, 784), np.float32, 0.5)
    images = np.full((2, 28, 28), 255, np.uint8)
    monkeypatch.setattr(dead_units.datasets, "mnist", lambda split: (images, np.zeros(2)))
    assert dead_units.load("mnist").max() == 1
