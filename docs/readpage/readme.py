"""Read nsae/equations/README.md: its index, its sections, its paragraphs and formulas, and its worked example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "nsae" / "equations" / "README.md"
NOT_SHOWN = ("One example by hand", "References")  # chapters that the page has in another form
FRACTIONS = {"¼": 0.25, "½": 0.5, "¾": 0.75, "⅛": 0.125}


Places = tuple[tuple[str, str], ...]  # (file, qualified name)


class Block(NamedTuple):
    """A part of a section: ``kind`` is p, math, h4, ul, table, code or source, which says where figures are from."""

    kind: str
    text: str = ""
    items: tuple = ()  # of a list, or the rows of a table


class Equation(NamedTuple):
    """One numbered section."""

    number: int
    title: str
    blocks: tuple[Block, ...]
    code: Places  # from the index
    twins: Places


class Chapter(NamedTuple):
    """Equations under one heading, and what stands before them."""

    title: str
    blocks: tuple[Block, ...]
    equations: tuple[Equation, ...]


class Example(NamedTuple):
    """The numbers that the worked example starts from."""

    arrays: dict[str, np.ndarray]  # X, W, b, V and c
    lam: float
    gamma: float
    alpha: float


def chapters(text: str) -> list[Chapter]:
    """Return the chapters that have numbered equations, in the order of the page."""
    places = index(text)
    found = []
    for title, body in _parts(text, "## "):
        if title.startswith(NOT_SHOWN):
            continue
        head, *_ = re.split(r"^### ", body, maxsplit=1, flags=re.M)
        equations = []
        for heading, section in _parts(body, "### "):
            numbered = re.fullmatch(r"\((\d+)\) (.+)", heading)
            if numbered is None:
                raise ValueError(f"README.md: the heading {heading!r} is expected to begin with a number")
            number = int(numbered[1])
            equations.append(Equation(number, numbered[2], blocks(section), *places[number]))
        if equations:
            found.append(Chapter(title, blocks(head), tuple(equations)))
    return found


def conventions(text: str) -> tuple[Block, ...]:
    """Return what the chapter "Conventions" says, without its first table: the page has its own of symbols."""
    found = blocks(dict(_parts(text, "## "))["Conventions"])
    first = next(block for block in found if block.kind == "table")
    return tuple(block for block in found if block is not first)


def references(text: str) -> tuple[Block, ...]:
    """Return what is cited."""
    return blocks(dict(_parts(text, "## "))["References"])


def index(text: str) -> dict[int, tuple[Places, Places]]:
    """Return for each number what the index gives as its code, and as its compiled twins."""
    found = {}
    for row in re.findall(r"^\| \[\(\d+\)\]\(#.*\|$", text, re.M):
        number, _, code, _, twins = _cells(row)
        found[int(re.search(r"\((\d+)\)", number)[1])] = _places(code), _places(twins)  # type: ignore[index]
    return found


def _places(cell: str) -> Places:
    places = []
    for file, names in re.findall(r"\[[^]]*\]\(([^)]*)\)((?:,? ?`[^`]*`)+)", cell):
        path = (README.parent / file.partition("#")[0]).resolve().relative_to(ROOT).as_posix()
        places += [(path, name) for name in re.findall(r"`([^`]*)`", names)]
    return tuple(places)


def blocks(text: str) -> tuple[Block, ...]:
    """Return the blocks of Markdown ``text``."""
    found = []
    pattern = re.compile(r"^```(\w*)\n(.*?)^```$|(.+?)(?=\n\n|^```|\Z)", re.M | re.S)
    for fence, inside, plain in pattern.findall(text.strip() + "\n"):
        if inside:
            found.append(Block("math" if fence == "math" else "code", inside.strip("\n")))
            continue
        plain = plain.strip("\n")
        if not plain.strip() or plain.startswith("<!--"):
            continue
        lines = plain.split("\n")
        if plain.startswith("#### "):
            found.append(Block("h4", plain[5:]))
        elif plain.startswith("<sub>"):
            found.append(Block("source", plain.removeprefix("<sub>").removesuffix("</sub>")))
        elif lines[0].startswith("|"):
            rows = [_cells(line) for line in lines if not re.fullmatch(r"[|\s:-]+", line)]
            found.append(Block("table", items=tuple(rows)))
        elif lines[0].startswith("- "):
            found.append(Block("ul", items=tuple(re.split(r"\n- ", plain[2:]))))
        elif lines[0].startswith("    "):
            found.append(Block("code", "\n".join(line[4:] for line in lines)))
        else:
            found.append(Block("p", " ".join(line.strip() for line in lines)))
    return tuple(found)


def example(text: str) -> Example:
    """Read X, W, b, V, c, λ, γ and α of the worked example.

    Raises ValueError if they do not stand there as matrices on two lines, ``X = [1  ½]``.
    """
    body = next(body for title, body in _parts(text, "## ") if title.startswith("One example by hand"))
    pair = re.search(r"^    (X = \[.*)\n    (.*)$", body, re.M)
    weight = re.search(r"λ = γ = (\d+(?:\.\d+)?)", body)
    rate = re.search(r"step of Adam, α = (\d+(?:\.\d+)?)", body)
    if not (pair and weight and rate):
        raise ValueError("README.md: the example by hand does not give X = […], λ = γ = … and α = …")
    first, second = pair[1], pair[2].ljust(len(pair[1]))
    arrays = {}
    for found in re.finditer(r"(\w) = \[([^]]*)\]", first):
        rows = [found[2]]
        if second[found.start(2) - 1] == "[":
            rows.append(second[found.start(2) : found.end(2)])
        arrays[found[1]] = np.array([[_number(word) for word in row.split()] for row in rows])
    for name in ("b", "c"):  # they stand as columns, and are vectors
        arrays[name] = arrays[name].ravel()
    return Example(arrays, float(weight[1]), float(weight[1]), float(rate[1]))


def anchor(heading: str) -> str:
    """Return the address of a ``heading`` on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _parts(text: str, mark: str) -> list[tuple[str, str]]:
    """Return (heading, what is below it) of each heading that begins with ``mark``."""
    pieces = re.split(rf"^{mark}(.+)$", text, flags=re.M)
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1])


def _number(word: str) -> float:
    sign, word = (-1, word[1:]) if word[0] in "−-" else (1, word)
    return sign * (FRACTIONS[word] if word in FRACTIONS else float(word))
