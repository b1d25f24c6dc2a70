"""Codes to and from SciPy's sparse arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.errors import require
from nsae.interchange.canonical import canonical_codes
from nsae.validation.sparse import flat, shape_of


def to_scipy(codes: Codes) -> Any:
    """Return ``codes`` as a ``scipy.sparse.csr_array`` (n, h).

    Values are shared, and units too unless there are 2³¹ of them or more; only the row pointers are copied, into
    int32.  Write into neither.

    Raises
    ------
    MissingExtraError
        SciPy is not installed.
    """
    sparse = require("scipy.sparse", "scipy", "to_scipy")
    indptr = codes.indptr
    if (
        len(codes.units) <= np.iinfo(np.int32).max
    ):  # SciPy wants both index arrays alike, and would copy the units.
        indptr = indptr.astype(np.int32)
    array = sparse.csr_array((codes.values, codes.units, indptr), shape=codes.shape)
    array.has_canonical_format = True  # Units ascend in each row, each once.
    return array


def from_scipy(matrix: Any) -> Codes:
    """Return a sparse ``matrix`` (n, h) as ``Codes``.

    SciPy is not needed: any object with ``indptr``, ``indices``, ``data`` and ``shape`` is taken, or with a
    method ``tocsr``.  Arrays that are in order already, with indices in int32, are shared.

    Parameters
    ----------
    matrix : sparse array or matrix (n, h)
        Of any of SciPy's formats.  float32 and float64 stay; unsorted indices are sorted, values of the same
        place are added, and zeros are left out.

    Raises
    ------
    TypeError, ValueError
        It is no sparse matrix of two dimensions, its arrays do not fit each other, or a value is not finite.
    """
    kind = type(matrix).__name__
    if getattr(matrix, "format", "csr") != "csr" and hasattr(matrix, "tocsr"):
        matrix = matrix.tocsr()
    if not all(hasattr(matrix, name) for name in ("indptr", "indices", "data", "shape")):
        raise TypeError(
            f"A sparse matrix with indptr, indices, data and shape was expected, got {kind}. Of a dense array: "
            "Codes.from_dense(Z)."
        )
    indptr, indices, data = (
        np.asarray(flat(name, getattr(matrix, name))) for name in ("indptr", "indices", "data")
    )
    return canonical_codes(indptr, indices, data, shape_of(matrix))
