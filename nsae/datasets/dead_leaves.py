"""Made pictures with the statistics of photos: leaves of many sizes that lie on each other."""

from __future__ import annotations

import numpy as np

from nsae.validation import at_least, generator

N_LEAVES = 120  # a picture: enough that the ground is hardly seen


def dead_leaves(n: int, *, size: int = 96, random_state: int | np.random.Generator | None = 0) -> np.ndarray:
    """Draw ``n`` pictures of leaves that lie on each other, in colour.

    Discs and strips of random sizes, colours, shades and stripes hide each other.  Sizes follow the power
    law r⁻³, which makes pictures that look alike at every scale, as photos do (Lee, Mumford and Huang 2001,
    "Occlusion models for natural images"); features that are learned from them serve for photos (Baradad et
    al. 2021, "Learning to see by looking at noise").

    Parameters
    ----------
    n : int
        How many.
    size : int
        Pixels a side.
    random_state : int, numpy.random.Generator or None
        The same number, the same pictures.

    Returns
    -------
    (n, size, size, 3) uint8

    Raises
    ------
    ValueError
        ``n`` or ``size`` is less than 1.
    """
    at_least("n", n, 1, whole=True)
    at_least("size", size, 1, whole=True)
    rng = generator(random_state)
    along = (np.arange(size, dtype=np.float32) + 0.5) / size  # (size,) in (0, 1)
    x, y = np.meshgrid(along, along)  # (size, size) each
    pictures = np.empty((n, size, size, 3), np.uint8)
    for picture in pictures:
        picture[:] = np.rint(255 * _picture(x, y, rng))
    return pictures


def _picture(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One picture (size, size, 3) in [0, 1], on the grid x, y."""
    palette = np.clip(rng.random((4, 1)) + rng.normal(0, 0.2, (4, 3)), 0, 1)  # few colours, most of them dull
    picture = np.empty((*x.shape, 3), np.float32)
    picture[:] = palette[0]
    radii = rng.uniform(0.6**-1, 0.03**-1, N_LEAVES) ** -1.0  # density r⁻² from 0.03 to 0.6
    for radius in np.maximum(radii, rng.permutation(np.repeat([0.6, 0.3, 0], [2, 8, N_LEAVES - 10]))):
        along, across = _turned(x - rng.random(), y - rng.random(), rng.uniform(0, np.pi))
        stretch = rng.uniform(0.3, 1)
        if rng.random() < 0.6:
            inside = along**2 + (across / stretch) ** 2 < radius**2  # (size, size)
        else:
            inside = (np.abs(along) < radius) & (np.abs(across) < stretch * radius)
        shade = 1 + rng.normal(0, 0.3) * along[inside] / radius  # (pixels,)
        if rng.random() < 0.3:  # stripes
            shade *= 1 + rng.uniform(0, 0.5) * np.sin(across[inside] * 2 * np.pi / rng.uniform(0.03, 0.2))
        color = palette[rng.integers(4)] * rng.uniform(0.6, 1.4) + rng.normal(0, 0.04, 3)  # (3,)
        picture[inside] = np.clip(shade[:, None] * color, 0, 1)
    return picture


def _turned(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
