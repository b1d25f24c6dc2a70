"""Make the two playgrounds in docs/: draw a digit or a character, and see the units light up.

    python benchmarks/make_playgrounds.py            learn both, and write both pages
    python benchmarks/make_playgrounds.py --render   learn nothing: new template, same data

The digits are MNIST's, which must be in the folder that NSAE_DATA names (``nsae download mnist``); without them,
only the characters are made, which come with nsae.  It takes a minute.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
from helpers import usage

from nsae import Encoder, SparseAutoencoder
from nsae.datasets import glyphs, mnist
from nsae.equations.layers import Dense
from nsae.export.playground import export_playground, page_text

DOCS = Path(__file__).parent.parent / "docs"
UNITS, K, STORED = 256, 16, 300
LEARNING = {"aux_weight": 1 / 32, "dead_after": 5000, "weight_decay": 3e-3, "epochs": 12, "random_state": 0}
SIDE = 20  # pixels: the longer side of a character, as in MNIST
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)


def learned(images: np.ndarray) -> Encoder:
    """Return an encoder of ``images`` (n, 28, 28) in [0, 1], with weights that are numbers of float16.

    Weights of pixels that are black in all images have learned nothing but to be small, and W still has the
    random ones of the start.  They are set to 0, so that strokes there do not excite units at random.
    """
    X = images.reshape(len(images), -1)  # (n, d)
    encoder = SparseAutoencoder(UNITS, k=K, **LEARNING).fit(X).encoder()
    W, V = encoder.encoder_layer.W.copy(), encoder.decoder_layer.W.copy()  # (h, d), (d, h)
    b, c = encoder.encoder_layer.b, encoder.decoder_layer.b  # (h,), (d,)
    black = X.max(axis=0) == 0  # (d,)
    W[:, black], V[black] = 0, 0
    W, b, V, c = (array.astype(np.float16).astype(np.float32) for array in (W, b, V, c))
    return Encoder(Dense(W, b), Dense(V, c), encoder.g, encoder.output, encoder.header)


def some_of_each(labels: np.ndarray, n: int) -> np.ndarray:
    """Return the places of about ``n`` of the ``labels``, as many of each kind, kinds in turn."""
    kinds = np.unique(labels)
    of_each = [np.flatnonzero(labels == kind)[: n // len(kinds)] for kind in kinds]
    return np.stack(of_each, axis=1).ravel()


def centred(images: np.ndarray) -> np.ndarray:
    """Return characters scaled to ``SIDE`` pixels, the box around each in the middle of its image."""
    from PIL import Image

    _, height, width = images.shape
    placed = np.zeros_like(images)
    for image, target in zip(images, placed, strict=True):
        on = image > 0.1 * image.max()
        rows, columns = np.flatnonzero(on.any(axis=1)), np.flatnonzero(on.any(axis=0))
        box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        scale = SIDE / max(box[2] - box[0], box[3] - box[1])
        size = [max(1, round((box[i + 2] - box[i]) * scale)) for i in (0, 1)]
        small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC, box=box))
        top, left = (height - size[1]) // 2, (width - size[0]) // 2
        target[top : top + size[1], left : left + size[0]] = np.clip(small, 0, 1)
    return placed


def digits(target: Path) -> None:
    """Write the page of handwritten digits."""
    images, labels = mnist()
    stored = some_of_each(labels, STORED)
    export_playground(
        learned(images.astype(np.float32) / 255),
        target,
        images=images[stored] / np.float32(255),
        labels=labels[stored].tolist(),
        title="Draw a digit, and see 256 units look at it",
        note=f"The model has learned from MNIST's 60,000 training digits (Y. LeCun, C. Cortes, C. J. C. Burges), "
        f"without their labels; {len(stored)} of them are stored in this page.",
        overwrite=True,
    )


def characters(target: Path) -> None:
    """Write the page of characters that matplotlib's fonts draw."""
    images, labels = glyphs(20_000, random_state=0)
    images = centred(images)
    stored = some_of_each(labels, STORED)
    export_playground(
        learned(images),
        target,
        images=images[stored],
        labels=labels[stored].tolist(),
        title="Draw a character, and see 256 units look at it",
        note=f"The model has learned from 20,000 characters that the fonts of matplotlib draw, scaled to {SIDE} "
        f"pixels, without their labels; {len(stored)} of them are stored in this page.",
        overwrite=True,
    )


def render_again(target: Path) -> None:
    """Write a page anew with the data that it has."""
    found = DATA.search(target.read_text(encoding="utf-8"))
    assert found is not None, f"{target} is no playground"
    target.write_text(page_text(json.loads(found[1])), encoding="utf-8")


def main() -> int:
    """Write both pages, and tell their sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="learn nothing: new template, same data")
    usage.add_debug(parser)
    render = parser.parse_args().render
    for name, make in (("digits", digits), ("characters", characters)):
        target = DOCS / f"playground_{name}.html"
        try:
            (render_again if render else make)(target)
        except FileNotFoundError as error:
            print(f"{target.name}: left out. {error}")
            continue
        print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(usage.run(main))
