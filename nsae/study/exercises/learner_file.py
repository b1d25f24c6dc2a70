"""A learner's file: read and run, whatever it holds; what is wrong with it becomes a sentence."""

from __future__ import annotations

import codecs
import inspect
import re
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from nsae.study.exercises.exercise import Function, Task, source_of

# What an error message of Python or NumPy contains, and what helps.
ADVICE = (
    (
        "truth value of an array",
        "Python's if, and, max want one truth value. np.where, np.maximum, & go entry by entry.",
    ),
    ("could not be broadcast", "Shapes must agree from the right, or be 1 there."),
    (
        "is different from",
        "The inner sizes of a product must agree: the columns of the first, the rows of the second.",
    ),
    (
        "not aligned",
        "The inner sizes of a product must agree: the columns of the first, the rows of the second.",
    ),
    ("converted to Python scalars", "The functions of math take one number, those of np take arrays."),
    (
        "0-dimensional arrays can be converted",
        "The functions of math take one number, those of np take arrays.",
    ),
    (
        "scalar index",
        "A whole number is wanted there. (np.max looks along an axis; np.maximum compares two arrays.)",
    ),
    (
        "object is not callable",
        "Round brackets call a function. Square brackets look up an entry; a product needs * or @.",
    ),
    ("Cannot cast ufunc", "An array of integers cannot take fractions in place. Make it one of floats."),
    ("math range error", "math.exp overflows. np.exp warns and goes on."),
    ("name 'np' is not defined", "Write: import numpy as np."),
)
EXIT = "It calls exit() or quit(). Take that out."


class LearnerFile(NamedTuple):
    """A file that was run.

    Attributes
    ----------
    name : str
        Of the file.
    lines : list of str
    names : dict
        What the file defines.
    problem : str
        Why it could not be run; empty if it could.
    """

    name: str
    lines: list[str]
    names: dict[str, Any]
    problem: str = ""

    def function(self, task: Task) -> Function | str:
        """Return the function of a ``task``, or a sentence that says why there is none."""
        header = source_of(task.function).header
        function = self.names.get(task.name)
        if function is None:
            return f"There is no function {task.name} in {self.name}. It must begin: {header}"
        if not callable(function):
            return f"{task.name} is expected to be a function, but is of type {type(function).__name__}."
        arguments = list(inspect.signature(task.function).parameters)
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError:
            return f"{task.name} does not take the {len(arguments)} arguments that it is given. It must begin: {header}"
        except ValueError:  # some functions in C have no signature
            pass
        return function

    def explain(self, error: BaseException) -> str:
        """Return a sentence about an ``error`` that the file raised."""
        return explain(error, self.name, self.lines)


def read(path: Path) -> LearnerFile:
    """Return the file of a learner at ``path``, run."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return _unusable(path, f"There is no file {path.name}. nsae learn makes it again.")
    except OSError as error:
        return _unusable(path, f"{path.name} cannot be read: {error.strerror or error}.")
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        return _unusable(path, f"{path.name} is not UTF-8 text. Save it anew, with the encoding UTF-8.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return _unusable(
            path, f"Line {line} of {path.name} is not UTF-8 text. Save it anew, with the encoding UTF-8."
        )
    lines = text.splitlines()
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(text, path.name, "exec"), names)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return LearnerFile(path.name, lines, names, explain(error, path.name, lines))
    return LearnerFile(path.name, lines, names)


def explain(error: BaseException, name: str, lines: list[str]) -> str:
    """Return a sentence about an ``error`` that the file called ``name`` with these ``lines`` raised."""
    if isinstance(error, SyntaxError) and error.filename == name:
        return _explain_syntax(error, lines)
    where = _line_of(error, name)
    line = f" in line {where}, {_quoted(lines, where)}," if where else ""
    message = re.sub(r", with gufunc signature \S+", "", " ".join(str(error).split()))
    if isinstance(error, SystemExit):
        return EXIT
    if isinstance(error, EOFError):
        return f"It waits{line} for input from the keyboard. An exercise gets all it needs as arguments."
    if isinstance(error, ModuleNotFoundError):
        return f"It imports{line} {error.name}, which is not installed. NumPy alone is needed."
    if isinstance(error, RecursionError):
        return f"It calls itself{line} without an end."
    if isinstance(error, MemoryError):
        return f"It needs more memory{line} than there is."
    advice = next((f" {text}" for part, text in ADVICE if part in message), "")
    return f"It stopped{line} with {type(error).__name__}: {message or 'no message'}{advice and '.'}{advice}"


def line_text(lines: list[str], number: int) -> str:
    """Return the text of the line ``number``, from 1, of ``lines``, without the spaces around it."""
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _explain_syntax(error: SyntaxError, lines: list[str]) -> str:
    where = error.lineno or 1
    said = f"Line {where} cannot be read as Python, {_quoted(lines, where)}: {error.msg}."
    if isinstance(error, TabError):
        return f"{said} Tabs and spaces are mixed: use spaces alone."
    if isinstance(error, IndentationError):
        return f"{said} Look at how far the lines are indented."
    return f"{said} Look at this line and the one before."


def _quoted(lines: list[str], number: int) -> str:
    text = line_text(lines, number)
    return f"`{text}`" if text else "which is empty"


def _line_of(error: BaseException, name: str) -> int:
    """Return the last line of the file that the error came through; 0 if none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return (frames[-1].lineno or 0) if frames else 0


def _unusable(path: Path, problem: str) -> LearnerFile:
    return LearnerFile(path.name, [], {}, problem)
