"""What a row's upper bound must exceed, for the row to be among the nearest.

``tests/kernels/test_search_kernels.py`` compares the hits with those of all distances.
"""

import numpy as np

from nsae.kernels.compile import njit
from nsae.kernels.options import INNER, KERNEL
from nsae.kernels.upper_bounds import COSINE, DOT, HAMMING, JACCARD, L2

MAXIMA = 1024  # Running maxima of the first look at a window: see first_threshold.
HALVINGS = 12  # The most steps of the search there.
PART = 0.6  # The fraction of a threshold that is left to lists that are read: see allowed_part.


@njit(**INNER)
def threshold_of(distance, theta, query, metric):
    """Return what a row's upper bound must exceed for its distance to be below ``distance``, by the ``metric``.

    ``query`` is a ``Query`` of ``search_postings.py``, and ``theta`` is what :func:`theta_of` gives.
    """
    if distance <= 0.0 and metric != DOT:
        return np.inf  # nothing is nearer than 0
    if metric == L2:
        return (query.squared_norm - distance * distance) / 2.0 / query.scale - query.margin
    if metric == HAMMING:
        return query.squared_norm - np.ceil(distance)  # whole numbers, so exact
    if metric == JACCARD:
        if distance > 1.0:
            return -1.0
        qq = query.squared_norm
        return theta * qq * (1.0 - 1e-6) - 1e-6 * qq if theta > 0.0 else 0.0
    product = (1.0 - distance) if metric == COSINE else (0.0 - distance) / query.scale
    if product < 0.0:
        return -1.0  # upper bounds are not negative
    return product * (1.0 - query.margin)  # where it is 0, a bound above 0: a row that shares a unit


@njit(**KERNEL)
def part_threshold(threshold, left_out):
    """Return what the bound of lists that are read must exceed for that of all lists to exceed ``threshold``.

    ``left_out`` is the fraction of ‖q‖² in the lists that are not read.  ``threshold`` is for rows and queries at
    norm 1 at most.

    Let q = a + b and z = c + d, of the units of lists that are read and of those that are left out, with ‖q‖ = 1
    and ‖z‖ ≤ 1.  Then q·z = a·c + b·d ≤ a·c + ‖b‖ √(1 − (a·c/‖a‖)²), since d has what c leaves of the norm of z.
    That is cos(α − β), where sin α = ‖b‖ and cos β = a·c/‖a‖.  For it to exceed cos θ, a·c must exceed
    cos α · cos(α + θ).
    """
    if left_out <= 0.0 or threshold >= 1.0:
        return threshold
    kept = 1.0 - left_out  # cos² α
    return kept * threshold - np.sqrt(kept * left_out * (1.0 - threshold * threshold))


@njit(**KERNEL)
def allowed_part(threshold):
    """Return the fraction of ‖q‖² to leave out, for which ``part_threshold`` is PART · ``threshold``.

    With cos θ the threshold, cos α · cos(α + θ) = (cos θ + cos(2α + θ)) / 2, and the fraction is sin² α.
    """
    angle = (2.0 * PART - 1.0) * threshold  # cos(2α + θ)
    both = angle * threshold + np.sqrt(
        (1.0 - angle * angle) * max(1.0 - threshold * threshold, 0.0)
    )  # cos 2α
    return 0.5 * (1.0 - both)


@njit(**KERNEL)
def theta_of(distance):
    """Return θ = |A ∩ B| / (|A| + |B|) of two supports at that Jaccard ``distance``, Eq. (32)."""
    return (1.0 - distance) / (2.0 - distance) if distance < 1.0 else 0.0


@njit(**INNER)
def first_threshold(bounds, size, k, margin, error, maxima):
    """Return a threshold for a window before k hits are known: more than k rows are above it for certain.

    The one row more is for a row that is excluded.  ``maxima (MAXIMA,)`` comes to hold the largest of every
    MAXIMA-th bound.  These are bounds themselves, so what more than k of them exceed, more than k rows
    exceed.  It is found by halving, since counts vectorise.  The first ``size`` of ``bounds`` count; a
    bound is too high by ``error`` at most, and by the fraction ``margin``, which sums of float32 can have.
    """
    for l in range(MAXIMA):
        maxima[l] = bounds[l]
    for begin in range(MAXIMA, size - MAXIMA + 1, MAXIMA):
        run = bounds[begin : begin + MAXIMA]
        for l in range(MAXIMA):
            maxima[l] = run[l] if run[l] > maxima[l] else maxima[l]
    low, high = bounds[0], bounds[0]
    for l in range(MAXIMA):
        low = maxima[l] if maxima[l] < low else low
        high = maxima[l] if maxima[l] > high else high
    for _ in range(HALVINGS):
        middle = low + (high - low) * np.float32(0.5)
        count = np.int32(0)
        for l in range(MAXIMA):
            count += np.int32(maxima[l] > middle)
        if count > k:
            low = middle
            if count < k + k // 8 + 2:
                break
        else:
            high = middle
    largest = np.float64(low)
    return largest - error - margin * abs(largest) - margin


@njit(**KERNEL)
def next_distance(distance):
    """Return the float32 after ``distance``: below it are all distances up to this one."""
    return np.float64(np.nextafter(np.float32(distance), np.float32(np.inf)))
