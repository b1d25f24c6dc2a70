"""Make each known mistake in the exercises of ``nsae learn`` on purpose, and count how many are told by their name.

Each answer is written into a file of a folder of exercises, and judged as ``nsae learn check`` does, in a process of
its own.  The answers are: each mistake of the lists, alone; mistakes of the list made in another way, as in
``helpers/learners_answers.py``; two mistakes at once; nsae's own solutions; and right answers written differently.

    python benchmarks/mistakes.py [--quick] [--json] [--save]

A mistake counts as recognised if its name is among those that are told.  Two mistakes that give the same on every
input are told together.  Two at once count as recognised if what is told gives the same: often both names, and
sometimes one mistake or another pair that comes to the same.  They are counted apart.  Of a training loop, no pairs
are made: the check does not try them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from helpers import results, usage
from helpers.learners_answers import RIGHT, WRONG

from nsae.study.exercises.check import check
from nsae.study.exercises.exercise import Exercise, Task, source_of, variant
from nsae.study.exercises.tasks import EXERCISES
from nsae.study.exercises.template import file_text, make_folder

QUICK = 12  # with --quick, each twelfth answer of each kind
PAIRS = 20  # each twentieth pair of mistakes


class Answer(NamedTuple):
    """What one learner wrote: the text of one function, the others being right."""

    exercise: Exercise
    task: Task
    kind: str  # "listed", "reworded", "pair", "right"
    mistake: str  # its name; empty for a right answer
    text: str


def answers() -> Iterator[Answer]:
    """Yield all answers, exercise by exercise."""
    for exercise in EXERCISES:
        for task in exercise.tasks:
            for mistake in task.mistakes:
                text = variant(task, mistake)
                assert text is not None, f"{task.name}: {mistake.name} cannot be made"
                yield Answer(exercise, task, "listed", mistake.name, text)
            for name, text in WRONG.get(task.name, {}).items():
                yield Answer(exercise, task, "reworded", name, text)
            pairs = (
                []
                if task.observe
                else [(pair, variant(task, *pair)) for pair in combinations(task.mistakes, 2)]
            )
            possible = [(pair, text) for pair, text in pairs if text is not None]
            for pair, text in possible[::PAIRS]:
                yield Answer(exercise, task, "pair", " and ".join(mistake.name for mistake in pair), text)
            for text in (source_of(task.function).solution, *RIGHT[task.name]):
                yield Answer(exercise, task, "right", "", text)


def judged(answer: Answer) -> tuple[str, list[str]]:
    """Return the state of a function and the names of the mistakes that were told."""
    exercise = answer.exercise
    others = [source_of(task.function).solution for task in exercise.tasks if task is not answer.task]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work, "exercises")
        make_folder(folder)
        target = folder / exercise.file
        assert target.read_text(encoding="utf-8") == file_text(exercise)
        target.write_text("\n\n".join(["import numpy as np", answer.text, *others]), encoding="utf-8")
        verdict = check(exercise, folder)
    function = next((f for f in verdict.functions if f.name == answer.task.name), verdict.functions[0])
    return function.state, function.mistakes


def count(every: list[Answer]) -> dict[str, Any]:
    """Judge all answers, two at a time, and return the figures."""
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(judged, every))
    made: dict[str, int] = dict.fromkeys(("listed", "reworded", "pair"), 0)
    known = dict(made)
    missed, called_wrong, called_right = [], [], 0
    for answer, (state, names) in zip(every, found, strict=True):
        told = f"{answer.exercise.number} {answer.task.name}: {answer.mistake or 'right'}"
        if answer.kind == "right":
            if state != "right":
                called_wrong.append(told)
            continue
        called_right += state == "right"
        made[answer.kind] += 1
        recognised = bool(names) if answer.kind == "pair" else answer.mistake in names
        known[answer.kind] += recognised
        if not recognised:
            missed.append(told)
    return {
        "made": made["listed"] + made["reworded"],
        "recognised": known["listed"] + known["reworded"],
        "right_called_wrong": len(called_wrong),
        "wrong_called_right": called_right,
        "listed": made["listed"],
        "reworded": made["reworded"],
        "right_answers": sum(answer.kind == "right" for answer in every),
        "pairs_made": made["pair"],
        "pairs_recognised": known["pair"],
        "not_recognised": missed,
        "called_wrong": called_wrong,
    }


def main(argv: list[str] | None = None) -> int:
    """Make the mistakes and print what was told; return 1 if one was not recognised or a right answer was refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"each {QUICK}th answer of each kind")
    results.add_options(parser)
    args = parser.parse_args(argv)
    by_kind = [[a for a in answers() if a.kind == kind] for kind in ("listed", "reworded", "pair", "right")]
    figures = count([answer for some in by_kind for answer in some[:: QUICK if args.quick else 1]])
    if not args.json:
        for name, value in figures.items():
            print(f"{name:<20}{', '.join(value) if isinstance(value, list) else value}")
    results.finish(args, "mistakes", figures, seeds=[])
    return int(figures["recognised"] < figures["made"] or figures["right_called_wrong"] > 0)


if __name__ == "__main__":
    sys.exit(usage.run(main))
