"""A few kills on each run of the tests; the script does hundreds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL")

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_writers_leave_the_old_or_the_new():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "kill_test.py", "--quick", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = json.loads(done.stdout)
    assert set(figures) == {"new", "replace", "few", "update"}
    for row in figures.values():
        assert row["what"] == []
        assert (row["kills"], row["old"] + row["new"], row["broken"]) == (5, 5, 0)
    assert done.returncode == 0
