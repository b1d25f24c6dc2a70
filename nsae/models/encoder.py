"""Encoder: a frozen model for use, with NumPy alone.  It is what gets shipped.

A row's code does not depend on the rows beside it: ``encode(X)[i]`` and ``encode(X[i:i + 1])`` are the
same bits.  A BLAS breaks that promise by itself: it chooses its way of summing by the shape of a product
and by the place of a row in it, and then two pre-activations that are nearly level may change places.  So
rows go through in blocks of one fixed shape, the last one padded with zeros, and as the columns of W Xᵀ:
there, full tiles are all summed alike.  So it is, and tested, with OpenBLAS's kernels for AVX-512, and in
float64 on AVX2.  Its float32 kernel for AVX2 differs by place even so: there the promise is kept to
rounding.
"""

from __future__ import annotations

import io
import numbers
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import Activation, KSparse, ReLU, Sigmoid
from nsae.equations.layers import Dense
from nsae.errors import ModelFormatError
from nsae.models.model_file import KIND, kind_of, read_model
from nsae.system.backends import resolve_backend
from nsae.system.threads import Threads
from nsae.validation import check_data, one_of

if TYPE_CHECKING:
    from nsae.images.encoder import ImageEncoder

BLOCK_ROWS = 128  # rows that are encoded at once, always: fewer slow the product, more slow a single row


def activation_for(activation: str, k: int | None) -> Activation:
    """g of Eq. (4): k-sparse where ``k`` is given, else by name."""
    if k is not None:
        return KSparse(k)
    return {"relu": ReLU, "sigmoid": Sigmoid}[one_of("activation", activation, ("relu", "sigmoid"))]()


class Encoder:
    """``z = g(Wx + b)`` and ``x̂ = o(Vz + c)`` with fixed weights.

    Get one from a file, ``Encoder.load("model.npz")``, or from a model, ``model.encoder()``.

    Attributes
    ----------
    n_features, n_units : int
        d and h.
    preprocessing : dict or None
        How images become rows of X, if the model was trained on images: {"side": pixels a side,
        "color": bool}.
    header : dict
        Everything that the file says about the model, hyperparameters included.
    """

    def __init__(self, encoder: Dense, decoder: Dense, g: Activation, output: str, header: dict[str, Any]):
        self._encoder = encoder
        self._decoder = decoder
        self._g = g
        self._output = output
        self.header = header
        self.preprocessing = header.get("preprocessing")
        self.n_units, self.n_features = encoder.W.shape

    @classmethod
    def load(cls, path: str | os.PathLike | io.BytesIO) -> Encoder | ImageEncoder:
        """Read a file that ``SparseAutoencoder.save`` wrote.

        Of a file of ``ImageEncoder.save``, the result is that ImageEncoder, whose ``encode`` takes images:
        with NumPy alone, if they are arrays of the model's own size.

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae.
        """
        if kind_of(path) == "image_encoder":
            from nsae.images.encoder import ImageEncoder  # here: it is made of two of us

            return ImageEncoder.load(path).set_params(backend="auto", n_threads=None)  # of this machine
        header, arrays = read_model(path, KIND, ("W", "b", "V", "c"))
        try:
            params = header["params"]
            W, b, V, c = (arrays[name] for name in "WbVc")
            h, d = W.shape
            if b.shape != (h,) or V.shape != (d, h) or c.shape != (d,):
                raise ValueError(
                    f"its weights do not fit each other: {W.shape}, {b.shape}, {V.shape}, {c.shape}"
                )
            if {W.dtype, b.dtype, V.dtype, c.dtype} not in ({np.dtype("f4")}, {np.dtype("f8")}):
                raise ValueError(f"its weights are {W.dtype}, {b.dtype}, {V.dtype}, {c.dtype}")
            k = params["k"]
            if k is not None and not (isinstance(k, numbers.Integral) and 1 <= k <= h):
                raise ValueError(f"its k={k!r} is no number of its {h} units")
            g = activation_for(params["activation"], k)
            output = one_of("output", params["output"], ("linear", "sigmoid"))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error}. Save it again."
            ) from None
        return cls(Dense(W, b), Dense(V, c), g, output, header)

    def encode(self, X: np.ndarray, *, backend: str = "auto") -> Codes:
        """The codes of X (n, d) as (unit, value) pairs; memory is bounded by one block and the result.

        ``backend`` is who selects the k largest units, "numpy", "numba" or "auto" (Numba where it is
        installed and X is large enough): the codes are the same bits.
        """
        X = check_data(X, owner="Encoder", n_features=self.n_features)
        backend = resolve_backend(backend, len(X) * self.n_units * self.n_features)
        if isinstance(self._g, KSparse) and backend == "numba":
            return self._k_sparse_codes(X)
        blocks: dict[int, Codes] = {}

        def take(rows: slice, Y: np.ndarray) -> None:
            blocks[rows.start] = Codes.from_dense(self._g(Y))  # (2)

        self._each_block(X, take)
        return Codes.concatenate([blocks[start] for start in sorted(blocks)])

    def transform(self, X: np.ndarray) -> np.ndarray:
        """The codes of X (n, d) as a dense array Z (n, h), in the model's dtype."""
        X = check_data(X, owner="Encoder", n_features=self.n_features)
        Z = np.empty((len(X), self.n_units), self._encoder.W.dtype)  # (n, h)

        def take(rows: slice, Y: np.ndarray) -> None:
            Z[rows] = self._g(Y)  # (2)

        self._each_block(X, take)
        return Z

    def inverse_transform(self, Z: np.ndarray | Codes) -> np.ndarray:
        """Reconstructions x̂ (n, d) of codes Z, dense (n, h) or ``Codes``: Eq. (3)."""
        if not isinstance(Z, Codes):
            Z = check_data(Z, owner="inverse_transform", n_features=self.n_units)
        elif Z.n_units != self.n_units:
            raise ValueError(f"The codes have {Z.n_units} units, and this model has {self.n_units}.")
        X_hat = np.empty((len(Z), self.n_features), self._decoder.W.dtype)  # (n, d)
        for start in range(0, len(Z), BLOCK_ROWS):
            rows = Z[start : start + BLOCK_ROWS]
            rows = rows.to_dense() if isinstance(rows, Codes) else rows  # (rows, h)
            U = self._decoder.forward(np.asarray(rows, X_hat.dtype))  # (3) (rows, d)
            X_hat[start : start + len(U)] = Sigmoid()(U) if self._output == "sigmoid" else U
        return X_hat

    def patterns(self) -> np.ndarray:
        """(h, d): what each unit adds to a reconstruction, the rows of Vᵀ."""
        return self._decoder.W.T.copy()

    def _each_block(self, X: np.ndarray, take: Callable[[slice, np.ndarray], None]) -> None:
        """Call ``take`` with the pre-activation Y (rows, h) of every block of rows; threads share them out."""
        W, b = self._encoder.W, self._encoder.b

        def blocks(_part: int, lo: int, hi: int) -> None:
            block = np.zeros((BLOCK_ROWS, self.n_features), W.dtype)  # (BLOCK_ROWS, d)
            Yt = np.empty((self.n_units, BLOCK_ROWS), W.dtype)  # (h, BLOCK_ROWS)
            Y = np.empty((BLOCK_ROWS, self.n_units), W.dtype)  # (BLOCK_ROWS, h)
            for start in range(lo * BLOCK_ROWS, min(hi * BLOCK_ROWS, len(X)), BLOCK_ROWS):
                rows = slice(start, min(start + BLOCK_ROWS, len(X)))
                n = rows.stop - start
                block[:n] = X[rows]
                block[n:] = 0
                np.matmul(W, block.T, out=Yt)
                take(rows, np.add(Yt.T, b, out=Y)[:n])  # (1)

        with Threads() as threads:
            threads.parallel_for(-(-len(X) // BLOCK_ROWS), blocks, work=len(X) * self.n_units)

    def _k_sparse_codes(self, X: np.ndarray) -> Codes:
        """``encode`` with the compiled selection: no dense code is made."""
        from nsae import kernels

        k, n = min(self._g.k, self.n_units), len(X)
        units = np.empty((n, k), np.int32)
        values = np.empty((n, k), self._encoder.W.dtype)
        found = np.zeros(n, np.int64)
        no_bias = np.zeros(self.n_units, values.dtype)  # Y has it already

        def take(rows: slice, Y: np.ndarray) -> None:
            kernels.top_k(Y, no_bias, 0, units[rows], values[rows], found[rows], 0, len(Y))  # (2)
            kernels.by_unit(units, values, found, rows.start, rows.stop)

        self._each_block(X, take)
        on = values > 0  # (n, k)
        indptr = np.concatenate([[0], np.cumsum(on.sum(axis=1))])
        return Codes(indptr, units[on], values[on], self.n_units)
