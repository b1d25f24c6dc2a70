"""Codes to and from tensors of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.errors import require
from nsae.interchange.canonical import canonical_codes, real_values


def to_torch(codes: Codes) -> Any:
    """Return ``codes`` as a ``torch.sparse_csr`` tensor (n, h), in the dtype of their values.

    Row pointers and columns are int64, which PyTorch wants to be alike.  The values are shared where they can be
    written to, and copied otherwise.

    Raises
    ------
    MissingExtraError
        PyTorch is not installed.
    """
    torch = require("torch", "torch", "to_torch")
    crow, values = (
        torch.from_numpy(array if array.flags.writeable else array.copy())
        for array in (np.asarray(codes.indptr), np.asarray(codes.values))
    )
    columns = torch.from_numpy(codes.units.astype(np.int64))
    return torch.sparse_csr_tensor(crow, columns, values, size=codes.shape, check_invariants=True)


def from_torch(tensor: Any) -> Codes:
    """Return a tensor (n, h) as ``Codes``: ``sparse_csr``, ``sparse_coo`` or dense.

    float32 and float64 stay, and 16 bits become float32.  Columns of a row may come in any order; values of the
    same place are added, and zeros are left out.

    Parameters
    ----------
    tensor : torch.Tensor

    Raises
    ------
    TypeError, ValueError
        It is no tensor of two dimensions, is not on the CPU, requires a gradient, or has a value that is not
        finite.
    """
    check_tensor(tensor)
    if len(tensor.shape) != 2:
        raise ValueError(f"A tensor (n, h) was expected, got shape {tuple(tensor.shape)}.")
    layout = str(tensor.layout)
    if layout == "torch.strided":
        Z = array_of(tensor)  # (n, h)
        rows, columns = np.nonzero(Z)
        return _from_pairs(rows, columns, Z[rows, columns], tensor.shape)
    if layout == "torch.sparse_coo":
        tensor = tensor.coalesce()
        rows, columns = (array_of(part) for part in tensor.indices())
        return _from_pairs(rows, columns, array_of(tensor.values()), tensor.shape)
    if layout != "torch.sparse_csr":
        raise TypeError(f"A tensor of layout {layout} came. Use tensor.to_sparse_csr().")
    indptr, indices = array_of(tensor.crow_indices()), array_of(tensor.col_indices())
    return canonical_codes(indptr, indices, array_of(tensor.values()), tensor.shape)


def check_tensor(tensor: Any) -> None:
    """Raise TypeError or ValueError unless ``tensor`` is one of PyTorch, on the CPU, without a gradient."""
    if not is_tensor(tensor):
        raise TypeError(f"A tensor of PyTorch was expected, got {type(tensor).__name__}.")
    if tensor.device.type != "cpu":
        raise ValueError(f"The tensor is on the device {tensor.device}. Use tensor.cpu().")
    if tensor.requires_grad:
        raise ValueError("The tensor requires a gradient, which Codes do not have. Use tensor.detach().")


def is_tensor(value: object) -> bool:
    """Return whether ``value`` is a tensor of PyTorch, without importing it."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "layout")


def array_of(tensor: Any) -> np.ndarray:
    """Return a dense ``tensor`` as an array; bfloat16, which NumPy has not, as float32."""
    check_tensor(tensor)
    return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())


def _from_pairs(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, shape: Any) -> Codes:
    """Codes of entries that are sorted by row."""
    indptr = np.zeros(int(shape[0]) + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=int(shape[0])), out=indptr[1:])
    return canonical_codes(indptr, columns, real_values(values), shape)
