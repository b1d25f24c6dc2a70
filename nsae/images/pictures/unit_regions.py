"""Where in an image a unit sees what excites it: an ImageEncoder's pre-activation, patch by patch.

Behind the pooled vector all is linear.  So the pre-activation of a unit of the second autoencoder is a sum
over the grid cells and the units of the first one, and each of these terms is shared out among the patches
of the cell as their codes were added up, Eq. (31); what colours add, Eq. (35), goes to the pixels that have
them.  Nothing has to be covered up and encoded again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nsae.equations.activations import KSparse
from nsae.equations.layers import Dense
from nsae.images.features.color_histogram import beside, color_bins, color_histogram
from nsae.images.features.pooling import root_and_norm
from nsae.models.encoder import Encoder

if TYPE_CHECKING:
    from nsae.images.encoder import ImageEncoder

REGION = 0.4  # of an image's side


class Regions:
    """Finds the part of an image that excites a unit most.

    Parameters
    ----------
    encoder : ImageEncoder
        Fitted.
    """

    def __init__(self, encoder: ImageEncoder):
        self.geometry, self._features = encoder.geometry_, encoder._features
        features, second = self._features, encoder.model_.autoencoder_.encoder_layer
        self._patch_layer = Encoder(
            Dense(features.W, features.b), Dense(features.W.T, features.b), KSparse(features.k), "linear", {}
        )
        self._W, self._A = second.W, encoder.pca_.A  # (units, components), (components, n_features)

    def parts(self, image: np.ndarray, units: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """What each patch, and each pixel by its colour, adds to the pre-activation of each unit.

        Parameters
        ----------
        image : (side, side) or (side, side, 3) array
            As the encoder reads it: uint8, or floats in [0, 1].
        units : list of m units

        Returns
        -------
        patches : (m, places, places) float64
        pixels : (m, side, side) float64
            Zeros if the encoder reads no colours.  Both together add up to W(Af), the pre-activation
            without its constant part Wa + b.
        """
        geometry, features = self.geometry, self._features
        places, h = len(geometry.places), len(features.b)
        X = np.empty((places**2, geometry.n_pixels), np.float32)  # (P, d)
        codes = self._patch_layer.encode(geometry.patches(image[None], X[None])[0])  # (29) (30) (2)
        which, z = codes.row_of_entry(), codes.values.astype(np.float64)  # (nnz,), (nnz,)
        terms = features._cells[which] * h + codes.units[:, None]  # (nnz, levels): where each z is pooled
        n = features._n_pooled
        sums = np.bincount(terms.ravel(), np.repeat(z, terms.shape[1]), minlength=n)  # (cells·h,)
        M = self._W[units] @ self._A  # (m, n_features)
        pixels = np.zeros((len(units), geometry.image_size, geometry.image_size))
        f = root_and_norm(sums[None])[0]  # (31) (cells·h,)
        if geometry.color_weight:
            bins = color_bins(image)  # (side, side)
            both = np.empty(features.n_features, np.float32)
            beside(f, color_histogram(image), geometry.color_weight, both)  # (35)
            f, colors = both[:n], both[n:]
            counts = np.bincount(bins.ravel(), minlength=len(colors))  # (512,)
            pixels += (M[:, n:] * colors / np.maximum(counts, 1))[:, bins]
        rate = np.divide(f, sums, out=np.zeros(n), where=sums > 0)  # (cells·h,): f for each 1 of z
        added = z * (M[:, :n] * rate)[:, terms].sum(axis=2)  # (m, nnz)
        patches = [np.bincount(which, row, minlength=places**2) for row in added]
        return np.reshape(patches, (len(units), places, places)), pixels

    def strongest(self, image: np.ndarray, units: list[int]) -> list[tuple[float, float, float, float]]:
        """For each unit, the square of the image whose patches and pixels add most to it.

        Returns
        -------
        list of (left, top, right, bottom)
            As shares of the image's width and height.
        """
        geometry = self.geometry
        places, side = geometry.places, geometry.image_size
        across = round((REGION * side - geometry.patch_size) / geometry.stride) + 1  # patches
        across = min(max(across, 1), len(places))
        size = geometry.patch_size + (across - 1) * geometry.stride  # pixels
        first = np.arange(len(places) - across + 1)
        boxes = []
        for patches, pixels in zip(*self.parts(image, units), strict=True):
            inside = _sums(patches, first, across) + _sums(pixels, places[first], size)
            row, column = np.unravel_index(np.argmax(inside), inside.shape)
            box = places[column], places[row], places[column] + size, places[row] + size
            boxes.append(tuple(float(pixel) / side for pixel in box))
        return boxes


def _sums(table: np.ndarray, starts: np.ndarray, size: int) -> np.ndarray:
    """Sums (s, s) over the squares of ``size`` that begin at each of s ``starts``, down and across."""
    corners = np.pad(table.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    upper, lower = corners[starts], corners[starts + size]
    return lower[:, starts + size] - lower[:, starts] - upper[:, starts + size] + upper[:, starts]
