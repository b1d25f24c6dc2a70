"""Which hyperparameters go together, said before any work is done."""

from __future__ import annotations

from typing import Any

from nsae.system.backends import BACKENDS
from nsae.training.schedules import LR_SCHEDULES
from nsae.validation import at_least, check_n_threads, one_of


def check_hyperparameters(model: Any) -> None:
    """Raise ValueError or TypeError if the hyperparameters of a SparseAutoencoder cannot be used together."""
    one_of("activation", model.activation, ("relu", "sigmoid"))
    one_of("output", model.output, ("linear", "sigmoid"))
    one_of("loss", model.loss, ("squared", "cross_entropy"))
    one_of("dtype", getattr(model.dtype, "__name__", str(model.dtype)), ("float32", "float64"))
    one_of("backend", model.backend, BACKENDS)
    one_of("init", model.init, ("random", "samples", "scaled samples"))
    one_of("lr_schedule", model.lr_schedule, LR_SCHEDULES)
    at_least("warmup_steps", model.warmup_steps, 0, whole=True)
    check_n_threads(model.n_threads)
    for name in ("n_units", "epochs", "batch_size", "patience", "dead_after"):
        at_least(name, getattr(model, name), 1, whole=True)
    for name in ("l1", "kl", "weight_decay", "aux_weight", "learning_rate", "tol"):
        at_least(name, getattr(model, name), 0)
    if model.loss == "cross_entropy" and model.output != "sigmoid":
        raise ValueError("loss='cross_entropy' needs x̂ in (0, 1): use it with output='sigmoid'.")
    if model.k is not None:
        at_least("k", model.k, 1, whole=True)
        if model.k > model.n_units:
            raise ValueError(f"k={model.k} is more than n_units={model.n_units}. Lower k, or add units.")
        if model.activation != "relu":
            raise ValueError(
                f"k={model.k} is an activation of its own (the k largest positive units stay) and does not "
                f"go with activation={model.activation!r}. Leave activation='relu', or k=None."
            )
    if model.k_start is not None:
        at_least("k_start", model.k_start, 1, whole=True)
        if model.k is None or not model.k <= model.k_start <= model.n_units:
            raise ValueError(
                f"k_start={model.k_start} is where k={model.k} is to come down from: it is expected from k to "
                f"n_units={model.n_units}, and k to be given."
            )
    if model.max_grad_norm is not None:
        at_least("max_grad_norm", model.max_grad_norm, 0)
        if model.max_grad_norm == 0:
            raise ValueError(
                "max_grad_norm=0 would leave nothing of the gradient. Give the longest one to allow, or None."
            )
    if model.k_aux is not None:
        at_least("k_aux", model.k_aux, 1, whole=True)
    for name in ("aux_weight", "resample"):
        if getattr(model, name) and model.activation == "sigmoid":
            raise ValueError(
                f"{name}={getattr(model, name)} is for units that can be exactly 0, and a sigmoid never is. "
                "Use it with activation='relu' or k, or use kl to keep sigmoid units alive."
            )
    if model.init == "scaled samples" and model.output != "linear":
        raise ValueError("init='scaled samples' needs output='linear'. Use init='samples'.")
    if model.init != "random" and model.k is None and not model.unit_norm:
        raise ValueError(
            f"init={model.init!r} is where k-sparse units and those with unit_norm=True can start. Set one of them, "
            "or leave init='random'."
        )
    if model.kl:
        if model.activation != "sigmoid":
            name = "k-sparse units" if model.k is not None else "ReLU units"
            raise ValueError(
                f"kl={model.kl} needs mean activations within (0, 1), and those of {name} may leave it. "
                "Use activation='sigmoid' with kl, or l1 or k with activation='relu'."
            )
        at_least("rho", model.rho, 0)
        if not 0 < model.rho < 1:
            raise ValueError(f"rho={model.rho} is expected within (0, 1); 0.05 is usual.")
