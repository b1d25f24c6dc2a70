"""The ids of an index: which row has which, and which row is whose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import overload

import numpy as np

Id = int | str


class Ids(Sequence[Id]):
    """Ids by row, each of them once.

    Look-up by id needs a dict, which takes a while for a million of them.  So it is made at the first
    look-up, and an index that is opened to be searched does not wait for it.

    Parameters
    ----------
    stored : list, (n,) int64 array, or Texts
        The ids; the latter two may be mapped from a file.
    """

    def __init__(self, stored: list[Id] | np.ndarray | Texts = ()):  # type: ignore[assignment]
        self._stored = stored if isinstance(stored, np.ndarray | Texts) else list(stored)
        self._rows: dict[Id, int] | None = None  # id -> row

    def __len__(self) -> int:
        return len(self._stored)

    @overload
    def __getitem__(self, row: int) -> Id: ...
    @overload
    def __getitem__(self, row: slice) -> list[Id]: ...
    def __getitem__(self, row: int | slice) -> Id | list[Id]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        id = self._stored[row]
        return id.item() if isinstance(id, np.generic) else id

    def __iter__(self) -> Iterator[Id]:
        return iter(self.tolist())

    def __contains__(self, id: object) -> bool:
        return id in self.rows

    def tolist(self) -> list[Id]:
        """All ids by row, a list of its own."""
        return list(self._stored) if isinstance(self._stored, list) else self._stored.tolist()

    def at(self, rows: np.ndarray) -> np.ndarray:
        """The ids of these rows, an object array of the same shape; None for row −1."""
        if rows.size > len(self):
            return np.array([*self.tolist(), None], object)[rows]
        found = np.empty(rows.size, object)
        for place, row in enumerate(rows.ravel().tolist()):
            found[place] = None if row < 0 else self[row]
        return found.reshape(rows.shape)

    @property
    def rows(self) -> dict[Id, int]:
        """id -> row.  Not to be written to."""
        if self._rows is None:
            self._rows = {id: row for row, id in enumerate(self.tolist())}
        return self._rows

    def extend(self, more: list[Id]) -> None:
        """Append ids, which may not be among these."""
        rows = self.rows
        if not isinstance(self._stored, list):
            self._stored = self._stored.tolist()
        rows.update(zip(more, range(len(self), len(self) + len(more)), strict=True))
        self._stored.extend(more)


class Texts:
    """Strings by row, as UTF-8 without gaps: the form that can be mapped from files.

    An array of NumPy's strings takes four bytes a letter of its longest, and loses a NUL at the end.

    Parameters
    ----------
    utf8 : (bytes,) uint8
        All of them, one after the other.  Surrogates, as in file names that are no UTF-8, are kept.
    ends : (n,) int64
        Where each one ends.
    """

    def __init__(self, utf8: np.ndarray, ends: np.ndarray):
        if (int(ends[-1]) if len(ends) else 0) != len(utf8):
            raise ValueError(f"{len(utf8)} bytes of ids are not where their ends say")
        self.utf8, self.ends = utf8, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        parts = [text.encode("utf-8", "surrogatepass") for text in texts]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)  # (n,)
        return cls(np.frombuffer(b"".join(parts), np.uint8), ends)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> str:
        row = range(len(self))[row]
        start = self.ends[row - 1] if row else 0
        return self.utf8[start : self.ends[row]].tobytes().decode("utf-8", "surrogatepass")

    def tolist(self) -> list[str]:
        data, ends = self.utf8.tobytes(), self.ends.tolist()
        return [data[a:b].decode("utf-8", "surrogatepass") for a, b in zip([0, *ends], ends, strict=False)]


def as_ids(ids: Iterable[Id]) -> list[Id]:
    """Ids as a list; a single one counts as a list of one."""
    return [as_id(id) for id in ([ids] if isinstance(ids, str | Integral) else ids)]


def as_id(id: object) -> Id:
    """NumPy's strings and integers as Python's, which equal ids need to be equal keys."""
    if isinstance(id, str):
        return str(id)
    if isinstance(id, Integral) and not isinstance(id, bool):
        return int(id)
    raise TypeError(f"An id is expected to be a string or an integer, got {id!r} ({type(id).__name__}).")
