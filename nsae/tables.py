"""What a prompt and a notebook show of an object: sizes, cut lines, and tables in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def size_text(n_bytes: int) -> str:
    """Return ``n_bytes`` as people read it: 980 B, 1.5 kB, 148 MB."""
    size, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.3g} {units[0]}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """Return "1 row" or "2 rows": ``n`` of what is called ``one``, or ``many`` (``one`` with an s)."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def first_rows(rows: Sequence[str], total: int, what: str) -> list[str]:
    """Return ``rows``, indented, and a line on the others if there are more: ``total`` of ``what``."""
    more = [f"… {total - len(rows):,} more {what}"] if total > len(rows) else []
    return [f"  {row}" for row in [*rows, *more]]


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
