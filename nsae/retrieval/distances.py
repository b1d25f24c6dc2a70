"""Distances between dense codes, Eqs. (23)–(26), (32), (33): the definitions the index is tested against.

Every function but ``contributions`` takes queries ``Q (q, h)`` and codes ``Z (n, h)`` (one code ``(h,)``
counts as one row) and returns ``(q, n)`` float64.  Smaller always means nearer.
"""

from __future__ import annotations

import numpy as np


def cosine(Q: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return 1 − q·z / (‖q‖‖z‖), Eq. (23), in [0, 2], for each row of ``Q`` and ``Z``.

    A code without an active unit has no direction.  It is at distance 1 from every code, as orthogonal codes
    are, and from itself.

    Parameters
    ----------
    Q : (q, h) array
    Z : (n, h) array

    Returns
    -------
    (q, n) float64

    Raises
    ------
    ValueError
        If Q and Z are of different width, or not tables of numbers.
    """
    Q, Z = _rows_of_numbers(Q, Z)
    norms = np.linalg.norm(Q, axis=1)[:, None] * np.linalg.norm(Z, axis=1)  # (q, n)
    similarity = np.divide(Q @ Z.T, norms, out=np.zeros(norms.shape), where=norms > 0)  # (q, n)
    return np.maximum(1 - similarity, 0)  # (23) rounding may bring a code nearer than 0 to itself


def l2(Q: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return ‖q − z‖, Eq. (24).  ``Q``, ``Z``, shapes and errors are those of :func:`cosine`."""
    Q, Z = _rows_of_numbers(Q, Z)
    D = np.empty((len(Q), len(Z)))  # (q, n)
    for i, q in enumerate(Q):  # the difference itself: ‖q‖² + ‖z‖² − 2q·z would lose the small distances
        D[i] = np.linalg.norm(q - Z, axis=1)  # (24) (n,)
    return D


def dot(Q: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return −q·z, Eq. (25): negative, so that smaller means nearer.

    ``Q``, ``Z``, shapes and errors are those of :func:`cosine`.
    """
    Q, Z = _rows_of_numbers(Q, Z)
    return 0 - Q @ Z.T  # (25) (q, n); not -(Q @ Z.T), which shows −0.0 where nothing is shared


def jaccard(Q: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return 1 − |A∩B| / |A∪B|, Eq. (32), of the supports A, B: the units whose entry is not 0.

    Two empty supports have nothing in common: they are at distance 1, as in Eq. (23).
    ``Q``, ``Z``, shapes and errors are those of :func:`cosine`.
    """
    common, sizes = _overlap(Q, Z)
    union = sizes - common  # (q, n)
    return 1 - np.divide(common, union, out=np.zeros(union.shape), where=union > 0)  # (32)


def hamming(Q: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Return |A△B|, Eq. (33): how many units are active in one code only.

    ``Q``, ``Z``, shapes and errors are those of :func:`cosine`.
    """
    common, sizes = _overlap(Q, Z)
    return sizes - 2 * common  # (33) (q, n)


def contributions(q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return what each unit j contributes to the similarity of two codes: qⱼzⱼ / (‖q‖‖z‖), Eq. (26).

    The contributions add up to the cosine similarity, 1 − Eq. (23).  They are all 0 if q or z is.

    Parameters
    ----------
    q, z : (h,) array

    Returns
    -------
    (h,) float64

    Raises
    ------
    ValueError
        If q and z are of different length, or not single codes.
    """
    Q, Z = _rows_of_numbers(q, z)
    if len(Q) != 1 or len(Z) != 1:
        raise ValueError(
            f"contributions compares one code with one, got {len(Q)} and {len(Z)}: call it for each pair."
        )
    norms = np.linalg.norm(Q) * np.linalg.norm(Z)
    return (Q * Z / norms if norms > 0 else np.zeros(Q.shape))[0]  # (26) (h,)


def _overlap(Q: np.ndarray, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return |A∩B| and |A| + |B| for each pair of supports, both (q, n) float64 (whole numbers, so exact)."""
    Q, Z = _rows_of_numbers(Q, Z)
    A, B = (Q != 0).astype(float), (Z != 0).astype(float)  # (q, h), (n, h)
    return A @ B.T, A.sum(axis=1)[:, None] + B.sum(axis=1)


def _rows_of_numbers(Q: np.ndarray, Z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Q and Z as float64 tables of one width."""
    Q, Z = np.atleast_2d(np.asarray(Q, float)), np.atleast_2d(np.asarray(Z, float))
    if Q.ndim != 2 or Z.ndim != 2 or Q.shape[1] != Z.shape[1]:
        raise ValueError(f"Codes (q, h) and (n, h) of one width are expected, got {Q.shape} and {Z.shape}.")
    return Q, Z
