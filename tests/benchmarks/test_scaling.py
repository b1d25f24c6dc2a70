"""The benchmark of growth runs, and tells numbers."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")
pytest.importorskip("matplotlib")  # draws the glyphs
pytest.importorskip("PIL")
pytest.importorskip("resource")

ROOT = Path(__file__).parents[2]


def numbers(tree):
    return [
        x for branch in tree.values() for x in (numbers(branch) if isinstance(branch, dict) else [branch])
    ]


def run(*options):
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "scaling.py", "--quick", "--json", *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_scaling(tmp_path):
    result = run("--plot", tmp_path / "growth.png")
    steps = {"units", "k", "batch"}
    assert set(result) == {*steps, "rows", "over_products", "peak_mb", "memmap", "exponents"}
    assert set(result["units"]) == set(result["batch"]) == {"k_sparse", "dense"}
    assert set(result["k"]) == {"8", "16"}
    assert set(result["rows"]) == {"memory", "memmap"}
    assert set(result["over_products"]) == steps
    assert set(result["exponents"]) == {*steps, "rows", "peak_mb"}
    assert all(map(math.isfinite, numbers(result)))
    assert all(x > 0 for key, tree in result.items() if key != "exponents" for x in numbers(tree))
    assert (tmp_path / "growth.png").stat().st_size > 10_000


def test_one_part():
    memmap = run("--only", "memmap", "--memmap-gb", "0.01")["memmap"]
    assert memmap["file_mb"] == pytest.approx(10, abs=0.01)
    assert memmap["peak_above_start_mb"] > memmap["parameters_and_moments_mb"] > memmap["parameters_mb"]
