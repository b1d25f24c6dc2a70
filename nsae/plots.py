"""Pictures of patterns, of loss curves and of search results.

Each function returns a matplotlib ``Figure`` without a window.  Save it with ``figure.savefig("out.png")``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.errors import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110


def filters(sheets: Mapping[str, np.ndarray], image_shape: tuple[int, ...], *, rows: int = 8) -> Figure:
    """Draw the patterns of units as sheets of small images, one sheet for each named model.

    Parameters
    ----------
    sheets : mapping of name to (m, d) array
        The patterns, as ``Encoder.patterns()`` returns them.
    image_shape : (height, width) or (height, width, 3)
        Its product is d.
    rows : int
        The first ``rows`` × ``rows`` patterns are shown.
    """
    figure = _figure(4.0 * len(sheets), 4.3)
    for axis, (name, patterns) in zip(np.ravel(figure.subplots(1, len(sheets))), sheets.items(), strict=True):
        shown = patterns[: rows * rows]  # (m, d)
        axis.imshow(_mosaic(shown.reshape(-1, *image_shape), rows), cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{name}: {len(shown)} of {len(patterns)} units", fontsize=10, parse_math=False)
        axis.set_axis_off()
    return figure


def loss_curves(histories: Mapping[str, Mapping[str, Sequence[float]]]) -> Figure:
    """Draw loss, explained variance, active units and dead units by epoch.

    Parameters
    ----------
    histories : mapping of name to ``history_``
        One line in each panel for each of them.
    """
    panels = {
        "loss": "J",
        "explained_variance": "explained variance",
        "l0": "active units a sample",
        "dead": "dead units (fraction)",
    }
    figure = _figure(3.1 * len(panels), 3.0)
    for axis, (key, label) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for name, history in histories.items():
            values = history[key]
            marker = "o" if len(values) < 5 else None  # A line needs two points to be seen.
            axis.plot(range(1, len(values) + 1), values, marker=marker, label=name)
        axis.set(xlabel="epoch", title=label)
        axis.title.set_fontsize(10)
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if key == "loss":
            axis.set_yscale("log")
    names = axis.get_legend_handles_labels()
    legend = figure.legend(*names, loc="outside lower center", ncols=len(histories), fontsize=8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def search_results(
    queries: Sequence[np.ndarray],
    hits: Sequence[Sequence[np.ndarray]],
    distances: Sequence[Sequence[float]],
    *,
    names: Sequence[Sequence[str]] | None = None,
    right: Sequence[Sequence[bool]] | None = None,
    row_titles: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw one row for each query: the query, then its hits in order, each with its distance.

    Parameters
    ----------
    queries : sequence of images
        (height, width) or (height, width, 3), in [0, 1].
    hits, distances : sequences of sequences
        For each query, the images and the distances of its hits, nearest first.
    names : sequence of sequences of str, optional
        For each query, the names of its hits.
    right : sequence of sequences of bool, optional
        For each query, whether each hit is of the query's class.  It gets a green frame, or a red one.
    row_titles : sequence of str, optional
        What stands above each query; "query" by default.
    title : str
        What stands above the picture.
    """
    across = 1 + max(len(row) for row in hits)
    size = 1.25
    height = size * 1.36 if names else size * 1.2
    width = max(size * across, 0.085 * len(title))  # inches, at 0.085 for a letter of 10 points
    figure = _figure(width, height * len(queries) + (0.3 if title else 0.0))
    axes = figure.subplots(len(queries), across, squeeze=False)
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
        for side in axis.spines.values():
            side.set_visible(False)
    for i, query in enumerate(queries):
        _draw_image(axes[i, 0], query)
        row_title = _shortened(row_titles[i]) if row_titles else "query"
        axes[i, 0].set_title(row_title, fontsize=8, fontweight="bold", parse_math=False)
        _frame(axes[i, 0], "black")
        for r, (hit, distance) in enumerate(zip(hits[i], distances[i], strict=True)):
            axis = axes[i, 1 + r]
            _draw_image(axis, hit)
            axis.set_title(f"{distance:.3f}", fontsize=8)
            if names:
                axis.set_xlabel(_shortened(names[i][r]), fontsize=7, parse_math=False)
            if right:
                _frame(axis, "tab:green" if right[i][r] else "tab:red")
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def strips(rows: Sequence[tuple[str, np.ndarray]], *, title: str = "") -> Figure:
    """Draw named pictures below each other.

    Parameters
    ----------
    rows : sequence of (name, image)
        Images (height, width, 3) uint8.
    title : str
        What stands above all of them.
    """
    height = 0.9  # inches, of a picture
    widest = max(image.shape[1] / image.shape[0] for _, image in rows) * height
    figure = _figure(
        max(widest + 0.2, 0.085 * len(title)), (height + 0.3) * len(rows) + (0.4 if title else 0.1)
    )
    for axis, (name, image) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        axis.imshow(image)
        axis.set_anchor("W")
        axis.set_axis_off()
        axis.set_title(name, fontsize=8, loc="left", parse_math=False)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _figure(width: float, height: float) -> Figure:
    module: Any = require("matplotlib.figure", "plots", "drawing pictures")
    figure: Figure = module.Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure


def _mosaic(tiles: np.ndarray, across: int) -> np.ndarray:
    """Return tiles (m, height, width[, 3]) as one image, ``across`` in a row, with a white line between them.

    A pattern has positive and negative values.  Zero is grey, and each tile is scaled to its own largest value.
    """
    m, height, width = tiles.shape[:3]
    down = -(-m // across)
    sheet = np.ones((down * (height + 1) - 1, across * (width + 1) - 1, *tiles.shape[3:]))
    for i, tile in enumerate(tiles):
        top, left = (i // across) * (height + 1), (i % across) * (width + 1)
        limit = np.abs(tile).max() or 1.0
        sheet[top : top + height, left : left + width] = 0.5 + 0.5 * tile / limit
    return sheet


def _draw_image(axis: Axes, image: np.ndarray) -> None:
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest" if len(image) < 100 else None)


def _frame(axis: Axes, color: str) -> None:
    for side in axis.spines.values():
        side.set(visible=True, color=color, linewidth=2)


def _shortened(name: str, length: int = 18) -> str:
    return name if len(name) <= length else "…" + name[1 - length :]
