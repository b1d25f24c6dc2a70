"""A table in HTML: what a notebook shows of an object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(caption: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as HTML; all text is escaped.

    Parameters
    ----------
    caption : str
        What stands above the table.
    head : sequence of objects
        The heads of the columns; none for a table without heads.
    rows : iterable of sequences
        The cells, as ``str`` shows them.
    """
    lines = [f"<table><caption>{escape(caption)}</caption>"]
    if head:
        lines.append(f"<thead><tr>{_cells('th', head)}</tr></thead>")
    lines.append("<tbody>")
    lines += [f"<tr>{_cells('td', row)}</tr>" for row in rows]
    return "\n".join([*lines, "</tbody></table>"])


def _cells(tag: str, row: Sequence[object]) -> str:
    return "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in row)
