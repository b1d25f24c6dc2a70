"""The model file: one .npz of arrays with a JSON header, read without pickle, written atomically."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import numbers
import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nsae.equations.activations import Sigmoid
from nsae.errors import ModelFormatError
from nsae.system.npy import arrays_from_npz
from nsae.system.storage import atomic_file
from nsae.validation import shown

if TYPE_CHECKING:
    from typing_extensions import Self

FORMAT = "nsae-model"
VERSION = 2
KIND = "sparse_autoencoder"
SPREAD = 64  # rows, and columns, that a fingerprint looks at
JUMPRELU = "jumprelu"  # the activation (48), which an Encoder may have and a SparseAutoencoder may not
# Hyperparameters of SparseAutoencoder that had other names in files of version 1.
RENAMED = {
    "auxiliary": "aux_weight",
    "decay": "lr_schedule",
    "clip": "max_grad_norm",
    "warmup": "warmup_steps",
}

Header = dict[str, Any]
Arrays = dict[str, np.ndarray]
Model = TypeVar("Model")


class Content(io.BytesIO):
    """The content of a model file in memory."""

    def __str__(self) -> str:
        return "The content"


class Stored:
    """A model that is read from a file, or from the bytes that ``to_bytes`` has given."""

    if TYPE_CHECKING:

        @classmethod
        def load(cls, path: Any) -> Self: ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the model that ``to_bytes`` wrote to ``data``, or that a file of this content holds.

        Raises
        ------
        TypeError
            ``data`` is no bytes-like object.
        ModelFormatError
            As of ``load``.
        """
        return cls.load(Content(memoryview(data).tobytes()))  # BytesIO would take None for no content.


def nsae_version() -> str:
    """Return the version of nsae; ``nsae/__init__.py``, where it stands, is loaded before any of its files."""
    return str(getattr(sys.modules.get("nsae"), "__version__", "unknown"))


def model_with(cls: type[Model], params: dict[str, Any], header: Header, path: object) -> Model:
    """Return a model of class ``cls`` with the hyperparameters ``params`` of the file ``path``.

    Raises
    ------
    ModelFormatError
        There is a hyperparameter that this nsae does not know.  The message says which nsae wrote the file, by
        its ``header``.  Or the file holds an encoder that no estimator can go on from.
    """
    if params.get("activation") == JUMPRELU:
        raise ModelFormatError(
            f"{path} holds an encoder with JumpReLU units, which is used and not trained. Read it with "
            "nsae.load_encoder(path), or nsae.Encoder.load(path)."
        )
    unknown = sorted(set(params) - set(inspect.signature(cls).parameters))
    if unknown:
        raise ModelFormatError(
            f"{path} was written by nsae {shown(header.get('nsae', 'of an unknown version'))}, in model format "
            f"{header['version']}, and has hyperparameters that this nsae {nsae_version()} does not know: "
            f"{', '.join(map(shown, unknown[:5]))}. Upgrade nsae (pip install -U nsae), or save the model again with "
            "this version."
        )
    return cls(**params)


def write_model(path: str | os.PathLike, header: Header, arrays: Arrays, *, overwrite: bool = False) -> None:
    """Write ``header`` and ``arrays`` to ``path``, atomically.

    Raises
    ------
    FileExistsError
        The file is there and ``overwrite`` is False.
    """
    with atomic_file(path, overwrite=overwrite) as file:
        file.write(model_bytes(header, arrays))


def model_bytes(header: Header, arrays: Arrays) -> bytes:
    """Return the content of a model file of ``header`` and ``arrays``."""
    text = json.dumps({"format": FORMAT, "version": VERSION, **header})
    buffer = io.BytesIO()
    np.savez(buffer, header=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def kind_of(path: str | os.PathLike | io.BytesIO) -> str | None:
    """Return the kind of model in the file ``path``, or None if it cannot be read: ``read_model`` says why."""
    try:
        kind = json.loads(arrays_from_npz(path, ["header"])["header"].tobytes())["kind"]
        return kind if isinstance(kind, str) else None
    except Exception:  # as below
        return None


def check_path(path: object) -> None:
    """Raise TypeError if ``path`` cannot be one of a model file, nor the content of one in memory."""
    if not isinstance(path, str | os.PathLike | io.BytesIO):
        also = "; a content in bytes is read by from_bytes" if isinstance(path, bytes | bytearray) else ""
        raise TypeError(
            f"The path of a model file was expected, of type str or Path{also}; got {type(path).__name__}."
        )


def read_model(
    path: str | os.PathLike | io.BytesIO, kind: str, names: tuple[str, ...]
) -> tuple[Header, Arrays]:
    """Read a model file.

    Parameters
    ----------
    path : path, or io.BytesIO with the content of a file
    kind : str
        The kind of model that is expected, as :func:`kind_of` gives it.
    names : tuple of str
        The arrays to read; those that the file does not have are left out.

    Returns
    -------
    header, arrays : dict, dict of arrays
        Hyperparameters have the names of today, in files of version 1 too.

    Raises
    ------
    TypeError
        ``path`` is none.
    ModelFormatError
        The file is missing, truncated, not a model file, of another kind, or from a newer nsae.
    """
    check_path(path)
    try:
        header = json.loads(arrays_from_npz(path, ["header"])["header"].tobytes())
        if header["format"] != FORMAT:
            raise ValueError(f"its header says format {shown(header['format'])}")
        if header["version"] > VERSION:
            writer = shown(header.get("nsae", "of an unknown version"))
            raise ModelFormatError(
                f"{path} has model format {shown(header['version'])}, written by nsae {writer}; this nsae "
                f"{nsae_version()} reads up to {VERSION}. "
                "Upgrade nsae (pip install -U nsae), or save the model again with this version."
            )
        if header["kind"] != kind:
            raise ModelFormatError(f"{path} holds a model of kind {shown(header['kind'])}, not {kind!r}.")
        if kind == KIND and header["version"] == 1:
            header["params"] = {RENAMED.get(n, n): v for n, v in header["params"].items()}
        # Members that a newer writer of the same version added are ignored.
        return header, arrays_from_npz(path, names)
    except ModelFormatError:
        raise
    except FileNotFoundError:
        raise ModelFormatError(f"There is no model file {path}. Check the name, or train one.") from None
    except (PermissionError, IsADirectoryError) as error:
        raise ModelFormatError(
            f"{path} cannot be read ({error.strerror}), and a model file was expected."
        ) from None
    except Exception as error:  # zipfile and the .npy reader fail in a dozen ways on changed bytes
        raise ModelFormatError(
            f"{path} is not a whole nsae model file: {error}. A file written by save() was expected; "
            "if this was one, it was cut short or changed: copy or save it again."
        ) from None


def fingerprint(W: np.ndarray, b: np.ndarray) -> str:
    """Return 16 hexadecimal digits that tell encoders apart whose units mean different things.

    They are a hash of ``b (h,)`` and of some 4,096 entries spread over ``W (h, d)``, in float32: training changes
    nearly all of them, and to read all of W would take longer than to encode a row.
    """
    some = W[:: -(-len(W) // SPREAD), :: -(-W.shape[1] // SPREAD)]
    parts = (np.ascontiguousarray(part, "<f4").tobytes() for part in (some, b))
    return hashlib.sha256(f"{W.shape}".encode() + b"".join(parts)).hexdigest()[:16]


def check_weights(arrays: Arrays) -> None:
    """Raise ValueError if one of the ``arrays`` does not hold floats, or holds NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(f"its {name} is of {array.dtype}, where float32 or float64 was expected")
        if not np.isfinite(array).all():
            raise ValueError(f"its {name} holds NaN or infinity")


def header_of(model: Any) -> dict[str, Any]:
    """Return the header of a fitted SparseAutoencoder ``model``: hyperparameters, shapes, preprocessing, training."""
    core = model.autoencoder_
    h, d = core.encoder_layer.W.shape
    params = model.get_params()
    # What was fitted counts, whatever set_params has said since.
    params.update(n_units=h, dtype=core.encoder_layer.W.dtype.name, output=core.output, loss=core.loss)
    params.update(activation="sigmoid" if isinstance(core.g, Sigmoid) else "relu")
    params.update(k=getattr(core.g, "k", None), weight_decay=core.encoder_layer.weight_decay)
    params.update(l1=core.l1, kl=core.kl, rho=core.rho)
    if not isinstance(params["random_state"], (numbers.Integral, type(None))):
        params["random_state"] = None  # A generator has moved on: it would not give the same model again.
    params = {n: v.item() if isinstance(v, np.generic) else v for n, v in params.items()}
    return {
        "kind": KIND,
        "nsae": nsae_version(),
        "params": params,
        "n_features": d,
        "n_units": h,
        "dtype": params["dtype"],
        "preprocessing": model.preprocessing_,
        "feature_names": None if (names := model._names) is None else list(names),
        "stopped": model.stopped_,
        **model._state.header(),
    }
