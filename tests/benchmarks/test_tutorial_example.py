"""The tutorial's example runs without its peers, and agrees with them where they are."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "tutorial_example.py"


@pytest.fixture(scope="module")
def script(benchmark_module):
    return benchmark_module("helpers.tutorial_losses")


def first_steps(script, n):
    return script.make_problem(epochs=2)._replace(batches=script.make_problem(epochs=2).batches[:n])


def relative(a, b):
    return np.max(np.abs(a - b) / np.abs(b))


def test_epochs_hold_every_sample_once(script):
    problem = script.make_problem(epochs=2)
    assert [len(rows) for rows in problem.batches] == 2 * ([32] * 31 + [8])
    assert sorted(np.concatenate(problem.batches[32:])) == list(range(1000))


def test_runs_do_not_share_weights(script):
    problem = first_steps(script, 5)
    assert np.array_equal(script.nsae_losses(problem, "float64"), script.nsae_losses(problem, "float64"))


@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-9), ("float32", 1e-3)])
def test_agrees_with_torch(script, dtype, bound):
    pytest.importorskip("torch")
    problem = first_steps(script, 50)
    theirs = script.torch_losses(problem, dtype)
    assert relative(script.nsae_losses(problem, dtype), theirs) < bound
    # and the comparison would notice: another ε is another curve
    assert relative(script.nsae_losses(problem, dtype, lambda t: 1e-2), theirs) > bound


def run(env, *options):
    return subprocess.run(
        [sys.executable, SCRIPT, *options],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_without_peers(tmp_path):
    block = "import sys; sys.modules.update(dict.fromkeys(['torch', 'keras', 'tensorflow']))"
    (tmp_path / "sitecustomize.py").write_text(block)
    done = run({"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT)))}, "--quick", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result) == ["losses", "fits", "processes"]
    assert result["losses"] == []
    assert list(result["fits"]) == ["nsae", "nsae_numpy"]
    assert set(result["processes"]) == {"nsae_warm", "nsae_cold"}
    for times in (*result["fits"].values(), *result["processes"].values()):
        assert 0 < times["low"] <= times["median"] <= times["high"]
    assert "PyTorch is not installed" in done.stderr
    assert "pip install tensorflow-cpu" in done.stderr


def test_agrees_with_keras_in_a_process_of_its_own():
    for module in ("keras", "tensorflow"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    code = (
        "from helpers import tutorial_losses as s;"
        "p = s.make_problem(2); ours = s.nsae_losses(p, 'float64', s.keras_eps);"
        "theirs = s.keras_losses(p, 'float64'); print(max(abs(ours - theirs) / theirs))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SCRIPT.parent, ROOT)))}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-9
