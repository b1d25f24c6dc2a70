"""From the hyperparameters of a SparseAutoencoder, checked, to the parts that training needs."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.equations.autoencoder import Autoencoder
from nsae.equations.layers import Dense, normalise_columns
from nsae.equations.optimizers import Adam
from nsae.models.encoder import activation_for
from nsae.training.initialisation import random_layers, scale_encoder, tied_layers
from nsae.training.state import MOMENTS, TrainingOptions, TrainingState
from nsae.validation import generator, one_of

if TYPE_CHECKING:
    from nsae.models.hyperparameters import Hyperparameters

STATE_ARRAYS = (*MOMENTS, "idle", "rho_hat")  # of a model file: what training goes on from, and its history


def assemble(params: Hyperparameters, encoder_layer: Dense, decoder_layer: Dense) -> Autoencoder:
    """Return the autoencoder of two layers, ``encoder_layer`` and ``decoder_layer``, as ``params`` ask for."""
    # Plain floats: a NumPy float64, as np.logspace gives, would turn float32 gradients into float64.
    encoder_layer.weight_decay = decoder_layer.weight_decay = float(params.weight_decay)
    return Autoencoder(
        encoder_layer,
        decoder_layer,
        activation_for(params.activation, params.k),
        output=params.output,
        loss=params.loss,
        l1=float(params.l1),
        kl=float(params.kl),
        rho=float(params.rho),
    )


def initial_autoencoder(params: Hyperparameters, X: np.ndarray, rng: np.random.Generator) -> Autoencoder:
    """Return the autoencoder that training on X (n, d) starts from, drawn from ``rng`` as ``params`` ask for."""
    if params.k is not None or params.unit_norm:
        layers = tied_layers(
            X,
            params.n_units,
            rng,
            params.dtype,
            centred_output=params.output == "linear",  # a mean is no logit
            from_samples=params.init != "random",
        )
    else:
        layers = random_layers(X.shape[1], params.n_units, rng, params.dtype)
    core = assemble(params, *layers)
    if params.init == "scaled samples":
        scale_encoder(core, X)
    return core


def new_optimizer(params: Hyperparameters) -> Adam:
    """Return Adam before its first step, as ``params`` ask for."""
    norm = None if params.max_grad_norm is None else float(params.max_grad_norm)
    return Adam(float(params.learning_rate), max_grad_norm=norm)


def new_state(params: Hyperparameters, core: Autoencoder, rng: np.random.Generator) -> TrainingState:
    """Return the state before the first step of ``core``; resampling, if ``params`` ask for it, draws from ``rng``."""
    state = TrainingState.start(core, new_optimizer(params))
    if params.resample:
        state.resampling_rng = generator(rng.integers(2**63))
    return state


def saved_state(
    params: Hyperparameters, core: Autoencoder, header: dict[str, Any], arrays: dict[str, np.ndarray]
) -> TrainingState:
    """Return the state that a model file holds, for ``core``, the autoencoder of its weights.

    Parameters
    ----------
    params : Hyperparameters
    core : Autoencoder
    header : dict
        The header of the file.
    arrays : dict of arrays
        Those of ``STATE_ARRAYS`` that the file has.

    Raises
    ------
    KeyError, TypeError, ValueError, AttributeError
        Something is missing, or does not fit the model.
    """
    state = TrainingState.start(core, new_optimizer(params))
    state.history = {name: list(map(float, values)) for name, values in header["history"].items()}
    if (backend := header.get("backend")) is not None:
        state.backend = one_of("backend", backend, ("numpy", "numba"))
    rho_hat = arrays.pop("rho_hat", None)
    if rho_hat is not None:
        state.restore_rho_hat(rho_hat)
    if arrays:
        state.restore(header, arrays)
    return state


def continued_state(params: Hyperparameters, state: TrainingState) -> TrainingState:
    """Return a copy of a fitted model's ``state``, with the hyperparameters ``params`` of today.

    A copy, so that the old model stays if the loss diverges, and so do encoders made from it.

    Raises
    ------
    ValueError
        The number of units or the dtype is another.
    """
    state = copy.deepcopy(state)
    encoder_layer, decoder_layer = state.model.encoder_layer, state.model.decoder_layer
    h, dtype = encoder_layer.W.shape[0], encoder_layer.W.dtype
    if params.n_units != h or np.dtype(params.dtype) != dtype:
        raise ValueError(
            f"n_units={params.n_units} and dtype={params.dtype!r} are set, but the fitted model has {h} units "
            f"in {dtype}. Call fit to start anew."
        )
    norms = np.linalg.norm(decoder_layer.W, axis=0)  # (h,)
    if params.unit_norm and (np.abs(norms[norms > 0] - 1) > 1e-3).any():  # it was not on before
        normalise_columns(decoder_layer.W)  # (20)
    state.model = assemble(params, encoder_layer, decoder_layer)
    state.optimizer.max_grad_norm = new_optimizer(params).max_grad_norm
    return state


def training_options(params: Hyperparameters) -> TrainingOptions:
    """Return what ``train`` is asked to do by ``params``."""
    names = "learning_rate warmup_steps lr_schedule schedule_steps k_start unit_norm aux_weight resample dead_after"
    names += " tol patience backend n_threads verbose"
    k_aux = params.k_aux or (64 if params.k is None else 4 * params.k)
    return TrainingOptions(
        epochs=int(params.epochs),  # a NumPy integer may be too small to count with
        batch_size=int(params.batch_size),
        k_aux=int(k_aux),
        **{name: getattr(params, name) for name in names.split()},
    )
