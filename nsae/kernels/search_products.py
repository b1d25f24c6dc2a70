"""Exact search over matrix products, for codes that are hardly sparse: products are bounds, few rows are looked at."""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL
from nsae.kernels.search_postings import HAMMING, JACCARD, L2, _look_closer, _share


@njit(**KERNEL)
def fill_rows(codes, first, norms, supports, Z):
    """Rows ``first`` and following, dense, in Z (rows, h) float32: divided by ``norms``, or as ones and zeros.

    Z ends in zeros where there are no more rows.
    """
    indptr, units, values = codes
    for r in range(len(Z)):
        row, i = Z[r], first + r
        row[:] = 0
        if i < len(norms):
            for e in range(indptr[i], indptr[i + 1]):
                row[units[e]] = 1.0 if supports else values[e] / norms[i]


@njit(**KERNEL)
def search_products(
    products, first, queries, scales, codes, squares, largest, metric, conditions, limit, hits, query, lo
):
    """The k nearest rows of queries ``lo`` and following among those of a block, as ``search_postings`` finds them.

    ``products`` (some, rows) float32, which become scores, are of rows that :func:`fill_rows` made: queries at
    norm 1; rows at norm 1 for the cosine, else divided by ``largest``, the largest norm; both as they are of
    supports.  ``query`` (h,) float64: zeros, which they are again at the end.
    """
    q_indptr, q_units, q_factors, q_squares = queries
    allowed, excluded = conditions
    distances, found, counts = hits
    k, size = distances.shape[1], min(products.shape[1], len(squares) - first)
    zz = squares[first : first + size]
    members, places = np.arange(first, first + size), np.empty(0, np.uint16)
    # |sum of float32 − q·z| ≤ h 2⁻²⁴ ‖q‖‖z‖ in whatever order it is made (Higham 2002, 3.5), and the
    # factors are rounded, too; supports give whole numbers, which are exact
    error = np.float32((len(query) + 16) * 2.0**-23)
    for q in range(len(products)):
        i, scores = lo + q, products[q]
        start, stop = q_indptr[i], q_indptr[i + 1]
        units, qq = q_units[start:stop], q_squares[i]
        share = _share(np.float64(distances[i, 0]) if counts[i] == k else limit)
        if metric == L2:
            factor, weight = np.float32(np.sqrt(qq) * largest / scales[i]), 0.5 / scales[i]
            for r in range(size):
                scores[r] = factor * scores[r] + error - np.float32(weight * zz[r])
        elif metric >= JACCARD:
            factor, weight = np.float32(2 if metric == HAMMING else 1), 1.0 if metric == HAMMING else share
            for r in range(size):
                scores[r] = factor * scores[r] - np.float32(weight * zz[r])
        else:
            scores += error
        scores[size:] = -np.inf
        for e in range(start, stop):
            query[q_units[e]] = q_factors[e]
        counts[i] = _look_closer(
            size,
            scores,
            places,
            members,
            query,
            qq,
            codes,
            squares,
            (scales[i], share, (len(units) + 16) * 2.0**-22, np.float32(-np.inf)),
            metric,
            (allowed, excluded[i]),
            (distances[i], found[i], counts[i], limit),
        )
        for unit in units:
            query[unit] = 0.0
