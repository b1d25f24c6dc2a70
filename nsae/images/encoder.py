"""ImageEncoder: from images to sparse codes, by the same autoencoder twice.

Codes of whole images in pixel space rank images no better than the pixels do.  Here a first k-sparse
autoencoder learns patches (29) (30), its codes are pooled over a grid (31), and a second one learns the
principal components of the pooled vectors: its k active units are the image's code.
"""

from __future__ import annotations

import io
import numbers
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import KSparse
from nsae.errors import ModelFormatError, NotFittedError
from nsae.images.defaults import as_tuple, check_fit_together, resolve_hyperparameters
from nsae.images.features.patch_features import Geometry, PatchFeatures
from nsae.images.features.patches import Whitening
from nsae.images.features.pca import PCA
from nsae.images.features.soft_threshold import shrink
from nsae.images.files import OnError
from nsae.images.image_blocks import Images, check_images, choose, image_blocks, once
from nsae.models.hyperparameters import check_hyperparameters
from nsae.models.model_file import model_bytes, read_model, write_model
from nsae.models.sklearn_contract import Parameters
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.system.threads import Threads
from nsae.validation import at_least, generator

if TYPE_CHECKING:
    from typing_extensions import Self

KIND = "image_encoder"
ARRAYS = ("patch_model", "code_model", "zca_mean", "zca_P", "components_A", "components_a")
# What files of before 0.1.0 call hyperparameters and the fields of a geometry.
OLD_NAMES = {
    "patch": "patch_size",
    "side": "image_size",
    "components": "n_components",
    "colors": "color_weight",
    "shrink": "shrink_threshold",
    "whiten": "whitening_power",
    "eps": "contrast_eps",
}
BLOCK_BYTES = 1 << 25  # of images that are in memory at once: 32 MiB as floats
IMAGES_FOR_PATCHES = 10_000  # that patches are taken from, at most
POOLED_BYTES = 1 << 28  # of pooled vectors that the components are learned from, at most


class ImageEncoder(Parameters):
    """Sparse codes of images: patches, a patch autoencoder, pooling, components, a second autoencoder.

    It follows Coates, Ng and Lee (2011) up to the pooled vectors, takes the square root of Arandjelović and
    Zisserman (2012), and puts a k-sparse autoencoder on top.  Nothing needs labels.

    Parameters
    ----------
    n_units, k : int
        Units of the second autoencoder, and how many are active in an image's code at most.
    k_fit : int
        How many are active an image while the second one learns.  A unit that has to reconstruct images
        alone comes to stand for one kind of image; one of 32 that add up stands for a part, and parts say
        less about what an image shows.  So 1 ranks whole classes best: 32 instead cost 0.04 to 0.11 of
        the figures in docs/what_was_tried.md.  The one nearest neighbour is right about as often with 2 or 4.
    image_size : int, optional
        Images are resized to side × side pixels.  By default that of small square arrays, up to 48, and 96
        for photos.
    color : bool, optional
        By default True for files and for arrays (n, H, W, 3).
    patch_size, stride : int, optional
        Side of a patch, and from one patch to the next.
    patch_units, patch_k : int, optional
        Units of the first autoencoder, and how many are active in a patch.
    grid : int or tuple of int, optional
        Cells a side over which patches are pooled; several numbers make a pyramid, Eq. (31).
    color_weight : float, optional
        Weight ω of the image's histogram of colours beside its patches, Eq. (35).  By default 0.5 for
        photos, and 0, for patches alone, else.
    n_components : int, optional
        Principal components of the pooled vectors that the second autoencoder reads.
    whitening_power : float
        0 leaves the components as they are, 1 makes their variances equal; between them, a power.
    shrink_threshold : float, optional
        φ of Eq. (36): what is taken off each activation, as a share of the usual largest one.  By default
        0.2 for small images, and 0, nothing, for photos.  An image unlike all that were learned from may get
        a code of zeros, which matches nothing.
    contrast_eps : float
        Of Eq. (29), for pixels in [0, 1].
    zca_eps : float, optional
        Of Eq. (30).
    epochs, patch_epochs : int
        Passes of the second and of the first autoencoder.
    n_patches : int
        The first one learns from so many patches, taken at random places of random images.
    max_images : int
        The second one learns from at most so many images, taken at random.
    random_state : int, numpy.random.Generator or None
        The same number, the same model.
    backend : "auto", "numpy" or "numba"
        Codes are the same bits with each.
    n_threads : int, optional
        None and −1 are as many as there are processors, None no more than BLAS would use.
    verbose : bool
        Progress on stderr.

    Attributes
    ----------
    geometry_ : Geometry
        Size, patches and grid that were settled on.
    patch_model_, model_ : SparseAutoencoder
        The first and the second autoencoder; each has its ``history_``.
    whitening_ : Whitening
    pca_ : PCA

    Examples
    --------
    >>> import numpy as np
    >>> from nsae.images import ImageEncoder
    >>> images = np.random.default_rng(0).integers(0, 256, (50, 16, 16), dtype=np.uint8)
    >>> encoder = ImageEncoder(64, k=4, patch_units=32, epochs=2, patch_epochs=1, random_state=0)
    >>> encoder.fit(images).encode(images).shape
    (50, 64)
    """

    def __init__(
        self,
        n_units: int = 1024,
        k: int = 32,
        *,
        k_fit: int = 1,
        image_size: int | None = None,
        color: bool | None = None,
        patch_size: int | None = None,
        stride: int | None = None,
        patch_units: int | None = None,
        patch_k: int | None = None,
        grid: int | tuple[int, ...] | None = None,
        color_weight: float | None = None,
        n_components: int | None = None,
        whitening_power: float = 0.5,
        shrink_threshold: float | None = None,
        contrast_eps: float = 0.1,
        zca_eps: float | None = None,
        epochs: int = 20,
        patch_epochs: int = 3,
        n_patches: int = 200_000,
        max_images: int = 20_000,
        random_state: int | np.random.Generator | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
        verbose: bool = False,
    ):
        self.n_units = n_units
        self.k = k
        self.k_fit = k_fit
        self.image_size = image_size
        self.color = color
        self.patch_size = patch_size
        self.stride = stride
        self.patch_units = patch_units
        self.patch_k = patch_k
        self.grid = grid
        self.color_weight = color_weight
        self.n_components = n_components
        self.whitening_power = whitening_power
        self.shrink_threshold = shrink_threshold
        self.contrast_eps = contrast_eps
        self.zca_eps = zca_eps
        self.epochs = epochs
        self.patch_epochs = patch_epochs
        self.n_patches = n_patches
        self.max_images = max_images
        self.random_state = random_state
        self.backend = backend
        self.n_threads = n_threads
        self.verbose = verbose

    # ---- learning

    def fit(self, images: Images, y: object = None, *, on_error: OnError | None = None) -> ImageEncoder:
        """Learn from images; ``y`` is ignored.

        Parameters
        ----------
        images : array (n, H, W) or (n, H, W, 3), or list of paths
            uint8, or floats in [0, 1].  Of other than the model's size, they are stretched to it.
        on_error : callable, optional
            Is given an :class:`~nsae.errors.ImageReadError` for each file that cannot be read, and the
            others go on; without it, the error is raised.

        Raises
        ------
        ValueError, TypeError
            Images or hyperparameters that cannot be used; a model fitted before stays as it was.
        """
        images = check_images(images)
        geometry, settled = resolve_hyperparameters(self, images)
        rng = generator(self.random_state)
        first = self._autoencoder(
            settled["patch_units"], settled["patch_k"], self.patch_epochs, rng, batch_size=1024
        )
        second = self._autoencoder(self.n_units, self.k_fit, self.epochs, rng, batch_size=256)
        at_least("k", self.k, 1, whole=True)
        if not self.k_fit <= self.k <= self.n_units:
            raise ValueError(
                f"k={self.k} is expected from k_fit={self.k_fit} to n_units={self.n_units}, the number of units."
            )
        images, on_error = choose(images, self.max_images, rng), once(on_error)

        X = self._some_patches(images, geometry, rng, on_error)  # (n_patches, d), (29)
        whitening = Whitening.fit(X, settled["zca_eps"])  # (30)
        first.fit(whitening(X))
        del X
        features = PatchFeatures.of(geometry, first, whitening)

        enough = max(4 * settled["n_components"], POOLED_BYTES // (4 * features.n_features))
        some = choose(images, enough, rng)
        F = np.concatenate(
            list(self._pooled_blocks(some, on_error, geometry, features))
        )  # (some, n_features)
        pca = PCA.fit(F, settled["n_components"], self.whitening_power, rng)
        if some is images:
            T = pca(F)  # (n, components)
        else:
            blocks = self._pooled_blocks(images, on_error, geometry, features)
            T = np.concatenate([pca(F) for F in blocks])
        del F
        second.fit(T)
        shrink(second, T, settled["shrink_threshold"])
        second.set_params(k=self.k).autoencoder_.g = KSparse(self.k)  # from now on

        self.geometry_, self.whitening_, self.pca_ = geometry, whitening, pca
        self.patch_model_, self.model_, self._features = first, second, features
        return self

    # ---- using what was learned

    def encode(self, images: Images, *, on_error: OnError | None = None) -> Codes:
        """The codes of images, k active units each at most; memory is bounded by a block and the result.

        Arguments and errors are those of :meth:`fit`.  Of files, those that cannot be read have no row.

        Raises
        ------
        NotFittedError
        ValueError, TypeError
            As :meth:`fit`; also where not a single file could be read.
        """
        self._check_fitted()
        encoder = self.model_.encoder()
        codes = [
            encoder.encode(self.pca_(F), backend=self.backend)
            for F in self._pooled_blocks(check_images(images), on_error)
        ]
        if not codes:
            raise ValueError("None of the files could be read, so there are no codes. See what on_error got.")
        return Codes.concatenate(codes)

    def pooled(self, images: Images, *, on_error: OnError | None = None) -> np.ndarray:
        """The pooled vectors (n, n_features) float32 of images, at norm 1: Eqs. (31) and (35)."""
        self._check_fitted()
        blocks = list(self._pooled_blocks(check_images(images), on_error))
        return np.concatenate(blocks) if blocks else np.empty((0, self._features.n_features), np.float32)

    def encode_images(self, images: np.ndarray) -> Codes:
        """Return the codes of ``images`` (n, side, side[, 3]) of the model's size, uint8 or floats in [0, 1]."""
        shape = self._fitted_geometry().shape
        if images.shape[1:] != shape:
            raise ValueError(
                f"Images of shape {shape} were expected, one a row, and came as {images.shape}. Use "
                "encode(images), or nsae.encode_photos(encoder, photos), which resize them."
            )
        return self.encode(images)

    def unit_patterns(self, units: Sequence[int]) -> None:
        """Return None: what ``units`` add to an image is lost in pooling; see :meth:`unit_regions`."""

    def unit_regions(
        self, image: np.ndarray, units: Sequence[int]
    ) -> list[tuple[float, float, float, float]]:
        """Return the square of an image that excites each unit most.

        Parameters
        ----------
        image : (side, side) or (side, side, 3) array
            Of the model's size, uint8 or floats in [0, 1].
        units : sequence of int

        Returns
        -------
        list of (left, top, right, bottom)
            As fractions of the image's width and height.
        """
        from nsae.images.pictures.unit_regions import Regions

        return Regions(self).strongest(image, list(units))

    def encoder(self) -> ImageEncoder:
        """Return the model as it stands, for use."""
        return self

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write the model to one ``.npz`` file, atomically.

        Raises
        ------
        NotFittedError
        FileExistsError
            The file is there and ``overwrite`` is False.
        """
        write_model(path, self.header, self._arrays(), overwrite=overwrite)

    def to_bytes(self) -> bytes:
        """What ``save`` would write, for storing it inside something else."""
        return model_bytes(self.header, self._arrays())

    @property
    def header(self) -> dict[str, Any]:
        """What the file says about the model, beside its arrays."""
        params = {n: v.item() if isinstance(v, np.generic) else v for n, v in self.get_params().items()}
        if not isinstance(params["random_state"], (numbers.Integral, type(None))):
            params["random_state"] = None  # a generator's state is spent
        geometry, history = vars(self._fitted_geometry()), self.model_.history_
        return {"kind": KIND, "params": params, "geometry": geometry, "history": history}

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How files become images for :meth:`encode`: {"side": pixels, "color": bool, "dtype": "uint8"}."""
        geometry = self._fitted_geometry()
        return {"side": geometry.image_size, "color": geometry.color, "dtype": "uint8"}

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            "patch_model": np.frombuffer(self.patch_model_.to_bytes(), np.uint8),
            "code_model": np.frombuffer(self.model_.to_bytes(), np.uint8),
            "zca_mean": self.whitening_.mean,
            "zca_P": self.whitening_.S,
            "components_A": self.pca_.A,
            "components_a": self.pca_.a,
        }

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a model that :meth:`save` wrote; ``nsae.load_encoder`` reads it for use alone.

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae.
        """
        header, arrays = read_model(path, KIND, ARRAYS)
        try:
            params, fields = (
                {OLD_NAMES.get(name, name): as_tuple(value) for name, value in header[part].items()}
                for part in ("params", "geometry")
            )
            model, geometry = cls(**params), Geometry(**fields)
            first, second = (
                SparseAutoencoder.load(io.BytesIO(arrays[name].tobytes()))
                for name in ("patch_model", "code_model")
            )
            whitening = Whitening(arrays["zca_mean"], arrays["zca_P"])
            pca = PCA(arrays["components_A"], arrays["components_a"])
            features = PatchFeatures.of(geometry, first, whitening)
            check_fit_together(geometry, features, pca, first, second)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error!r}. Save it again."
            ) from None
        model.geometry_, model.whitening_, model.pca_ = geometry, whitening, pca
        model.patch_model_, model.model_, model._features = first, second, features
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    # ---- inside

    def _fitted_geometry(self) -> Geometry:
        self._check_fitted()
        return self.geometry_

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("This ImageEncoder is not fitted yet. Call fit(images) or load(path) first.")

    def _autoencoder(self, h: int, k: int, epochs: int, rng: np.random.Generator, **options: Any):
        """A k-sparse autoencoder whose units start from samples: hardly any of them then die."""
        model = SparseAutoencoder(
            h,
            k=k,
            init="scaled samples",
            epochs=epochs,
            lr_schedule="linear",
            random_state=int(rng.integers(2**31)),
            backend=self.backend,
            n_threads=self.n_threads,
            verbose=self.verbose,
            **options,
        )
        check_hyperparameters(model)
        return model

    def _blocks(
        self, images: Images, geometry: Geometry, width: int, on_error: OnError | None
    ) -> Iterator[np.ndarray]:
        """Blocks (≤ some, side, side[, 3]) of images that come with ``width`` numbers each to hold."""
        block = max(1, BLOCK_BYTES // (4 * max(width, int(np.prod(geometry.shape)))))
        return image_blocks(
            images, geometry.image_size, geometry.color, block, on_error=on_error, n_threads=self.n_threads
        )

    def _pooled_blocks(
        self,
        images: Images,
        on_error: OnError | None,
        geometry: Geometry | None = None,
        features: PatchFeatures | None = None,
    ) -> Iterator[np.ndarray]:
        """Pooled vectors (rows, n_features) of images, a block at a time."""
        geometry, features = geometry or self.geometry_, features or self._features
        with Threads(self.n_threads) as threads:
            for block in self._blocks(images, geometry, features.n_features, on_error):
                yield features(block, backend=self.backend, threads=threads)

    def _some_patches(
        self, images: Images, geometry: Geometry, rng: np.random.Generator, on_error: OnError | None
    ) -> np.ndarray:
        """Normalised patches (n_patches, d), of random places in random images, equally many of each."""
        some = choose(images, IMAGES_FOR_PATCHES, rng)
        P = len(geometry.places) ** 2
        each = min(P, -(-self.n_patches // len(some)))
        all_of_one = np.empty((P, geometry.n_pixels), np.float32)  # (P, d)
        X = np.empty((len(some) * each, geometry.n_pixels), np.float32)  # (images · each, d)
        n = 0
        for block in self._blocks(some, geometry, 1, on_error):
            for image in block:
                geometry.patches(image[None], all_of_one[None])
                X[n : n + each] = all_of_one[rng.choice(P, each, replace=False)]
                n += each
        if n == 0:
            raise ValueError("None of the files could be read, so there is nothing to learn from.")
        return X[:n]
