"""What a model file says about the model, beside its arrays."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from nsae.activations import Sigmoid

KIND = "sparse_autoencoder"


def header_of(model: Any) -> dict[str, Any]:
    """The header of a fitted SparseAutoencoder: hyperparameters, shapes, preprocessing, history."""
    core = model.autoencoder_
    h, d = core.encoder.W.shape
    params = model.get_params()
    # what was fitted, whatever set_params has said since
    params.update(n_units=h, dtype=core.encoder.W.dtype.name, output=core.output, loss=core.loss)
    params.update(activation="sigmoid" if isinstance(core.g, Sigmoid) else "relu")
    params.update(k=getattr(core.g, "k", None), weight_decay=core.encoder.weight_decay)
    params.update(l1=core.l1, kl=core.kl, rho=core.rho)
    if not isinstance(params["random_state"], (numbers.Integral, type(None))):
        params["random_state"] = None  # a generator's state is spent; it cannot be given again
    params = {n: v.item() if isinstance(v, np.generic) else v for n, v in params.items()}
    return {
        "kind": KIND,
        "params": params,
        "n_features": d,
        "n_units": h,
        "dtype": params["dtype"],
        "preprocessing": model.preprocessing_,
        "history": model.history_,
        "stopped": model.stopped_,
        "optimizer_steps": model._optimizer.t,
    }
