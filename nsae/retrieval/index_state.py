"""The rows of an index at one moment.  A change makes a new state; whoever still reads the old one may go on."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nsae.codes import Codes, checked_codes, one_model
from nsae.retrieval.ids import Id, Ids
from nsae.retrieval.on_disk.changes import Changes
from nsae.retrieval.on_disk.manifest import Kept
from nsae.retrieval.search.changed import ChangedSearcher
from nsae.retrieval.search.postings import Postings
from nsae.retrieval.search.searcher import Searcher
from nsae.system.locks import Lock
from nsae.validation import shown

FEW_ADDED = 256  # Rows that may come, or a 64th of the rows, before everything is prepared for search anew.
PARTS = 16  # So many parts of about one length are joined.


class Layers(NamedTuple):
    """Codes as rows of some codes of before and rows that came since, which are joined when they are first read.

    Attributes
    ----------
    before : Codes
        n₀ rows.
    added : tuple of Codes
        Parts whose rows follow each other.
    source : (n,) int64 or None
        Row i is row ``source[i]`` of ``before`` and, below it, ``added``; None where that is i.
    searchers : dict of Searcher
        Those of ``before`` that were made, by ``keep``.
    saved : dict of Kept
        The files in which ``before`` was saved, or from which it was loaded; empty where it was not.
    """

    before: Codes
    added: tuple[Codes, ...] = ()
    source: np.ndarray | None = None
    searchers: Mapping[int | None, Searcher] = {}
    saved: Mapping[str, Kept] = {}

    @classmethod
    def stored(cls, before: Codes, changes: Changes | None, saved: Mapping[str, Kept]) -> Layers:
        """Return layers that were ``saved`` as codes of ``before`` and ``changes``; ValueError if they are none."""
        if changes is None:
            return cls(before, saved=saved)
        added = checked_codes(changes.added, before.n_units)
        return cls(before, (added,), changes.source(len(before)), saved=saved)

    def joined(self) -> Codes:
        """Return the rows as codes."""
        codes = Codes.concatenate([self.before, *self.added]) if self.added else self.before
        return codes if self.source is None else codes[self.source]

    def rows(self) -> np.ndarray:
        """Return ``source`` as an array (n,) of its own, whether there is one or not."""
        n = len(self.before) + sum(map(len, self.added))
        return np.arange(n) if self.source is None else self.source.copy()

    def with_added(self, codes: Codes, source: np.ndarray | None) -> Layers:
        """Return these layers with ``codes`` below them, and another ``source``."""
        added = [*self.added, codes]
        # Of many small parts, the last ones are joined, so that there are few, and a row is copied a few times.
        while len(added) >= PARTS and len(added[-PARTS]) <= 2 * len(added[-1]):
            added[-PARTS:] = [Codes.concatenate(added[-PARTS:])]
        return self._replace(added=tuple(added), source=source)

    def without_waste(self) -> Layers:
        """Return these layers, or their rows joined if many rows are kept that are not among them any more."""
        n = len(self.before) + sum(map(len, self.added))
        left = n if self.source is None else len(self.source)
        return Layers(self.joined()) if n - left > max(FEW_ADDED, left // 4) else self

    def is_changed(self) -> bool:
        """Tell whether the rows are not just those of ``before``."""
        return bool(self.added) or self.source is not None

    def is_little_changed(self) -> bool:
        """Tell whether few rows came since ``before``, and not many of it went."""
        n, n_before = sum(map(len, self.added)), len(self.before)
        stay = n_before if self.source is None else np.count_nonzero(self.source < n_before)
        return n <= max(FEW_ADDED, n_before // 64) and n_before - stay <= n_before // 4

    def changes(self) -> Changes:
        """Return what has changed since ``before``."""
        added = Codes.concatenate([self.before[:0], *self.added])
        return Changes.of(len(self.before), added, self.rows())

    def changed_searcher(self, keep: int | None, metric: str) -> ChangedSearcher | None:
        """Return what searches the rows by means of a searcher of ``before`` for the same ``keep`` and ``metric``.

        None if there are none, or too much has changed for that.
        """
        if not self.searchers or not self.is_little_changed():
            return None
        added = Codes.concatenate([self.before[:0], *self.added])
        searcher = self.searchers.get(keep)
        if keep is not None:
            added = added.keep(keep)
            searcher = searcher or Searcher(self.before.keep(keep), metric)
        return None if searcher is None else ChangedSearcher(searcher, added, self.source)


class IndexState:
    """Codes with their ids, and what searches them.

    Parameters
    ----------
    metric : str
    layers : Layers
        The codes.
    ids : Ids
        Of all rows.
    n_added : int
        Rows ever added: the next default id, free also after a removal.
    making : Lock, optional
        Held while something is made of the codes.  All states of an index have the same.
    made_by : str, optional
        The fingerprint of the encoder that made the codes; ``codes`` says it, too.
    """

    def __init__(
        self,
        metric: str,
        layers: Layers,
        ids: Ids,
        n_added: int,
        making: Lock | None = None,
        made_by: str | None = None,
    ):
        self.metric, self.ids, self.n_added, self.made_by = metric, ids, n_added, made_by
        self._layers = layers
        self._codes: Codes | None = None
        self._searchers: dict[int | None, Searcher | ChangedSearcher] = {}  # by ``keep``
        self._making = Lock() if making is None else making

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def codes(self) -> Codes:
        """All codes, by row."""
        codes = self._codes
        if codes is None:
            with self._making:
                if self._codes is None:
                    self._codes = replace(self._layers.joined(), made_by=self.made_by)
                    if not self._layers.searchers and self._layers.is_changed():
                        self._layers = Layers(self._codes)  # the parts are not needed any more
                codes = self._codes
        return codes

    def row_of(self, id: object) -> int:
        """Return the row of ``id``.  Raises ValueError if there is none."""
        row = self.ids.row_of(id)
        if row is None:
            raise ValueError(
                f"The id {shown(id)} is not in this index of {len(self)} rows. See .ids for those that are."
            )
        return row

    def searcher(self, keep: int | None = None) -> Searcher | ChangedSearcher:
        """Return what searches these rows, whole or with the ``keep`` largest values of each.

        The last one made is kept, beside that of whole codes.
        """
        searcher = self._searchers.get(keep)
        if searcher is None:
            with self._making:
                searcher = self._searchers.get(keep)
                if searcher is None:
                    searcher = self._new_searcher(keep)
                    searchers = {keep: searcher}
                    if None in self._searchers:
                        searchers[None] = self._searchers[None]
                    self._searchers = searchers
        return searcher

    def _new_searcher(self, keep: int | None) -> Searcher | ChangedSearcher:
        changed = self._layers.changed_searcher(keep, self.metric)
        if changed is not None:
            # Besides that of whole codes, one is kept.
            searchers: dict[int | None, Searcher] = {
                k: one for k, one in self._layers.searchers.items() if keep is None or k is None
            }
            searchers[keep] = changed.before
            self._layers = self._layers._replace(searchers=searchers)
            return changed
        codes = self.codes
        if self._layers.is_changed():
            self._layers = Layers(codes)  # those of before are of no use any more
        return Searcher(codes if keep is None else codes.keep(keep), self.metric)

    def postings(self) -> Postings:
        """Return the postings of these rows; they are made if that was not done yet."""
        searcher = self.searcher()
        if isinstance(searcher, ChangedSearcher):
            searcher = Searcher(self.codes, self.metric)
            with self._making:
                self._layers, self._searchers = Layers(self.codes), {**self._searchers, None: searcher}
        return searcher.prepare()

    def take_postings(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Use stored postings of these codes as they were before they changed.

        ``arrays`` are those that ``Searcher.stored`` explains.
        """
        searcher = Searcher.stored(self._layers.before, self.metric, arrays)
        if not searcher.has_postings():
            self._layers = self._layers._replace(
                saved={}
            )  # They are not those of these codes: save all anew.
        elif self._layers.is_changed():
            self._layers = self._layers._replace(searchers={None: searcher})
        else:
            self._searchers = {None: searcher}

    def saved_changes(self) -> tuple[Changes, Mapping[str, Kept]] | None:
        """Return what has changed since codes were saved, and their files; None if they were not, or it is much."""
        with self._making:
            layers = self._layers
        return (layers.changes(), layers.saved) if layers.saved and layers.is_little_changed() else None

    def take_saved(self, saved: Mapping[str, Kept]) -> None:
        """Remember the files in which these rows were ``saved`` whole."""
        with self._making:
            if not self._layers.is_changed():
                self._layers = self._layers._replace(saved=saved)

    def _layers_now(self) -> Layers:
        """Return the layers that a change begins with: on top of the last codes that were prepared for search."""
        made = {
            keep: one
            for keep, one in self._searchers.items()
            if isinstance(one, Searcher) and one.is_prepared()
        }
        if None in made:
            layers = self._layers
            return Layers(self.codes, searchers=made, saved={} if layers.is_changed() else layers.saved)
        return self._layers

    def named(self, made_by: str | None) -> IndexState:
        """Return the state of the same rows, as codes that ``made_by`` made."""
        state = copy.copy(self)
        state.made_by, state._codes = made_by, None
        return state

    def with_added(self, codes: Codes, ids: Sequence[Id] | None, on_duplicate: str) -> IndexState:
        """Return the state after ``CodeIndex.add`` of checked ``codes``.

        ``ids`` and ``on_duplicate`` are those of ``add``, which tells the errors, too.
        """
        if len(self):
            one_model([self.made_by, codes.made_by])
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
        layers = self._layers_now()
        source, n = layers.source, len(layers.before) + sum(map(len, layers.added))
        fresh = codes if len(new) == len(codes) else codes[[*replaced.values(), *new.values()]]
        if replaced or source is not None:
            source = np.concatenate([layers.rows(), n + len(replaced) + np.arange(len(new))])  # (n + new,)
            source[list(replaced)] = n + np.arange(len(replaced))
        layers = layers.with_added(fresh, source).without_waste()
        ids_after = self.ids.extended(list(new))
        made_by = self.made_by
        if len(fresh) and (made_by is None or not len(self)):  # Codes of which no row comes in name no one.
            made_by = codes.made_by
        return IndexState(self.metric, layers, ids_after, self.n_added + len(codes), self._making, made_by)

    def without(self, rows: list[int]) -> IndexState:
        """Return the state after the removal of ``rows``."""
        layers, rows = self._layers_now(), sorted(set(rows))
        layers = layers._replace(source=np.delete(layers.rows(), rows)).without_waste()
        ids = self.ids.without(rows)
        return IndexState(self.metric, layers, ids, self.n_added, self._making, self.made_by)

    def check(self, changes: Changes | None = None) -> None:
        """Raise ValueError if this state is damaged: codes that are no codes, or not one id for each.

        With ``changes``, which alone are to be saved, the rows that did not change are not looked at.
        """
        codes, n = self.codes if changes is None else changes.added, len(self)
        rows = len(codes) if changes is None else len(self._layers.rows())
        if rows != n or len(set(self.ids)) != n:
            wrong = f"{n} ids, {len(set(self.ids))} of them different, came with {rows} codes"
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
