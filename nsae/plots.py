"""Pictures of patterns, of mean activations, of loss curves and of search results.

Each function returns a matplotlib ``Figure`` without a window.  Save it with ``figure.savefig("out.png")``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.errors import require
from nsae.validation import at_least

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
# Fonts of systems with the letters that matplotlib's own fonts lack, such as Chinese ones in names of photos.
FIRST_LACKING = "\u1100"  # where the letters of East Asia begin
MORE_LETTERS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Yu Gothic",
    "Malgun Gothic",
    "Arial Unicode MS",
)


def filters(
    model: Any,
    image_shape: tuple[int, ...] | None = None,
    *,
    units: Sequence[int] | None = None,
    rows: int = 8,
) -> Figure:
    """Draw the patterns of units, the columns of V: those of one model with numbers, or those of several.

    Grey is 0.  Each pattern is scaled by its own largest absolute value, which stands above it as ±0.31, so that
    weak patterns can be seen as well as strong ones.

    Parameters
    ----------
    model : SparseAutoencoder, Encoder, or mapping of name to (m, d) array
        A model's patterns are drawn one by one, each with the number of its unit and its scale.  A mapping gets
        one sheet for each name, without numbers; the arrays are what ``Encoder.patterns()`` returns.
    image_shape : (height, width) or (height, width, 3), optional
        Its product is d.  By default what the model knows of its images, or else a square.
    units : sequence of int, optional
        The units to draw.  By default the first ``rows`` × ``rows`` ones.
    rows : int
        A picture has ``rows`` patterns side by side.

    Raises
    ------
    ValueError
        d is no square number and no ``image_shape`` was given, or it does not fit, or there is no such unit.
    """
    at_least("rows", rows, 1, whole=True)
    if isinstance(model, Mapping):
        if units is not None:
            raise ValueError(
                "units are for one model. Of several, give the patterns to draw: patterns[units]."
            )
        return _sheets(_some(model, "patterns"), image_shape, rows)
    encoder = model.encoder()
    patterns = encoder.patterns()  # (h, d)
    shape = _image_shape(encoder.image_shape if image_shape is None else image_shape, patterns.shape[1])
    chosen = list(range(min(rows * rows, len(patterns)))) if units is None else list(np.ravel(units))
    for j in chosen:
        if j != int(j) or not 0 <= j < len(patterns):
            raise ValueError(f"There is no unit {j}: the model has the units 0 to {len(patterns) - 1}.")
    down = max(-(-len(chosen) // rows), 1)
    across = max(min(rows, len(chosen)), 1)
    figure = _figure(0.95 * across, 1.1 * down + 0.4)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, j in zip(axes, chosen, strict=False):
        scale = float(np.abs(patterns[j]).max())
        axis.imshow(_in_grey(patterns[j].reshape(1, *shape))[0], cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{j}  ±{scale:.2g}", fontsize=7, pad=2)
    figure.suptitle(
        f"{len(chosen)} of {len(patterns)} units: number, pattern, and its largest value", fontsize=9
    )
    return figure


def mean_activations(model: Any) -> Figure:
    """Draw how many units have which mean activation ρ̂, Eq. (8), in the last epoch, with a line at ρ.

    Parameters
    ----------
    model : SparseAutoencoder, or mapping of name to SparseAutoencoder
        Fitted, with sigmoid units.  There is a panel for each model of a mapping.

    Raises
    ------
    ValueError
        A model has no sigmoid units, so its history has no mean activations.
    """
    models = _some(model, "models") if isinstance(model, Mapping) else {"": model}
    figure = _figure(0.6 + 3.4 * len(models), 2.9)
    for axis, (name, one) in zip(np.ravel(figure.subplots(1, len(models))), models.items(), strict=True):
        rows = getattr(one, "history_", {}).get("rho_hat")
        if not rows or np.isnan(rows[-1]).any():
            raise ValueError(
                "The history has no mean activations (rho_hat). They are kept for activation='sigmoid'; fit such a "
                "SparseAutoencoder."
            )
        rho_hat = np.asarray(rows[-1])  # (h,)
        axis.hist(rho_hat, bins=min(30, max(5, len(rho_hat) // 4)), color="tab:blue")
        if one.kl:
            axis.axvline(one.rho, color="tab:red", label=f"ρ = {one.rho:g}")
        axis.axvline(rho_hat.mean(), color="black", linestyle="--", label=f"mean of ρ̂ = {rho_hat.mean():.3f}")
        axis.set(xlabel="ρ̂, mean activation of a unit (8)", ylabel="units", xlim=(0, None), title=name)
        axis.legend(fontsize=8)
    return figure


def _sheets(sheets: Mapping[str, np.ndarray], image_shape: tuple[int, ...] | None, rows: int) -> Figure:
    figure = _figure(4.0 * len(sheets), 4.3)
    for axis, (name, patterns) in zip(np.ravel(figure.subplots(1, len(sheets))), sheets.items(), strict=True):
        shown = patterns[: rows * rows]  # (m, d)
        shape = _image_shape(image_shape, patterns.shape[1])
        axis.imshow(mosaic(_in_grey(shown.reshape(-1, *shape)), rows), cmap="gray", vmin=0, vmax=1)
        axis.set_title(f"{name}: {len(shown)} of {len(patterns)} units", fontsize=10, parse_math=False)
        axis.set_axis_off()
    return figure


def loss_curves(models: Any) -> Figure:
    """Draw loss, explained variance, active units and dead units by epoch.

    Parameters
    ----------
    models : SparseAutoencoder, ImageEncoder, history, or mapping of name to these
        Fitted models, or their ``history_``.  There is a line in each panel for each of them, and two for an
        ImageEncoder, which has an autoencoder of patches and one of images.

    Raises
    ------
    NotFittedError
        A model has no history yet.
    TypeError
        Something is neither a model nor a history.
    """
    panels = {
        "loss": "J",
        "explained_variance": "explained variance",
        "l0": "active units a sample",
        "dead": "dead units (fraction)",
    }
    histories = _histories(models)
    figure = _figure(3.1 * len(panels), 3.0)
    for axis, (key, label) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for name, history in histories.items():
            values = history.get(key, ())
            marker = "o" if len(values) < 5 else None  # A line needs two points to be seen.
            axis.plot(range(1, len(values) + 1), values, marker=marker, label=name)
        axis.set(xlabel="epoch", title=label)
        axis.title.set_fontsize(10)
        axis.grid(alpha=0.3)
        axis.xaxis.get_major_locator().set_params(integer=True)
        if key == "loss":
            axis.set_yscale("log")
    if list(histories) != [""]:
        names = axis.get_legend_handles_labels()
        legend = figure.legend(*names, loc="outside lower center", ncols=min(len(histories), 6), fontsize=8)
        for text in legend.get_texts():
            text.set_parse_math(False)
    return figure


def _histories(models: Any) -> dict[str, Mapping[str, Sequence[float]]]:
    """Return name -> history of a model, of a history, or of all in a mapping; one without a name is ""."""
    named = isinstance(models, Mapping) and not isinstance(models.get("loss"), Sequence)
    found: dict[str, Mapping[str, Sequence[float]]] = {}
    for name, one in _some(models, "models").items() if named else [("", models)]:
        if hasattr(one, "patch_model_"):
            found[f"{name} patches".strip()] = one.patch_model_.history_
            found[f"{name} images".strip()] = one.model_.history_
            continue
        history = (
            one if isinstance(one, Mapping) else one.history_ if hasattr(type(one), "history_") else None
        )
        if history is None or "loss" not in history:
            raise TypeError(
                f"A fitted model, its history_, or a mapping of names to these is expected, and {type(one).__name__} "
                "came."
            )
        found[str(name)] = history
    return found


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
        fonts = _fonts(row_title)
        weight = "normal" if fonts else "bold"  # Few of these fonts have a bold one.
        axes[i, 0].set_title(row_title, fontsize=8, fontweight=weight, fontfamily=fonts, parse_math=False)
        _frame(axes[i, 0], "black")
        for r, (hit, distance) in enumerate(zip(hits[i], distances[i], strict=True)):
            axis = axes[i, 1 + r]
            _draw_image(axis, hit)
            axis.set_title(f"{distance:.3f}", fontsize=8)
            if names:
                name = _shortened(names[i][r])
                axis.set_xlabel(name, fontsize=7, parse_math=False, fontfamily=_fonts(name))
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


def arrays(named: Sequence[tuple[str, str, np.ndarray]], *, across: int = 6) -> Figure:
    """Draw 2-D arrays side by side: white is 0, red positive, blue negative.

    Parameters
    ----------
    named : sequence of (name, equation, (n, m) array)
    across : int
        Pictures in a row.
    """
    down = -(-len(_some(named, "arrays")) // across)
    figure = _figure(2.0 * across, 2.3 * down)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (name, equation, array) in zip(axes, named, strict=False):
        limit = float(np.abs(array).max()) or 1.0
        drawn = axis.imshow(
            array, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
        )
        axis.set_title(f"{name}  {equation}\n{array.shape}, ±{limit:.2g}", fontsize=8, parse_math=False)
        drawn.set_rasterized(True)
    return figure


def stages(trace: Sequence[Any], *, across: int = 5) -> Figure:
    """Draw what becomes of an image on its way to a code.

    Parameters
    ----------
    trace : sequence of Stage
        What ``ImageEncoder.trace(image)`` returns.
    across : int
        Pictures in a row.
    """
    down = -(-len(_some(trace, "stages")) // across)
    figure = _figure(2.3 * across, 2.75 * down)
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, stage in zip(axes, trace, strict=False):
        axis.imshow(stage.picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axis.set_title(f"{stage.name}\n{stage.equation}  {stage.shape}".replace("\n  ", "\n"), fontsize=8)
    return figure


def _figure(width: float, height: float) -> Figure:
    module: Any = require("matplotlib.figure", "plots", "drawing pictures")
    figure: Figure = module.Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    return figure


def _image_shape(shape: tuple[int, ...] | None, d: int) -> tuple[int, ...]:
    """Return the shape of images of d numbers, checked: as given, or a square."""
    if shape is None:
        side = math.isqrt(d)
        if side * side != d:
            raise ValueError(
                f"Patterns of {d} numbers are no square. Give their image_shape=(height, width)."
            )
        return side, side
    sides = tuple(int(side) for side in np.ravel(shape))
    colour = len(sides) == 3 and sides[2] != 3
    if len(sides) not in (2, 3) or min(sides) < 1 or math.prod(sides) != d or colour:
        raise ValueError(
            f"image_shape={sides} is expected as (height, width) or (height, width, 3), with {d} numbers in all."
        )
    return sides


def _some(things: Any, what: str) -> Any:
    """Return what is to be drawn, or raise a ValueError if it is empty."""
    if not len(things):
        raise ValueError(f"There are no {what} to draw.")
    return things


def mosaic(tiles: np.ndarray, across: int) -> np.ndarray:
    """Return ``tiles`` (m, height, width[, 3]) in [0, 1] as one image, ``across`` in a row, white lines between."""
    m, height, width = tiles.shape[:3]
    down = -(-m // across)
    sheet = np.ones((down * (height + 1) - 1, across * (width + 1) - 1, *tiles.shape[3:]))
    for i, tile in enumerate(tiles):
        top, left = (i // across) * (height + 1), (i % across) * (width + 1)
        sheet[top : top + height, left : left + width] = tile
    return sheet


def _in_grey(patterns: np.ndarray) -> np.ndarray:
    """Return patterns (m, height, width[, 3]) in [0, 1]: 0 becomes grey, each is scaled to its own largest value."""
    limits = np.abs(patterns).reshape(len(patterns), -1).max(axis=1)  # (m,)
    limits = np.where(limits > 0, limits, 1).reshape(-1, *[1] * (patterns.ndim - 1))
    return 0.5 + 0.5 * patterns / limits


def _draw_image(axis: Axes, image: np.ndarray) -> None:
    axis.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest" if len(image) < 100 else None)


def _frame(axis: Axes, color: str) -> None:
    for side in axis.spines.values():
        side.set(visible=True, color=color, linewidth=2)


def _shortened(name: str, length: int = 18) -> str:
    return name if len(name) <= length else "…" + name[1 - length :]


def _fonts(text: str) -> list[str] | None:
    """Return the fonts to look for the letters of ``text`` in, one after another; None for matplotlib's choice."""
    if max(text, default="") < FIRST_LACKING:
        return None
    matplotlib: Any = require("matplotlib", "plots", "drawing pictures")
    manager: Any = require("matplotlib.font_manager", "plots", "drawing pictures")
    there = {font.name for font in manager.fontManager.ttflist}
    return [*matplotlib.rcParams["font.family"], *(name for name in MORE_LETTERS if name in there)]
