"""One query code made of several: what these have and those have not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsae.codes import Codes


def compose(plus: Sequence[Codes], minus: Sequence[Codes] = ()) -> Codes:
    """The mean of the codes of ``plus``, less the mean of those of ``minus``, where that is above 0.

    Each code counts at norm 1, so that none is louder than another; a zero code counts as it is.  Stored
    codes are not negative, and neither is a code that a model makes: so what would be negative is cut off
    at 0.  A unit that ``minus`` has more of is then one that is not looked for.  To keep out whatever has
    it, forbid the unit in the search.

    Parameters
    ----------
    plus, minus : sequences of Codes
        Of one width, with one row or more each; every row is a code.

    Returns
    -------
    Codes
        One row, float32: its units are among those of ``plus``.  It has none if ``minus`` outweighs them all.

    Raises
    ------
    ValueError
        If ``plus`` is empty, or the widths differ.
    """
    parts = [Codes.concatenate(codes) for codes in (plus, minus) if len(codes)]
    if not len(plus) or not len(parts[0]):
        raise ValueError("plus is empty. Give one code at least to compose a query of.")
    Codes.concatenate([part[:0] for part in parts])  # raises where widths differ
    z = _mean(parts[0])  # (h,)
    if len(parts) > 1 and len(parts[1]):
        z = z - _mean(parts[1])
    return Codes.from_dense(np.maximum(z, 0).astype(np.float32))


def _mean(codes: Codes) -> np.ndarray:
    """The mean (h,) float64 of codes (n, h), each at norm 1."""
    norms = codes.norms()[codes.row_of_entry()]  # (nnz,), above 0: a stored value is not 0
    return np.bincount(codes.units, weights=codes.values / norms, minlength=codes.n_units) / len(codes)
