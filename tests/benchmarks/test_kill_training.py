"""A few kills on each run of the tests; the script does hundreds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_trainings_end_with_the_same_bits():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "kill_training.py", "--kills", "3", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = json.loads(done.stdout)
    assert set(figures) == {"dense", "k-sparse"}
    for row in figures.values():
        assert (row["kills"], row["whole"]) == (3, 3)
        assert row["same"] == row["ended"] >= 1
    assert done.returncode == 0
