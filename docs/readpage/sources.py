"""Find in the sources what belongs to a numbered equation: lines of code, tests, kernels and their definitions.

A line belongs to Eq. (7) if its comment has ``(7)``, or a range in which it lies, such as ``(5)–(10)``.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
DEFINITIONS = "nsae/training/definitions.py"
APART = ("nsae/kernels/", DEFINITIONS, "nsae/study/")  # shown elsewhere, or made from what is shown
LONG = 34  # lines of a function that are shown whole
AROUND = 3  # lines shown on both sides of a marked one, where a function is longer


class Function(NamedTuple):
    """A function, or a class as far as its lines are in no method."""

    path: str
    name: str
    start: int  # its first line, from 0, decorators included
    body: int  # the line after the signature
    stop: int
    doc: tuple[int, int] | None  # the lines of the docstring
    marked: tuple[tuple[int, frozenset[int]], ...]  # (line, numbers in its comment)

    def lines_of(self, number: int) -> list[int]:
        """Return the lines that belong to an equation."""
        return [line for line, numbers in self.marked if number in numbers]


class Line(NamedTuple):
    """One line of an excerpt; ``gap`` stands for lines that are left out."""

    text: str
    marked: bool = False
    gap: bool = False


class Twin(NamedTuple):
    """A kernel and what it is held to, each after the functions that it calls and that have a line of the equation."""

    kernel: tuple[Function, ...]
    definition: tuple[Function, ...]


@functools.cache
def functions(path: str) -> tuple[Function, ...]:
    """Return the functions, methods and classes of the file ``path``."""
    text = (ROOT / path).read_text(encoding="utf-8")
    marks = {n: numbers(comment) for n, comment in comments(text).items()}
    taken: set[int] = set()
    found = []

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                if isinstance(child, ast.ClassDef):
                    visit(child, f"{prefix}{child.name}.")  # methods first: they take their lines
                start = min([child.lineno, *(d.lineno for d in child.decorator_list)]) - 1
                lines = range(start, child.end_lineno or child.lineno)
                own = tuple((n, marks[n]) for n in lines if marks.get(n) and n not in taken)
                taken.update(lines)
                first = child.body[0]
                doc = None
                if ast.get_docstring(child) is not None:
                    doc = (first.lineno - 1, first.end_lineno or first.lineno)
                function = Function(path, prefix + child.name, start, first.lineno - 1, lines.stop, doc, own)
                found.append(function)

    visit(ast.parse(text), "")
    return tuple(sorted(found, key=lambda function: function.start))


def comments(text: str) -> dict[int, str]:
    """Return by line, from 0, the comment that stands on it."""
    found, line = {}, 0
    for kind, token in tokens(text):
        if kind == "comment":
            found[line] = token
        line += token.count("\n")
    return found


TOKENS = re.compile(
    r"""(?P<comment>\#[^\n]*)
      |(?P<string>[rRbBfFuU]{0,2}(?:\"\"\".*?\"\"\"|'''.*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      |(?P<name>[^\W\d]\w*)
      |(?P<whole>->|\d[\w.]*e-\d+)
      |(?P<other>\d[\w.]*|\s+|.)""",
    re.X | re.S,
)


def tokens(text: str) -> list[tuple[str, str]]:
    """Return the (kind, text) of the pieces of Python code: comment, string, name, whole or other; nothing is lost."""
    return [(str(found.lastgroup), found[0]) for found in TOKENS.finditer(text)]


def numbers(comment: str, *, ranges: bool = True) -> frozenset[int]:
    """Return the numbers of equations in a ``comment``, with ``ranges`` also those between two."""
    spans = re.findall(r"\((\d+)\) ?(?:–|-|to) ?\((\d+)\)", comment)
    if not ranges:
        return frozenset(map(int, re.findall(r"\((\d+)\)", comment))) - {
            int(n) for span in spans for n in span
        }
    between = {n for first, last in spans for n in range(int(first), int(last) + 1)}
    return frozenset(map(int, re.findall(r"\((\d+)\)", comment))) | between


def package_files() -> list[str]:
    """Return the sources whose lines may belong to an equation, those of the equations first."""
    paths = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "nsae").rglob("*.py"))
    chosen = [path for path in paths if not path.startswith(APART)]
    return sorted(chosen, key=lambda path: not path.startswith("nsae/equations/"))


def code_of(number: int, places: tuple[tuple[str, str], ...]) -> list[Function]:
    """Return the functions that the index gives for an equation.

    Parameters
    ----------
    number
        Of the equation.
    places
        (file, name) from the index.  A class stands for those of its methods that have a marked line.  Other
        functions of the same file come after them, if they have one.

    Raises
    ------
    ValueError
        If a file has no line with this number.
    """
    named, beside = [], []
    for path, name in places:
        marked = [f for f in functions(path) if f.lines_of(number)]
        if not marked:
            raise ValueError(f"{path}: no line has the comment # ({number})")
        mine = [f for f in marked if f.name == name or f.name.startswith(f"{name}.")]
        mine = mine or [f for f in functions(path) if f.name == name]  # it calls what has the line
        named += [f for f in mine if f not in named]
        beside += [f for f in marked if f not in beside]
    return named + [f for f in beside if f not in named]


def elsewhere(number: int, shown: list[Function]) -> list[tuple[Function, list[Line]]]:
    """Return the other functions of the package with lines of this number alone, no range, and these lines.

    Parameters
    ----------
    number
        Of the equation.
    shown
        Functions to leave out.
    """
    found = []
    for path in package_files():
        text = _lines(path)
        for function in functions(path):
            lines = [n for n in function.lines_of(number) if number in numbers(text[n], ranges=False)]
            if lines and function not in shown:
                found.append((function, [Line(text[n].strip(), True) for n in lines]))
    return found


def tests_of(number: int) -> list[Function]:
    """Return the tests whose names begin with ``test_eq07_`` for Eq. (7)."""
    paths = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py"))
    word = f"test_eq{number:02d}_"
    return [
        function
        for path in paths
        if word in (ROOT / path).read_text(encoding="utf-8")
        for function in functions(path)
        if function.name.startswith(word)
    ]


def twins_of(number: int, places: tuple[tuple[str, str], ...]) -> list[Twin]:
    """Return the kernels that the index gives as compiled twins of an equation, with their definitions.

    Parameters
    ----------
    number
        Of the equation.
    places
        (file, name) from the index.

    Raises
    ------
    ValueError
        If one of them is not there, or its docstring names no definition.
    """
    found = []
    for path, name in places:
        kernel = _function(path, name)
        definition = definition_of(kernel)
        found.append(Twin((*parts_of(kernel, number), kernel), (*parts_of(definition, number), definition)))
    return found


def parts_of(function: Function, number: int) -> list[Function]:
    """Return the functions of the same folder with a line of this number that a function calls, or they call."""
    folder = (ROOT / function.path).parent
    near = [f for path in sorted(folder.glob("*.py")) for f in functions(path.relative_to(ROOT).as_posix())]
    reached, waiting = [function], [function]
    while waiting:
        called = set(re.findall(r"(?<![\w.])(\w+)\(", source(waiting.pop())))
        new = [f for f in near if f.name in called and f not in reached]
        reached += new
        waiting += new
    return [f for f in reached[1:] if f.lines_of(number)]


def definition_of(kernel: Function) -> Function:
    """Return the NumPy function that a kernel's docstring names as its definition."""
    doc = docstring(kernel)
    named = re.search(r"``definitions\.(\w+)``", doc)
    if named:
        return _function(DEFINITIONS, named[1])
    twin = re.search(r"[Tt]win of ``nsae\.([\w.]+)``", doc)
    if twin is None:
        raise ValueError(f"{kernel.path}: the docstring of {kernel.name} names no definition")
    return _by_dotted_name(twin[1], kernel.name)


def fixtures_of(test: Function) -> list[Function]:
    """Return the fixtures and helpers of the same file that a test uses, and those that they use, in their order."""
    here = [f for f in functions(test.path) if "." not in f.name and not f.name.startswith("test_")]
    found: list[Function] = []
    waiting = [test]
    while waiting:
        text = source(waiting.pop())
        new = [f for f in here if f not in found and re.search(rf"(?<![\w.]){f.name}(?!\w)", text)]
        found += new
        waiting += new
    return sorted(found, key=lambda function: function.start)


def excerpt(function: Function, number: int, *, whole: bool = False) -> list[Line]:
    """Return the lines of a function, dedented, those of an equation marked.

    Of its docstring there is the first line.  A long function is cut to its signature and what is around the
    marked lines.

    Parameters
    ----------
    function
        To be shown.
    number
        Of the equation.
    whole
        Whether to leave out nothing.
    """
    text, marked = _lines(function.path), set(function.lines_of(number))
    indent = len(text[function.start]) - len(text[function.start].lstrip())
    kept = list(range(function.start, function.stop))
    if not whole and function.doc:
        kept = [n for n in kept if not function.doc[0] < n < function.doc[1]]
    if not whole and not _shown_whole(function):
        near = {n for line in marked for n in range(line - AROUND, line + AROUND + 1)}
        head = function.body + 1 if function.doc else function.body
        kept = [n for n in kept if n < head or n in near]
    lines, before = [], function.start - 1
    doc = function.doc or (0, 0)
    for n in kept:
        if n > before + 1 and not (before == doc[0] and n == doc[1]):
            if not text[n].strip():
                continue
            lines.append(Line("⋮", gap=True))
        line = text[n][indent:]
        if n == doc[0] < doc[1] - 1 and not whole:
            line += ' …"""'
        lines.append(Line(line, n in marked))
        before = n
    if before < function.stop - 1:
        lines.append(Line("⋮", gap=True))
    while lines and not lines[-1].text.strip():
        lines.pop()
    return lines


def _shown_whole(function: Function) -> bool:
    first, last = function.doc or (0, 1)
    return function.stop - function.start - (last - first - 1) <= LONG


def source(function: Function) -> str:
    """Return the text of a function."""
    return "\n".join(_lines(function.path)[function.start : function.stop])


def docstring(function: Function) -> str:
    """Return the docstring of a function, or "" if it has none."""
    return "\n".join(_lines(function.path)[slice(*function.doc)]) if function.doc else ""


def _lines(path: str) -> list[str]:
    return (ROOT / path).read_text(encoding="utf-8").split("\n")


def _function(path: str, name: str) -> Function:
    found = next((f for f in functions(path) if f.name == name), None)
    if found is None:
        raise ValueError(f"{path} does not define {name}")
    return found


def _by_dotted_name(dotted: str, name: str) -> Function:
    """Return the function with a name such as images.features.patch_features.Geometry.patches.

    Parameters
    ----------
    dotted
        Its name below nsae.  It may be that of the module alone.
    name
        The name of the function, if ``dotted`` is that of its module.
    """
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        path = "/".join(["nsae", *parts[:cut]]) + ".py"
        if (ROOT / path).is_file():
            return _function(path, ".".join(parts[cut:]) or name)
    raise ValueError(f"nsae.{dotted} is no function of the package")
