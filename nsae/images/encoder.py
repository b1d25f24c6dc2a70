"""ImageEncoder: from images to sparse codes, by the same autoencoder twice.

Patches of an image are coded by one k-sparse autoencoder, pooled over a grid, reduced to principal
components, and coded by a second one, whose k active units are the image's code.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nsae.activations import KSparse
from nsae.codes import Codes
from nsae.encoder import BLOCK_ROWS, Encoder
from nsae.errors import ModelFormatError, NotFittedError
from nsae.estimator import SparseAutoencoder
from nsae.hyperparameters import generator
from nsae.images.components import principal_components
from nsae.images.files import OnError, iter_images
from nsae.images.inputs import blocks_of, check_images, check_paths
from nsae.images.patchcoder import PatchCoder
from nsae.images.patches import as_floats, sample_patches
from nsae.layers import Dense
from nsae.modelfile import IMAGE_KIND, model_bytes, read_model, write_model
from nsae.parameters import Parameters
from nsae.threads import Threads

ARRAYS = ("patch_W", "patch_b", "patch_patterns", "mean", "components", "W", "b", "V", "c")
FILE_SIDE = 96  # pixels, of photos from files
COMPONENT_IMAGES = 4000  # are enough to find the components
BATCHES = {"patches": 1024, "images": 256}


class ImageEncoder(Parameters):
    """Sparse codes of images: patches → k-sparse autoencoder → pooled → k-sparse autoencoder.

    Parameters
    ----------
    n_units, k : int
        h and k of the code: so many units, so many of them active in an image.
    side, color : int, bool, optional
        For files, which are read at side × side pixels, in grey or in colour: 96 and True if not given.
        Arrays have a size and colours of their own.
    patch, stride : int
        Side of a patch, and from one to the next, in pixels; by default a stride of 1 for images up to
        40 pixels, 2 up to 100, and so on.
    patch_units, patch_k : int
        h and k of the first autoencoder.
    contrast, whitening : float
        ε of Eqs. (29) and (30).
    grid : tuple of int
        Cells a side that codes of patches are pooled over, Eq. (31); several make a pyramid.
    components : int
        Principal components of the pooled vectors that the second autoencoder sees.
    n_patches, n_fit : int
        Patches, and images, that are learned from: a random sample.
    patch_epochs, epochs : int
        Of the two autoencoders.
    random_state, backend, n_threads, verbose
        As in ``SparseAutoencoder``.

    Attributes
    ----------
    shape_ : tuple
        (H, W) or (H, W, 3) of the images that it reads.
    patch_coder_ : PatchCoder
    code_ : Encoder
        The second autoencoder.

    Examples
    --------
    >>> from nsae.images import ImageEncoder
    >>> from nsae.datasets import glyphs
    >>> images, labels = glyphs(500, random_state=0)
    >>> encoder = ImageEncoder(epochs=5, n_patches=5000, random_state=0).fit(images)
    >>> encoder.encode(images).shape
    (500, 512)
    """

    def __init__(
        self,
        n_units: int = 512,
        k: int = 32,
        *,
        side: int | None = None,
        color: bool | None = None,
        patch: int = 6,
        stride: int | None = None,
        patch_units: int = 512,
        patch_k: int = 4,
        contrast: float = 0.01,
        whitening: float = 0.3,
        grid: tuple[int, ...] = (4,),
        components: int = 64,
        n_patches: int = 200_000,
        n_fit: int = 10_000,
        patch_epochs: int = 4,
        epochs: int = 30,
        random_state: int | np.random.Generator | None = None,
        backend: str = "auto",
        n_threads: int | None = None,
        verbose: bool = False,
    ):
        self.n_units = n_units
        self.k = k
        self.side = side
        self.color = color
        self.patch = patch
        self.stride = stride
        self.patch_units = patch_units
        self.patch_k = patch_k
        self.contrast = contrast
        self.whitening = whitening
        self.grid = grid
        self.components = components
        self.n_patches = n_patches
        self.n_fit = n_fit
        self.patch_epochs = patch_epochs
        self.epochs = epochs
        self.random_state = random_state
        self.backend = backend
        self.n_threads = n_threads
        self.verbose = verbose

    # ---- learning

    def fit(
        self,
        images: np.ndarray | Iterable[str | os.PathLike],
        y: object = None,
        *,
        on_error: OnError | None = None,
    ) -> ImageEncoder:
        """Learn from an array of images (n, H, W) or (n, H, W, 3), or from files; ``y`` is ignored.

        Pixels are uint8, or floats in [0, 1].  Memory is bounded by ``n_fit`` images and ``n_patches``
        patches, whatever n is.  A file that cannot be read is given to ``on_error`` and left out.

        Raises
        ------
        ValueError, TypeError
            Images of a shape, a type or a range that cannot be used, or too small for a patch; no image at
            all; hyperparameters that do not go together.
        ImageReadError
            A file that cannot be read, where ``on_error`` is None.
        """
        rng = generator(self.random_state)
        sample = self._sample(images, rng, on_error)  # (n, H, W[, 3])
        short = min(sample.shape[1:3])
        if short < self.patch:
            raise ValueError(f"Images of {short} pixels are too small for patch={self.patch}. Lower patch.")
        X = sample_patches(sample, self.patch, self.n_patches, self.contrast, rng)  # (n_patches, d)
        coder = PatchCoder.fit(
            X,
            self._autoencoder(self.patch_units, self.patch_k, self.patch_epochs, BATCHES["patches"], rng),
            patch=self.patch,
            stride=self.stride or max(1, -(-(short - 4) // 48)),
            contrast=self.contrast,
            whitening=self.whitening,
            grid=tuple(self.grid),
        )
        del X
        with Threads(self.n_threads) as threads:
            F = coder.pooled(as_floats(sample[:COMPONENT_IMAGES]), threads, self.backend)  # (n, f)
            mean, E, variances = principal_components(F, self.components, rng)
            E /= np.float32(
                np.sqrt(variances.sum())
            )  # vectors of length about 1, as its learning rate expects
            del F
            self._set(sample.shape[1:], coder, mean, E, None)
            A = np.concatenate(
                [self._reduced(block, threads) for block in blocks_of(sample)]
            )  # (n, components)
        second = self._autoencoder(self.n_units, self.k, self.epochs, BATCHES["images"], rng)
        self._set(sample.shape[1:], coder, mean, E, second.fit(A).encoder())
        return self

    def _autoencoder(
        self, n_units: int, k: int, epochs: int, batch_size: int, rng: np.random.Generator
    ) -> SparseAutoencoder:
        return SparseAutoencoder(
            n_units,
            k=k,
            epochs=epochs,
            batch_size=batch_size,
            random_state=int(rng.integers(2**31)),
            backend=self.backend,
            n_threads=self.n_threads,
            verbose=self.verbose,
        )

    def _sample(self, images: Any, rng: np.random.Generator, on_error: OnError | None) -> np.ndarray:
        """At most n_fit of the images, in random order (n, H, W[, 3]); of files as uint8."""
        if isinstance(images, np.ndarray):
            check_images(images)
            return images[rng.permutation(len(images))[: self.n_fit]]
        paths = check_paths(images)
        chosen = [paths[i] for i in rng.permutation(len(paths))[: self.n_fit]]
        read = self._read(chosen, on_error)
        pixels = [np.round(image * 255).astype(np.uint8) for _, image in read]
        if not pixels:
            raise ValueError(f"None of the {len(paths)} files could be read as an image.")
        return np.stack(pixels)  # (n, side, side[, 3])

    def _read(self, paths: list, on_error: OnError | None) -> Iterator[tuple[Path, np.ndarray]]:
        side = FILE_SIDE if self.side is None else self.side
        color = True if self.color is None else self.color
        return iter_images(paths, side=side, color=color, on_error=on_error, n_threads=self.n_threads)

    def _set(
        self, shape: tuple, coder: PatchCoder, mean: np.ndarray, E: np.ndarray, code: Encoder | None
    ) -> None:
        self.shape_, self.patch_coder_, self.mean_, self.components_ = tuple(shape), coder, mean, E
        self.code_ = code

    # ---- using what was learned

    @property
    def preprocessing(self) -> dict[str, Any]:
        """How a file becomes an image of the size that it reads: {"side": pixels, "color": bool}."""
        self._check_fitted()
        return {"side": self.shape_[0], "color": len(self.shape_) == 3}

    @property
    def n_features(self) -> int:
        """Numbers in an image, H·W or H·W·3."""
        self._check_fitted()
        return int(np.prod(self.shape_))

    def encode(self, images: np.ndarray) -> Codes:
        """The codes of images (n, H, W[, 3]), or of the same as rows (n, H·W[·3]); k active units each.

        Pixels are uint8, or floats in [0, 1].  Memory is bounded by a block of images and the result, and
        an image's code does not depend on the others.

        Raises
        ------
        ValueError
            The images are not of the size that this was fitted on.
        """
        images = self._check(images)
        with Threads(self.n_threads) as threads:
            parts = [self.code_.encode(self._reduced(block, threads)) for block in blocks_of(images)]
        return Codes.concatenate(parts)

    def encode_files(
        self, paths: Iterable[str | os.PathLike], *, on_error: OnError | None = None
    ) -> tuple[Codes, list[Path]]:
        """The codes of image files, and the paths of those that could be read, in the same order.

        Raises
        ------
        ImageReadError
            A file that cannot be read, where ``on_error`` is None; otherwise it is given to that.
        """
        self._check_fitted()
        side, color = self.preprocessing["side"], self.preprocessing["color"]
        kept, block, parts = [], [], []
        with Threads(self.n_threads) as threads:

            def finish() -> None:
                if block:
                    parts.append(self.code_.encode(self._reduced(np.stack(block), threads)))
                    block.clear()

            for path, image in iter_images(check_paths(paths), side=side, color=color, on_error=on_error):
                kept.append(path)
                block.append(image)
                if len(block) == BLOCK_ROWS:
                    finish()
            finish()
        if not parts:
            raise ValueError("None of the files could be read as an image.")
        return Codes.concatenate(parts), kept

    def pooled(self, images: np.ndarray) -> np.ndarray:
        """What the second autoencoder reduces: (n, f) float32 of norm 1, Eq. (31); for 4 × 4 cells of 512
        units f is 8192."""
        images = self._check(images)
        with Threads(self.n_threads) as threads:
            return np.concatenate(
                [self.patch_coder_.pooled(as_floats(b), threads, self.backend) for b in blocks_of(images)]
            )

    def _reduced(self, images: np.ndarray, threads: Threads) -> np.ndarray:
        """Principal components (n, components) of the pooled vectors of at most BLOCK_ROWS images.

        The product always has the same shape, so that an image does not see how many others there are.
        """
        F = np.zeros((BLOCK_ROWS, len(self.mean_)), np.float32)  # (BLOCK_ROWS, f)
        F[: len(images)] = self.patch_coder_.pooled(as_floats(images), threads, self.backend)
        F -= self.mean_
        return (self.components_.T @ F.T).T[: len(images)].copy()

    def _check(self, images: np.ndarray) -> np.ndarray:
        self._check_fitted()
        images = np.asarray(images)
        if images.ndim == 2 and images.shape[1] == self.n_features != images.shape[0]:
            images = images.reshape(-1, *self.shape_)
        check_images(images)
        if images.shape[1:] != self.shape_:
            raise ValueError(
                f"Images of {images.shape[1:]} came, and this encoder reads {self.shape_}. Resize them (with Pillow: "
                "Image.resize), or give files to encode_files, which does."
            )
        return images

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "This ImageEncoder is not fitted yet. Call fit(images) or ImageEncoder.load(path) first."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "code_", None) is not None

    # ---- files

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write everything to one ``.npz`` file, atomically; FileExistsError if it is there."""
        write_model(path, *self._content(), overwrite=overwrite)

    def to_bytes(self) -> bytes:
        """What ``save`` would write."""
        return model_bytes(*self._content())

    def _content(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        self._check_fitted()
        coder, code = self.patch_coder_, self.code_
        params = self.get_params()
        if not isinstance(params["random_state"], (int, type(None))):
            params["random_state"] = None  # a generator's state is spent
        header = {
            "kind": IMAGE_KIND,
            "params": {**params, "grid": list(self.grid)},
            "shape": list(self.shape_),
            "stride": coder.stride,
            "n_units": code.n_units,
            "n_features": self.n_features,
            "preprocessing": self.preprocessing,
            "history": code.header.get("history", {}),
        }
        weights = {"W": code._encoder.W, "b": code._encoder.b, "V": code._decoder.W, "c": code._decoder.b}
        patch = {"patch_W": coder.W, "patch_b": coder.b, "patch_patterns": coder.patterns}
        return header, {**patch, "mean": self.mean_, "components": self.components_, **weights}

    @classmethod
    def load(cls, path: str | os.PathLike) -> ImageEncoder:
        """Read a file that :meth:`save` wrote; NumPy is enough to use it on arrays.

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae.
        """
        header, arrays = read_model(path, IMAGE_KIND, ARRAYS)
        try:
            params = {**header["params"], "grid": tuple(header["params"]["grid"])}
            self = cls(**params)
            W, b, patterns, mean, E, *code = (arrays[name] for name in ARRAYS)
            coder = PatchCoder(
                W, b, patterns, self.patch, header["stride"], self.patch_k, self.contrast, self.grid
            )
            if E.shape != (coder.n_features(), code[0].shape[1]) or mean.shape != E.shape[:1]:
                raise ValueError(f"its parts do not fit each other: {mean.shape}, {E.shape}, {code[0].shape}")
            layers = Dense(*code[:2]), Dense(*code[2:])
            self._set(header["shape"], coder, mean, E, Encoder(*layers, KSparse(self.k), "linear", header))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error!r}. Save it again."
            ) from None
        return self

    @property
    def header(self) -> dict[str, Any]:
        """Everything that the file says about the model."""
        return self._content()[0]
