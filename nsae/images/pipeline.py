"""ImagePipeline: from images to codes, with weights that are fixed.  It is what gets shipped.

    image → patches (29) → k-sparse codes of patches (30) (2) → pooled over a grid (31), with colours (35)
          → principal components, at norm 1 (37), beside what they predict of their neighbours (38)
          → k-sparse code (2) of the image, less a threshold of its own (36)

:class:`~nsae.images.encoder.ImageEncoder` learns one.  Arrays of the pipeline's own size need NumPy alone;
files, and images of another size, need Pillow.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.layers import Dense
from nsae.errors import ModelFormatError
from nsae.images.features.image_threshold import thresholded_codes, units_read
from nsae.images.features.neighbours import NeighbourMap, unit_rows
from nsae.images.features.patch_features import Geometry, PatchFeatures
from nsae.images.features.pca import BLOCK_ROWS, PCA
from nsae.images.features.unit_regions import Box, strongest_boxes, unit_parts
from nsae.images.few_images import FewImages
from nsae.images.files import OnError
from nsae.images.image_blocks import Images, check_images, image_blocks
from nsae.images.pipeline_file import (
    NEIGHBOURS,
    arrays_of,
    check_image_thresholds,
    geometry_from,
    neighbour_map_from,
)
from nsae.images.trace import Stage, trace
from nsae.models.few_rows import FEW
from nsae.models.model_file import Stored, check_weights, fingerprint, model_bytes, read_model, write_model
from nsae.system.threads import Threads
from nsae.tables import counted
from nsae.validation import at_least

if TYPE_CHECKING:
    from typing_extensions import Self

KIND = "image_pipeline"
ARRAYS = ("patch_W", "patch_b", "pca_A", "pca_a", "code_W", "code_b")
BLOCK_BYTES = 1 << 25  # of images, and of their pooled vectors, that are in memory at once


class ImagePipeline(Stored):
    """Codes of images with fixed weights: patches, pooling, principal components, a k-sparse layer.

    Get one from a file, ``nsae.load_encoder("model.npz")``, or from a model, ``image_encoder.encoder()``.

    Parameters
    ----------
    features : PatchFeatures
        From images to pooled vectors.
    pca : PCA
        From pooled vectors to m components.
    code_layer : Dense
        W (n_units, m), or (n_units, 2m) with ``neighbours``, and b (n_units,).
    k : int
        Active units an image, at most.
    header : dict
        What the model's file says about it.
    neighbours : NeighbourMap, optional
        From m components to 2m numbers.
    shrink_threshold : float
        φ of Eq. (36), at least 0 and below 1.

    Attributes
    ----------
    features, pca, code_layer, k, header, neighbours, shrink_threshold
        As they were given.
    n_units : int

    Raises
    ------
    ValueError
        If the parts do not fit each other.
    """

    # What trials of this machine's BLAS find out anew in each process.
    _few: FewImages | None = None
    _asked = False  # whether few images have been encoded before

    def __init__(
        self,
        features: PatchFeatures,
        pca: PCA,
        code_layer: Dense,
        k: int,
        header: dict[str, Any],
        *,
        neighbours: NeighbourMap | None = None,
        shrink_threshold: float = 0.9,
    ):
        at_least("k", k, 1, whole=True)
        at_least("shrink_threshold", shrink_threshold, 0)
        self.features = features
        self.pca = pca
        self.code_layer = code_layer
        self.k = int(k)
        self.header = header
        self.neighbours = neighbours
        self.shrink_threshold = float(shrink_threshold)
        self.n_units, width = code_layer.W.shape
        h, d = features.layer.W.shape
        m = width if neighbours is None else len(neighbours.output_b)
        read = m if neighbours is None else 2 * m
        expected = ((h,), features.geometry.n_pixels, (m, features.n_features), (m,), (self.n_units,), read)
        got = (features.layer.b.shape, d, pca.A.shape, pca.a.shape, code_layer.b.shape, width)
        if got != expected:
            raise ValueError(f"its arrays do not fit each other: {got}, where {expected} was expected")
        if k > self.n_units:
            raise ValueError(f"k={k} is expected from 1 to {self.n_units}, the number of units.")
        if shrink_threshold >= 1:
            raise ValueError(f"shrink_threshold={shrink_threshold} is expected below 1.")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_few", "_asked")}

    def __repr__(self) -> str:
        side, color = self.geometry.image_size, "colour" if self.geometry.color else "grey"
        units = f"{counted(self.n_units, 'unit')}, at most {self.k:,} of them active"
        return f"ImagePipeline: {color} images of {side} × {side} pixels to {units}"

    @property
    def geometry(self) -> Geometry:
        """How images are cut and pooled."""
        return self.features.geometry

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How files become images: {"side": pixels, "color": bool, "dtype": "uint8"}."""
        return {"side": self.geometry.image_size, "color": self.geometry.color, "dtype": "uint8"}

    @property
    def block_size(self) -> int:
        """Images that are encoded at once: as many as fit into ``BLOCK_BYTES`` with their pooled vectors."""
        return block_size(self.geometry, self.features.n_features)

    def encode(
        self,
        images: Images,
        *,
        on_error: OnError | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
    ) -> Codes:
        """Return the codes of images, with at most k active units each.

        Memory is bounded by a block of images and the result.

        Parameters
        ----------
        images : array (n, H, W) or (n, H, W, 3), or list of paths
            uint8, or floats in [0, 1].  If they are not of the pipeline's size, they are stretched to it.
        on_error : callable, optional
            Is given an :class:`~nsae.errors.ImageReadError` for each file that cannot be read, which has no
            row then.  Without it, the error is raised.
        backend : "auto", "numpy" or "numba"
            Codes are the same bits with each.
        n_threads : int, optional
            By default one a processor.

        Raises
        ------
        ValueError, TypeError
            Images that cannot be used; also if not a single file could be read.
        """
        checked = check_images(images)
        few, how = self._for_few(len(checked)), (self.k, self.shrink_threshold)
        code_few = None if few is None else few.codes
        codes = [
            thresholded_codes(self.code_layer, X, *how, backend=backend, few=code_few)  # (2) (36)
            for X in self._component_blocks(checked, on_error, few, backend=backend, n_threads=n_threads)
        ]
        if not codes:
            raise ValueError("None of the files could be read, so there are no codes. See what on_error got.")
        layer = self.code_layer
        return replace(Codes.concatenate(codes), made_by=fingerprint(layer.W, layer.b))

    def encode_images(self, images: np.ndarray) -> Codes:
        """Return the codes of ``images`` (n, side, side[, 3]) of the pipeline's size, uint8 or floats in [0, 1]."""
        if images.shape[1:] != self.geometry.shape:
            raise ValueError(
                f"Images of shape {self.geometry.shape} were expected, one a row, and came as {images.shape}. "
                "Use encode(images), or nsae.encode_photos(encoder, photos), which resize them."
            )
        return self.encode(images)

    def pooled(
        self,
        images: Images,
        *,
        on_error: OnError | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
    ) -> np.ndarray:
        """Return the pooled vectors (n, n_features) float32 of images, of norm 1: Eqs. (31) and (35).

        ``images``, ``on_error``, ``backend`` and ``n_threads`` are those of :meth:`encode`.
        """
        checked = check_images(images)
        blocks = list(pooled_blocks(self.features, checked, on_error, backend=backend, n_threads=n_threads))
        return np.concatenate(blocks) if blocks else np.empty((0, self.features.n_features), np.float32)

    def components(
        self,
        images: Images,
        *,
        on_error: OnError | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
    ) -> np.ndarray:
        """Return the rows (n, m) float32 that codes are made from, of norm 1: Eqs. (37) and (38).

        They are the principal components, and behind them what they predict of their neighbours, if the
        pipeline does that.  ``images``, ``on_error``, ``backend`` and ``n_threads`` are those of :meth:`encode`.
        """
        blocks = list(
            self._component_blocks(check_images(images), on_error, backend=backend, n_threads=n_threads)
        )
        return np.concatenate(blocks) if blocks else np.empty((0, self.code_layer.W.shape[1]), np.float32)

    def _component_blocks(
        self,
        images: Images,
        on_error: OnError | None,
        few: FewImages | None = None,
        *,
        backend: str,
        n_threads: int | None,
    ) -> Iterator[np.ndarray]:
        """The rows of :meth:`components`, a block at a time."""
        block_rows = BLOCK_ROWS if few is None else few.block_rows
        for F in pooled_blocks(self.features, images, on_error, backend=backend, n_threads=n_threads):
            yield self._rows(F, block_rows)

    def _rows(self, F: np.ndarray, block_rows: int) -> np.ndarray:
        """Rows (n, m) of :meth:`components` from pooled vectors F (n, n_features), ``block_rows`` at a time."""
        X = unit_rows(self.pca(F, block_rows))  # (37) (n, m)
        return X if self.neighbours is None else self.neighbours(X, block_rows)  # (38)

    def _for_few(self, n: int) -> FewImages | None:
        """What encodes ``n`` images, if they are few, from the second time on: to find out takes some blocks."""
        if n > FEW:
            return None
        if self._asked and self._few is None:
            how = self.code_layer, units_read(self.k, self.shrink_threshold)
            self._few = FewImages(self._rows, self.features.n_features, *how)
        self._asked = True
        return self._few

    def unit_patterns(self, units: Sequence[int]) -> None:
        """Return None: what ``units`` add to an image is lost in pooling; :meth:`unit_regions` finds them."""

    def unit_regions(self, image: np.ndarray, units: Sequence[int]) -> list[Box]:
        """Return the square of an image that excites each unit most.

        Parameters
        ----------
        image : (side, side) or (side, side, 3) array
            Of the pipeline's size, uint8 or floats in [0, 1].
        units : sequence of int

        Returns
        -------
        list of (left, top, right, bottom)
            As fractions of the image's width and height.
        """
        parts = unit_parts(image, units, self.features, self.pca, self.code_layer, self.neighbours)
        return strongest_boxes(*parts, self.geometry)

    def trace(self, image: np.ndarray | str | os.PathLike) -> list[Stage]:
        """Return what becomes of one ``image``, an array or a path, stage by stage; see ``nsae.images.trace``.

        Each stage has a name, the numbers of its equations, an array with its shape, and a picture.  The last
        array is the code (n_units,) that :meth:`encode` gives.  ``nsae.plots.stages`` draws them.
        """
        return trace(self, image)

    def with_k(self, k: int) -> ImagePipeline:
        """Return this pipeline with at most ``k`` active units an image; it shares the weights.

        Its codes have the ``k`` strongest of the units of codes with more, and another threshold (36).
        """
        return self._changed(k, self.header)

    def with_units(self, rows: np.ndarray) -> ImagePipeline:
        """Return this pipeline with one more unit for each of the ``rows`` (n, m).

        Where a row is what :meth:`components` returns of an image, the unit is active for images like it.  The
        other units have norm 1 (37); those with a larger norm are more often among the k strongest.
        """
        W = np.concatenate([self.code_layer.W, rows]).astype(np.float32)  # (n_units + n, m)
        b = np.concatenate([self.code_layer.b, np.zeros(len(rows), np.float32)])  # (n_units + n,)
        return self._changed(self.k, self.header, Dense(W, b))

    def with_header(self, header: dict[str, Any]) -> ImagePipeline:
        """Return this pipeline with another ``header``."""
        return self._changed(self.k, header)

    def _changed(self, k: int, header: dict[str, Any], code_layer: Dense | None = None) -> ImagePipeline:
        more: dict[str, Any] = {"neighbours": self.neighbours, "shrink_threshold": self.shrink_threshold}
        return ImagePipeline(self.features, self.pca, code_layer or self.code_layer, k, header, **more)

    def encoder(self) -> ImagePipeline:
        """Return this pipeline itself, as an estimator returns what it has learned."""
        return self

    # ---- files

    def save(self, path: str | os.PathLike, *, overwrite: bool = False, half: bool = False) -> None:
        """Write the pipeline to one ``.npz`` file, atomically; ``nsae.load_encoder`` reads it.

        It is smaller than the file of the :class:`~nsae.images.encoder.ImageEncoder`, which also holds what
        reconstructs.

        Parameters
        ----------
        path : str or PathLike
        overwrite : bool
        half : bool
            Store weights as float16: half the bytes, and codes that differ in the third digit.

        Raises
        ------
        FileExistsError
            The file is there and ``overwrite`` is False.
        """
        write_model(path, *self._content(half), overwrite=overwrite)

    def to_bytes(self, *, half: bool = False) -> bytes:
        """Return what ``save`` would write, with ``half`` the bytes or not, for storing it inside something else."""
        return model_bytes(*self._content(half))

    @classmethod
    def load(cls, path: str | os.PathLike | io.BytesIO) -> Self:
        """Read a pipeline that :meth:`save` wrote to the file ``path``, or an ``io.BytesIO`` of its content.

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae.
        """
        header, arrays = read_model(path, KIND, (*ARRAYS, *NEIGHBOURS))
        try:
            check_image_thresholds(path, "shrink_threshold" in header)
            arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
            patch_W, patch_b, A, a, code_W, code_b = (arrays[name] for name in ARRAYS)
            check_weights(arrays)
            geometry = geometry_from(header["geometry"])
            features = PatchFeatures(geometry, Dense(patch_W, patch_b), header["patch_k"])
            return cls(
                features,
                PCA(A, a),
                Dense(code_W, code_b),
                header["k"],
                header,
                neighbours=neighbour_map_from(arrays),
                shrink_threshold=header["shrink_threshold"],
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error!r}. Save it again."
            ) from None

    def _content(self, half: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        header = {name: value for name, value in self.header.items() if name not in ("format", "version")}
        header |= {"kind": KIND, "geometry": asdict(self.geometry), "patch_k": self.features.k, "k": self.k}
        header["shrink_threshold"] = self.shrink_threshold
        layers = self.features.layer, self.pca, self.code_layer
        arrays = (layers[0].W, layers[0].b, layers[1].A, layers[1].a, layers[2].W, layers[2].b)
        named = {**dict(zip(ARRAYS, arrays, strict=True)), **arrays_of(self.neighbours)}
        return header, {
            name: array.astype(np.float16 if half else np.float32) for name, array in named.items()
        }


def pooled_blocks(
    features: PatchFeatures,
    images: Images,
    on_error: OnError | None = None,
    *,
    backend: str,
    n_threads: int | None,
) -> Iterator[np.ndarray]:
    """Yield the pooled vectors (rows, n_features) of images, a block at a time.

    Parameters
    ----------
    features : PatchFeatures
    images : array or list of paths
        As ``check_images`` returned them.
    on_error, backend, n_threads
        As of :meth:`ImagePipeline.encode`.
    """
    with Threads(n_threads) as threads:
        for block in blocks_of(features.geometry, images, features.n_features, on_error, n_threads):
            yield features(block, backend=backend, threads=threads)


def blocks_of(
    geometry: Geometry, images: Images, width: int, on_error: OnError | None, n_threads: int | None
) -> Iterator[np.ndarray]:
    """Yield images of the geometry's size, in blocks that fit into ``BLOCK_BYTES``.

    Parameters
    ----------
    geometry : Geometry
    images : array or list of paths
        As ``check_images`` returned them.
    width : int
        Numbers that are held for each image beside its pixels.
    on_error : callable, optional
        Is given the error of each file that cannot be read.
    n_threads : int, optional
        That decode files.
    """
    size, color = geometry.image_size, geometry.color
    block = block_size(geometry, width)
    return image_blocks(images, size, color, block, on_error=on_error, n_threads=n_threads)


def block_size(geometry: Geometry, width: int) -> int:
    """Return how many images of this ``geometry``, or as many times ``width`` floats, fit into ``BLOCK_BYTES``."""
    n = max(1, BLOCK_BYTES // (4 * max(width, int(np.prod(geometry.shape)))))
    # A BLAS may sum the rows of a block in an order that depends on their place: whole blocks of the products.
    return n - n % BLOCK_ROWS if n > BLOCK_ROWS else n
