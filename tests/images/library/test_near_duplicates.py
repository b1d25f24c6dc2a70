"""The groups of near codes, against all pairs; large groups cost no more than their size."""

import tracemalloc

import numpy as np
import pytest

from nsae.images.library import near_duplicates
from nsae.images.library.disjoint_sets import DisjointSets
from nsae.images.library.near_duplicates import near_pairs
from nsae.retrieval import CodeIndex


def connected_groups(n, pairs):
    sets = DisjointSets(n)
    for i, j in pairs:
        sets.join(i, j)
    return sets.groups()


def by_all_pairs(index, radius):
    D = index.search(index.codes, len(index))
    pairs = [
        (int(i), int(j))
        for i in range(len(index))
        for j, distance in zip(D.rows[i], D.distances[i], strict=True)
        if distance <= np.float32(radius)
    ]
    return connected_groups(len(index), pairs)


def groups(index, radius):
    return connected_groups(len(index), near_pairs(index, radius).tolist())


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot", "jaccard", "hamming"])
@pytest.mark.parametrize("hits_at_once", [1, 1 << 20])
def test_groups_are_those_of_all_pairs(metric, hits_at_once, monkeypatch):
    monkeypatch.setattr(near_duplicates, "HITS_AT_ONCE", hits_at_once)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 120))
        Z = rng.choice([0, 1.0, 2.0, 0.1], (n, 6)) * (rng.random((n, 6)) < 0.5)
        Z[rng.random(n) < 0.3] = Z[0]
        index = CodeIndex(6, metric=metric)
        index.add(Z)
        distances = index.search(Z, n).distances
        for radius in (0.0, *np.quantile(distances, [0.02, 0.1, 0.3]).tolist()):
            assert groups(index, radius) == by_all_pairs(index, radius)


def test_a_chain_is_one_group():
    """Each row is near to 20 others, and the ends are far apart."""
    angles = np.arange(400) * 0.001
    index = CodeIndex(2)
    index.add(np.column_stack([np.cos(angles), np.sin(angles)]))
    radius = 1 - np.cos(0.0102)
    assert groups(index, radius) == [list(range(400))]
    assert groups(index, 1e-8) == []


def test_an_empty_index_has_no_pairs():
    assert near_pairs(CodeIndex(3), 0.1).shape == (0, 2)


def test_memory_grows_with_the_size_of_a_group_and_not_with_its_square():
    rng = np.random.default_rng(0)
    Z = np.abs(rng.normal(size=8)) + 1e-4 * rng.random((3000, 8))
    Z[:1500] = Z[0]
    index = CodeIndex(8)
    index.add(Z)
    index.search(Z[:1], 1)
    tracemalloc.start()
    pairs = near_pairs(index, 0.01)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) <= 9 * 3000
    assert peak < 20e6  # all 4.5 million pairs are 72 MB
    assert connected_groups(3000, pairs.tolist()) == [list(range(3000))]
