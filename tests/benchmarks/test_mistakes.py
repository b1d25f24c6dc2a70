"""Mistakes made on purpose, through the same check as the command; the script makes twelve times as many."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_mistakes_are_recognised_and_right_answers_are_right():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "mistakes.py", "--quick", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    figures = json.loads(done.stdout)
    assert figures["made"] > 25
    assert figures["recognised"] == figures["made"]
    assert (figures["right_called_wrong"], figures["wrong_called_right"]) == (0, 0)
    assert figures["right_answers"] >= 5
    assert figures["reworded"] >= 2
    assert done.returncode == 0


def test_a_mistake_that_is_not_recognised_is_listed(benchmark_module):
    script = benchmark_module("mistakes")
    every = [answer for answer in script.answers() if answer.exercise.number == 5]
    wrong = next(answer for answer in every if answer.kind == "listed")
    right = next(answer for answer in every if answer.kind == "right")
    swapped = [wrong._replace(text=right.text), right._replace(text=wrong.text)]
    figures = script.count(swapped)
    assert figures["not_recognised"] == [f"5 output_gradient: {wrong.mistake}"]
    assert figures["called_wrong"] == ["5 output_gradient: right"]
    assert (figures["made"], figures["recognised"], figures["right_called_wrong"]) == (1, 0, 1)
    assert figures["wrong_called_right"] == 1
