"""The benchmarks of speed run without their peers, and tell numbers."""

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

ROOT = Path(__file__).parents[2]


def result_of(script, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, "--quick", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT)))},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_training_speed(tmp_path):
    result, said = result_of("training_speed.py", tmp_path)
    encode = {
        "encode_over_product",
        "encode_one_k_sparse_over_product",
        "encode_one_relu_over_product",
    }
    assert set(result) == {"dense", "k_sparse", "ms", "quartiles", "torch_settings"} | encode
    assert set(result["ms"]) == set(result["quartiles"]) == {"784x256xB256", "h1024"}
    low, high = result["quartiles"]["h1024"]["over_product"]
    assert low <= result["k_sparse"]["h1024"]["over_product"] <= high
    assert set(result["dense"]["784x256xB256"]) == {"over_floor", "numpy_over_ours"}
    of_bytes = {"without_bytes_over_product"}  # where the processor multiplies bytes
    assert set(result["k_sparse"]["h1024"]) - of_bytes == {"over_product"}
    ratios = [*result["dense"]["784x256xB256"].values(), *result["k_sparse"]["h1024"].values()]
    assert all(math.isfinite(x) and x > 0 for x in [*ratios, *(result[key] for key in encode)])
    assert "PyTorch is not installed" in said


def test_import_time(tmp_path):
    result, _ = result_of("import_time.py", tmp_path)
    assert set(result) == {"nsae_over_numpy", "first_fit_warm_s", "first_fit_cold_s", "first_small_fit_s"}
    small = result.pop("first_small_fit_s")  # nothing, give or take what a machine does meanwhile
    assert math.isfinite(small)
    assert all(math.isfinite(x) and x > 0 for x in result.values())
