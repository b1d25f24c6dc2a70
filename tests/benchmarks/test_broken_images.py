"""One file of each kind, whole and broken in each way; the script makes three times as many."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL")

ROOT = Path(__file__).parents[2]


def test_each_broken_file_is_one_line_and_whole_ones_are_indexed():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "broken_images.py", "--quick", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = json.loads(done.stdout)
    assert (figures["files"], figures["exit_code"], figures["tracebacks"]) == (330, 0, 0)
    assert (figures["whole_left_out"], figures["named_twice"], figures["without_a_line"]) == (0, 0, 0)
    assert figures["left_out"] > 100
    assert done.returncode == 0
