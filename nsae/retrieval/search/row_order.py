"""In which order rows stand in postings: rows that are alike stand together.

Then a query finds most of what it looks for in a few windows, and hardly anything to add up in the others.
"""

from __future__ import annotations

import numpy as np

from nsae.codes import Codes

SAMPLED = 2048  # Rows that are looked at,
ORDERED = 1024  # and units that are ordered by them.


def sampled_rows(n: int) -> np.ndarray:
    """Return evenly spaced rows of ``n``, (m,) int64, by which the units are ordered."""
    m = min(n, SAMPLED)
    return np.arange(m) * n // max(m, 1)


def unit_ranks(some: Codes, strongest: np.ndarray) -> np.ndarray:
    """Return the rank of each unit in an order where units that are active in the same rows follow each other.

    It begins with the unit that is strongest in most rows.  Then comes, again and again, the unit whose rows are
    most like those of the last one, by the cosine.  All counts are whole numbers and exact, so the order does not
    depend on how the products are made.

    Parameters
    ----------
    some : Codes
        m sampled rows over h units.
    strongest : (m,) int32
        The strongest unit of each; h if it has none.

    Returns
    -------
    (h + 1,) int32
        Of h units, and h of rows without a unit.  Units that are seldom the strongest follow by their number.
    """
    h = some.n_units
    often = np.argsort(-np.bincount(strongest, minlength=h + 1)[:h], kind="stable")[:ORDERED]  # (u,)
    column = np.full(h, -1)
    column[often] = np.arange(len(often))
    entries = np.flatnonzero(column[some.units] >= 0)
    active = np.zeros((len(often), len(some)), np.float32)  # (u, m)
    active[column[some.units[entries]], some.row_of_entry()[entries]] = 1
    together = (active @ active.T).astype(np.float64)  # (u, u): in how many rows both are active
    counts = np.maximum(np.diag(together), 1)  # (u,)
    alike = together / np.sqrt(counts[:, None] * counts)  # (u, u)
    chain = [0]
    for _ in range(len(often) - 1):
        alike[:, chain[-1]] = -1
        chain.append(int(np.argmax(alike[chain[-1]])))
    ranks = np.empty(h + 1, np.int32)
    ranks[np.concatenate([often[chain], np.setdiff1d(np.arange(h + 1), often)])] = np.arange(h + 1)
    return ranks
