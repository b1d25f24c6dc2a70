"""SparseAutoencoder: the model as an estimator, by scikit-learn's contract and without importing it."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense, normalise_columns
from nsae.equations.optimizers import Adam
from nsae.errors import ModelFormatError, NotFittedError
from nsae.models.encoder import BLOCK_ROWS, Encoder, activation_for
from nsae.models.hyperparameters import check_hyperparameters
from nsae.models.model_file import KIND, header_of, model_bytes, read_model, write_model
from nsae.models.sklearn_contract import Parameters
from nsae.training.dead_units import AuxiliaryLoss, DeadUnits, Resampling
from nsae.training.history import History, Spread
from nsae.training.initialisation import random_layers, scale_encoder, tied_layers
from nsae.training.loop import train
from nsae.validation import check_data, generator

if TYPE_CHECKING:
    from typing_extensions import Self

PARAMS = ("W", "b", "V", "c")
MOMENTS = tuple(f"{moment}_{name}" for moment in ("m1", "m2") for name in PARAMS)


class SparseAutoencoder(Parameters):
    """A sparse autoencoder with one hidden layer: ``z = g(Wx + b)``, ``x̂ = o(Vz + c)``.

    Parameters
    ----------
    n_units : int
        h, the number of hidden units.
    activation : "relu" or "sigmoid"
        g, Eq. (4).
    output : "linear" or "sigmoid"
        o, Eq. (3).
    loss : "squared" or "cross_entropy"
        Eq. (5), or Eq. (6) for data in [0, 1] with the sigmoid output.
    k : int, optional
        Keep the k largest positive units of each sample: the k-sparse activation of Eq. (4).
    l1 : float
        λ, Eq. (7).  With a free decoder it can be cheated (small codes, large V): set ``unit_norm``.
    kl, rho : float
        β and ρ, Eq. (8): each unit's mean activation is drawn to ρ.  Needs the sigmoid activation.
    weight_decay : float
        γ, Eq. (9).
    unit_norm : bool
        Keep each column of V at norm 1, Eq. (20).
    init : "random", "samples" or "scaled samples"
        Where units start that are k-sparse or have ``unit_norm``: in random directions, or each in the
        direction of a sample, which leaves far fewer of them dead; "scaled" so that reconstructions start
        at the right length, which needs the linear output.
    aux_weight, k_aux : float, int
        κ of Eq. (21): dead units learn from what the others leave over, ``k_aux`` of them a sample (by
        default 4 k, or 64).  Needs relu or k.
    resample : bool
        Let dead units start anew, each from a sample that the others reconstruct badly.  Needs relu or k.
    dead_after : int
        A unit is dead when so many samples in a row have not activated it.
    epochs, batch_size, learning_rate
        Passes over the data, samples a step, Adam's α (Eq. (19)).
    warmup_steps, lr_schedule : int, str
        Steps in which the learning rate rises from 0, and how it falls to 0 by the end: "none", "linear",
        "cosine".
    max_grad_norm : float, optional
        G of Eq. (34): a longer gradient, over all parameters together, is shortened to it.
    k_start : int, optional
        Start with so many active units and come down to ``k`` in three fifths of the steps.
    tol, patience : float, int
        Stop when the loss has fallen by less than the fraction ``tol`` for ``patience`` epochs
        running; ``tol=0`` runs every epoch.
    random_state : int, numpy.random.Generator or None
        Of the initial weights and the order of samples.  The same number, the same model.
    dtype : "float32" or "float64"
    backend : "auto", "numpy" or "numba"
        Who takes the training steps: the equations as they stand (NumPy), or the compiled loops, which
        compute the same and are faster; "auto" compiles where Numba is installed and the fit is long
        enough to make up for its import.
    n_threads : int, optional
        Threads of the compiled loops.  None and −1 are as many as there are processors, None no more than
        BLAS would use.
    verbose : bool
        Progress on stderr.

    Attributes
    ----------
    autoencoder_ : Autoencoder
        The parameters and their equations.
    history_ : dict of lists
        A number for each epoch: loss, its parts (reconstruction, l1, kl, weight_decay), l0 (active
        units a sample), dead (share of units that no sample activated), explained_variance, seconds.
        They are of the batches as they were met in training.  A sigmoid unit is active above 0.1.
    stopped_ : str
        "epochs", "converged" or "interrupted" (Ctrl-C returns the model as it stands).
    n_features_in_, n_iter_ : int
        d, and the epochs run.
    preprocessing_ : dict or None
        How images become rows of X, if they do; travels with the saved model.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae import SparseAutoencoder
    >>> X = np.random.default_rng(0).random((500, 20))
    >>> model = SparseAutoencoder(32, k=4, random_state=0).fit(X)
    >>> int(model.encode(X).counts.max())
    4
    """

    def __init__(
        self,
        n_units: int = 256,
        *,
        activation: str = "relu",
        output: str = "linear",
        loss: str = "squared",
        k: int | None = None,
        l1: float = 0.0,
        kl: float = 0.0,
        rho: float = 0.05,
        weight_decay: float = 0.0,
        unit_norm: bool = False,
        init: str = "random",
        aux_weight: float = 0.0,
        k_aux: int | None = None,
        resample: bool = False,
        dead_after: int = 10_000,
        epochs: int = 20,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        warmup_steps: int = 0,
        lr_schedule: str = "none",
        max_grad_norm: float | None = None,
        k_start: int | None = None,
        tol: float = 0.0,
        patience: int = 5,
        random_state: int | np.random.Generator | None = None,
        dtype: str = "float32",
        backend: str = "auto",
        n_threads: int | None = None,
        verbose: bool = False,
    ):
        self.n_units = n_units
        self.activation = activation
        self.output = output
        self.loss = loss
        self.k = k
        self.l1 = l1
        self.kl = kl
        self.rho = rho
        self.weight_decay = weight_decay
        self.unit_norm = unit_norm
        self.init = init
        self.aux_weight = aux_weight
        self.k_aux = k_aux
        self.resample = resample
        self.dead_after = dead_after
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.lr_schedule = lr_schedule
        self.max_grad_norm = max_grad_norm
        self.k_start = k_start
        self.tol = tol
        self.patience = patience
        self.random_state = random_state
        self.dtype = dtype
        self.backend = backend
        self.n_threads = n_threads
        self.verbose = verbose

    # ---- learning

    def fit(self, X: np.ndarray, y: object = None) -> SparseAutoencoder:
        """Learn from X (n, d), starting anew; ``y`` is ignored.

        X may be a memory-mapped array: it is read in batches and never copied whole.

        Raises
        ------
        ValueError, TypeError
            Data or hyperparameters that cannot be used; a model fitted before stays as it was.
        FloatingPointError
            The loss became NaN or infinite.
        """
        check_hyperparameters(self)
        X = self._check(X)
        rng = generator(self.random_state)
        core, optimizer, history = self._initial(X, rng), self._new_optimizer(), {}
        stopped = self._train(core, optimizer, history, X, self.epochs, rng, k_start=self.k_start)
        self._adopt(core, optimizer, history, stopped)
        self.preprocessing_ = None
        return self

    def partial_fit(self, X: np.ndarray, y: object = None) -> SparseAutoencoder:
        """One more epoch over X (n, d), in the order given, from where the weights and Adam stand.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As :meth:`fit`.
        """
        check_hyperparameters(self)
        if not self.__sklearn_is_fitted__():
            X = self._check(X)
            core = self._initial(X, generator(self.random_state))
            optimizer, history = self._new_optimizer(), {}
        else:
            X = self._check(X, n_features=self.n_features_in_)
            # on copies: if the loss diverges, and for every encoder() handed out, the old model stays
            core, optimizer, history = copy.deepcopy((self.autoencoder_, self._optimizer, self.history_))
            h, dtype = core.encoder_layer.W.shape[0], core.encoder_layer.W.dtype
            if self.n_units != h or np.dtype(self.dtype) != dtype:
                raise ValueError(
                    f"n_units={self.n_units} and dtype={self.dtype!r} are set, but the fitted model has {h} units "
                    f"in {dtype}. Call fit to start anew."
                )
            if self.unit_norm:
                normalise_columns(core.decoder_layer.W)  # (20), if it was not on before
            core = self._assemble(
                core.encoder_layer, core.decoder_layer
            )  # with what set_params has said since
            fresh = self._new_optimizer()
            optimizer.learning_rate, optimizer.max_grad_norm = fresh.learning_rate, fresh.max_grad_norm
        stopped = self._train(core, optimizer, history, X, 1, None)
        self._adopt(core, optimizer, history, stopped)
        return self

    def fit_transform(self, X: np.ndarray, y: object = None) -> np.ndarray:
        """``fit(X)`` and then ``transform(X)``."""
        return self.fit(X).transform(X)

    def core_for(self, X: np.ndarray) -> Autoencoder:
        """The fitted autoencoder, or else the one that ``fit(X)`` would start from."""
        if self.__sklearn_is_fitted__():
            return self.autoencoder_
        check_hyperparameters(self)
        return self._initial(self._check(X), generator(self.random_state))

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
        core = self._fitted()
        return Encoder(core.encoder_layer, core.decoder_layer, core.g, core.output, header_of(self))

    def with_k(self, k: int) -> Self:
        """Return this fitted model with ``k`` active units a sample instead; it shares the weights.

        Raises
        ------
        ValueError, TypeError
            ``k`` is not a whole number from 1 to ``n_units``.
        """
        model = copy.copy(self).set_params(k=k)
        check_hyperparameters(model)
        core = self._fitted()
        model.autoencoder_ = model._assemble(core.encoder_layer, core.decoder_layer)
        return model

    def with_threshold(self, threshold: float) -> Self:
        """Return this fitted model with every pre-activation lowered by ``threshold``: b − threshold.

        Activations below it become 0, and all others are smaller by it (a soft threshold).  The other
        weights are shared.
        """
        model, core = copy.copy(self), self._fitted()
        encoder = core.encoder_layer
        b = encoder.b - encoder.b.dtype.type(threshold)  # (h,)
        model.autoencoder_ = copy.copy(core)
        model.autoencoder_.encoder_layer = Dense(encoder.W, b, encoder.weight_decay)
        return model

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
            core = model._assemble(encoder.encoder_layer, encoder.decoder_layer)
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

    # ---- inside

    def _fitted(self) -> Autoencoder:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "This SparseAutoencoder is not fitted yet. Call fit(X), partial_fit(X) or load(path) first."
            )
        return self.autoencoder_

    def _initial(self, X: np.ndarray, rng: np.random.Generator) -> Autoencoder:
        """The autoencoder that training starts from, for X (n, d)."""
        if self.k is not None or self.unit_norm:
            centred = self.output == "linear"  # a mean is no logit
            layers = tied_layers(
                *(X, self.n_units, rng, self.dtype),
                centred_output=centred,
                from_samples=self.init != "random",
            )
        else:
            layers = random_layers(X.shape[1], self.n_units, rng, self.dtype)
        core = self._assemble(*layers)
        if self.init == "scaled samples":
            scale_encoder(core, X)
        return core

    def _new_optimizer(self) -> Adam:
        return Adam(
            float(self.learning_rate),
            max_grad_norm=None if self.max_grad_norm is None else float(self.max_grad_norm),
        )

    def _assemble(self, encoder: Dense, decoder: Dense) -> Autoencoder:
        # plain floats: a NumPy float64, as np.logspace gives, would turn float32 gradients into float64
        encoder.weight_decay = decoder.weight_decay = float(self.weight_decay)
        return Autoencoder(
            encoder,
            decoder,
            activation_for(self.activation, self.k),
            output=self.output,
            loss=self.loss,
            l1=float(self.l1),
            kl=float(self.kl),
            rho=float(self.rho),
        )

    def _train(
        self,
        core: Autoencoder,
        optimizer: Adam,
        history: History,
        X: np.ndarray,
        epochs: int,
        rng: np.random.Generator | None,
        k_start: int | None = None,
    ) -> str:
        names = "batch_size unit_norm warmup_steps lr_schedule tol patience verbose backend n_threads".split()
        options = {name: getattr(self, name) for name in names}
        return train(
            core,
            optimizer,
            X,
            epochs=epochs,
            rng=rng,
            history=history,
            dead_units=self._dead_units(core, optimizer, rng),
            k_start=k_start,
            **options,
        )

    def _dead_units(
        self, core: Autoencoder, optimizer: Adam, rng: np.random.Generator | None
    ) -> DeadUnits | None:
        """What is to be done about dead units, if anything."""
        if not (self.aux_weight or self.resample):
            return None
        if optimizer.t == 0 or not hasattr(self, "_idle"):
            self._idle = np.zeros(self.n_units, np.int64)  # (h,)
        auxiliary = resampling = None
        if self.aux_weight:
            k_aux = self.k_aux or (64 if self.k is None else 4 * self.k)
            auxiliary = AuxiliaryLoss(core, float(self.aux_weight), k_aux)
        if self.resample:
            seed = optimizer.t if rng is None else rng.integers(2**63)
            resampling = Resampling(core, optimizer, self.unit_norm, generator(seed))
        return DeadUnits(self._idle, self.dead_after, auxiliary, resampling)

    def _adopt(self, core: Autoencoder, optimizer: Adam, history: History, stopped: str) -> None:
        """Make these the fitted attributes, all at once, when nothing can fail any more."""
        self.autoencoder_ = core
        self._optimizer = optimizer
        self.history_ = history
        self.stopped_ = stopped
        self.n_iter_ = len(history.get("loss", ()))
        self.n_features_in_ = core.encoder_layer.W.shape[1]
        if not hasattr(self, "preprocessing_"):
            self.preprocessing_ = None

    def _check(self, X: object, n_features: int | None = None) -> np.ndarray:
        return check_data(
            X,
            owner=type(self).__name__,
            n_features=n_features,
            unit_interval=self.loss == "cross_entropy",
        )

    def _content(self, with_optimizer: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Header and arrays of the model file."""
        header = self.encoder().header
        arrays = dict(self.autoencoder_.params)
        if with_optimizer:
            for moment in ("m1", "m2"):
                for name, value in getattr(self._optimizer, moment).items():
                    arrays[f"{moment}_{name}"] = value
        return header, arrays
