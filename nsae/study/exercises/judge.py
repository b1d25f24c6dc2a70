"""The verdict on an answer: right, not written yet, or wrong, with the mistake that was made."""

from __future__ import annotations

import ast
import contextlib
import io
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.study.exercises.exercise import Case, Exercise, Function, Mistake, Task, source_of
from nsae.study.exercises.hints import differences
from nsae.study.exercises.learner_file import LearnerFile, read
from nsae.study.exercises.outcome import UNUSABLE, Outcome, call, same
from nsae.study.exercises.recognise import mistakes_that_fit, right_outcomes

RIGHT, WRONG, NOT_WRITTEN = "right", "wrong", "not written yet"
PRINTED = 10  # lines of what a learner's function prints that are shown

Limit = Callable[[], AbstractContextManager]  # is entered around what a learner wrote


class Verdict(NamedTuple):
    """The verdict on one function, or on a whole file.

    Attributes
    ----------
    name : str
        Of the function, or of the file.
    state : str
        "right", "wrong" or "not written yet".
    mistakes : list of str
        The names of known mistakes that give the same.  Two that were made together are one text, with "and".
    text : list of str
        Sentences for the learner.
    """

    name: str
    state: str
    mistakes: list[str]
    text: list[str]


class FileVerdict(NamedTuple):
    """The verdict on a file: that on each of its ``functions``, and what was ``printed`` by the file."""

    state: str
    functions: list[Verdict]
    printed: list[str]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> FileVerdict:
        """Return the verdict whose :meth:`as_json` is ``value``."""
        return cls(value["state"], [Verdict(**function) for function in value["functions"]], value["printed"])

    def as_json(self) -> dict[str, Any]:
        """Return it as a dict for JSON."""
        return {
            "state": self.state,
            "functions": [function._asdict() for function in self.functions],
            "printed": self.printed,
        }


def judge_file(exercise: Exercise, path: Path, limit: Limit = nullcontext) -> FileVerdict:
    """Return the verdict on a learner's file.

    Parameters
    ----------
    exercise : Exercise
    path : Path
        The file.
    limit : callable
        Returns a context that is entered around what the learner wrote, such as a limit of time.
    """
    printed = io.StringIO()
    with limit(), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        file = read(path)
    if file.problem:
        verdicts = [Verdict(path.name, WRONG, [], [file.problem])]
    else:
        verdicts = [_judge_function(task, file, limit, printed) for task in exercise.tasks]
    states = {verdict.state for verdict in verdicts}
    state = next((state for state in (WRONG, NOT_WRITTEN) if state in states), RIGHT)
    lines = printed.getvalue().splitlines()
    more = [f"… and {len(lines) - PRINTED} lines more"] if len(lines) > PRINTED else []
    return FileVerdict(state, verdicts, lines[:PRINTED] + more)


def judge(task: Task, function: Function, file: LearnerFile, limit: Limit = nullcontext) -> Verdict:
    """Return the verdict on a learner's function.

    Parameters
    ----------
    task : Task
    function : callable
        What the learner wrote for it.
    file : LearnerFile
        Where it is from.
    limit : callable
        As for :func:`judge_file`.
    """
    cases = task.cases()
    outcomes: list[Outcome] = []
    for case in cases:
        with limit():
            outcomes.append(call(task, function, case))
        if isinstance(outcomes[-1].error, NotImplementedError):
            return Verdict(task.name, NOT_WRITTEN, [], [])
    rights = right_outcomes(task)
    values_right = all(
        same(task._replace(watch_overflow=False), o, r) for o, r in zip(outcomes, rights, strict=True)
    )
    changed = [outcome.changed for outcome in outcomes if outcome.changed]
    overflows = task.watch_overflow and any(outcome.warned for outcome in outcomes)
    if values_right and not changed and not overflows:
        return Verdict(task.name, RIGHT, [], _notes(outcomes))
    text = [] if values_right else _about_failure(task, file, cases, outcomes)
    found = [] if values_right and not overflows else mistakes_that_fit(task, outcomes)
    names = [" and ".join(mistake.name for mistake in mistakes) for mistakes in found]
    if found:
        text = [*text, *_about_mistakes(found)]
    elif values_right and overflows:
        text.append("The values are right, but NumPy warns of an overflow, or of 0/0, on the way.")
    elif not text and not values_right:
        text = [
            "The answer is wrong, and none of the mistakes that are known here gives the same.",
            *differences(task, cases, rights, outcomes),
        ]
    if changed:
        text.append(_about_changes(changed[0], values_right))
    return Verdict(task.name, WRONG, names, text)


def _judge_function(task: Task, file: LearnerFile, limit: Limit, printed: io.StringIO) -> Verdict:
    function = file.function(task)
    if isinstance(function, str):
        return Verdict(task.name, WRONG, [], [function])
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        return judge(task, function, file, limit)


def _notes(outcomes: list[Outcome]) -> list[str]:
    if any(dtype in ("float32", "float16") for outcome in outcomes for dtype in outcome.dtypes):
        return [
            "It returns numbers of fewer digits (float32) than it is given (float64). That is enough here."
        ]
    return []


def _about_failure(task: Task, file: LearnerFile, cases: list[Case], outcomes: list[Outcome]) -> list[str]:
    """Return what kept the function from returning what can be compared; nothing if nothing did."""
    case, outcome = next(
        ((c, o) for c, o in zip(cases, outcomes, strict=True) if o.failure), ({}, outcomes[0])
    )
    if outcome.error is not None:
        shapes = ", ".join(
            f"{name} {value.shape}" for name, value in case.items() if isinstance(value, np.ndarray)
        )
        text = file.explain(outcome.error)
        return [text, f"The shapes of its arguments: {shapes}."] if shapes else [text]
    if not outcome.failure:
        return []
    assert outcome.failure[0] == UNUSABLE
    came = outcome.failure[1]
    if came == "None" and len(outcome.failure) == 2:
        return ["It returns None. A return is missing at its end."]
    if len(outcome.failure) == 3:
        return [f"{outcome.failure[2]} is expected to be an array of numbers, but is {came}."]
    if task.read or len(task.outputs) == 1:
        wanted = ast.literal_eval(source_of(task.function).docstring.strip()).splitlines()[0]
        return [f"It returns {came}. Its docstring says: {wanted}"]
    return [
        f"It is expected to return {len(task.outputs)} values, {_listed(task.outputs)}, but returns {came}."
    ]


def _about_mistakes(found: list[tuple[Mistake, ...]]) -> list[str]:
    if len(found[0]) == 2:
        return ["Two mistakes are made at once:", *(f"- {_sentence(mistake)}" for mistake in found[0])]
    if len(found) > 1:
        return [
            "It is one of these mistakes, which come to the same:",
            *(f"- {_sentence(mistake)}" for (mistake,) in found),
        ]
    return ["The mistake: " + _sentence(found[0][0])]


def _sentence(mistake: Mistake) -> str:
    where = f", Eq. {mistake.equation}" if mistake.equation else ""
    return f"{mistake.name}{where}. {mistake.why}"


def _listed(names: tuple[str, ...]) -> str:
    """Return names with commas and an "and"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _about_changes(changed: tuple[str, ...], values_right: bool) -> str:
    names = _listed(changed)
    return (
        f"{'The values are right, but it' if values_right else 'It also'} changes {names}, which it was given, in "
        "place. Its caller still needs what was there: work on a copy, or write a = a + b, which makes a new array, "
        "and not a += b."
    )
