"""Encoder: a frozen model for use, with NumPy alone.  It is what gets shipped.

How rows go through its layer is in layer_codes.py.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nsae.codes import Codes, Data
from nsae.equations.activations import Activation, FrozenActivation, JumpReLU, KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense
from nsae.errors import ModelFormatError
from nsae.models.data_frames import check_feature_names, feature_names
from nsae.models.few_rows import FEW, FewRows, SmallBlock
from nsae.models.layer_codes import BLOCK_ROWS, for_each_block, layer_codes
from nsae.models.model_file import (
    JUMPRELU,
    KIND,
    Stored,
    check_weights,
    fingerprint,
    kind_of,
    model_bytes,
    read_model,
)
from nsae.system.storage import atomic_file
from nsae.tables import counted, size_text
from nsae.validation import one_of
from nsae.validation.sparse import check_rows

TRIALS = ("_fast", "_small", "_asked")  # What an Encoder finds out about the BLAS of this machine.


def activation_for(activation: str, k: int | None) -> Activation:
    """Return g of Eq. (4): k-sparse if ``k`` is given, else the ``activation`` "relu" or "sigmoid"."""
    if k is not None:
        return KSparse(k)
    return ReLU() if one_of("activation", activation, ("relu", "sigmoid")) == "relu" else Sigmoid()


def _frozen_activation(
    activation: str, k: int | None, theta: np.ndarray | None, b: np.ndarray
) -> FrozenActivation:
    """Return what ``activation_for`` does, or JumpReLU (48), whose thresholds ``theta`` must fit the biases ``b``."""
    if activation != JUMPRELU:
        return activation_for(activation, k)
    if theta is None or theta.shape != b.shape or theta.dtype != b.dtype or k is not None:
        raise ValueError("its thresholds do not fit its units")
    return JumpReLU(theta)


class Encoder(Stored):
    """``z = g(Wx + b)`` and ``x̂ = o(Vz + c)`` with fixed weights: they must not be written to.

    Get one from a file, ``Encoder.load("model.npz")``, or from a model, ``model.encoder()``.

    Parameters
    ----------
    encoder_layer : Dense
        W (h, d) and b (h,).
    decoder_layer : Dense
        V (d, h) and c (d,).
    g : Activation or JumpReLU
        Eq. (4) or (48).
    output : "linear" or "sigmoid"
        o of Eq. (3).
    header : dict
        What the model's file says about it.

    Attributes
    ----------
    n_features, n_units : int
        d and h.
    preprocessing : dict or None
        How images become rows of X, if the model was trained on images: {"side": pixels a side,
        "color": bool}.
    header : dict
        What the model's file says about it, all hyperparameters included.
    feature_names : (d,) array of str, or None
        The names of the columns that the model was fitted on, if it was a data frame.
    """

    def __init__(
        self,
        encoder_layer: Dense,
        decoder_layer: Dense,
        g: FrozenActivation,
        output: str,
        header: dict[str, Any],
    ):
        self.encoder_layer = encoder_layer
        self.decoder_layer = decoder_layer
        self.g = g
        self.output = output
        self.header = header
        self.preprocessing = header.get("preprocessing")
        self.n_units, self.n_features = encoder_layer.W.shape
        self._forget_trials()
        self._fingerprint: str | None = None
        names = header.get("feature_names")
        named = isinstance(names, list) and [type(name) for name in names] == [str] * self.n_features
        if names is not None and not named:
            raise ModelFormatError(
                "The names of the model's features do not fit its features. Save it again."
            )
        self.feature_names = None if names is None else np.array(names, object)

    def _forget_trials(self) -> None:
        """Set what trials of this machine's BLAS find anew: how few rows are encoded with the bits of a block."""
        self._fast: FewRows | None = None  # what encodes few rows, once that is known to pay
        self._small: SmallBlock | None = None
        self._asked = False  # whether few rows have been encoded before

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in TRIALS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickle may come from another machine, whose BLAS adds up otherwise, and from an nsae that kept its trials.
        self.__dict__.update({"_fingerprint": None, **state})
        self._forget_trials()

    def __repr__(self) -> str:
        k = getattr(self.g, "k", None)
        g = type(self.g).__name__ if k is None else f"k = {k}"
        layers = (self.encoder_layer, self.decoder_layer)
        size = size_text(sum(array.nbytes for layer in layers for array in (layer.W, layer.b)))
        widths = f"{counted(self.n_features, 'feature')} to {counted(self.n_units, 'unit')}"
        return f"Encoder: {widths}, {g}, {self.output} output, {self.encoder_layer.W.dtype}, {size}"

    @classmethod
    def load(cls, path: str | os.PathLike | io.BytesIO) -> Encoder:
        """Read a file that ``SparseAutoencoder.save`` wrote; ``nsae.load_encoder`` reads any encoder's.

        Parameters
        ----------
        path : path, or io.BytesIO with the content of a file

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae, or holds an image encoder.
        """
        kind = kind_of(path)
        if kind is not None and kind.startswith("image_"):
            raise ModelFormatError(
                f"{path} holds an encoder of images. Read it with nsae.load_encoder(path), whose encode takes "
                "images."
            )
        header, arrays = read_model(path, KIND, ("W", "b", "V", "c", "theta"))
        try:
            params = header["params"]
            W, b, V, c = (arrays[name] for name in "WbVc")
            check_weights(arrays)
            h, d = W.shape
            if b.shape != (h,) or V.shape != (d, h) or c.shape != (d,):
                raise ValueError(
                    f"its weights do not fit each other: {W.shape}, {b.shape}, {V.shape}, {c.shape}"
                )
            if {W.dtype, b.dtype, V.dtype, c.dtype} not in ({np.dtype("f4")}, {np.dtype("f8")}):
                raise ValueError(f"its weights are {W.dtype}, {b.dtype}, {V.dtype}, {c.dtype}")
            k = params["k"]
            if k is not None and not (isinstance(k, int) and 1 <= k <= h):
                raise ValueError(f"its k={k!r} is no number of its {h} units")
            g = _frozen_activation(params["activation"], k, arrays.get("theta"), b)
            output = one_of("output", params["output"], ("linear", "sigmoid"))
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error}. Save it again."
            ) from None
        return cls(Dense(W, b), Dense(V, c), g, output, header)

    def encode(self, X: Data, *, backend: str = "auto") -> Codes:
        """Return the codes of X (n, d) as (unit, value) pairs; memory is bounded by a block and the result.

        ``backend``, "auto", "numpy" or "numba", is what selects the k largest units: "auto" is Numba if it
        is installed and X is large enough.  Codes are the same bits with each.
        """
        X = self._rows(X)
        few = self._few_rows(X)
        if few is None:
            codes = layer_codes(self.encoder_layer, self.g, X, backend=backend)
        else:
            codes = few if isinstance(few, Codes) else Codes.from_dense(few)
        return replace(codes, made_by=self.fingerprint)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits by which a ``CodeIndex`` refuses codes of another model.

        They depend on W and b alone: k and thresholds may change, and units still mean the same.
        """
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self.encoder_layer.W, self.encoder_layer.b)
        return self._fingerprint

    @property
    def block_size(self) -> int:
        """Rows, or images, that are encoded at once."""
        return BLOCK_ROWS

    def encode_images(self, images: np.ndarray) -> Codes:
        """Return the codes of images of the model's own size; ``encode_photos`` takes those of any size.

        Parameters
        ----------
        images : (n, side, side) or (n, side, side, 3) array
            As ``preprocessing`` says; uint8, or floats in [0, 1].

        Raises
        ------
        ValueError
            The model was trained on rows of numbers, or the images are of another size.
        """
        shape = self.image_shape
        if shape is None:
            raise ValueError("This encoder was trained on rows of numbers, not images: use encode(X).")
        if images.shape[1:] != shape:
            raise ValueError(
                f"Images of shape {shape} were expected, one a row, and came as {images.shape}. Use "
                "nsae.encode_photos(encoder, images), which resizes them."
            )
        as_bytes = (self.preprocessing or {}).get("dtype") == "uint8"
        if as_bytes and images.dtype != np.uint8:
            images = images * np.float32(255)
        elif not as_bytes and images.dtype == np.uint8:
            images = images / np.float32(255)
        return self.encode(images.reshape(len(images), -1))

    def unit_patterns(self, units: Sequence[int]) -> np.ndarray | None:
        """Return what each of m ``units`` adds to a reconstruction, as images (m, side, side[, 3]).

        None if the model was trained on rows of numbers.
        """
        shape = self.image_shape
        return None if shape is None else self.patterns()[list(units)].reshape(-1, *shape)

    def unit_regions(self, image: np.ndarray, units: Sequence[int]) -> None:
        """Return None: a unit of an encoder of whole images has no part of the ``image`` to itself.

        An image pipeline returns the part that excites each of the ``units`` most.
        """

    def encoder(self) -> Encoder:
        """Return this encoder itself, as an estimator returns what it has learned."""
        return self

    def to_bytes(self) -> bytes:
        """Return the content of a model file, without an optimizer's state."""
        header = {name: value for name, value in self.header.items() if name not in ("format", "version")}
        arrays = {"W": self.encoder_layer.W, "b": self.encoder_layer.b}
        arrays |= {"V": self.decoder_layer.W, "c": self.decoder_layer.b}
        if isinstance(self.g, JumpReLU):
            arrays["theta"] = self.g.theta
        return model_bytes(header, arrays)

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write the encoder to one ``.npz`` file, atomically; :meth:`load` and ``nsae.load_encoder`` read it.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether a file of that name may be replaced.

        Raises
        ------
        FileExistsError
            The file is there and ``overwrite`` is False.
        """
        with atomic_file(path, overwrite=overwrite) as file:
            file.write(self.to_bytes())

    def transform(self, X: Data) -> np.ndarray:
        """Return the codes of X (n, d) as a dense array Z (n, h), in the model's dtype."""
        X = self._rows(X)
        few = self._few_rows(X)
        if few is not None:
            return few.to_dense() if isinstance(few, Codes) else few
        Z = np.empty((len(X), self.n_units), self.encoder_layer.W.dtype)  # (n, h)

        def take(rows: slice, Y: np.ndarray) -> None:
            Z[rows] = self.g(Y)  # (2)

        for_each_block(self.encoder_layer, X, take)
        return Z

    def _few_rows(self, X: Any) -> Codes | np.ndarray | None:
        """Return the codes of a few rows, as pairs or dense, without a whole block, from the second time on."""
        if isinstance(X, Codes) or not 0 < len(X) <= FEW:
            return None
        if not self._asked:  # To find out takes a few blocks: not worth it for one call.
            self._asked = True
            return None
        if isinstance(self.g, KSparse):
            self._fast = self._fast or FewRows(self.encoder_layer, self.g.k, BLOCK_ROWS)
            codes = self._fast.codes(X)
            if codes is not None:
                return codes
        self._small = self._small or SmallBlock(self.encoder_layer, BLOCK_ROWS)
        Y = self._small.pre_activations(X)  # (1) (n, h)
        return None if Y is None else self.g(Y)  # (2) (n, h)

    def dead_units(self, X: Data) -> np.ndarray:
        """Return the numbers (m,) int64, ascending, of the units that no row of X (n, d) activates.

        A unit is active above 0, and a sigmoid unit above 0.1.

        Raises
        ------
        ValueError, TypeError
            X does not fit the model.
        """
        X = self._rows(X)
        alive = np.zeros(self.n_units, bool)  # (h,)

        def take(_rows: slice, Y: np.ndarray) -> None:
            alive[(self.g(Y) > self.g.active_above).any(axis=0)] = True  # threads only ever set it

        for_each_block(self.encoder_layer, X, take)
        return np.flatnonzero(~alive)  # (m,)

    def _rows(self, X: object) -> np.ndarray:
        """Check data; of a data frame, the names of its columns too, if the model was fitted on one."""
        if self.feature_names is not None and feature_names(X) is not None:
            check_feature_names(X, self.feature_names, "Encoder")
        return check_rows(X, owner="Encoder", n_features=self.n_features)

    def inverse_transform(self, Z: np.ndarray | Codes) -> np.ndarray:
        """Return the reconstructions x̂ (n, d) of codes ``Z``, dense (n, h) or ``Codes``: Eq. (3)."""
        if not isinstance(Z, Codes):
            Z = check_rows(Z, owner="inverse_transform", n_features=self.n_units)
        elif Z.n_units != self.n_units:
            raise ValueError(f"The codes have {Z.n_units} units, and this model has {self.n_units}.")
        X_hat = np.empty((len(Z), self.n_features), self.decoder_layer.W.dtype)  # (n, d)
        for start in range(0, len(Z), BLOCK_ROWS):
            rows = Z[start : start + BLOCK_ROWS]
            dense = rows.to_dense() if isinstance(rows, Codes) else rows  # (rows, h)
            U = self.decoder_layer.forward(np.asarray(dense, X_hat.dtype))  # (3) (rows, d)
            X_hat[start : start + len(U)] = Sigmoid()(U) if self.output == "sigmoid" else U
        return X_hat

    def patterns(self) -> np.ndarray:
        """Return a copy of Vᵀ (h, d): row j is what unit j adds to a reconstruction."""
        return self.decoder_layer.W.T.copy()

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """The shape of the images that were trained on; None for rows of numbers."""
        if self.preprocessing is None:
            return None
        side = self.preprocessing["side"]
        return (side, side, 3) if self.preprocessing["color"] else (side, side)
