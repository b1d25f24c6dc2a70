"""Which mistake was made: that whose function gives the same on all inputs, or two of them together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from nsae.study.exercises.exercise import Mistake, Task, compiled, variant
from nsae.study.exercises.outcome import Outcome, call, same


def right_outcomes(task: Task) -> list[Outcome]:
    """Return what the right function of a ``task`` comes to, case by case."""
    return [call(task, task.function, case) for case in task.cases()]


def mistakes_that_fit(task: Task, outcomes: list[Outcome]) -> list[tuple[Mistake, ...]]:
    """Return the mistakes in a ``task`` that come to these ``outcomes``, case by case.

    Returns
    -------
    list of tuples
        Of each single mistake that does; two mistakes may come to the same on every input.  If none does, the first
        pair of mistakes that do together, as one tuple.  Empty if none does.  Pairs are not tried where the function
        is observed, nor where a call failed.
    """
    singles = [(m,) for m in task.mistakes if _fits(task, outcomes, m)]
    failed = any(outcome.failure for outcome in outcomes)
    if singles or failed or task.observe:  # what is observed of a loop is too little to tell pairs apart
        return list(singles)
    return next(([pair] for pair in _pairs(task) if _fits(task, outcomes, *pair)), [])


def _pairs(task: Task) -> Iterator[tuple[Mistake, ...]]:
    """Yield the pairs of mistakes of a ``task`` that can be made together."""
    for pair in combinations(task.mistakes, 2):
        if variant(task, *pair) is not None:
            yield pair


def _fits(task: Task, outcomes: list[Outcome], *mistakes: Mistake) -> bool:
    text = variant(task, *mistakes)
    if text is None:
        return False
    function = compiled(task, text)
    return all(
        same(task, outcome, call(task, function, case))
        for outcome, case in zip(outcomes, task.cases(), strict=True)
    )
