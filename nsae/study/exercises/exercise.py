"""What an exercise is: functions to write, inputs to try them on, and the mistakes that people make in them.

The right function of an exercise is its definition in every respect.  Its signature and its docstring are what
a learner gets; its body is the solution; and a mistake is a change of a few letters of that body.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

Case = dict[str, Any]  # the arguments of one call, by name and in order
Function = Callable[..., Any]


class UnreadableError(ValueError):
    """What a function returned is not what it should return; the message says what came."""


class Mistake(NamedTuple):
    """A mistake in a function, made by a change of its text.

    Attributes
    ----------
    name : str
        What is wrong, in a few words.
    old, new : str
        What stands once in the body of the right function, and what stands there instead.
    equation : str
        The numbers of the equations that are broken, such as "(8)".
    why : str
        What is wrong with it and why, in one or two sentences, without the solution.
    """

    name: str
    old: str
    new: str
    equation: str
    why: str


class Task(NamedTuple):
    """A function that the learner is to write.

    Attributes
    ----------
    function : callable
        The right one.
    cases : callable
        Returns the inputs to try: a list of dicts, argument by argument.
    outputs : tuple of str
        The names of what it returns.
    shapes : dict of str
        The shape of an argument or an output, a letter for each axis: ``{"X": "Bd"}``.
    mistakes : tuple of Mistake
    watch_overflow : bool
        Whether an overflow on the way is wrong, even if the result is right.
    read : callable, optional
        Makes one value, or a tuple of them, of what the function returned.
    observe : callable, optional
        Calls the function on a case and returns what is to be compared.  By default, what it returned is.
    """

    function: Function
    cases: Callable[[], list[Case]]
    outputs: tuple[str, ...]
    shapes: dict[str, str]
    mistakes: tuple[Mistake, ...]
    watch_overflow: bool = False
    read: Callable[[Any], Any] | None = None
    observe: Callable[[Function, Case], Any] | None = None

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.function.__name__

    def sizes(self, case: Case) -> dict[str, int]:
        """Return the length of each axis that has a letter, from the arrays of a ``case``."""
        return {
            letter: size
            for name, letters in self.shapes.items()
            if isinstance(case.get(name), np.ndarray)
            for letter, size in zip(letters, case[name].shape, strict=True)
        }


class Exercise(NamedTuple):
    """One file of the learner.

    Attributes
    ----------
    number : int
    slug : str
        Of the file's name.
    title : str
    equations : str
        Their numbers, such as "(8) (13)".
    tasks : tuple of Task
    in_nsae : tuple of str
        Where nsae computes it: ``"nsae.equations.losses:squared_error"``.
    """

    number: int
    slug: str
    title: str
    equations: str
    tasks: tuple[Task, ...]
    in_nsae: tuple[str, ...]

    @property
    def file(self) -> str:
        """The name of the learner's file."""
        return f"{self.number:02d}_{self.slug}.py"


class Source(NamedTuple):
    """The text of a right function, in the parts that are used: without the annotations of its header."""

    header: str
    docstring: str
    body: str

    @property
    def solution(self) -> str:
        """The function without its docstring."""
        return f"{self.header}\n{self.body}"


@cache
def source_of(function: Function) -> Source:
    """Return the parts of the text of a ``function``, which begins with a docstring."""
    text = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(text).body[0]
    assert isinstance(definition, ast.FunctionDef)
    for argument in definition.args.args:
        argument.annotation = None
    docstring = definition.body[0]
    lines = text.splitlines()
    return Source(
        header=f"def {definition.name}({ast.unparse(definition.args)}):",
        docstring="\n".join(lines[docstring.lineno - 1 : docstring.end_lineno]),
        body="\n".join(lines[docstring.end_lineno or 0 :]) + "\n",
    )


def variant(task: Task, *mistakes: Mistake) -> str | None:
    """Return the solution of a ``task`` with ``mistakes`` made in it; None where they are in each other's way."""
    source = source_of(task.function)
    body = source.body
    end = len(body)  # of what no change has touched: changes are made from the last one to the first
    for mistake in sorted(mistakes, key=lambda mistake: -source.body.find(mistake.old)):
        start = source.body.find(mistake.old)
        if source.body.count(mistake.old) != 1 or start + len(mistake.old) > end:
            return None
        body, end = body[:start] + mistake.new + body[start + len(mistake.old) :], start
    text = f"{source.header}\n{body}"
    try:
        compile(text, "variant", "exec")
    except SyntaxError:  # two changes may be in each other's way
        return None
    return text


def compiled(task: Task, text: str) -> Function:
    """Return the function of a ``task`` that is written in ``text``."""
    namespace = {"np": np}
    exec(text, namespace)
    return namespace[task.name]  # type: ignore[return-value]
