"""Pictures for duplicates.py: photos from archives, pages of text, drawings, bursts, and edits of each."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nsae.datasets.folder import data_folder

ARCHIVES = ("corel1k.tar", "kodak.tar", "caltech101_small.tar")
Picture = Image.Image


def photos(n: int, half: int) -> list[Picture]:
    """Return n photos of the archives that are there, as many of each, from their first (0) or second half (1)."""
    found: list[Picture] = []
    there = [data_folder() / name for name in ARCHIVES if (data_folder() / name).exists()]
    for k, path in enumerate(there):
        with tarfile.open(path) as archive:
            names = sorted(m.name for m in archive if m.isfile() and m.name.endswith((".jpg", ".png")))
            names = names[half::2]  # the two halves have the same kinds
            wanted = (n - len(found)) // (len(there) - k)
            for at in np.linspace(0, len(names), min(wanted, len(names)), endpoint=False).astype(int):
                member = archive.extractfile(names[at])
                found.append(Image.open(io.BytesIO(member.read())).convert("RGB"))
    return found


def page(rng: np.random.Generator, size: tuple[int, int] = (850, 1100)) -> Picture:
    """Return a page of words that mean nothing."""
    image, font = Image.new("RGB", size, "white"), ImageFont.load_default()
    draw = ImageDraw.Draw(image)
    for y in range(80, size[1] - 80, 16):
        line = " ".join("".join(map(chr, rng.integers(97, 123, rng.integers(2, 10)))) for _ in range(30))
        while draw.textlength(line, font=font) > size[0] - 160:
            line = line[:-1]
        draw.text((80, y), line, font=font, fill="black")
    return image


def drawing(rng: np.random.Generator, size: tuple[int, int] = (800, 600)) -> Picture:
    """Return a few lines, boxes and ellipses, black on white."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(6, 15))):
        (x0, x1), (y0, y1) = (sorted(map(int, rng.integers(0, side, 2))) for side in size)
        shape = (draw.line, draw.ellipse, draw.rectangle)[int(rng.integers(3))]
        shape(
            (x0, y0, x1 + 1, y1 + 1),
            width=2,
            **({"fill": "black"} if shape == draw.line else {"outline": "black"}),
        )
    return image


def burst(photo: Picture, rng: np.random.Generator) -> list[Picture]:
    """Return three photos by a camera that moves by 2 to 5 % between them."""
    w, h = photo.size
    moves = np.cumsum(rng.integers(2, 6, (3, 2)), axis=0) / 100
    cut = 0.83
    return [photo.crop((int(w * x), int(h * y), int(w * (x + cut)), int(h * (y + cut)))) for x, y in moves]


def resized(image: Picture, rng: np.random.Generator) -> Picture:
    """Return it at 0.3 to 0.9 of its size."""
    scale = rng.uniform(0.3, 0.9)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def jpeg(image: Picture, quality: int) -> Picture:
    """Return it as JPEG gives it back."""
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=quality)
    return Image.open(stored).convert("RGB")


EDITS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "resized": resized,
    "JPEG 50": lambda image, rng: jpeg(image, 50),
    "mirrored": lambda image, rng: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90°": lambda image, rng: image.transpose(Image.Transpose.ROTATE_90),
}
TURNED = ("mirrored", "turned by 90°")
