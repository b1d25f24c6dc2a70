"""The file of a checkpoint: a model file with the state of training, and how far the fit has come."""

from __future__ import annotations

import copy
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.errors import ModelFormatError
from nsae.models.model_file import KIND, read_model, write_model
from nsae.system.storage import refuse_existing
from nsae.training.checkpoint import LOG_ARRAYS, Checkpoint
from nsae.training.state import TrainingState

# What may be different when a fit goes on: it changes no bit of the model, or only how it is computed.
MAY_DIFFER = {"backend", "n_threads", "verbose", "on_interrupt"}
SAMPLED_ROWS = 1000  # The data is known again by the content of so many rows, and by its shape.


class CheckpointFile:
    """Writes what a fit has done to a file, and reads it when the fit is called again.

    Parameters
    ----------
    path : path
        It is a model file: ``SparseAutoencoder.load`` opens it, too.
    model : SparseAutoencoder
        Whose ``fit`` it is.
    X : (n, d) array, or Codes
        The data.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    """

    def __init__(self, path: str | os.PathLike, model: Any, X: np.ndarray):
        self.path = refuse_existing(path, overwrite=True)
        self.model = model
        self.data = _fingerprint(X)
        self._found: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None

    def read(self) -> TrainingState | None:
        """Return the state of training in the file, or None if there is no file.

        Raises
        ------
        ModelFormatError
            The file is damaged, or a model that was saved otherwise.
        ValueError
            It is of a fit with other hyperparameters or other data.
        """
        if not os.path.exists(self.path):
            return None
        saved: Any = type(self.model).load(self.path)
        header, arrays = read_model(self.path, KIND, LOG_ARRAYS)
        entry = header.get("checkpoint")
        if not isinstance(entry, dict) or set(arrays) | {"log_total"} != set(LOG_ARRAYS):
            raise ModelFormatError(
                f"{self.path} is a model, and no checkpoint of a fit. Give another path, or remove the file."
            )
        asked, theirs = self._asked(saved._state), header["params"]
        others = [name for name in asked if name not in MAY_DIFFER and asked[name] != theirs.get(name)]
        if others or entry.get("data") != self.data:
            what = f"hyperparameters ({', '.join(others)})" if others else "data"
            raise ValueError(
                f"{self.path} is the checkpoint of a fit with other {what}. Call fit as it was called then; or give "
                "another path or remove the file, to start anew."
            )
        self._found = entry, arrays
        state: TrainingState = saved._state
        return state

    def checkpoint(self, state: TrainingState, minutes: float, keep: bool) -> Checkpoint:
        """Return what ``train`` calls: it writes ``state`` every so many ``minutes``, and at the end to ``keep`` it."""
        return Checkpoint(lambda *parts: self.write(state, *parts), minutes, self._found, keep)

    def write(self, state: TrainingState, entry: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Write ``state``, and ``entry`` and ``arrays`` of a :class:`Checkpoint`, over what is there: atomically."""
        header, content = self._snapshot(state)._content(True)
        header["checkpoint"] = {**entry, "data": self.data}
        write_model(self.path, header, {**content, **arrays}, overwrite=True)

    def remove(self) -> None:
        """Remove the file: the fit has come to its end."""
        Path(self.path).unlink(missing_ok=True)

    def _snapshot(self, state: TrainingState) -> Any:
        snapshot = copy.copy(self.model)
        snapshot._adopt(state, "unfinished")
        return snapshot

    def _asked(self, state: TrainingState) -> dict[str, Any]:
        """Return the hyperparameters that are asked for now, as a file would have them."""
        params: dict[str, Any] = self._snapshot(state)._content(False)[0]["params"]
        given = self.model.get_params()
        for name in ("n_units", "activation", "output", "loss", "k", "l1", "kl", "rho", "weight_decay"):
            params[name] = given[name]  # a file has them as its model has them
        return {**params, "dtype": np.dtype(given["dtype"]).name}


def _fingerprint(X: np.ndarray) -> dict[str, Any]:
    """What tells one data set from another: its shape and dtype, and a hash of evenly spaced rows."""
    rows = X[np.linspace(0, len(X) - 1, min(len(X), SAMPLED_ROWS)).astype(np.int64)]
    if isinstance(rows, Codes):
        content = b"".join(array.tobytes() for array in (rows.indptr, rows.units, rows.values))
        return {**_digest(X, content), "nonzeros": X.size}
    return _digest(X, np.ascontiguousarray(rows).tobytes())


def _digest(X: np.ndarray, content: bytes) -> dict[str, Any]:
    return {"shape": list(X.shape), "dtype": str(X.dtype), "sha256": hashlib.sha256(content).hexdigest()}
