"""Where in an image a unit sees what excites it: an ImageEncoder's pre-activation, patch by patch.

Behind the pooled vector all is linear.  So the pre-activation of a unit of the second autoencoder is a sum
over the grid cells and the units of the first one, and each of these terms is shared out among the patches
of the cell as their codes were added up, Eq. (31).  No image has to be encoded twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nsae.activations import KSparse
from nsae.encoder import Encoder
from nsae.images.pooling import root_and_norm
from nsae.layers import Dense

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
        features, second = self._features, encoder.model_.autoencoder_.encoder
        self._patch_layer = Encoder(
            Dense(features.W, features.b), Dense(features.W.T, features.b), KSparse(features.k), "linear", {}
        )
        self._W, self._A = second.W, encoder.components_.A  # (units, components), (components, cells·h)

    def maps(self, image: np.ndarray, units: list[int]) -> np.ndarray:
        """What each patch adds to the pre-activation of each unit.

        Parameters
        ----------
        image : (side, side) or (side, side, 3) array
            As the encoder reads it: uint8, or floats in [0, 1].
        units : list of m units

        Returns
        -------
        (m, places, places) float64
            They add up to W(Af): the unit's pre-activation without its constant part, Wa + b.
        """
        geometry, features = self.geometry, self._features
        places, h = len(geometry.places), len(features.b)
        X = np.empty((places**2, geometry.n_pixels), np.float32)  # (P, d)
        codes = self._patch_layer.encode(geometry.patches(image, X))  # (29) (30) (2)
        patches, z = codes.row_of_entry(), codes.values.astype(np.float64)  # (nnz,), (nnz,)
        terms = features._cells[patches] * h + codes.units[:, None]  # (nnz, levels): where each z is pooled
        n = features.n_features
        sums = np.bincount(terms.ravel(), np.repeat(z, terms.shape[1]), minlength=n)  # (cells·h,)
        f = root_and_norm(sums[None])[0]  # (31) (cells·h,)
        rate = np.divide(f, sums, out=np.zeros(n), where=sums > 0)  # f for each 1 of z
        M = self._W[units] @ self._A  # (m, cells·h)
        added = z * (M * rate)[:, terms].sum(axis=2)  # (m, nnz)
        maps = [np.bincount(patches, row, minlength=places**2) for row in added]
        return np.reshape(maps, (len(units), places, places))

    def strongest(self, image: np.ndarray, units: list[int]) -> list[tuple[float, float, float, float]]:
        """For each unit, the square of the image whose patches add most to it.

        Returns
        -------
        list of (left, top, right, bottom)
            As shares of the image's width and height.
        """
        geometry = self.geometry
        places, side = len(geometry.places), geometry.side
        across = round((REGION * side - geometry.patch) / geometry.stride) + 1  # patches
        across = min(max(across, 1), places)
        size = geometry.patch + (across - 1) * geometry.stride  # pixels
        boxes = []
        for added in self.maps(image, units):  # (places, places)
            corners = np.pad(added.cumsum(0).cumsum(1), ((1, 0), (1, 0)))  # (places + 1, places + 1)
            upper, lower = corners[:-across], corners[across:]
            squares = lower[:, across:] - lower[:, :-across] - upper[:, across:] + upper[:, :-across]
            row, column = np.unravel_index(np.argmax(squares), squares.shape)
            top, left = geometry.places[row], geometry.places[column]
            box = left, top, left + size, top + size
            boxes.append(tuple(float(pixel) / side for pixel in box))
        return boxes
