"""ImageEncoder: learns to turn images into sparse codes, by the same autoencoder twice.

Codes of whole images in pixel space rank images no better than the pixels do.  Here a first k-sparse
autoencoder learns patches (29) (30), and its codes are pooled over a grid (31).  A second one learns the
principal components of the pooled vectors, at norm 1 (37), beside what they predict of their neighbours (38).
Its k most active units, less a threshold of each image (36), are the code of the image.

What was learned is an :class:`~nsae.images.pipeline.ImagePipeline`, which encodes.
"""

from __future__ import annotations

import io
import numbers
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.layers import Dense
from nsae.errors import ModelFormatError, NotFittedError
from nsae.images.defaults import resolve_hyperparameters
from nsae.images.encoder_file import KIND, Parts, arrays_of_encoder, read_image_encoder
from nsae.images.features.neighbours import NeighbourMap, unit_rows
from nsae.images.features.patch_features import Geometry, PatchFeatures
from nsae.images.features.patches import Whitening
from nsae.images.features.pca import PCA
from nsae.images.features.unit_regions import Box
from nsae.images.files import OnError
from nsae.images.image_blocks import Images, check_images, choose, once
from nsae.images.pipeline import ImagePipeline
from nsae.images.pooled_components import pooled_components
from nsae.images.random_patches import random_patches
from nsae.images.trace import Stage
from nsae.images.work import InThisProcess, Work
from nsae.models.data_frames import in_wanted_container
from nsae.models.hyperparameters import check_hyperparameters
from nsae.models.model_file import Stored, model_bytes, nsae_version, write_model
from nsae.models.sklearn_contract import Transformer
from nsae.models.sparse_autoencoder import SparseAutoencoder
from nsae.validation import at_least, generator

if TYPE_CHECKING:
    from typing_extensions import Self


class ImageEncoder(Transformer, Stored):
    """Sparse codes of images: patches, a patch autoencoder, pooling, principal components, a second autoencoder.

    It follows Coates, Ng and Lee (2011) up to the pooled vectors, takes the square root of Arandjelović and
    Zisserman (2012), and puts a k-sparse autoencoder on top.  It needs no labels.

    Parameters
    ----------
    n_units : int, optional
        Units of the second autoencoder.  By default one for each image that it learns from, up to 16,384 for
        photos and small colour images, and to 640 for small grey ones; never less than 2k.
    k : int
        How many of them are active in the code of an image at most.
    k_fit : int
        Active units an image while the second autoencoder learns.  With 1, Eq. (42), a unit has to reconstruct
        images alone, and comes to stand for one kind of image.  With 32, a unit comes to stand for a part, which
        says less about what an image shows.  So 1 ranks whole classes best; 2 or 4 find the one nearest
        neighbour about as well.
    image_size : int, optional
        Images are resized to image_size × image_size pixels.  By default the size of small square arrays, up
        to 48, and 96 for photos.
    color : bool, optional
        By default True for files and for arrays (n, H, W, 3).
    patch_size, stride : int, optional
        Side of a patch, and from one patch to the next, in pixels.
    patch_units, patch_k : int, optional
        Units of the first autoencoder, and how many are active in a patch.
    grid : int or tuple of int, optional
        Cells a side over which patches are pooled, Eq. (31).  Several numbers make a pyramid of grids.
    color_weight : float, optional
        ω of Eq. (35), the weight of the colour histogram of an image beside its patches.  By default 0.5 for
        photos, else 0, which leaves the colours out.
    n_components : int, optional
        Principal components of the pooled vectors.  By default 300, 200 for small grey images, and for fewer
        than 3,000 photos a tenth of their number.
    whitening_power : float
        Power of the standard deviation that each component is divided by: 0 leaves the components as they
        are, 1 makes their variances equal.
    neighbour_steps : int, optional
        t of Eq. (38), steps towards the neighbours of an image, which the second autoencoder reads a
        prediction of.  0 leaves that out.  By default 2 for photos and small grey images, and 0 for small
        colour ones.  More steps bring more images of a kind to the front, and fewer exact neighbours.
    shrink_threshold : float
        φ of Eq. (36), at least 0 and below 1: what is subtracted from the activations of an image, as a
        fraction of its (k+1)-th largest.
    contrast_eps : float
        ε of Eq. (29), for pixels in [0, 1].
    zca_eps : float, optional
        ε of Eq. (30).
    epochs, patch_epochs : int
        Passes over the data of the second and of the first autoencoder.
    n_patches : int
        Patches that the first autoencoder learns from, at random places of random images.
    max_images : int
        Images that the second autoencoder learns from, at most; they are chosen at random.
    random_state : int, numpy.random.Generator or None
        The same number gives the same model, to the bit on the same machine with the same versions, ``backend``
        and ``n_threads``; see :class:`SparseAutoencoder`.
    backend : "auto", "numpy" or "numba"
        Codes are the same bits with each.
    n_threads : int, optional
        None and −1 are as many as there are processors, None no more than BLAS would use.
    verbose : bool
        Show progress on stderr.

    Attributes
    ----------
    n_units_ : int
        Units of the second autoencoder, the width of codes.
    geometry_ : Geometry
        Size, patches and grid.
    patch_model_, model_ : SparseAutoencoder
        The first and the second autoencoder; each has its ``history_``.
    whitening_ : Whitening
    pca_ : PCA
    neighbours_ : NeighbourMap or None
    pipeline_ : ImagePipeline
        All of these put together, for encoding.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae.images import ImageEncoder
    >>> images = np.random.default_rng(0).integers(0, 256, (50, 16, 16), dtype=np.uint8)
    >>> encoder = ImageEncoder(64, k=4, patch_units=32, epochs=2, patch_epochs=1, random_state=0)
    >>> encoder.fit(images).encode(images).shape
    (50, 64)
    """

    _takes_sparse = False

    def __init__(
        self,
        n_units: int | None = None,
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
        neighbour_steps: int | None = None,
        shrink_threshold: float = 0.9,
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
        self.neighbour_steps = neighbour_steps
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

    def fit(
        self,
        images: Images,
        y: object = None,
        *,
        on_error: OnError | None = None,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_minutes: float = 10.0,
    ) -> ImageEncoder:
        """Learn from images.

        Parameters
        ----------
        images : array (n, H, W) or (n, H, W, 3), or list of paths
            uint8, or floats in [0, 1].  If they are not of the model's size, they are stretched to it.
        y : object
            Is ignored.
        on_error : callable, optional
            Is given an :class:`~nsae.errors.ImageReadError` for each file that cannot be read, which is left
            out then.  Without it, the error is raised.
        checkpoint : path, optional
            What both autoencoders have learned so far is written to files beside this path every
            ``checkpoint_minutes``.  If they are there when ``fit`` is called with the same images and a
            ``random_state``, it goes on from them; see ``SparseAutoencoder.fit``.  At the end they are removed.
        checkpoint_minutes : float
            0 writes after each step.

        Raises
        ------
        ValueError, TypeError
            Images or hyperparameters that cannot be used, or checkpoints of others.  A model fitted before stays
            as it was.
        """
        work = InThisProcess(once(on_error), self.n_threads)
        images = check_images(images)
        return self.learn_from(images, work, checkpoint=checkpoint, checkpoint_minutes=checkpoint_minutes)

    def learn_from(
        self,
        images: Images,
        work: Work,
        *,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_minutes: float = 10.0,
    ) -> Self:
        """Learn as :meth:`fit` does, and leave it to ``work`` what is done to each block of images.

        Both autoencoders learn in this process: from patches, of which there are ``n_patches``, and from a row
        of some hundred numbers for each image.

        Parameters
        ----------
        images : array or list of paths
            As ``check_images`` returned them, or as an array that can be cut like one and that ``work`` reads.
        work : Work
        checkpoint, checkpoint_minutes
            As of :meth:`fit`.
        """
        geometry, settled = resolve_hyperparameters(self, images)
        rng = generator(self.random_state)
        files = [None if checkpoint is None else f"{os.fspath(checkpoint)}.{n}" for n in (1, 2)]
        keep: dict[str, Any] = {"checkpoint_minutes": checkpoint_minutes, "keep_checkpoint": True}
        first, second = self._autoencoders(settled, rng)
        images = choose(images, self.max_images, rng)

        X = random_patches(images, geometry, self.n_patches, rng, work)  # (29)
        whitening = Whitening.fit(X, settled["zca_eps"])  # (30)
        first.fit(whitening(X), checkpoint=files[0], **keep)
        del X
        layer = first.encoder().encoder_layer
        features = PatchFeatures.of(geometry, layer, settled["patch_k"], whitening)
        m, power = settled["n_components"], self.whitening_power
        pca, X = pooled_components(
            images, features, m, power, rng, backend=self.backend, work=work
        )  # (31) (41)
        X = unit_rows(X)  # (37)
        neighbours = NeighbourMap.fit(X, settled["neighbour_steps"], rng, work.on_parts)  # (38)
        second.fit(X if neighbours is None else neighbours(X), checkpoint=files[1], **keep)
        self._adopt(geometry, whitening, pca, neighbours, first, second)
        for file in filter(None, files):
            os.unlink(file)
        return self

    # ---- using what was learned

    def encode(self, images: Images, *, on_error: OnError | None = None) -> Codes:
        """Return the codes of images, with at most k active units each.

        Memory is bounded by a block of images and the result.

        Parameters
        ----------
        images, on_error
            As of :meth:`fit`.  A file that cannot be read has no row.

        Raises
        ------
        NotFittedError
        ValueError, TypeError
            As :meth:`fit`; also if not a single file could be read.
        """
        how: dict[str, Any] = {"backend": self.backend, "n_threads": self.n_threads}
        return self._fitted().encode(images, on_error=on_error, **how)

    def transform(self, images: Images) -> Any:
        """Return the dense codes (n, n_units) float32 of ``images``: an array, or what :meth:`set_output` says.

        Each image has a row, as scikit-learn's pipelines need it, so a file that cannot be read raises its error.
        """
        return in_wanted_container(self, self.encode(images).to_dense(), images)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return names (n_units,) of the columns of codes: imageencoder0, …; ``input_features`` is ignored."""
        names = [f"imageencoder{j}" for j in range(self._fitted().n_units)]
        return np.array(names, dtype=object)

    def pooled(self, images: Images, *, on_error: OnError | None = None) -> np.ndarray:
        """Return the pooled vectors (n, n_features) float32 of images, of norm 1: Eqs. (31) and (35).

        ``images`` and ``on_error`` are those of :meth:`fit`.
        """
        how: dict[str, Any] = {"backend": self.backend, "n_threads": self.n_threads}
        return self._fitted().pooled(images, on_error=on_error, **how)

    def components(self, images: Images, *, on_error: OnError | None = None) -> np.ndarray:
        """Return the rows (n, m) float32 that the second autoencoder reads: see ``ImagePipeline.components``.

        ``images`` and ``on_error`` are those of :meth:`fit`.
        """
        how: dict[str, Any] = {"backend": self.backend, "n_threads": self.n_threads}
        return self._fitted().components(images, on_error=on_error, **how)

    def trace(self, image: np.ndarray | str | os.PathLike) -> list[Stage]:
        """Return what becomes of one ``image``, stage by stage, up to its code; see ``ImagePipeline.trace``."""
        return self._fitted().trace(image)

    def encode_images(self, images: np.ndarray) -> Codes:
        """Return the codes of ``images`` (n, side, side[, 3]) of the model's size, uint8 or floats in [0, 1]."""
        return self._fitted().encode_images(images)

    def unit_patterns(self, units: Sequence[int]) -> None:
        """Return None: what ``units`` add to an image is lost in pooling; :meth:`unit_regions` finds them."""

    def unit_regions(self, image: np.ndarray, units: Sequence[int]) -> list[Box]:
        """Return the square of an ``image`` that excites each of the ``units`` most; see ``ImagePipeline``."""
        return self._fitted().unit_regions(image, units)

    def encoder(self) -> ImagePipeline:
        """Return the pipeline that was learned, which encodes and knows its file's header."""
        learned = self._fitted()
        return learned.with_header(self.header)

    @property
    def header(self) -> dict[str, Any]:
        """What the file says about the model, beside its arrays."""
        learned = self._fitted()
        params = {n: v.item() if isinstance(v, np.generic) else v for n, v in self.get_params().items()}
        if not isinstance(params["random_state"], (numbers.Integral, type(None))):
            params["random_state"] = None  # the state of a generator is not kept
        # What was fitted counts, whatever set_params has said since.
        params |= {"k": learned.k, "shrink_threshold": learned.shrink_threshold}
        geometry = asdict(learned.geometry)
        return {
            "kind": KIND,
            "nsae": nsae_version(),
            "params": params,
            "geometry": geometry,
            "history": self.model_.history_,
        }

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How files become images for :meth:`encode`: {"side": pixels, "color": bool, "dtype": "uint8"}."""
        return self._fitted().preprocessing

    @property
    def block_size(self) -> int:
        """Images that are encoded at once."""
        return self._fitted().block_size

    # ---- files

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write the model to one ``.npz`` file, atomically.

        Parameters
        ----------
        path : str or PathLike
        overwrite : bool

        Raises
        ------
        NotFittedError
        FileExistsError
            The file is there and ``overwrite`` is False.
        """
        write_model(path, self.header, arrays_of_encoder(self._parts()), overwrite=overwrite)

    def to_bytes(self) -> bytes:
        """Return what ``save`` would write, for storing it inside something else."""
        return model_bytes(self.header, arrays_of_encoder(self._parts()))

    @classmethod
    def load(cls, path: str | os.PathLike | io.BytesIO) -> Self:
        """Read a model that :meth:`save` wrote to ``path``; ``nsae.load_encoder`` reads what encodes.

        Instead of a path it may be an ``io.BytesIO`` of a file's content.

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae.
        """
        model, parts = read_image_encoder(path, cls)
        try:
            model._adopt(*parts)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error!r}. Save it again."
            ) from None
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "pipeline_")

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: images in an array, of numbers from 0 on, or a list of paths."""
        tags = super().__sklearn_tags__()
        takes = tags.input_tags
        takes.two_d_array, takes.three_d_array, takes.string, takes.positive_only = False, True, True, True
        return tags

    # ---- inside

    def _fitted(self) -> ImagePipeline:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("This ImageEncoder is not fitted yet. Call fit(images) or load(path) first.")
        return self.pipeline_

    def _parts(self) -> Parts:
        """What was learned, as :meth:`_adopt` takes it."""
        self._fitted()
        models = self.patch_model_, self.model_
        return self.geometry_, self.whitening_, self.pca_, self.neighbours_, *models

    def _adopt(
        self,
        geometry: Geometry,
        whitening: Whitening,
        pca: PCA,
        neighbours: NeighbourMap | None,
        first: SparseAutoencoder,
        second: SparseAutoencoder,
    ) -> None:
        """Take over what was learned, or raise ValueError if its parts do not fit each other."""
        if first.k is None or second.k is None:
            raise ValueError("its autoencoders are expected to be k-sparse")
        layers = [model.encoder().encoder_layer for model in (first, second)]
        features = PatchFeatures.of(geometry, layers[0], first.k, whitening)
        W = unit_rows(layers[1].W)  # (37) (h, m)
        self.pipeline_ = ImagePipeline(
            features,
            pca,
            Dense(W, np.zeros(len(W), W.dtype)),
            self.k,
            {},
            neighbours=neighbours,
            shrink_threshold=self.shrink_threshold,
        )
        self.geometry_, self.whitening_, self.pca_, self.neighbours_ = geometry, whitening, pca, neighbours
        self.patch_model_, self.model_, self.n_units_ = first, second, len(W)

    def _autoencoders(
        self, settled: dict[str, Any], rng: np.random.Generator
    ) -> tuple[SparseAutoencoder, SparseAutoencoder]:
        """The first and the second autoencoder, not fitted.  Units start from samples: hardly any then die."""
        models = []
        for h, k, epochs, batch_size in (
            (settled["patch_units"], settled["patch_k"], self.patch_epochs, 1024),
            (settled["n_units"], self.k_fit, self.epochs, 256),  # (42) if k_fit = 1
        ):
            model = SparseAutoencoder(
                h,
                k=k,
                init="scaled samples",
                epochs=epochs,
                batch_size=batch_size,
                lr_schedule="linear",
                random_state=int(rng.integers(2**31)),
                backend=self.backend,
                n_threads=self.n_threads,
                verbose=self.verbose,
                on_interrupt="raise",  # Ctrl-C stops the whole job: half of an encoder is of no use
            )
            check_hyperparameters(model)
            models.append(model)
        at_least("k", self.k, 1, whole=True)
        if not self.k_fit <= self.k <= settled["n_units"]:
            raise ValueError(
                f"k={self.k} is expected from k_fit={self.k_fit} to n_units={settled['n_units']}, the number of "
                "units."
            )
        return models[0], models[1]
