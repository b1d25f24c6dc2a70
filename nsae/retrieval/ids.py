"""The ids of an index: which row has which, and which row is whose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral
from typing import overload

import numpy as np

from nsae.system.locks import Lock
from nsae.validation import shown

Id = int | str
FEW = 64  # Ids that are taken out of a list one by one.
_making = Lock()  # the dict of some ids: one at a time


class Ids(Sequence[Id]):
    """Ids by row, each of them once; they never change.

    Look-up by id needs a dict, which takes a while for a million of them.  So it is made at the first
    look-up, and an index that is opened to be searched does not wait for it.

    Parameters
    ----------
    stored : list, (n,) int64 array, or Texts
        The ids; the latter two may be mapped from a file.
    """

    def __init__(self, stored: list[Id] | np.ndarray | Texts = ()):  # type: ignore[assignment]
        self._stored = stored if isinstance(stored, np.ndarray | Texts) else list(stored)
        self._n = len(self._stored)
        self._row_by_id: dict[Id, int] | None = None

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, row: int) -> Id: ...
    @overload
    def __getitem__(self, row: slice) -> list[Id]: ...
    def __getitem__(self, row: int | slice) -> Id | list[Id]:
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(self._n))]
        id = self._stored[range(self._n)[row]]
        return id.item() if isinstance(id, np.generic) else id

    def __iter__(self) -> Iterator[Id]:
        return iter(self.tolist())

    def __contains__(self, id: object) -> bool:
        return self.row_of(id) is not None

    def __reduce__(self) -> tuple[type[Ids], tuple[list[Id] | np.ndarray | Texts]]:
        return Ids, (self.tolist() if isinstance(self._stored, list) else self._stored,)

    def tolist(self) -> list[Id]:
        """Return all ids by row, as a list of its own."""
        if isinstance(self._stored, list):
            return self._stored[: self._n]
        return list(self._stored.tolist())

    @property
    def stored(self) -> list[Id] | np.ndarray | Texts:
        """The ids as they are kept; a list may go on behind the last of them."""
        return self._stored

    @property
    def kind(self) -> str:
        """ "integers" if all of them fit int64, "strings" if all are, else "mixed"."""
        if isinstance(self._stored, np.ndarray | Texts):
            return "integers" if isinstance(self._stored, np.ndarray) else "strings"
        values = self.tolist()
        if all(type(id) is str for id in values):
            return "strings"
        fit = all(type(id) is int and -(1 << 63) <= id < 1 << 63 for id in values)
        return "integers" if fit else "mixed"

    def part(self, start: int, stop: int) -> Ids:
        """Return the ids of the rows from ``start`` to ``stop``; of mapped ids, nothing is read."""
        stored = self._stored
        if isinstance(stored, Texts):
            first = int(stored.ends[start - 1]) if start else 0
            last = int(stored.ends[stop - 1]) if stop else 0
            return Ids(Texts(stored.utf8[first:last], stored.ends[start:stop] - first))
        return Ids(stored[start:stop])

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Return the ids of ``rows``, an object array of the same shape; None for row −1."""
        found = np.full(rows.size, None, object)
        flat = rows.ravel()
        named = np.flatnonzero(flat >= 0)
        if len(named):
            found[named] = self._of(flat[named])
        return found.reshape(rows.shape)

    def _of(self, rows: np.ndarray) -> list[Id]:
        """The ids of ``rows`` (m,), each of them from 0 to n − 1."""
        if isinstance(self._stored, np.ndarray):
            return list(self._stored[rows].tolist())
        if isinstance(self._stored, Texts) and len(rows) > self._n:
            return list(map(self.tolist().__getitem__, rows.tolist()))  # each text is made once
        return list(map(self._stored.__getitem__, rows.tolist()))

    def row_of(self, id: object) -> int | None:
        """Return the row of ``id``, or None if no row has it."""
        if self._row_by_id is None:
            with _making:
                if self._row_by_id is None:
                    self._row_by_id = {id: row for row, id in enumerate(self.tolist())}
        row = self._row_by_id.get(id)  # type: ignore[call-overload]
        # The dict is shared with the ids that came from these by ``extended``: theirs are in later rows.
        return row if row is not None and row < self._n else None

    def extended(self, more: list[Id]) -> Ids:
        """Return these ids with ``more``, which may not be among them, behind.

        One thread at a time may call it.  The list and the dict are shared where nothing came behind these
        ids yet, so that adding one id to a million copies none.
        """
        if not more:
            return self
        stored = self._stored
        if not isinstance(stored, list) or len(stored) != self._n or self._row_by_id is None:
            ids = Ids()
            ids._stored = [*self.tolist(), *more]
            ids._n = len(ids._stored)
            return ids
        stored.extend(more)  # Whoever reads these ids reads the first n alone: an interrupt here is harmless.
        self._row_by_id.update(zip(more, range(self._n, self._n + len(more)), strict=True))
        ids = Ids()
        ids._stored, ids._row_by_id, ids._n = stored, self._row_by_id, self._n + len(more)
        return ids

    def without(self, rows: list[int]) -> Ids:
        """Return these ids without those of some ``rows``, each named once; the ones behind them move up."""
        left = self.tolist()
        if len(rows) <= FEW:
            for row in sorted(rows, reverse=True):
                del left[row]
            return Ids(left)
        gone = set(rows)
        return Ids([id for row, id in enumerate(left) if row not in gone])


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
        """Return ``texts`` in this form."""
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
        """Return all strings."""
        data, ends = self.utf8.tobytes(), self.ends.tolist()
        return [data[a:b].decode("utf-8", "surrogatepass") for a, b in zip([0, *ends], ends, strict=False)]


def as_ids(ids: Iterable[Id]) -> list[Id]:
    """Return ``ids`` as a list; a single one counts as a list of one."""
    return [as_id(id) for id in ([ids] if isinstance(ids, str | Integral) else ids)]


def as_id(id: object) -> Id:
    """Return ``id`` as a Python string or integer, NumPy's converted.

    Raises TypeError if it is neither a string nor an integer.
    """
    if isinstance(id, str):
        return str(id)
    if isinstance(id, Integral) and not isinstance(id, bool):
        return int(id)
    raise TypeError(f"An id is expected to be a string or an integer, got {shown(id)} ({type(id).__name__}).")


def unique_ids(ids: Iterable[Id]) -> Ids:
    """Return ``ids`` as ``Ids``.

    Raises TypeError if one of them is neither a string nor an integer, ValueError if one comes twice.
    """
    known = as_ids(ids)
    if len(set(known)) < len(known):
        twice = next(id for id, times in Counter(known).items() if times > 1)
        raise ValueError(
            f"The id {shown(twice)} comes twice. Ids are unique: remove that id first, or rename it."
        )
    return Ids(known)
