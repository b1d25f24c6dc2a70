"""The model file: one .npz of arrays with a JSON header, read without pickle, written atomically."""

from __future__ import annotations

import io
import json
import numbers
import os
from typing import Any

import numpy as np

from nsae.equations.activations import Sigmoid
from nsae.errors import ModelFormatError
from nsae.system.npy import arrays_from_npz
from nsae.system.storage import atomic_file

FORMAT = "nsae-model"
VERSION = 2
KIND = "sparse_autoencoder"
# Hyperparameters of SparseAutoencoder that had other names in files of version 1.
RENAMED = {
    "auxiliary": "aux_weight",
    "decay": "lr_schedule",
    "clip": "max_grad_norm",
    "warmup": "warmup_steps",
}

Header = dict[str, Any]
Arrays = dict[str, np.ndarray]


def write_model(path: str | os.PathLike, header: Header, arrays: Arrays, *, overwrite: bool = False) -> None:
    """Write header and arrays to ``path``; FileExistsError if it is there and ``overwrite`` is False."""
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(model_bytes(header, arrays))


def model_bytes(header: Header, arrays: Arrays) -> bytes:
    """The content of a model file."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **header})
    buffer = io.BytesIO()
    np.savez(buffer, header=np.frombuffer(text.encode(), np.uint8), **arrays)
    return buffer.getvalue()


def kind_of(path: str | os.PathLike) -> str | None:
    """The kind of model that a file holds; None if that cannot be read, which ``read_model`` explains."""
    try:
        kind = json.loads(arrays_from_npz(path, ["header"])["header"].tobytes())["kind"]
        return kind if isinstance(kind, str) else None
    except Exception:  # as below
        return None


def read_model(
    path: str | os.PathLike | io.BytesIO, kind: str, names: tuple[str, ...]
) -> tuple[Header, Arrays]:
    """Header and the named arrays of a model file, or of one in memory (``io.BytesIO``).

    Raises
    ------
    ModelFormatError
        The file is missing, truncated, not a model file, of another kind, or from a newer nsae.
    """
    try:
        header = json.loads(arrays_from_npz(path, ["header"])["header"].tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"its header says format {header['format']!r}")
        if header["version"] > VERSION:
            raise ModelFormatError(
                f"{path} has model format {header['version']}, and this nsae reads up to {VERSION}. "
                "Upgrade nsae (pip install -U nsae), or save the model again with this version."
            )
        if header["kind"] != kind:
            raise ModelFormatError(f"{path} holds a model of kind {header['kind']!r}, not {kind!r}.")
        if kind == KIND and header["version"] == 1:
            header["params"] = {RENAMED.get(n, n): v for n, v in header["params"].items()}
        # members that a newer writer of the same version added are left alone
        return header, arrays_from_npz(path, names)
    except ModelFormatError:
        raise
    except FileNotFoundError:
        raise ModelFormatError(f"There is no model file {path}. Check the name, or train one.") from None
    except Exception as error:  # zipfile and the .npy reader fail in a dozen ways on changed bytes
        raise ModelFormatError(
            f"{path} is not a whole nsae model file: {error}. A file written by save() was expected; "
            "if this was one, it was cut short or changed: copy or save it again."
        ) from None


def header_of(model: Any) -> dict[str, Any]:
    """The header of a fitted SparseAutoencoder: hyperparameters, shapes, preprocessing, history."""
    core = model.autoencoder_
    h, d = core.encoder_layer.W.shape
    params = model.get_params()
    # what was fitted, whatever set_params has said since
    params.update(n_units=h, dtype=core.encoder_layer.W.dtype.name, output=core.output, loss=core.loss)
    params.update(activation="sigmoid" if isinstance(core.g, Sigmoid) else "relu")
    params.update(k=getattr(core.g, "k", None), weight_decay=core.encoder_layer.weight_decay)
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
        "stopped": model.stopped_,
        **model._state.header(),
    }
