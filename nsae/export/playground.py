"""export_playground: a trained model as one web page, in which one draws and sees the units light up.

The page is ``playground.html`` beside this file.  ``playground_encode.js`` has the equations, and
``playground_page.js`` what one sees and touches.  Here the data are put together.
"""

from __future__ import annotations

import base64
import html
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nsae.equations.activations import JumpReLU, KSparse, ReLU
from nsae.export.export_encoder import HasEncoder
from nsae.models.encoder import Encoder
from nsae.system.storage import atomic_file, refuse_existing

HERE = Path(__file__).parent
INK = 0.2  # A pixel belongs to a drawing if it is brighter than this part of the brightest one.
PEN, EXTENT = 1 / 11, 0.7  # Of the side: a pen's width and a drawing's size, where no image is stored.


class DrawingStyle(NamedTuple):
    """How stored images are drawn, so that the page can draw alike.  Lengths are in pixels.

    Attributes
    ----------
    extent : float
        The longer side of a drawing.
    pen : float
        The width of a stroke.
    ink : float
        The brightness of a stroke, from 0 to 1.
    centre : "mass" or "box"
        What lies at the same place in all images: the centre of mass, or that of the box around the drawing.
    row, column : float
        That place, from the upper left corner of the image.
    """

    extent: float
    pen: float
    ink: float
    centre: str
    row: float
    column: float


def export_playground(
    model: HasEncoder,
    path: str | os.PathLike,
    *,
    images: np.ndarray | None = None,
    labels: Sequence[object] | None = None,
    shape: tuple[int, int] | None = None,
    title: str = "A playground for a sparse autoencoder",
    note: str = "",
    overwrite: bool = False,
) -> None:
    """Write a model to one web page in which one draws, and sees units, reconstruction and nearest images.

    The page needs a browser alone, and no network.  It computes Eqs. (1) to (4), (23) and (26) from the
    weights, in JavaScript: the units are those of ``model.encode``, and the values differ by rounding alone.
    Weights that are all numbers of float16 are stored as such, which halves the page.

    Parameters
    ----------
    model : SparseAutoencoder or Encoder
        Fitted, on grey images that are white on black, one a row.
    path : str or PathLike
        Such as "playground.html".
    images : (n, height, width) or (n, d) array, optional
        Images to store in the page, as ``model.encode`` takes them: in [0, 1], or in 0 to 255 if the model has
        learned from such.  They are the examples, and the nearest ones are looked for among them.  They also
        tell the page how large, how thick and where one draws.  Each pixel is rounded to one of 256 levels.
    labels : sequence, optional
        What each image shows.
    shape : (height, width), optional
        Of an image, if the model does not say it: by default a square of d pixels.
    title, note : str
        What stands at the top of the page, and a sentence at its end, such as where the images are from.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    TypeError
        The model is no autoencoder of whole images, such as an ``ImageEncoder``.
    ValueError
        Its rows are no grey images, its activation is JumpReLU, or ``images``, ``labels`` or ``shape`` do not fit
        to it.
    FileExistsError
        The file is there and ``overwrite`` is False.
    """
    encoder = model.encoder() if hasattr(model, "encoder") else model
    if not isinstance(encoder, Encoder):
        raise TypeError(
            f"{type(model).__name__} came, which cannot become a playground. A SparseAutoencoder that was fitted on "
            "whole grey images was expected: the units of an ImageEncoder look at patches, and add up to no image."
        )
    if isinstance(encoder.g, JumpReLU):
        raise ValueError(
            "A playground computes ReLU, sigmoid and k-sparse units, and this model has JumpReLU (Eq. (48)). "
            "export_encoder writes it as a Python file."
        )
    refuse_existing(path, overwrite)
    size = _image_shape(encoder, shape)
    stored, white = _stored(encoder, images, size)
    if labels is not None and len(labels) != len(stored):
        raise ValueError(f"{len(labels)} labels came with {len(stored)} images. Give one for each.")
    data = {
        "title": title,
        "note": note,
        "labels": None if labels is None else [str(label) for label in labels],
        "height": size[0],
        "width": size[1],
        "white": white,
        "style": drawing_style(stored)._asdict(),
        **_weights(encoder, stored.reshape(-1, encoder.n_features)),
    }
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(page_text(data).encode("utf-8", "replace"))


def page_text(data: Mapping[str, Any]) -> str:
    """Return the text of a page with these ``data``, as :func:`export_playground` puts them together."""
    page = (HERE / "playground.html").read_text(encoding="utf-8")
    # "<" is written as an escape, so that nothing in the data can end their element early.
    packed = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    for mark, text in {
        "{{title}}": html.escape(str(data["title"])),
        "{{encode}}": (HERE / "playground_encode.js").read_text(encoding="utf-8"),
        "{{page}}": (HERE / "playground_page.js").read_text(encoding="utf-8"),
        "{{data}}": packed,  # last: it may hold what looks like a mark
    }.items():
        page = page.replace(mark, text)
    return page


def drawing_style(images: np.ndarray) -> DrawingStyle:
    """Return how ``images`` (n, height, width) are drawn: white on black, of any scale.

    The width w of a pen follows from the area A and the outline P of its strokes: a stroke of length L has
    A = wL and, without its ends, P = 2L, so w = 2A/P.  Without images, ordinary values are returned.
    """
    n, height, width = images.shape
    brightest = images.reshape(n, -1).max(axis=1).astype(float) if n else np.empty(0)  # (n,)
    drawn = brightest > 0
    if not drawn.any():
        side = min(height, width)
        return DrawingStyle(EXTENT * side, PEN * side, 1.0, "box", height / 2, width / 2)
    X = images[drawn] / brightest[drawn, None, None]  # (n, height, width) in [0, 1]
    rows, columns = _spans(X.max(axis=2) > INK), _spans(X.max(axis=1) > INK)  # (n, 2) each
    boxes = np.stack([rows.mean(axis=1), columns.mean(axis=1)], axis=1)  # (n, 2)
    total = X.sum(axis=(1, 2))  # (n,)
    of_rows, of_columns = X.sum(axis=2) @ np.arange(height), X.sum(axis=1) @ np.arange(width)  # (n,) each
    masses = np.stack([of_rows, of_columns], axis=1) / total[:, None] + 0.5  # (n, 2)
    centre, places = min(("mass", masses), ("box", boxes), key=lambda kind: kind[1].std(axis=0).sum())
    padded = np.pad(X, ((0, 0), (1, 1), (1, 1)))
    slopes = np.hypot(np.diff(padded, axis=1)[:, :, 1:], np.diff(padded, axis=2)[:, 1:])
    return DrawingStyle(
        extent=float(np.median(np.maximum(np.ptp(rows, axis=1), np.ptp(columns, axis=1)))),
        pen=float(np.median(2 * total / slopes.sum(axis=(1, 2)))),
        ink=float(brightest.mean() / max(images.max(), 255 if images.dtype == np.uint8 else 0)),
        centre=centre,
        row=float(places[:, 0].mean()),
        column=float(places[:, 1].mean()),
    )


def _spans(on: np.ndarray) -> np.ndarray:
    """Where the first and behind the last True of each row of ``on`` (n, m) is, as (n, 2)."""
    return np.stack([on.argmax(axis=1), on.shape[1] - on[:, ::-1].argmax(axis=1)], axis=1)


def _image_shape(encoder: Encoder, shape: tuple[int, int] | None) -> tuple[int, int]:
    """The height and width of the images of an encoder, or ValueError if they are no grey images."""
    d = encoder.n_features
    known = encoder.image_shape
    if known is not None and len(known) == 3:
        raise ValueError(
            f"The model has learned from images in colours, {known}, and one draws in grey. Learn from grey images "
            "(nsae train --grey)."
        )
    if shape is None:
        side = math.isqrt(d)
        height, width = known or (side, side)
    else:
        height, width = shape
    if height * width != d or height < 1:
        what = f"an image of {height} × {width} pixels" if shape else "a square image"
        raise ValueError(
            f"The model takes rows of {d} numbers, which are not {what}. If its rows are grey images, give their "
            "height and width: shape=(height, width), or --shape HEIGHTxWIDTH."
        )
    return int(height), int(width)


def _stored(encoder: Encoder, images: np.ndarray | None, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """The stored images as uint8 (n, height, width), and what a white pixel is to the encoder, 1 or 255."""
    as_bytes = (encoder.preprocessing or {}).get("dtype") == "uint8"
    if images is None:
        return np.empty((0, *size), np.uint8), 255.0 if as_bytes else 1.0
    pixels = np.asarray(images)
    if (
        pixels.dtype.kind not in "biuf"
        or pixels.ndim < 2
        or pixels.shape[1:] not in (size, (size[0] * size[1],))
    ):
        raise ValueError(
            f"The images came as {pixels.shape} of {pixels.dtype}; numbers of shape (n, {size[0]}, {size[1]}) were "
            "expected, as the model has learned from."
        )
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
    white = 255.0 if as_bytes or high > 1 else 1.0
    if not (low >= 0 and high <= white):  # NaN is not
        raise ValueError(
            f"The images have values from {low:.4g} to {high:.4g}; in a playground one draws in grey, so values in "
            "[0, 1], or in 0 to 255, were expected."
        )
    return np.rint(pixels.astype(np.float64) * (255 / white)).astype(np.uint8).reshape(-1, *size), white


def _weights(encoder: Encoder, stored: np.ndarray) -> dict[str, Any]:
    """What the page computes with: sizes, activation, and all arrays in one text of base64."""
    g, layers = encoder.g, (encoder.encoder_layer, encoder.decoder_layer)
    activation = "k-sparse" if isinstance(g, KSparse) else "relu" if isinstance(g, ReLU) else "sigmoid"
    arrays = {"W": layers[0].W, "b": layers[0].b, "Vt": layers[1].W.T, "c": layers[1].b}
    halves = {name: half for name, array in arrays.items() if (half := _as_half(array)) is not None}
    arrays = {**(halves if len(halves) == len(arrays) else arrays), "images": stored}
    little = {name: array.astype(array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    packed = zlib.compress(b"".join(array.tobytes() for array in little.values()), 9)
    return {
        "h": encoder.n_units,
        "d": encoder.n_features,
        "k": min(g.k, encoder.n_units) if isinstance(g, KSparse) else encoder.n_units,
        "activation": activation,
        "activeAbove": g.active_above,
        "output": encoder.output,
        "arrays": [[name, array.dtype.name, array.size] for name, array in little.items()],
        "packed": base64.b64encode(packed).decode(),
    }


def _as_half(array: np.ndarray) -> np.ndarray | None:
    """The array in float16 if that changes none of its numbers, else None."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half, array) else None
