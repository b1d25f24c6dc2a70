"""Groups that grow as pairs are joined, against reachability."""

import numpy as np

from nsae.images.library.disjoint_sets import DisjointSets


def test_groups_are_connected_components():
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 15))
        pairs = rng.integers(0, n, (int(rng.integers(0, n)), 2))
        sets = DisjointSets(n)
        reach = np.eye(n, dtype=bool)
        for i, j in pairs:
            reach[i, j] = reach[j, i] = True
            sets.join(int(i), int(j))
        for _ in range(n):
            reach = reach @ reach
        expected = sorted({tuple(np.flatnonzero(row).tolist()) for row in reach if row.sum() > 1})
        assert sorted(map(tuple, sets.groups())) == expected
        assert [sets.root_of(i) for i in range(n)] == [int(np.argmax(row)) for row in reach]
