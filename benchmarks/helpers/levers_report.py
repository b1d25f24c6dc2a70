"""How the figures of retrieval_levers.py are shown: what each lever adds to the defaults, as a table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .ranking import CRITERION
from .retrieval_report import NAMES, SHORT

MINUS = "−"  # as it is printed


def columns(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (set, measure) of each column: what the set is judged by, and precision at 1."""
    sets = [name for name in ("fashion_mnist", "corel1k", "cifar10_jpeg") if name in figures]
    return [(name, key) for name in sets for key in (CRITERION.get(name, "map"), "precision@1")]


def heads(figures: Mapping[str, Any]) -> list[str]:
    """Return the head of the table."""
    found = [""]
    for i, (name, key) in enumerate(columns(figures)):
        found.append(SHORT[key] if i % 2 else f"{NAMES[name]}: {SHORT[key]}")
    return found


def rows(figures: Mapping[str, Any]) -> list[list[str]]:
    """Return the figures of the defaults, and below them what each lever adds, in the order of the sets."""
    levers = dict.fromkeys(lever for table in figures.values() for lever in table)
    found = []
    for lever in levers:
        cells = []
        for name, key in columns(figures):
            table = figures[name]
            if lever not in table:
                cells.append("")
            elif lever == "defaults":
                cells.append(f"{table[lever][key]:.3f}")
            else:
                cells.append(signed(table[lever][key] - table["defaults"][key]))
        found.append([f"`{lever}`" if "=" in lever else lever, *cells])
    return found


def signed(difference: float) -> str:
    """Return a difference with three digits and its sign; what rounds to 0 has none."""
    text = f"{abs(difference):.3f}"
    if float(text) == 0:
        return text
    return ("+" if difference > 0 else MINUS) + text


def spreads(figures: Mapping[str, Any]) -> str:
    """Return a sentence on how far apart the differences of several seeds are, for each set that has several."""
    said = []
    for name, key in columns(figures):
        found = [
            row["spread"][key]
            for lever, row in figures[name].items()
            if lever != "defaults" and "spread" in row
        ]
        if found:
            middle = sorted(found)[len(found) // 2]
            said.append(f"{NAMES[name]}, {SHORT[key]}: {max(found):.3f} at most, {middle:.3f} in the middle")
    if not said:
        return ""
    return "\n\nHow far apart the differences of several seeds are: " + "; ".join(said) + "."
