"""Where in an image a unit finds what excites it: its pre-activation, patch by patch.

Behind the pooled vector everything is linear, but for a norm, which is one number for all units, and for
predicted neighbours, which are taken as linear near the image.  So the pre-activation of a unit of the second
autoencoder is a sum over the grid cells and the units of the first one.  Each term of it is divided among the
patches of the cell in proportion to the codes that were added up, Eq. (31).  What colours add, Eq. (35), goes to
the pixels that have them.  No part of the image has to be covered and encoded again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsae.equations.activations import KSparse
from nsae.equations.layers import Dense
from nsae.images.features.color_histogram import append_histogram, color_bins, color_histogram
from nsae.images.features.neighbours import NeighbourMap, unit_rows
from nsae.images.features.patch_features import Geometry, PatchFeatures
from nsae.images.features.pca import PCA
from nsae.images.features.pooling import root_and_norm
from nsae.models.layer_codes import layer_codes

REGION = 0.4  # side of a region, as a fraction of the image's

Box = tuple[float, float, float, float]  # left, top, right, bottom, as fractions of width and height


def unit_parts(
    image: np.ndarray,
    units: Sequence[int],
    features: PatchFeatures,
    pca: PCA,
    code_layer: Dense,
    neighbours: NeighbourMap | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each patch, and each pixel by its colour, adds to the pre-activation of each unit.

    Parameters
    ----------
    image : (side, side) or (side, side, 3) array
        As the encoder reads it: uint8, or floats in [0, 1].
    units : sequence of m units
    features : PatchFeatures
    pca : PCA
    code_layer : Dense
        Of the second autoencoder.
    neighbours : NeighbourMap, optional
        Is not linear: what counts is its derivative at this image.

    Returns
    -------
    patches : (m, places, places) float64
    pixels : (m, side, side) float64
        Zeros if the encoder reads no colours.  The sum of both is W(Af), the pre-activation times ‖Af + a‖
        (37), without its constant part Wa + b.
    """
    geometry, n = features.geometry, features.n_pooled
    places, h = len(geometry.places), len(features.layer.b)
    X = np.empty((places**2, geometry.n_pixels), np.float32)  # (P, d)
    geometry.patches(image[None], X[None])  # (29)
    codes = layer_codes(features.layer, KSparse(features.k), X)  # (30) (2)
    which, z = codes.row_of_entry(), codes.values.astype(np.float64)  # (nnz,), (nnz,)
    terms = features.cells[which] * h + codes.units[:, None]  # (nnz, grids): where each z is pooled
    sums = np.bincount(terms.ravel(), np.repeat(z, terms.shape[1]), minlength=n)  # (cells · h,)
    pixels = np.zeros((len(units), geometry.image_size, geometry.image_size))
    f = root_and_norm(sums[None])[0]  # (31) (cells · h,)
    if geometry.color_weight:
        bins = color_bins(image)  # (side, side)
        both = np.empty(features.n_features, np.float32)
        append_histogram(f, color_histogram(image), geometry.color_weight, both)  # (35)
    else:
        both = f
    W = code_layer.W[list(units)]  # (m, components)
    if neighbours is not None:
        W = neighbours.linear_at(unit_rows(pca(both[None]))[0], W)  # (38)
    M = W @ pca.A  # (m, n_features)
    if geometry.color_weight:
        f, colors = both[:n], both[n:]
        counts = np.bincount(bins.ravel(), minlength=len(colors))  # (512,)
        pixels += (M[:, n:] * colors / np.maximum(counts, 1))[:, bins]
    rate = np.divide(f, sums, out=np.zeros(n), where=sums > 0)  # (cells · h,): f for each 1 of z
    added = z * (M[:, :n] * rate)[:, terms].sum(axis=2)  # (m, nnz)
    patches = [np.bincount(which, row, minlength=places**2) for row in added]
    return np.reshape(patches, (len(units), places, places)), pixels


def strongest_boxes(patches: np.ndarray, pixels: np.ndarray, geometry: Geometry) -> list[Box]:
    """Return, for each unit, the square of the image whose patches and pixels add most to it.

    Parameters
    ----------
    patches, pixels : (m, places, places) and (m, side, side) arrays
        From :func:`unit_parts`.
    geometry : Geometry

    Returns
    -------
    list of (left, top, right, bottom)
        As fractions of the image's width and height.
    """
    places, side = geometry.places, geometry.image_size
    across = round((REGION * side - geometry.patch_size) / geometry.stride) + 1  # patches
    across = min(max(across, 1), len(places))
    size = geometry.patch_size + (across - 1) * geometry.stride  # pixels
    first = np.arange(len(places) - across + 1)
    boxes = []
    for of_patches, of_pixels in zip(patches, pixels, strict=True):
        inside = _sums(of_patches, first, across) + _sums(of_pixels, places[first], size)
        row, column = np.unravel_index(np.argmax(inside), inside.shape)
        left, top = int(places[column]), int(places[row])
        boxes.append((left / side, top / side, (left + size) / side, (top + size) / side))
    return boxes


def _sums(table: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
    """Sums (s, s) over the squares of ``size`` that begin at each of s ``starts``, down and across."""
    corners = np.pad(table.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    upper, lower = corners[starts], corners[starts + size]
    sums: np.ndarray = lower[:, starts + size] - lower[:, starts] - upper[:, starts + size] + upper[:, starts]
    return sums
