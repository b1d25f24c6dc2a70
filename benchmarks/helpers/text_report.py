"""The tables of docs/text_and_ann.md, from the figures of text_search.py and ann_speed.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]
Rows = tuple[list[str], list[list[str]]]
KINDS = ("half of a passage", "drawn alone")


def text_rows(figures: Figures) -> Rows:
    """Return queries/s by number of passages and kind of query."""
    columns = [(n, kind) for n in figures for kind in KINDS]
    head = ["queries/s", *(f"{int(n):,} passages; {kind}" for n, kind in columns)]
    names = list(next(iter(figures.values()))[KINDS[0]]["rows"])
    cells = [
        [_rate(figures[n][kind]["rows"].get(name, {}).get("qps")) for n, kind in columns] for name in names
    ]
    return head, [[name, *row] for name, row in zip(names, cells, strict=True)]


def dense_rows(figures: Figures) -> Rows:
    """Return recall@10 and queries/s of dense vectors, by setting."""
    head = ["Fashion-MNIST, Euclidean", "recall@10", "queries/s, one at a time", "in a batch"]
    rows = figures["rows"]
    return head, [
        [name, f"{row['recall']:.3f}", _rate(row["query_qps"]), _rate(row["batch_qps"])]
        for name, row in rows.items()
    ]


def sparse_rows(figures: Figures) -> Rows:
    """Return recall@10 and queries/s of sparse vectors."""
    head = ["sparse vectors, largest product", "recall@10", "queries/s, in a batch"]
    rows = figures["rows"]
    return head, [[name, f"{row['recall']:.3f}", _rate(row["qps"])] for name, row in rows.items()]


def _rate(qps: float | None) -> str:
    """Return a rate with three digits."""
    if qps is None:
        return ""
    return f"{float(f'{qps:.3g}'):,.0f}" if qps >= 10 else f"{qps:.1f}"
