"""SparseAutoencoder: the model as an estimator, by scikit-learn's contract and without importing it."""

from __future__ import annotations

import copy
import dataclasses
import io
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes, Data
from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense
from nsae.errors import ModelFormatError, NotFittedError
from nsae.models import building, data_frames
from nsae.models.building import STATE_ARRAYS, assemble, continued_state, new_state, training_options
from nsae.models.checkpoint_file import CheckpointFile
from nsae.models.collapse import warn_of_collapse, warn_of_scale
from nsae.models.data_frames import check_feature_names, check_input_features, feature_names
from nsae.models.encoder import Encoder
from nsae.models.explained_variance import explained_variance
from nsae.models.hyperparameters import check_hyperparameters
from nsae.models.model_file import KIND, Stored, header_of, model_bytes, model_with, read_model, write_model
from nsae.models.sklearn_contract import Transformer
from nsae.system.interrupts import called_from_main
from nsae.training.loop import train
from nsae.training.state import History, TrainingOptions, TrainingState
from nsae.validation import at_least, generator
from nsae.validation.sparse import check_rows

if TYPE_CHECKING:
    from typing_extensions import Self


class SparseAutoencoder(Transformer, Stored):
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
        λ, Eq. (7).  A free decoder can avoid this penalty with small codes and large V: set ``unit_norm``.
    kl, rho : float
        β and ρ, Eq. (8): the mean activation of each unit is drawn to ρ.  Needs the sigmoid activation.
    weight_decay : float
        γ, Eq. (9).
    unit_norm : bool
        Keep each column of V at norm 1, Eq. (20).
    init : "random", "samples" or "scaled samples"
        Where units start that are k-sparse or have ``unit_norm``: in random directions, or each in the
        direction of a sample, which leaves far fewer of them dead.  "scaled samples" also scales the weights
        so that reconstructions start at the right length; it needs the linear output.
    aux_weight, k_aux : float, int
        AuxK: κ of Eq. (21), the weight of the auxiliary loss by which dead units learn from the residual, and
        how many dead units a sample it uses (by default 4 k, or 64).  Needs relu or k.
    resample : bool
        Start dead units anew, each from a sample whose residual is large.  Needs relu or k.
    dead_after : int
        A unit is dead when this many samples in a row have not activated it.
    epochs, batch_size, learning_rate
        Passes over the data, samples a step, and α of Adam, Eq. (19).
    shuffle : bool
        Whether ``fit`` takes the rows in a new random order in each epoch, or as they are given.
    warmup_steps : int
        The learning rate rises from 0 in this many steps.
    lr_schedule : "none", "linear" or "cosine"
        How the learning rate falls to 0 at the end of the schedule.
    schedule_steps : int, optional
        The length of the schedule, in steps: where ``lr_schedule`` ends, and ``k_start`` has come down at three
        fifths.  By default that of ``epochs`` passes over data with as many rows as the first call got.  Steps
        are counted on from one ``partial_fit`` to the next, so that one ``fit`` and many ``partial_fit`` follow
        one schedule; give ``schedule_steps`` if ``partial_fit`` gets the data in parts.  After its end the
        learning rate stays 0, with a warning.
    max_grad_norm : float, optional
        G of Eq. (34): a longer gradient, over all parameters together, is scaled to this length.
    k_start : int, optional
        Start with this many active units, and come down to ``k`` in three fifths of the schedule.
    tol, patience : float, int
        Stop when the loss has fallen by less than the fraction ``tol`` for ``patience`` epochs
        running; ``tol=0`` runs every epoch.
    random_state : int, numpy.random.Generator or None
        For the initial weights, the order of samples, and resampling.  The same number gives the same model, to
        the bit, on the same machine, with the same versions, ``backend`` and ``n_threads``.  Another backend or
        number of threads adds numbers in another order: the models then agree to rounding, which many steps
        make larger.
    dtype : "float32" or "float64"
        Of the parameters and codes.
    backend : "auto", "numpy" or "numba"
        What takes the training steps: the equations in NumPy, or compiled loops, which compute the same and
        are faster.  "auto" compiles if Numba is installed and the fit is long enough to pay for its import.
    n_threads : int, optional
        Threads of the compiled loops.  None and −1 are as many as there are processors, None no more than
        BLAS would use.
    verbose : bool
        Progress on stderr.
    on_interrupt : "auto", "return" or "raise"
        What ``fit`` does after Ctrl-C.  In each case the model is kept as its last whole step left it.  "return"
        warns and returns it; "raise" raises KeyboardInterrupt, so that the whole job stops, as in a grid search.
        "auto" returns if a script, a prompt or a notebook calls ``fit`` itself, and raises if an imported
        module does.  ``partial_fit`` is mostly called in a loop: with "auto" it raises.

    Attributes
    ----------
    autoencoder_ : Autoencoder
        The parameters and their equations.
    history_ : dict of lists
        A number for each epoch: loss, its parts (reconstruction, l1, kl, weight_decay, auxiliary), l0 (active
        units a sample), dead (the fraction of units that no sample activated), explained_variance, seconds.
        Each batch counts as it was before its step.  A sigmoid unit is active above 0.1.  Sigmoid units also
        have rho_hat, ρ̂ of Eq. (8) over all samples of the epoch: an array (h,) float32 for each epoch, of NaN for
        an epoch in which they were no sigmoid units, or of which a file does not know.
    backend_ : str or None
        Who took the last steps of training: "numpy", the equations as one reads them, or "numba", their compiled
        twins.  None for a model from a file that does not say.
    stopped_ : str
        "epochs", "converged" or "interrupted".
    n_features_in_, n_iter_ : int
        d, and the epochs run.
    feature_names_in_ : (d,) array of str
        The names of the columns, if ``fit`` got a data frame whose columns have names.  Saved with the model.
    preprocessing_ : dict or None
        How images become rows of X, if they do; saved with the model.

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
        shuffle: bool = True,
        learning_rate: float = 1e-3,
        warmup_steps: int = 0,
        lr_schedule: str = "none",
        schedule_steps: int | None = None,
        max_grad_norm: float | None = None,
        k_start: int | None = None,
        tol: float = 0.0,
        patience: int = 5,
        random_state: int | np.random.Generator | None = None,
        dtype: str = "float32",
        backend: str = "auto",
        n_threads: int | None = None,
        verbose: bool = False,
        on_interrupt: str = "auto",
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
        self.shuffle = shuffle
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.lr_schedule = lr_schedule
        self.schedule_steps = schedule_steps
        self.max_grad_norm = max_grad_norm
        self.k_start = k_start
        self.tol = tol
        self.patience = patience
        self.random_state = random_state
        self.dtype = dtype
        self.backend = backend
        self.n_threads = n_threads
        self.verbose = verbose
        self.on_interrupt = on_interrupt

    # ---- learning

    def fit(
        self,
        X: Data,
        y: object = None,
        *,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_minutes: float = 10.0,
        keep_checkpoint: bool = False,
    ) -> Self:
        """Learn from data, starting anew, or from where a killed process stopped.

        Parameters
        ----------
        X : (n, d) array, Codes, or a sparse matrix by rows
            It may be memory-mapped: it is read in batches and never copied whole.  Sparse data, such as SciPy's
            ``csr_matrix`` or the codes of another autoencoder, is never made dense: its part in a step costs what
            its nonzeros cost.
        y : object
            Ignored.
        checkpoint : path, optional
            A file that gets the state of training every ``checkpoint_minutes``.  If it is there when ``fit`` is
            called, training goes on from it, and ends with the bits that it would have ended with without the
            interruption (on the same machine, with the same versions and ``n_threads``).
        checkpoint_minutes : float
            0 writes after each step; of a small dense net, after each run of steps that are taken at once.
        keep_checkpoint : bool
            At the end of training the file is removed, or else kept, so that the next call has nothing to do.

        Raises
        ------
        ValueError, TypeError
            Data or hyperparameters that cannot be used, or a checkpoint of other data or hyperparameters; a model
            fitted before stays as it was.
        ModelFormatError
            The checkpoint is damaged, or is no checkpoint.
        FloatingPointError
            The loss became NaN or infinite; a model fitted before stays as it was.
        KeyboardInterrupt
            Ctrl-C, as ``on_interrupt`` says.

        Warns
        -----
        CollapseWarning
            Nothing was learned: codes near zero, or an explained variance of 0 or less; or the data is far from
            [0, 1] and a sigmoid is to give or take it.
        """
        check_hyperparameters(self)
        at_least("checkpoint_minutes", checkpoint_minutes, 0)
        names, X = feature_names(X), self._check(X)
        warn_of_scale(self, X)
        rng = generator(self.random_state)
        file = None if checkpoint is None else CheckpointFile(checkpoint, self, X)
        state = None if file is None else file.read()
        if state is None:
            state = new_state(self, self._initial(X, rng), rng)
        stopped = train(
            state,
            X,
            training_options(self),
            epochs=int(self.epochs),
            rng=rng if self.shuffle else None,
            checkpoint=None if file is None else file.checkpoint(state, checkpoint_minutes, keep_checkpoint),
        )
        if file is not None and stopped != "interrupted" and not keep_checkpoint:
            file.remove()
        self._adopt(state, stopped, names)
        self.preprocessing_: dict[str, Any] | None = None
        if stopped == "interrupted":
            self._answer_interrupt(returns=called_from_main())
        else:
            warn_of_collapse(self, X)
        return self

    def partial_fit(self, X: Data, y: object = None) -> Self:
        """Go on for one more epoch, over X (n, d) in the order given; ``y`` is ignored.

        Weights, Adam's moments, idle counts and the schedule go on from where they stand.

        Raises
        ------
        ValueError, TypeError, FloatingPointError, KeyboardInterrupt
            As :meth:`fit`.
        """
        check_hyperparameters(self)
        if self.__sklearn_is_fitted__():
            names, X = self._names, self._rows(X)
            state = continued_state(self, self._state)
        else:
            names, X = feature_names(X), self._check(X)
            rng = generator(self.random_state)
            state = new_state(self, self._initial(X, rng), rng)
        self._adopt(state, train(state, X, training_options(self), epochs=1), names)
        if self.stopped_ == "interrupted":
            self._answer_interrupt(returns=False)
        return self

    def core_for(self, X: Data) -> Autoencoder:
        """Return the fitted autoencoder, or else the one that ``fit(X)`` would start from."""
        if self.__sklearn_is_fitted__():
            return self.autoencoder_
        check_hyperparameters(self)
        return self._initial(self._check(X), generator(self.random_state))

    def training_state(self, X: Data | None = None) -> tuple[TrainingState, TrainingOptions] | None:
        """Return what training goes on from, and the options that it goes on with.

        Before ``fit`` it is what ``fit(X)`` would start from, for data X (n, d), or None without X.
        """
        if self.__sklearn_is_fitted__():
            return self._state, training_options(self)
        rng = generator(self.random_state)
        return None if X is None else (new_state(self, self.core_for(X), rng), training_options(self))

    # ---- what was learned

    @property
    def autoencoder_(self) -> Autoencoder:
        """The parameters and their equations."""
        return self._state.model

    @property
    def history_(self) -> History:
        """A number for each epoch."""
        return self._fitted_state().history

    @property
    def backend_(self) -> str | None:
        """Who took the last steps: "numpy", "numba", or None if a file does not say."""
        return self._fitted_state().backend

    @property
    def n_iter_(self) -> int:
        """Epochs run."""
        return len(self.history_.get("loss", ()))

    @property
    def n_features_in_(self) -> int:
        """d."""
        return int(self.autoencoder_.encoder_layer.W.shape[1])

    # ---- codes and reconstructions

    def transform(self, X: Data) -> Any:
        """Return the dense codes Z (n, h) of X (n, d), Eqs. (1)–(2): an array, or what :meth:`set_output` says.

        X may be a data frame; its columns must then be those of ``fit``, in the same order.
        """
        Z = self._kept_encoder().transform(self._rows(X))
        return data_frames.in_wanted_container(self, Z, X)

    def encode(self, X: Data) -> Codes:
        """Return the codes of X (n, d) as (unit, value) pairs."""
        return self._kept_encoder().encode(self._rows(X))

    def inverse_transform(self, Z: np.ndarray | Codes) -> np.ndarray:
        """Return the reconstructions x̂ (n, d) of codes ``Z``, dense (n, h) or ``Codes``: Eq. (3)."""
        return self._kept_encoder().inverse_transform(Z)

    def score(self, X: Data, y: object = None) -> float:
        """Return the explained variance of X (n, d), 1 − Σ‖x − x̂‖² / Σ‖x − mean‖²; ``y`` is ignored.

        1 is perfect, and 0 is what the mean alone explains.
        """
        return explained_variance(self.encoder(), self._rows(X))

    def dead_units(self, X: Data) -> np.ndarray:
        """Return the numbers (m,) int64 of the units that no row of X (n, d) activates.

        A unit is active above 0, and a sigmoid unit above 0.1.

        Raises
        ------
        ValueError, TypeError, NotFittedError
            As :meth:`transform`.
        """
        return self._kept_encoder().dead_units(self._rows(X))

    def encoder(self) -> Encoder:
        """Return the model as it stands, for use: it shares the weights."""
        core = self._fitted()
        return Encoder(core.encoder_layer, core.decoder_layer, core.g, core.output, header_of(self))

    def _kept_encoder(self) -> Encoder:
        """Return the same encoder until there are other weights: it keeps what it finds out about them."""
        state = self._fitted_state()
        if state.encoder is None:
            state.encoder = self.encoder()
        return state.encoder

    def with_k(self, k: int) -> Self:
        """Return this fitted model with ``k`` active units a sample instead; it shares the weights.

        Raises
        ------
        ValueError, TypeError
            ``k`` is not a whole number from 1 to ``n_units``.
        """
        model, core = copy.copy(self).set_params(k=k), self._fitted()
        check_hyperparameters(model)
        return model._with_core(assemble(model, core.encoder_layer, core.decoder_layer))

    def with_threshold(self, threshold: float) -> Self:
        """Return this fitted model with every pre-activation lowered by ``threshold``: b − threshold.

        Activations below it become 0, and all others are smaller by it (a soft threshold).  The other
        weights are shared.
        """
        core = copy.copy(self._fitted())
        layer = core.encoder_layer
        b = layer.b - layer.b.dtype.type(threshold)  # (h,)
        core.encoder_layer = Dense(layer.W, b, layer.weight_decay)
        return copy.copy(self)._with_core(core)

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """Return names (h,) of the code's columns: sparseautoencoder0, …

        ``input_features`` may be the names of the columns of X; they are only checked.
        """
        h, d = self._fitted().encoder_layer.W.shape
        check_input_features(input_features, self._names, d)
        return np.array([f"sparseautoencoder{j}" for j in range(h)], dtype=object)

    # ---- files

    def save(self, path: str | os.PathLike, *, overwrite: bool = False, with_optimizer: bool = False) -> None:
        """Write the model to one ``.npz`` file, atomically.

        Parameters
        ----------
        path : path
        overwrite : bool
            Whether a file of that name may be replaced.
        with_optimizer : bool
            Add all that training goes on from: ``partial_fit`` after :meth:`load` is then, bit by bit, what it
            would have been without the pause.  The file becomes three times as large.

        Raises
        ------
        NotFittedError
        FileExistsError
            The file is there and ``overwrite`` is False.
        """
        write_model(path, *self._content(with_optimizer), overwrite=overwrite)

    def to_bytes(self) -> bytes:
        """Return what ``save`` would write, for storing it inside something else."""
        return model_bytes(*self._content(False))

    @classmethod
    def load(cls, path: str | os.PathLike | io.BytesIO) -> Self:
        """Read a model that :meth:`save` wrote to the file ``path``, or an ``io.BytesIO`` of its content.

        Raises
        ------
        ModelFormatError
            The file is missing, truncated, foreign, or from a newer nsae.
        """
        encoder = Encoder.load(path)
        header, arrays = read_model(path, KIND, STATE_ARRAYS)
        try:
            model = model_with(cls, header["params"], header, path)
            check_hyperparameters(model)
            if model.n_units != encoder.n_units:
                raise ValueError(f"n_units={model.n_units} for {encoder.n_units} units")
            core = assemble(model, encoder.encoder_layer, encoder.decoder_layer)
            state = building.saved_state(model, core, header, arrays)
            model._adopt(state, header["stopped"], encoder.feature_names)
            model.preprocessing_ = header["preprocessing"]
            model.n_iter_  # noqa: B018 (a history that is none is an error here)
        except ModelFormatError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelFormatError(
                f"{path} is not a whole nsae model file: {error!r}. Save it again."
            ) from None
        return model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")

    # ---- inside

    def _fitted_state(self) -> TrainingState:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "This SparseAutoencoder is not fitted yet. Call fit(X), partial_fit(X) or load(path) first."
            )
        return self._state

    def _fitted(self) -> Autoencoder:
        return self._fitted_state().model

    def _initial(self, X: np.ndarray, rng: np.random.Generator) -> Autoencoder:
        return building.initial_autoencoder(self, X, rng)

    def _adopt(self, state: TrainingState, stopped: str, names: np.ndarray | None = None) -> None:
        """Make these the fitted attributes, when nothing can fail any more."""
        self._state = state
        state.encoder = None  # it may be a copy of a state that had one
        self.stopped_ = stopped
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if not hasattr(self, "preprocessing_"):
            self.preprocessing_ = None

    def _answer_interrupt(self, *, returns: bool) -> None:
        """After Ctrl-C, when the model has been kept: warn, or raise; with "auto" warn if ``returns``."""
        if self.on_interrupt == "raise" or (self.on_interrupt == "auto" and not returns):
            raise KeyboardInterrupt
        warnings.warn(
            f"Training was interrupted (Ctrl-C) after {self.n_iter_} epochs, the last one in part. The model is as "
            "its last whole step left it. Set on_interrupt='raise' to stop the whole job instead.",
            stacklevel=3,
        )

    def _with_core(self, core: Autoencoder) -> Self:
        self._state = dataclasses.replace(self._state, model=core)
        return self

    @property
    def _names(self) -> np.ndarray | None:
        return getattr(self, "feature_names_in_", None)

    def _rows(self, X: object) -> np.ndarray:
        """Check data for the fitted model, names of columns included."""
        self._fitted()
        check_feature_names(X, self._names, type(self).__name__)
        return self._check(X, n_features=self.n_features_in_)

    def _check(self, X: object, n_features: int | None = None) -> np.ndarray:
        return check_rows(
            X,
            owner=type(self).__name__,
            n_features=n_features,
            unit_interval=self.loss == "cross_entropy",
        )

    def _content(self, with_optimizer: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return header and arrays of the model file."""
        header, arrays = self.encoder().header, {**self.autoencoder_.params, **self._state.rho_hat()}
        return header, {**arrays, **(self._state.arrays() if with_optimizer else {})}
