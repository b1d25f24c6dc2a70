"""Made pictures with the statistics of photos: leaves of many sizes that lie on each other."""

from __future__ import annotations

import numpy as np

from nsae.validation import at_least, generator

N_LEAVES = 120  # a picture: enough that the ground is hardly seen


def dead_leaves(n: int, *, size: int = 96, random_state: int | np.random.Generator | None = 0) -> np.ndarray:
    """Draw ``n`` pictures of leaves that lie on each other, in colour.

    Ellipses and strips of random sizes, colours, shades and stripes hide each other.  Such pictures have the
    statistics of photos (Lee, Mumford and Huang 2001, "Occlusion models for natural images"), and features that
    are learned from them serve for photos (Baradad et al. 2021, "Learning to see by looking at noise").  Sizes
    have the density r⁻² here, not r⁻³: there are more large leaves.

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
    pictures = np.empty((n, size, size, 3), np.uint8)
    for picture in pictures:
        picture[:] = np.rint(255 * _picture(size, rng))
    return pictures


def _picture(size: int, rng: np.random.Generator) -> np.ndarray:
    """One picture (size, size, 3) in [0, 1]."""
    palette = np.clip(rng.random((4, 1)) + rng.normal(0, 0.2, (4, 3)), 0, 1)  # few colours, most of them dull
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = palette[0]
    radii = rng.uniform(0.6**-1, 0.03**-1, N_LEAVES) ** -1.0  # density r⁻² from 0.03 to 0.6 of the side
    radii[:10] = np.maximum(
        radii[:10], [0.6, 0.6] + [0.3] * 8
    )  # large ones first, so that the ground is hidden
    for radius in radii:
        center = rng.random(2)
        first, last = (np.clip((center + way * radius) * size, 0, size).astype(int) for way in (-1.5, 1.5))
        part = picture[
            first[1] : last[1] + 1, first[0] : last[0] + 1
        ]  # (rows, columns, 3), where the leaf is
        x, y = np.meshgrid(*((np.arange(len_) + start + 0.5) / size - at for start, len_, at in
                             zip(first, part.shape[1::-1], center, strict=True)))  # fmt: skip
        _lay(part, x, y, radius, palette[rng.integers(4)], rng)
    return picture


def _lay(
    part: np.ndarray, x: np.ndarray, y: np.ndarray, radius: float, color: np.ndarray, rng: np.random.Generator
) -> None:
    """Lay one leaf on a part (rows, columns, 3) of a picture; x and y (rows, columns) are 0 in its middle."""
    angle, stretch = rng.uniform(0, np.pi), rng.uniform(0.3, 1)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if rng.random() < 0.6:  # an ellipse
        inside = along**2 + (across / stretch) ** 2 < radius**2  # (rows, columns)
    else:  # a strip
        inside = (np.abs(along) < radius) & (np.abs(across) < stretch * radius)
    shade = 1 + rng.normal(0, 0.3) * along[inside] / radius  # (pixels,)
    if rng.random() < 0.3:  # stripes
        shade *= 1 + rng.uniform(0, 0.5) * np.sin(across[inside] * 2 * np.pi / rng.uniform(0.03, 0.2))
    color = color * rng.uniform(0.6, 1.4) + rng.normal(0, 0.04, 3)  # (3,)
    part[inside] = np.clip(shade[:, None] * color, 0, 1)
