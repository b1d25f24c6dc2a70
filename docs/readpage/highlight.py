"""Python code as HTML: keywords, comments, strings, and the names that stand for a symbol of the equations."""

from __future__ import annotations

import html
import keyword
import re

from readpage.markdown import shapes
from readpage.sources import Line, tokens

BREAK = "\x04"
LONG_RUN, LONG_NAME = 24, 18  # letters without a space, and of a name
MINUS = re.compile(r"(?<=[^\w&;>])-(?:\w+|<var [^>]*>\w+</var>)")  # -x is not broken after its sign
CLASSES = {"comment": "i", "string": "em"}


def code(lines: list[Line], names: dict[str, str], sizes: dict[str, str]) -> str:
    """Return ``<pre>`` with a span for each line, whose class is l with the number of spaces before it.

    Parameters
    ----------
    lines
        An excerpt.
    names
        By name in the code, the symbol that it stands for.
    sizes
        By name in the code, the size that a shape means, such as {"n_out": "d"}.
    """
    pieces = _split(tokens("\n".join(line.text for line in lines)))
    out = []
    for line, parts in zip(lines, pieces, strict=True):
        if line.gap:
            out.append("<span class=gap>⋮\n</span>")
            continue
        indent = len(line.text) - len(line.text.lstrip())
        inside = "".join(
            _piece(kind, _breakable(kind, text, line.text), names, sizes) for kind, text in parts
        )
        inside = MINUS.sub(r"<u>\g<0></u>", inside).replace(BREAK, "<wbr>")
        kind = f"l{indent} hit" if line.marked else f"l{indent}"
        out.append(f"<span class={_quoted(kind)}>{inside}\n</span>")
    return "<pre>" + "".join(out) + "</pre>"


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value


def _split(pieces: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return the tokens of each line; a string over several lines is cut."""
    lines: list[list[tuple[str, str]]] = [[]]
    for kind, text in pieces:
        first, *others = text.split("\n")
        lines[-1].append((kind, first))
        for other in others:
            lines.append([(kind, other)])
    return lines


def _breakable(kind: str, text: str, line: str) -> str:
    """Return a token with places where it may be broken, if something in its line is too long to fit."""
    if max(map(len, line.split()), default=0) < LONG_RUN:
        return text
    if kind == "name" and len(text) > LONG_NAME:
        return text.replace("_", f"_{BREAK}")
    return text + BREAK if kind == "other" and text in ("(", "[") else text


def _piece(kind: str, text: str, names: dict[str, str], sizes: dict[str, str]) -> str:
    safe = html.escape(text, quote=False)
    if not text:
        return ""
    if kind in CLASSES:
        return f"<{CLASSES[kind]}>{shapes(safe, sizes, str)}</{CLASSES[kind]}>"
    if kind == "whole":  # no line may end within -> and 1e-6
        return f"<u>{safe}</u>"
    if kind == "name" and keyword.iskeyword(text):
        return f"<b>{safe}</b>"
    if kind == "name" and text in names:
        return f"<var data-s={names[text]}>{safe}</var>"
    return safe
