"""Encoder: a frozen model for use, with NumPy alone.  It is what gets shipped.

The code of a row does not depend on the rows beside it: ``encode(X)[i]`` and ``encode(X[i:i + 1])`` are the
same bits.  A BLAS alone does not promise that.  It chooses its order of summation by the shape of a product
and by the place of a row in it, and two pre-activations that are nearly equal may then change places.

So rows go through in blocks of one fixed shape, the last block padded with zeros, and as the columns of
W Xᵀ, where a BLAS computes full tiles that are all summed alike.  Tests hold this for OpenBLAS's kernels for
AVX-512, and for float64 on AVX2.  The float32 kernel for AVX2 sums in an order that depends on the place
even so; there, codes agree to rounding.

Sparse rows are no matter of BLAS: their products are added one by one.  Their codes agree with those of the same
rows as a dense array to rounding.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nsae.codes import Codes, Data
from nsae.equations.activations import Activation, FrozenActivation, JumpReLU, KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense
from nsae.errors import ModelFormatError
from nsae.models.data_frames import check_feature_names, feature_names
from nsae.models.few_rows import FEW, FewRows
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
from nsae.system.backends import resolve_backend
from nsae.system.storage import atomic_file
from nsae.system.threads import Threads
from nsae.tables import counted, size_text
from nsae.validation import one_of
from nsae.validation.sparse import check_rows

# Rows that are encoded at once, always: with fewer the product is slower, with more a single row is.
BLOCK_ROWS = 128
SPARSE_ROWS, SPARSE_BLOCK = 2048, 1 << 23  # Sparse rows at once, and entries of their pre-activation.


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


def layer_codes(layer: Dense, g: FrozenActivation, X: np.ndarray, *, backend: str = "auto") -> Codes:
    """Return the codes g(X Wᵀ + b) of one layer, as (unit, value) pairs.

    Parameters
    ----------
    layer : Dense
        W (h, d) and b (h,).
    g : Activation or JumpReLU
        Eq. (4) or (48).
    X : (n, d) array, or Codes
        Checked already.  Memory is bounded by one block of rows and the result.
    backend : "auto", "numpy" or "numba"
        What selects the k largest units, and multiplies sparse rows.  Codes are the same bits with each.
    """
    h = len(layer.b)
    backend = resolve_backend(backend, h * X.size)
    if isinstance(g, KSparse) and backend == "numba":
        return _k_sparse_codes(layer, g.k, X)
    blocks: dict[int, Codes] = {}

    def take(rows: slice, Y: np.ndarray) -> None:
        blocks[rows.start] = Codes.from_dense(g(Y))  # (2)

    _for_each_block(layer, X, take, backend)
    return Codes.concatenate([blocks[start] for start in sorted(blocks)])


def _for_each_block(
    layer: Dense, X: np.ndarray, take: Callable[[slice, np.ndarray], None], backend: str = "auto"
) -> None:
    """Call ``take(rows, Y)`` with the pre-activation Y (rows, h) of every block of rows, on all threads.

    ``backend`` multiplies sparse rows; dense ones are a matter of BLAS.
    """
    if isinstance(X, Codes):
        _for_each_sparse_block(layer, X, take, backend)
        return
    W, b = layer.W, layer.b
    h, d = W.shape

    def blocks(_part: int, lo: int, hi: int) -> None:
        block = np.zeros((BLOCK_ROWS, d), W.dtype)  # (BLOCK_ROWS, d)
        Yt = np.empty((h, BLOCK_ROWS), W.dtype)  # (h, BLOCK_ROWS)
        Y = np.empty((BLOCK_ROWS, h), W.dtype)  # (BLOCK_ROWS, h)
        for start in range(lo * BLOCK_ROWS, min(hi * BLOCK_ROWS, len(X)), BLOCK_ROWS):
            rows = slice(start, min(start + BLOCK_ROWS, len(X)))
            n = rows.stop - start
            block[:n] = X[rows]
            block[n:] = 0
            np.matmul(W, block.T, out=Yt)
            take(rows, np.add(Yt.T, b, out=Y)[:n])  # (1)

    with Threads() as threads:
        threads.parallel_for(-(-len(X) // BLOCK_ROWS), blocks, work=len(X) * h)


def _for_each_sparse_block(
    layer: Dense, X: Codes, take: Callable[[slice, np.ndarray], None], backend: str
) -> None:
    """Do what ``_for_each_block`` does, for sparse rows: each costs h multiplications for each of its nonzeros.

    Products are added in the order of features, by both backends, so that blocks may have any number of rows.
    """
    W, b = layer.W, layer.b
    h, d = W.shape
    compiled = resolve_backend(backend, h * X.size) == "numba"
    with Threads() as threads:
        share = -(-len(X) // threads.n)  # W is read once for a block
        size = max(1, min(share, SPARSE_ROWS, SPARSE_BLOCK // h))

        def blocks(_part: int, lo: int, hi: int) -> None:
            if compiled:
                from nsae import kernels
                from nsae.kernels.records import SparseRows

                features = np.zeros((d, kernels.LANES), W.dtype)  # (d, LANES)
                buffer = np.empty((size, h), W.dtype)  # (size, h)
            for start in range(lo * size, min(hi * size, len(X)), size):
                rows = slice(start, min(start + size, len(X)))
                some = X[rows].astype(W.dtype)  # (rows, d)
                if compiled:
                    Y = buffer[: len(some)]  # (rows, h)
                    arrays = (np.array(some.indptr), np.array(some.units), some.values)
                    kernels.sparse_product(SparseRows(*arrays), W, features, Y, 0, h)
                else:
                    Y = some @ W.T  # (rows, h)
                Y += b
                take(rows, Y)

        threads.parallel_for(-(-len(X) // size), blocks, work=X.size * h)


def _k_sparse_codes(layer: Dense, k: int, X: np.ndarray) -> Codes:
    """Do what ``layer_codes`` does, with the compiled selection: no dense code is made."""
    from nsae import kernels

    n, h = len(X), len(layer.b)
    k = min(k, h)
    units = np.empty((n, k), np.int32)
    values = np.empty((n, k), layer.W.dtype)
    found = np.zeros(n, np.int64)
    no_bias = np.zeros(h, values.dtype)  # Y has it already

    def take(rows: slice, Y: np.ndarray) -> None:
        kernels.top_k(Y, no_bias, 0, units[rows], values[rows], found[rows], 0, len(Y))  # (2)
        kernels.by_unit(units, values, found, rows.start, rows.stop)

    _for_each_block(layer, X, take, "numba")
    on = values > 0  # (n, k)
    indptr = np.concatenate([[0], np.cumsum(on.sum(axis=1))])
    return Codes(indptr, units[on], values[on], h)


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
        self._fast: FewRows | None = None  # what encodes few rows, once that is known to pay
        self._fingerprint: str | None = None
        self._asked = False  # whether few rows have been encoded before
        names = header.get("feature_names")
        named = isinstance(names, list) and [type(name) for name in names] == [str] * self.n_features
        if names is not None and not named:
            raise ModelFormatError(
                "The names of the model's features do not fit its features. Save it again."
            )
        self.feature_names = None if names is None else np.array(names, object)

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
        codes = self._few_rows(X)
        if codes is None:
            codes = layer_codes(self.encoder_layer, self.g, X, backend=backend)
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
        codes = self._few_rows(X)
        if codes is not None:
            return codes.to_dense()
        Z = np.empty((len(X), self.n_units), self.encoder_layer.W.dtype)  # (n, h)

        def take(rows: slice, Y: np.ndarray) -> None:
            Z[rows] = self.g(Y)  # (2)

        _for_each_block(self.encoder_layer, X, take)
        return Z

    def _few_rows(self, X: Any) -> Codes | None:
        """Return the k-sparse codes of a few rows without a whole block, from the second time on."""
        if not isinstance(self.g, KSparse) or isinstance(X, Codes) or len(X) > FEW:
            return None
        if self._fast is None and self._asked:  # To find out takes a few blocks: not worth it for one call.
            self._fast = FewRows(self.encoder_layer, self.g.k, BLOCK_ROWS)
        self._asked = True
        return None if self._fast is None else self._fast.codes(X)

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

        _for_each_block(self.encoder_layer, X, take)
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
