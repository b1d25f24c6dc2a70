"""What a fitted SparseAutoencoder is used for: codes, reconstructions, files.  Learning is in estimator.py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.encoder import BLOCK_ROWS, Encoder
from nsae.errors import ModelFormatError, NotFittedError
from nsae.header import KIND, header_of
from nsae.history import Spread
from nsae.hyperparameters import check_hyperparameters
from nsae.modelfile import model_bytes, read_model, write_model
from nsae.validation import check_data

if TYPE_CHECKING:
    from typing_extensions import Self

PARAMS = ("W", "b", "V", "c")
MOMENTS = tuple(f"{moment}_{name}" for moment in ("m1", "m2") for name in PARAMS)


class Fitted:
    """The methods that need a fitted model; ``SparseAutoencoder`` has them."""

    # ---- codes and reconstructions

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Dense codes Z (n, h) of X (n, d), Eqs. (1)–(2)."""
        return self.encoder().transform(X)

    def encode(self, X: np.ndarray) -> Codes:
        """The same codes as (unit, value) pairs."""
        return self.encoder().encode(X)

    def inverse_transform(self, Z: np.ndarray | Codes) -> np.ndarray:
        """Reconstructions x̂ (n, d) of codes, dense (n, h) or ``Codes``: Eq. (3)."""
        return self.encoder().inverse_transform(Z)

    def score(self, X: np.ndarray, y: object = None) -> float:
        """Explained variance, 1 − Σ‖x − x̂‖² / Σ‖x − mean‖²: 1 is perfect, 0 is what the mean does."""
        encoder = self.encoder()
        X = check_data(X, n_features=encoder.n_features)
        spread, error = Spread(), 0.0
        for start in range(0, len(X), BLOCK_ROWS):
            rows = X[start : start + BLOCK_ROWS].astype(np.float64)  # (rows, d)
            X_hat = encoder.inverse_transform(encoder.transform(rows))  # (rows, d)
            error += float(np.square(rows - X_hat).sum())
            spread.add(rows)
        return 1 - error / spread.total if spread.total > 0 else float(error == 0)

    def encoder(self) -> Encoder:
        """The model as it stands, for use: it shares the weights."""
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "This SparseAutoencoder is not fitted yet. Call fit(X), partial_fit(X) or load(path) first."
            )
        core = self.autoencoder_
        return Encoder(core.encoder, core.decoder, core.g, core.output, header_of(self))

    # ---- files

    def save(self, path: str | os.PathLike, *, overwrite: bool = False, with_optimizer: bool = False) -> None:
        """Write the model to one ``.npz`` file, atomically.

        ``with_optimizer`` adds Adam's moments, three times the size, so that ``partial_fit`` goes on
        after ``load`` as if nothing had happened.

        Raises
        ------
        FileExistsError
            The file is there and ``overwrite`` is False.
        """
        write_model(path, *self._content(with_optimizer), overwrite=overwrite)

    def to_bytes(self) -> bytes:
        """What ``save`` would write, for storing it inside something else."""
        return model_bytes(*self._content(False))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a model that :meth:`save` wrote.

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae.
        """
        encoder = Encoder.load(path)
        header, moments = read_model(path, KIND, MOMENTS)
        try:
            model = cls(**header["params"])
            check_hyperparameters(model)
            core = model._assemble(encoder._encoder, encoder._decoder)
            optimizer = model._new_optimizer()
            if moments:
                optimizer.t = header["optimizer_steps"]
                optimizer.m1 = {name: moments[f"m1_{name}"] for name in PARAMS}
                optimizer.m2 = {name: moments[f"m2_{name}"] for name in PARAMS}
                for name, value in moments.items():
                    if value.shape != core.params[name[3:]].shape:
                        raise ValueError(f"{name} does not fit its parameter")
            model._adopt(core, optimizer, header["history"], header["stopped"])
            model.preprocessing_ = header["preprocessing"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error!r}. Save it again."
            ) from None
        return model

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """(h,) names of the code's columns: sparseautoencoder0, sparseautoencoder1, …"""
        h = self.encoder().n_units
        return np.array([f"sparseautoencoder{j}" for j in range(h)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "autoencoder_")

    def _content(self, with_optimizer: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Header and arrays of the model file."""
        header = self.encoder().header
        arrays = dict(self.autoencoder_.params)
        if with_optimizer:
            for moment in ("m1", "m2"):
                for name, value in getattr(self._optimizer, moment).items():
                    arrays[f"{moment}_{name}"] = value
        return header, arrays
