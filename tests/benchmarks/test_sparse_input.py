"""The benchmark of sparse input runs, and tells numbers."""

import json

import pytest

pytest.importorskip("numba")


def test_a_run(benchmark_module, capsys):
    script = benchmark_module("sparse_input")
    assert script.main(["--quick", "--rounds", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result) == {"step_sparse_over_dense", "max_rel_diff", "sizes", "peak_mb"}
    assert set(result["sizes"]) == {str(size) for size in script.QUICK}
    assert result["step_sparse_over_dense"] == result["sizes"][str(script.QUICK[0])]["step_ratio"] > 0
    assert 0 <= result["max_rel_diff"] < 1e-10
    assert set(result["peak_mb"]) == {"sparse", "dense"}
