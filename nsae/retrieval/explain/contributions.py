"""Why a row is a hit: the units that it shares with the query, and what each contributes to the similarity."""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.search.brute_force import squared_norms_of
from nsae.validation import shown


def explain(
    code: Codes, row_code: Codes, top: int | None = 10, *, metric: str = "cosine"
) -> list[tuple[int, float]]:
    """Return the units active in both codes, and what each contributes to their similarity, Eq. (26).

    The contributions add up to the similarity that belongs to the metric.  L2 and Hamming distances have no
    largest value to subtract from.  There, the similarity is measured from the distance of two codes of the
    same norms that have nothing in common.

    =======  =========================  ==================================
    metric   unit j's contribution      all contributions add up to
    =======  =========================  ==================================
    cosine   qⱼzⱼ / (‖q‖‖z‖)            1 − distance
    dot      qⱼzⱼ                       −distance
    l2       2 qⱼzⱼ / (‖q‖² + ‖z‖²)     1 − distance² / (‖q‖² + ‖z‖²)
    jaccard  1 / |A∪B|                  1 − distance
    hamming  2 / (|A| + |B|)            1 − distance / (|A| + |B|)
    =======  =========================  ==================================

    Parameters
    ----------
    code, row_code : Codes of one row
    top : int or None
        At most so many units; None for all.
    metric : str

    Returns
    -------
    list of (unit, contribution)
        Largest contribution first, ties by lowest unit.

    Raises
    ------
    ValueError
        If top < 1, or not one code came.
    """
    if top is not None and top < 1:
        raise ValueError(f"top={shown(top)} is expected to be at least 1: it is the number of units to name.")
    for codes in (code, row_code):
        if len(codes) != 1:
            raise ValueError(
                f"explain compares one code with one row, got {len(codes)} codes: call it for each."
            )
    units, here, there = np.intersect1d(
        code.units, row_code.units, assume_unique=True, return_indices=True
    )  # (m,)
    if metric in ("jaccard", "hamming"):
        sizes = len(code.units) + len(row_code.units)  # |A| + |B|
        whole = sizes - len(units) if metric == "jaccard" else sizes / 2
        contributions = np.ones(len(units)) / (whole or 1)  # (26) (m,); 0 where both are empty
    else:
        q2, z2 = float(squared_norms_of(code)[0]), float(squared_norms_of(row_code)[0])
        whole = {"cosine": np.sqrt(q2 * z2), "dot": 1.0, "l2": (q2 + z2) / 2}[metric]
        products = code.values[here].astype(np.float64) * row_code.values[there]  # (m,)
        contributions = products / whole  # (26) (m,); whole > 0 if m > 0
    order = np.argsort(-contributions, kind="stable")[:top]
    return list(zip(units[order].tolist(), contributions[order].tolist(), strict=True))
