"""The Markdown of README.md inside a paragraph as HTML, with numbers linked, symbols marked and shapes found."""

from __future__ import annotations

import html
import re

from readpage.symbols import PROSE, in_prose

SIZES = ("B", "d", "h")
SHAPE = re.compile(r"\(([\w·−+ ]+(?:,[\w·−+ ]+)*,?)\)")


class Text:
    """Turns paragraphs into HTML.  ``numbers`` are those of the equations that can be linked."""

    def __init__(self, numbers: list[int]):
        self.numbers = set(numbers)

    def inline(self, text: str, keys: dict[str, str], names: dict[str, str]) -> str:
        """Return HTML.

        Parameters
        ----------
        text
            Of one paragraph, in Markdown.
        keys
            By key, the symbol that a letter stands for.
        names
            By name in the code, the size that a shape means, such as {"n_out": "d"}.
        """
        kept: list[str] = []

        def keep(markup: str) -> str:
            kept.append(markup)
            return f"\x02{len(kept) - 1}\x03"

        text = re.sub(r"`([^`]+)`", lambda m: keep(f"<code>{html.escape(m[1], quote=False)}</code>"), text)
        text = html.escape(text, quote=False)
        text = re.sub(r"\[([^]]+)\]\(([^)]+)\)", lambda m: self._link(m, keep), text)
        text = shapes(text, names, keep)
        text = re.sub(r"\((\d+)\)", lambda m: keep(self._number(m)), text)
        text = PROSE.sub(lambda m: _symbol(m, keys), text)
        text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
        text = re.sub(r"\*(.+?)\*", r"<em>\1</em>", text)
        while "\x02" in text:
            text = re.sub("\x02(\\d+)\x03", lambda m: kept[int(m[1])], text)
        return text

    def _number(self, found: re.Match[str]) -> str:
        known = int(found[1]) in self.numbers
        return f'<a href="#eq{found[1]}">{found[0]}</a>' if known else found[0]

    def _link(self, found: re.Match[str], keep) -> str:  # type: ignore[no-untyped-def]
        """Return a link within the page or to the web; of a link to a file, its text."""
        words, target = found[1], found[2]
        numbered = re.match(r"#(\d+)-", target)
        if numbered:
            target = f"#eq{numbered[1]}"
        words = re.sub(r"\((\d+)\)", lambda m: keep(m[0]), words)  # no link in a link
        if target.startswith(("#", "https://")):
            return keep(f'<a href="{target}">') + words + keep("</a>")
        return words


def shapes(text: str, names: dict[str, str], keep) -> str:  # type: ignore[no-untyped-def]
    """Return ``text`` with each shape such as (B, h) as a span.

    Parameters
    ----------
    text
        HTML without tags.
    names
        By name in the code, the size that it means here.
    keep
        Takes the markup, and returns what stands for it.
    """

    def shape(found: re.Match[str]) -> str:
        words = re.findall(r"\w+", found[1])
        if "," not in found[1] or not any(names.get(word, word) in SIZES for word in words):
            return found[0]
        means = re.sub(r"\w+", lambda m: names.get(m[0], m[0]), found[0])
        other = f' data-m="{means}"' if means != found[0] else ""
        return keep(f"<span class=sh{other}>{found[0]}</span>")

    return SHAPE.sub(shape, text)


def split_formula(latex: str, between: str = r"\qquad") -> list[str]:
    r"""Return the parts of a formula between \qquad, or what else ``between`` says, outside of braces.

    Parameters
    ----------
    latex
        The formula.
    between
        What stands between two parts.
    """
    parts, depth, start = [], 0, 0
    for found in re.finditer(
        rf"\\begin|\\end|\\left(?!arrow)|\\right(?!arrow)|(?<!\\)[{{}}]|{re.escape(between)}", latex
    ):
        token = found[0]
        if token in ("\\begin", "\\left", "{"):
            depth += 1
        elif token in ("\\end", "\\right", "}"):
            depth -= 1
        elif depth == 0:
            parts.append(latex[start : found.start()].strip())
            start = found.end()
    return [part for part in (*parts, latex[start:].strip()) if part]


def _symbol(found: re.Match[str], keys: dict[str, str]) -> str:
    name = in_prose(found["key"], found["index"], keys)
    return f"<var data-s={name}>{found[0]}</var>" if name else found[0]
