"""The symbols of the page, and what a letter means in one equation: symbols.json says it."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "symbols.json"
# A letter in prose, perhaps with d before it and an accent, a prime or an index behind it; and m1 of Adam.
PROSE = re.compile(
    r"(?<![^\Wᵀ₁₂ᵢⱼₗ])(?<![\u0302\u0304'’.√-])(?P<key>m\u0302?[12]|d?[^\W\d_][\u0302\u0304]?′?)"
    r"(?P<index>[₁₂ᵢⱼₗ]*)(?=ᵀ|(?![\w\u0302\u0304'’-]))"
)
DIGITS = {"₁": "_1", "₂": "_2", "1": "_1", "2": "_2"}
ARTICLES = {"a", "A", "I", "s", "o", "i"}  # words of English, and letters that prose hardly ever means


@functools.cache
def table() -> dict[str, Any]:
    """Return what symbols.json holds."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def numbers_of(text: str | None) -> frozenset[int] | None:
    """Return the numbers in a list such as "1-22,34", or None for no list, which means all."""
    if not text:
        return None
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def in_formulas(number: int) -> dict[str, str]:
    """Return by key what a part of a formula stands for in an equation."""
    return _matching(number, "math")


def in_code(number: int, function: str = "") -> dict[str, str]:
    """Return by name what a name in the code stands for in an equation, in ``function``."""
    names = _matching(number, "code") | table()["names_in"].get(str(number), {}).get(function, {})
    return {name: symbol for name, symbol in names.items() if symbol}


def shapes_in(number: int) -> dict[str, str]:
    """Return by its name in the code what a size is called in an equation: n_out is d in the decoder."""
    return table()["shapes_in"].get(str(number), {})


def in_prose(key: str, index: str, keys: dict[str, str]) -> str:
    """Return the symbol of a letter in prose with the ``index`` beside it, or "" if it is none."""
    key = unicodedata.normalize("NFD", key)
    if key in ARTICLES:
        return ""
    if key[-1] in DIGITS:
        return keys.get(key[:-1] + DIGITS[key[-1]], "")
    numbered = key + "".join(DIGITS.get(letter, "") for letter in index)
    return keys.get(numbered) or keys.get(key) or keys.get(key.rstrip("′"), "")


def _matching(number: int, kind: str) -> dict[str, str]:
    found: dict[str, tuple[int, str]] = {}
    for symbol in table()["symbols"]:
        scope = numbers_of(symbol.get("eqs"))
        if scope is not None and number not in scope:
            continue
        size = len(scope) if scope is not None else 1000
        for key in unicodedata.normalize("NFD", symbol[kind]).split():
            if key not in found or size < found[key][0]:
                found[key] = (size, symbol["id"])
    return {key: name for key, (_, name) in found.items()}
