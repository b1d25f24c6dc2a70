"""A few calls of many threads on each run of the tests; the script makes 160,000."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_threads_and_processes_answer_as_one_after_the_other():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "thread_test.py", "--quick", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = json.loads(done.stdout)
    assert figures["threads"]["calls"] == 1200
    for row in figures.values():
        assert row["equal"] == row["calls"] > 0
        assert row.get("children_wrong", 0) == 0
    assert done.returncode == 0


def test_a_wrong_answer_is_noticed(benchmark_module, tmp_path):
    script = benchmark_module("thread_test")
    expected = script.in_turn(2, 40, str(tmp_path))
    assert script.compared(expected, expected) == {"calls": 80, "equal": 80}
    index = script.new_index(2)
    worker = script.Worker(index, 0, str(tmp_path))
    worker.common = worker.common[::-1]
    assert script.compared([worker.run(40), expected[1]], expected) == {"calls": 80, "equal": 40}
