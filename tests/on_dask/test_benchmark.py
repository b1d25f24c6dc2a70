"""benchmarks/distributed.py measures what it says, and its tables can be made."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed")
pytest.importorskip("numba")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script():
    """The script by another name: a package of Dask has its own."""
    path, modules = list(sys.path), set(sys.modules)
    spec = importlib.util.spec_from_file_location("benchmark_of_dask", BENCHMARKS / "distributed.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] == "helpers":
            del sys.modules[name]


@pytest.fixture(scope="module")
def figures(client, script):
    clients = {1: client, 2: client}
    return {
        "steps": {name: script.speed(clients, name, 1, True) for name in ("k_sparse", "dense")},
        "overhead": script.overhead(client, 1),
    }


def test_bytes_of_a_step_are_counted(figures):
    step = figures["steps"]["k_sparse"]
    assert step["bytes_down_to_each"] == 256 * (2 * 784 + 3 * 32) * 4 + 2 * 784 * 4
    assert step["bytes_a_step"] == step["bytes_up"] + 2 * step["bytes_down_to_each"]
    assert 0 < figures["steps"]["dense"]["bytes_down_to_each"] <= 1.1 * step["bytes_of_gradients"]
    assert all(step[f"seconds_{who}"] > 0 for who in ("local", "1", "2"))
    assert figures["overhead"]["smallest_step_ms"] > figures["overhead"]["task_ms"] > 0


def test_tables_are_made_of_the_figures(script, figures):
    from helpers import scale_report

    head, rows = scale_report.step_rows(figures)
    assert [len(row) for row in rows] == [len(head)] * 2
    search = {"rows": {"nsae, image codes, k=32": {"bytes": 300.0, "qps": 20_000.0}}}
    figures["overhead"]["task_ms"] = 1.0
    cells = dict(scale_report.cost_rows(figures, {"processor_ms": 3.6}, search)[1])
    assert cells["decode and encode photos"] == "1,000 h of a processor"
    assert cells["the index on disk, k = 32"] == "300 GB"
    assert (
        "15.6 million tasks: 4.34 h, and no more than 230 workers" in cells["the scheduler, 64 files a task"]
    )


def test_a_task_that_kills_nothing_has_not_survived(script):
    assert not script.survived(lambda client, kill: True)
