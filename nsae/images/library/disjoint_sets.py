"""DisjointSets: groups that grow as pairs are joined."""

from __future__ import annotations

from collections import defaultdict


class DisjointSets:
    """n items, each in a group of its own at first (union-find).

    Parameters
    ----------
    n : int
    """

    def __init__(self, n: int):
        self._parent = list(range(n))

    def root_of(self, i: int) -> int:
        """Return the lowest item of the group of ``i``."""
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]  # halves the way for the next one
            i = parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Make one group of those of ``i`` and ``j``."""
        a, b = sorted((self.root_of(i), self.root_of(j)))
        self._parent[b] = a  # the lowest is the root

    def groups(self) -> list[list[int]]:
        """Return the groups of two and more, items and groups ascending."""
        found = defaultdict(list)
        for i in range(len(self._parent)):
            found[self.root_of(i)].append(i)
        return [group for group in found.values() if len(group) > 1]
