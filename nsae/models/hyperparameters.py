"""The hyperparameters of SparseAutoencoder, and which of them go together: said before any work is done."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from nsae.system.backends import BACKENDS
from nsae.training.schedules import LR_SCHEDULES
from nsae.validation import at_least, check_n_threads, one_of, shown


class Hyperparameters(Protocol):
    """The attributes of a SparseAutoencoder that its ``__init__`` stores; its docstring explains them."""

    n_units: int
    activation: str
    output: str
    loss: str
    k: int | None
    l1: float
    kl: float
    rho: float
    weight_decay: float
    unit_norm: bool
    init: str
    aux_weight: float
    k_aux: int | None
    resample: bool
    dead_after: int
    epochs: int
    batch_size: int
    shuffle: bool
    learning_rate: float
    warmup_steps: int
    lr_schedule: str
    schedule_steps: int | None
    max_grad_norm: float | None
    k_start: int | None
    tol: float
    patience: int
    random_state: int | np.random.Generator | None
    dtype: str
    backend: str
    n_threads: int | None
    verbose: bool
    on_interrupt: str


def check_hyperparameters(params: Hyperparameters) -> None:
    """Check that the hyperparameters ``params`` can be used, each alone and all together.

    Raises
    ------
    ValueError, TypeError
        They cannot; the message says which, what was expected, and what to do.
    """
    _check_each(params)
    _check_loss(params)
    _check_k(params)
    _check_training(params)
    _check_dead_units(params)
    _check_init(params)
    _check_kl(params)


def _check_each(params: Hyperparameters) -> None:
    if str(params.activation).lower() == "jumprelu":
        raise ValueError(
            "activation='jumprelu' is for encoders that are trained elsewhere (Eq. (48)): its thresholds are not "
            "learned here. Use k, or activation='relu' with l1."
        )
    one_of("activation", params.activation, ("relu", "sigmoid"))
    one_of("output", params.output, ("linear", "sigmoid"))
    one_of("loss", params.loss, ("squared", "cross_entropy"))
    one_of("dtype", getattr(params.dtype, "__name__", str(params.dtype)), ("float32", "float64"))
    one_of("backend", params.backend, BACKENDS)
    one_of("init", params.init, ("random", "samples", "scaled samples"))
    one_of("lr_schedule", params.lr_schedule, LR_SCHEDULES)
    one_of("on_interrupt", params.on_interrupt, ("auto", "return", "raise"))
    at_least("warmup_steps", params.warmup_steps, 0, whole=True)
    for name in ("n_units", "epochs", "batch_size", "patience", "dead_after"):
        at_least(name, getattr(params, name), 1, whole=True)
    check_n_threads(params.n_threads)
    for name in ("schedule_steps", "k_aux"):
        if getattr(params, name) is not None:
            at_least(name, getattr(params, name), 1, whole=True)
    for name in ("l1", "kl", "weight_decay", "aux_weight", "learning_rate", "tol"):
        at_least(name, getattr(params, name), 0)


def _check_loss(params: Hyperparameters) -> None:
    if params.loss == "cross_entropy" and params.output != "sigmoid":
        raise ValueError("loss='cross_entropy' needs x̂ in (0, 1): use it with output='sigmoid'.")


def _check_k(params: Hyperparameters) -> None:
    if params.k is not None:
        at_least("k", params.k, 1, whole=True)
        if params.k > params.n_units:
            raise ValueError(
                f"k={shown(params.k)} is more than n_units={params.n_units}. Lower k, or add units."
            )
        if params.activation != "relu":
            raise ValueError(
                f"k={params.k} is an activation of its own (the k largest positive units stay) and does not "
                f"go with activation={params.activation!r}. Leave activation='relu', or k=None."
            )
    if params.k_start is not None:
        at_least("k_start", params.k_start, 1, whole=True)
        if params.k is None or not params.k <= params.k_start <= params.n_units:
            raise ValueError(
                f"k_start={params.k_start} is where k={params.k} is to come down from: it is expected from k to "
                f"n_units={params.n_units}, and k to be given."
            )


def _check_training(params: Hyperparameters) -> None:
    if params.max_grad_norm is not None:
        at_least("max_grad_norm", params.max_grad_norm, 0)
        if params.max_grad_norm == 0:
            raise ValueError(
                "max_grad_norm=0 would leave nothing of the gradient. Give the largest norm to allow, or None."
            )


def _check_dead_units(params: Hyperparameters) -> None:
    for name in ("aux_weight", "resample"):
        if getattr(params, name) and params.activation == "sigmoid":
            raise ValueError(
                f"{name}={getattr(params, name)} is for units that can be exactly 0, and a sigmoid never is. "
                "Use it with activation='relu' or k, or use kl to keep sigmoid units alive."
            )


def _check_init(params: Hyperparameters) -> None:
    if params.init == "scaled samples" and params.output != "linear":
        raise ValueError("init='scaled samples' needs output='linear'. Use init='samples'.")
    if params.init != "random" and params.k is None and not params.unit_norm:
        raise ValueError(
            f"init={params.init!r} is where k-sparse units and those with unit_norm=True can start. Set one of "
            "them, or leave init='random'."
        )


def _check_kl(params: Hyperparameters) -> None:
    if not params.kl:
        return
    if params.activation != "sigmoid":
        name = "k-sparse units" if params.k is not None else "ReLU units"
        raise ValueError(
            f"kl={params.kl} needs mean activations within (0, 1), and those of {name} may leave it. "
            "Use activation='sigmoid' with kl, or l1 or k with activation='relu'."
        )
    at_least("rho", params.rho, 0)
    if not 0 < params.rho < 1:
        raise ValueError(f"rho={params.rho} is expected within (0, 1); 0.05 is usual.")
