"""Patches of images, cut out and normalised in one loop."""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL, REORDER


@njit(**REORDER)
def dot(x, y):
    """Return the sum of the products of vectors x and y in float64; it is exact for numbers on a grid."""
    total = 0.0
    for l in range(len(x)):
        total += np.float64(x[l]) * np.float64(y[l])
    return total


@njit(**REORDER)
def total(x):
    """Return the sum of a vector x in float64; it is exact for numbers on a grid."""
    sum_of_x = 0.0
    for l in range(len(x)):
        sum_of_x += np.float64(x[l])
    return sum_of_x


@njit(**KERNEL)
def cut_patches(images, channels, patch_size, stride, eps, scale, first, X):
    """Write patches first, first + 1, … of all the ``images`` to the rows of ``X`` (rows, d), normalised by Eq. (29).

    Twin of ``nsae.images.features.patch_features.Geometry.patches``; ``tests/kernels/test_patches.py`` holds
    the two together, to the same bits.

    Parameters
    ----------
    images : (n, side, side · channels) float32
        Rounded, from ``Geometry.pixels``.
    channels, patch_size, stride : int
    eps : float
        ε of Eq. (29).
    scale : float32
        2^a: numbers are rounded to multiples of 2^−a.
    first : int
    X : (rows, d) float32
    """
    side, d = images.shape[1], X.shape[1]
    m = (side - patch_size) // stride + 1  # patches along a side
    across, step = patch_size * channels, X.dtype.type(1) / scale  # numbers in a row of pixels
    for p in range(len(X)):
        image, place = divmod(first + p, m * m)
        top, left = place // m * stride, place % m * stride * channels
        x = X[p]  # (d,)
        for y in range(patch_size):
            pixels = images[image, top + y, left : left + across]
            row = x[y * across : (y + 1) * across]
            for l in range(across):
                row[l] = pixels[l]
        mean = total(x) / d
        variance = max(dot(x, x) / d - mean * mean, 0.0)
        factor = 1 / np.sqrt(variance + eps)
        for l in range(d):
            x[l] = (x[l] - mean) * factor  # (29)
            x[l] = np.rint(x[l] * scale) * step
