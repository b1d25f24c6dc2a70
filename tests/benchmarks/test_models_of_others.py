"""benchmarks/models_of_others.py: every layout is the same as in PyTorch, and a mistake is seen."""

import json

import numpy as np
import pytest

from nsae.errors import MissingExtraError


@pytest.fixture(scope="module")
def models_of_others(benchmark_module):
    return benchmark_module("models_of_others")


def test_quick_run(models_of_others, capsys):
    pytest.importorskip("torch")
    assert models_of_others.main(["--quick", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    names = {
        "sparsify_topk",
        "saelens_relu",
        "saelens_topk",
        "saelens_topk_by_norm",
        "saelens_jumprelu",
        "saelens_gated",
    }
    assert set(figures["float64"]) == names < set(figures)
    assert max(figures["float64"].values()) < 1e-13
    assert max(figures[name] for name in names) < 1e-6
    for compared in ("library", "written"):  # empty where the libraries are not installed
        assert max(figures[compared].values(), default=0) < 1e-6


def test_without_torch_it_says_what_to_install(models_of_others, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'pip install "nsae\[torch\]"'):
        models_of_others.main(["--quick"])


def test_differences(models_of_others):
    Z, X = np.array([[1.0, 0], [0, 2]]), np.ones((2, 3))
    assert models_of_others.difference((Z, X), (Z, X)) == 0
    assert models_of_others.difference((Z, X), (Z, X * 2)) == 0.5
    assert models_of_others.difference((np.array([[1.0, 0], [1, 2]]), X), (Z, X)) == 0.5
    other = np.array([[1.0, 0], [1, 2]], np.float32)  # of float32, a row with another unit is left out
    assert models_of_others.difference((other, X), (Z, X)) == 0
    assert models_of_others.same_units((other, X), (Z, X)).tolist() == [True, False]
