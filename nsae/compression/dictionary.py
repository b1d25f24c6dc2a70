"""The learned patterns that a compressed image is written in."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsae.compression.pursuit import pursue
from nsae.errors import ModelFormatError

SIDE = 8  # Pixels a side of a patch.
FRACTION = 1 << 10  # Patterns are whole numbers of 1/1024, so that every machine decodes to the same pixels.
LAMBDA = 0.14  # Squared error that a bit is worth, in squared steps; (ln 2)/6 ≈ 0.116 where steps are small.
COMES_WITH_NSAE = Path(__file__).parent / "patterns.npz"


class Dictionary(NamedTuple):
    """Patterns of 8 × 8 pixels with mean 0 and norm 1, and how often each was used where they were learned."""

    V: np.ndarray  # (64, h) int16, in units of 1/1024
    counts: np.ndarray  # (h,) int64, each 1 or more, with a sum of about 4096

    @classmethod
    def of(cls, V: np.ndarray, used: np.ndarray) -> Dictionary:
        """Round patterns, and scale how often they were used.

        Parameters
        ----------
        V : (64, h) float
            A pattern in each column, such as the decoder's weights of a SparseAutoencoder.
        used : (h,) array
            How many patches used each.
        """
        V = V - V.mean(axis=0)
        V = V / np.maximum(np.linalg.norm(V, axis=0), 1e-12)
        used = np.asarray(used, float) + 1.0
        return cls(
            np.rint(V * FRACTION).astype(np.int16),
            np.maximum(np.rint(4096 * used / used.sum()), 1).astype(np.int64),
        )

    @property
    def patterns(self) -> np.ndarray:
        """The patterns as floats, (64, h); exact, as they are whole numbers over a power of 2."""
        return self.V / FRACTION

    @property
    def unit_bits(self) -> np.ndarray:
        """About how many bits it costs that a unit is active, (h,): its share of all units, and one more."""
        return -np.log2(self.counts / self.counts.sum()) + 0.8

    @property
    def identity(self) -> int:
        """A number of 16 bits that tells dictionaries apart; each compressed image has that of its own."""
        content = self.V.astype("<i2").tobytes() + self.counts.astype("<i8").tobytes()
        return zlib.crc32(content) & 0xFFFF

    def save(self, path: str | os.PathLike) -> None:
        """Write it to a file.

        Parameters
        ----------
        path : str or PathLike
            A name that ends with .npz.
        """
        np.savez_compressed(path, V=self.V, counts=self.counts.astype(np.uint16))

    @classmethod
    def load(cls, path: str | os.PathLike = COMES_WITH_NSAE) -> Dictionary:
        """Read a dictionary: the one that comes with nsae, or one from a file of yours.

        Parameters
        ----------
        path : str or PathLike
            What ``save`` wrote.

        Raises
        ------
        ModelFormatError
            The file is missing, or no dictionary is in it.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                V, counts = file["V"], file["counts"].astype(np.int64)
        except (OSError, KeyError, ValueError, EOFError, zlib.error) as error:
            raise ModelFormatError(
                f"{path}: no dictionary of patterns can be read from it ({error})."
            ) from error
        if V.ndim != 2 or V.dtype != np.int16 or len(V) != SIDE**2 or counts.shape != V.shape[1:]:
            raise ModelFormatError(
                f"{path}: patterns of shape {V.shape}, {V.dtype}, where (64, h) int16 was expected."
            )
        return cls(V, counts)


def refine(V: np.ndarray, X: np.ndarray, step: float, rounds: int = 6) -> Dictionary:
    """Return patterns that were fitted anew to the codes that compression makes of patches.

    An autoencoder's code is one product with each pattern.  Compression looks for better codes, step by step, and
    with few bits; these patterns suit those codes.  Each round codes all patches (45), (46) and then
    moves V to where ‖X − Q V^T step‖² is least, which is ridge regression towards the old V.

    Parameters
    ----------
    V : (64, h) float
        Where it begins, such as the decoder's weights of a SparseAutoencoder.
    X : (n, 64) float
        Patches with mean 0.
    step : float
        What a value of 1 stands for.
    rounds : int
        How often.
    """
    dictionary = Dictionary.of(V, np.ones(V.shape[1]))
    for _ in range(rounds):
        Q = pursue(X, dictionary.patterns, step, LAMBDA * step**2, dictionary.unit_bits)
        Z = Q * np.float32(step)  # (n, h)
        near = 10 * step**2 * np.eye(V.shape[1])  # what ten patches weigh
        V = np.linalg.solve(Z.T @ Z + near, Z.T @ X + near @ dictionary.patterns.T).T  # (64, h)
        dictionary = Dictionary.of(V, (Q > 0).sum(axis=0))
    return dictionary
