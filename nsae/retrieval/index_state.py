"""The rows of an index at one moment.  A change makes a new state; whoever still reads the old one may go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nsae.codes import Codes
from nsae.retrieval.ids import Id, Ids
from nsae.retrieval.search.searcher import Searcher
from nsae.system.locks import Lock
from nsae.validation import shown


class IndexState:
    """Codes with their ids, and what searches them.

    Parameters
    ----------
    metric : str
    parts : sequence of Codes
        Whose rows follow each other; they are joined when they are first read.
    ids : Ids
        Of all rows.
    n_added : int
        Rows ever added: the next default id, free also after a removal.
    making : Lock, optional
        Held while something is made of the codes.  All states of an index have the same.
    """

    def __init__(
        self, metric: str, parts: Sequence[Codes], ids: Ids, n_added: int, making: Lock | None = None
    ):
        self.metric, self.ids, self.n_added = metric, ids, n_added
        self._parts = tuple(parts)
        self._searchers: dict[int | None, Searcher] = {}  # by ``keep``
        self._making = Lock() if making is None else making

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def codes(self) -> Codes:
        """All codes, by row."""
        parts = self._parts
        if len(parts) > 1:
            with self._making:
                if len(self._parts) > 1:
                    self._parts = (Codes.concatenate(self._parts),)
                parts = self._parts
        return parts[0]

    def row_of(self, id: object) -> int:
        """Return the row of ``id``.  Raises ValueError if there is none."""
        row = self.ids.row_of(id)
        if row is None:
            raise ValueError(
                f"The id {shown(id)} is not in this index of {len(self)} rows. See .ids for those that are."
            )
        return row

    def searcher(self, keep: int | None = None) -> Searcher:
        """Return what searches these rows, whole or with the ``keep`` largest values of each.

        The last one made is kept, beside that of whole codes.
        """
        searcher = self._searchers.get(keep)
        if searcher is None:
            with self._making:
                searcher = self._searchers.get(keep)
                if searcher is None:
                    codes = self.codes if keep is None else self.codes.keep(keep)
                    searcher = Searcher(codes, self.metric)
                    searchers = {keep: searcher}
                    if None in self._searchers:
                        searchers[None] = self._searchers[None]
                    self._searchers = searchers
        return searcher

    def take_postings(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Use stored postings of these codes: see ``Searcher.stored``, which explains ``arrays``."""
        self._searchers = {None: Searcher.stored(self.codes, self.metric, arrays)}

    def with_added(self, codes: Codes, ids: Sequence[Id] | None, on_duplicate: str) -> IndexState:
        """Return the state after ``CodeIndex.add`` of checked ``codes``.

        ``ids`` and ``on_duplicate`` are those of ``add``, which tells the errors, too.
        """
        if ids is None:
            ids = range(self.n_added, self.n_added + len(codes))
        if len(ids) != len(codes):
            raise ValueError(f"{len(codes)} codes came with {len(ids)} ids. Give one id for each code.")
        new: dict[Id, int] = {}  # id -> which of the codes becomes a new row
        replaced: dict[int, int] = {}  # row -> which of the codes takes its place
        for i, id in enumerate(ids):
            row = self.ids.row_of(id)
            if on_duplicate == "raise" and (row is not None or id in new):
                raise ValueError(
                    f"The id {shown(id)} comes twice. Ids are unique: remove that id first, rename it, or say "
                    'on_duplicate="replace" or "skip".'
                )
            if row is None and (on_duplicate == "replace" or id not in new):
                new[id] = i  # a dict keeps the position where an id came first
            elif row is not None and on_duplicate == "replace":
                replaced[row] = i
        parts = self._parts
        if replaced:
            source = np.arange(len(self))  # (n,): rows of these codes, below them the new ones
            source[list(replaced)] = len(self) + np.fromiter(replaced.values(), np.int64)
            parts = (Codes.concatenate([self.codes, codes])[source],)
        fresh = codes if len(new) == len(codes) else codes[list(new.values())]
        ids_after = self.ids.extended(list(new))
        return IndexState(self.metric, [*parts, fresh], ids_after, self.n_added + len(codes), self._making)

    def without(self, rows: list[int]) -> IndexState:
        """Return the state after the removal of ``rows``."""
        stays = np.ones(len(self), bool)  # (n,)
        stays[rows] = False
        left = [id for id, stay in zip(self.ids, stays, strict=True) if stay]
        return IndexState(self.metric, [self.codes[stays]], Ids(left), self.n_added, self._making)

    def check(self) -> None:
        """Raise ValueError if this state is damaged: codes that are no codes, or not one id for each."""
        codes, n = self.codes, len(self)
        if len(codes) != n or len(set(self.ids)) != n:
            wrong = f"{n} ids, {len(set(self.ids))} of them different, came with {len(codes)} codes"
        elif (codes.counts < 0).any():
            wrong = "indptr decreases"
        elif len(codes.units) and not 0 <= codes.units.min() <= codes.units.max() < codes.n_units:
            wrong = f"units from 0 to {codes.n_units - 1} were expected"
        elif not np.isfinite(codes.values).all():
            wrong = "values are not finite"
        else:
            return
        raise ValueError(
            f"This index is damaged, so it is not saved: {wrong}. Codes of an index must not be written to; "
            "load it again, or add the codes anew."
        )
