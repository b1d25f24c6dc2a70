"""What the folders of published sparse autoencoders have in common: a cfg.json, and weights in safetensors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nsae.equations.activations import FrozenActivation, JumpReLU, KSparse, Sigmoid
from nsae.equations.layers import Dense
from nsae.errors import ModelFormatError
from nsae.interchange.safetensors import read_safetensors, write_safetensors
from nsae.models.encoder import Encoder
from nsae.models.model_file import JUMPRELU, KIND, check_weights
from nsae.system.storage import new_folder

CONFIG = "cfg.json"
MOST_CONFIG = 10_000_000  # bytes
ROWS = 4096  # of W at once, where a bias is computed in float64

Config = dict[str, Any]
Arrays = dict[str, np.ndarray]


class HasEncoder(Protocol):
    """An encoder, or an estimator that has learned one."""

    def encoder(self) -> Any:
        """Return the frozen encoder."""


def read_config(folder: Path) -> Config:
    """Return the content of cfg.json in ``folder``.

    Raises
    ------
    ModelFormatError
        It is missing, or no JSON object.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > MOST_CONFIG:
            raise ValueError(f"it has more than {MOST_CONFIG} bytes")
        config = json.loads(path.read_bytes())
        if not isinstance(config, dict):
            raise ValueError("it is no JSON object")
    except FileNotFoundError:
        raise ModelFormatError(
            f"{folder} has no {CONFIG}, which says how its weights are used. Download the whole folder again."
        ) from None
    except (ValueError, RecursionError, OSError) as error:
        raise ModelFormatError(f"{path} cannot be read: {error}. Download it again.") from None
    return config


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    """Return the weights of a file, all in float32, or in float64 if one of them is.

    Parameters
    ----------
    path : Path
        In the format safetensors.
    shapes : mapping of str to shape
        By name, the arrays that must be there, and their shapes.

    Raises
    ------
    ModelFormatError
        An array is missing, has another shape, or has NaN or infinity.
    """
    found = read_safetensors(path, shapes, mmap=True)
    for name, shape in shapes.items():
        if name not in found:
            raise ModelFormatError(
                f"{path} has no {name}, and {', '.join(shapes)} were expected. Download it again."
            )
        if found[name].shape != shape or found[name].dtype.kind != "f":
            raise ModelFormatError(
                f"{path}: {name} is of shape {found[name].shape} and {found[name].dtype}, where {CONFIG} says "
                f"{shape}, of floats. They do not belong together: download both again."
            )
    dtype = np.result_type(np.float32, *found.values())
    arrays = {name: array.astype(dtype) for name, array in found.items()}
    try:
        check_weights(arrays)
    except ValueError as error:
        raise ModelFormatError(f"{path} cannot be used: {error}. Download it again.") from None
    return arrays


def whole_number(config: Config, name: str, folder: Path, *, default: int | None = None) -> int:
    """Return a whole number of at least 1 that cfg.json of ``folder`` has.

    Parameters
    ----------
    config : dict
    name : str
        Of the number.
    folder : Path
        For the message.
    default : int, optional
        What it is where cfg.json does not say it.
    """
    value = config.get(name, default)
    if type(value) is not int or value < 1:
        raise ModelFormatError(
            f"{folder / CONFIG} has {name}={value!r}; a whole number of at least 1 was expected."
        )
    return value


def refuse(folder: Path, what: str, why: str) -> ModelFormatError:
    """Return the error of a ``folder`` that has something, ``what``, that an Encoder has not; ``why`` ends the text."""
    return ModelFormatError(f"{folder} has {what}, which an nsae Encoder cannot compute: {why}")


def shifted_bias(W: np.ndarray, b: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return b + W·shift, so that g(W x + b + W·shift) is g(W (x + shift) + b): W (h, d), b (h,), ``shift`` (d,).

    It is computed in float64 and rounded once.
    """
    exact = b.astype(np.float64)  # (h,)
    for start in range(0, len(W), ROWS):
        exact[start : start + ROWS] += W[start : start + ROWS].astype(np.float64) @ shift.astype(np.float64)
    return exact.astype(b.dtype)


def frozen_encoder(layers: Arrays, g: FrozenActivation, source: Config) -> Encoder:
    """Return an Encoder with a linear output.

    Parameters
    ----------
    layers : dict
        W (h, d) and b (h,), and Vt (h, d) and c (d,).
    g : Activation or JumpReLU
    source : dict
        What the header says of where it comes from.

    Raises
    ------
    ModelFormatError
        What was folded into a weight made it infinite.
    """
    for name, array in layers.items():
        if not np.isfinite(array).all():
            raise ModelFormatError(
                f"The weights are so large that {name.removesuffix('t')} of the encoder would be infinite in "
                f"{array.dtype}. Download them again."
            )
    W = np.ascontiguousarray(layers["W"])  # (h, d)
    V = np.ascontiguousarray(layers["Vt"]).T  # (d, h)
    activation = JUMPRELU if isinstance(g, JumpReLU) else "relu"
    params = {"n_units": len(W), "activation": activation, "k": g.k if isinstance(g, KSparse) else None}
    header = {
        "kind": KIND,
        "params": {**params, "output": "linear", "dtype": W.dtype.name},
        "n_features": W.shape[1],
        "n_units": len(W),
        "dtype": W.dtype.name,
        "preprocessing": None,
        "feature_names": None,
        "stopped": "trained elsewhere",
        "history": {},
        "source": source,
    }
    return Encoder(Dense(W, layers["b"]), Dense(V, layers["c"]), g, "linear", header)


def linear_encoder(model: HasEncoder, layout: str, kinds: tuple[type, ...]) -> Encoder:
    """Return the Encoder of a ``model`` that can be written in a ``layout``, whose activation is one of ``kinds``.

    Raises
    ------
    TypeError, ValueError
        It has no Encoder of rows of numbers, or one with another activation or output.
    """
    encoder = model.encoder() if hasattr(model, "encoder") else model
    if not isinstance(encoder, Encoder):
        raise TypeError(
            f"A {type(encoder).__name__} cannot be written for {layout}; a SparseAutoencoder or an Encoder of rows of "
            "numbers was expected."
        )
    if not isinstance(encoder.g, kinds) or encoder.output != "linear":
        what = "sigmoid units" if isinstance(encoder.g, Sigmoid) else f"{type(encoder.g).__name__} units"
        raise ValueError(
            f"{layout} reads {' or '.join(kind.__name__ for kind in kinds)} units with a linear output, and this model "
            f"has {what} with output={encoder.output!r}. Train one of those."
        )
    return encoder


def write_folder(folder: str | os.PathLike, weights: str, config: Config, arrays: Arrays) -> None:
    """Write cfg.json and a file of weights as a new folder, which is there whole or not at all.

    Parameters
    ----------
    folder : path
        It must not exist.
    weights : str
        The name of the file of weights.
    config : dict
        The content of cfg.json.
    arrays : dict
        The weights.
    """
    with new_folder(folder) as made:
        write_safetensors(made / weights, arrays, metadata={"format": "pt"})
        (made / CONFIG).write_text(json.dumps(config), encoding="utf-8")
