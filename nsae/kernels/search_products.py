"""Exact search over matrix products, for codes that are hardly sparse: products are upper bounds.

Few rows are above the threshold, and these are compared exactly.  The definition is
``BruteForce.distances``; ``tests/retrieval/search/test_searcher.py`` compares the hits.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import KERNEL
from nsae.kernels.search_postings import Candidates, Query, look_closer
from nsae.kernels.thresholds import theta_of
from nsae.kernels.upper_bounds import HAMMING, JACCARD, L2


@njit(**KERNEL)
def fill_rows(indptr, units, values, first, norms, supports, Z):
    """Fill ``Z (rows, h)`` float32 with rows ``first`` and following of sparse codes.

    ``indptr``, ``units`` and ``values`` are those of ``Codes``.  Values are divided by the row's entry in
    ``norms``, or are ones if ``supports``.  Z ends in zeros where there are no more rows.
    """
    for r in range(len(Z)):
        row, i = Z[r], first + r
        row[:] = 0
        if i < len(norms):
            for e in range(indptr[i], indptr[i + 1]):
                row[units[e]] = 1.0 if supports else values[e] / norms[i]


@njit(**KERNEL)
def search_products(block, queries, codes, row_filter, found, dense, lo):
    """Find the k nearest rows of queries ``lo`` and following among the rows of a block.

    ``queries``, ``codes``, ``row_filter`` and ``found`` are those of ``search_postings``.  ``block`` is a
    ``ProductBlock``, made of what :func:`fill_rows` fills; its products become upper bounds.
    ``dense (h,)`` float64 is zeros, and is zeros again at the end.  ``found`` goes on from what it has, and is
    in no order: see ``sort_hits``.
    """
    products, first, metric = block.products, block.first, codes.metric
    k, size = found.distances.shape[1], min(products.shape[1], len(codes.squared_norms) - first)
    zz = codes.squared_norms[first : first + size]
    members, positions = np.arange(first, first + size), np.empty(0, np.uint16)
    # |sum of float32 − q·z| ≤ h 2⁻²⁴ ‖q‖‖z‖ in whatever order it is made (Higham 2002, 3.5), and the
    # factors are rounded, too.  Supports give whole numbers, which are exact.
    error = np.float32((len(dense) + 16) * 2.0**-23)
    for q in range(len(products)):
        i, bounds = lo + q, products[q]
        start, stop = queries.indptr[i], queries.indptr[i + 1]
        units, factors = queries.units[start:stop], queries.factors[start:stop]
        qq, scale = queries.squared_norms[i], queries.scales[i]
        theta = theta_of(np.float64(found.distances[i, 0]) if found.counts[i] == k else row_filter.limit)
        if metric == L2:
            factor, weight = np.float32(np.sqrt(qq) * block.largest_norm / scale), 0.5 / scale
            for r in range(size):
                bounds[r] = factor * bounds[r] + error - np.float32(weight * zz[r])
        elif metric >= JACCARD:
            factor, weight = np.float32(2 if metric == HAMMING else 1), 1.0 if metric == HAMMING else theta
            for r in range(size):
                bounds[r] = factor * bounds[r] - np.float32(weight * zz[r])
        else:
            bounds += error
        bounds[size:] = -np.inf
        for e in range(len(units)):
            dense[units[e]] = factors[e]
        query = Query(units, factors, dense, qq, scale, theta, (len(units) + 16) * 2.0**-22, 0.0)
        candidates = Candidates(size, bounds, positions, members)
        look_closer(i, candidates, query, np.float32(-np.inf), codes, row_filter, found)
        for unit in units:
            dense[unit] = 0.0
