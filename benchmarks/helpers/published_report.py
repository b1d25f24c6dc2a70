"""The tables of docs/published.md, from the figures of published.py and retrieval_quality.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Any]
Rows = tuple[list[str], list[list[str]]]
SETS = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10_jpeg": "CIFAR-10 JPEG",
    "corel1k": "Corel-1K",
    "caltech101": "Caltech-101",
}
# Of each row: its title, the task, the key of our figure, and theirs as a key or a number.
CLASSIFIED = [
    ("Self-taught learning, digits 0 to 4", "self_taught", "ours", "published"),
    ("the same from raw pixels", "self_taught", "raw", "published_raw"),
    ("Stack 784-200-200-10, before fine-tuning", "stacked", "before", "published_before"),
    ("after fine-tuning", "stacked", "after", "published_after"),
]
PUBLISHED_UNITS = {1600: 0.779, 4000: 0.796}  # of cifar_linear


def published_rows(figures: Figures) -> Rows:
    """Return the head and rows of theirs against ours: accuracies, in per cent."""
    rows = []

    def add(title: str, task: str, theirs: float | None, ours: float) -> None:
        cells = [title, f"{theirs:.1%}" if theirs is not None else "–", f"**{ours:.1%}**"]
        rows.append([*cells, str(figures[task]["seeds"]), f"{figures[task]['minutes']:.1f}"])

    for title, task, ours, theirs in CLASSIFIED:
        if task in figures:
            add(title, task, figures[task][theirs], figures[task][ours])
    if "k_sparse" in figures:
        row = figures["k_sparse"]
        title = f"k-sparse autoencoder 784-1000, softmax on: {row['encoding']}"
        add(title, "k_sparse", 1 - row["published"], 1 - row["error"])
    for key, right in figures.get("cifar_linear", {}).items():
        if key.startswith("units_"):
            units = int(key.removeprefix("units_"))
            title = f"Softmax on pooled patch codes, CIFAR-10 JPEG, {units:,} units"
            add(title, "cifar_linear", PUBLISHED_UNITS.get(units), right)
    if "natural_patches" in figures:
        row = figures["natural_patches"]
        title = f"Natural patches 64-25-64: units that a Gabor function fits (R² ≥ {row['bound']:g})"
        add(title, "natural_patches", None, row["gabor_fraction"])
    return ["", "theirs", "ours", "seeds", "minutes"], rows


def sparsity_rows(figures: Figures) -> Rows:
    """Return the head and rows of dead units and explained variance, by k, with and without cures."""
    table = figures["sparsity"]
    cures = [cure for cure, row in table.items() if isinstance(row, Mapping)]
    rows = []
    for key in table[cures[0]]:
        cells = [key.removeprefix("k")]
        for cure in cures:
            row = table[cure][key]
            cells.append(f"{row['dead']:.1%}, {row['explained_variance']:.3f}")
        rows.append(cells)
    return ["k", *cures], rows


def neighbour_rows(figures: Figures) -> Rows:
    """Return the head and rows of soft nearest neighbours beside precision@1, of vectors and of codes."""
    rows = []
    for name, title in SETS.items():
        for kind, label in (("vector", "the vector"), ("nsae", "its code")):
            row = figures.get(name, {}).get(kind)
            if row and "soft_knn" in row:
                first = title if kind == "vector" else ""
                rows.append([first, label, f"{row['precision@1']:.3f}", f"{row['soft_knn']:.3f}"])
    return ["", "", "precision@1", "soft nearest neighbours"], rows
