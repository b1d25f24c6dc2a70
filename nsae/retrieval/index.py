"""CodeIndex: the nearest codes to a query, and why they are near.

The definitions of its distances are in ``distances.py``.  ``search/brute_force.py`` computes them from the few
units that are active, and ``search/searcher.py`` finds the same hits without computing all distances.
"""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes, checked_codes, one_model, statistics
from nsae.errors import ModelFormatError
from nsae.retrieval.explain.contributions import explain
from nsae.retrieval.explain.counterfactual import Counterfactual, counterfactual
from nsae.retrieval.filters import Filters, excluded_rows
from nsae.retrieval.hits import Hits, columns
from nsae.retrieval.ids import Ids, as_id, as_ids, unique_ids
from nsae.retrieval.index_state import IndexState, Layers
from nsae.retrieval.on_disk.index_folder import read_folder, write_changes, write_folder
from nsae.retrieval.options import EXECUTION, FILTERING, check_options
from nsae.retrieval.search.brute_force import METRICS
from nsae.retrieval.search.changed import ChangedSearcher
from nsae.retrieval.search.postings import VERSION, WINDOW
from nsae.retrieval.search.searcher import Searcher, whole_arrays
from nsae.retrieval.search.within import checked_radius
from nsae.system.locks import Lock
from nsae.validation import one_of, shown

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from typing import Unpack
    else:
        from typing_extensions import Unpack

    from nsae.retrieval.options import Execution, SearchOptions, Weights, Where

CHECKED_BYTES = 1 << 16  # Codes of that size are checked also where they could be mapped.
MOST_UNITS = 1 << 31  # Units are numbered in int32.
ON_DUPLICATE = ("raise", "replace", "skip")


class CodeIndex:
    """Sparse codes with ids, searched by distance.

    Rows are kept in insertion order, values as float32 (codes in float64 are rounded).

    Threads may search and change one index at the same time.  A search sees the rows of one moment: those
    before a change or those after it.  Changes come one after the other, and each of them happens whole or
    not at all, also where Ctrl-C interrupts it.  ``copy.copy`` gives an index of its own with the same rows.

    Parameters
    ----------
    n_units : int
        h, the number of units of the model that makes the codes.
    metric : "cosine", "l2", "dot", "jaccard" or "hamming"
        Eq. (23), (24), (25), (32) or (33).

    Attributes
    ----------
    made_by : str or None
        The ``fingerprint`` of the encoder that made the first codes that say it, as those of ``encode`` do.  Codes
        of another encoder are then refused, as rows and as queries.  ``codes`` says it, too.

    Raises
    ------
    ValueError
        If the metric is unknown, or n_units is below 1 or does not fit int32.
    """

    def __init__(self, n_units: int, *, metric: str = "cosine"):
        self.n_units = operator.index(n_units)
        if not 1 <= self.n_units < MOST_UNITS:
            raise ValueError(
                f"n_units={shown(n_units)} is expected to be from 1 to {MOST_UNITS - 1}: the width of the "
                "model's codes."
            )
        self.metric = one_of("metric", metric, METRICS)
        nothing = Codes.from_dense(np.zeros((0, self.n_units), np.float32))
        self._state = IndexState(self.metric, Layers(nothing), Ids(), 0)  # replaced whole, by one assignment
        self._changing = Lock()  # one change at a time

    def __len__(self) -> int:
        return len(self._state)

    def __contains__(self, id: object) -> bool:
        return id in self._state.ids

    def __repr__(self) -> str:
        return f"CodeIndex({self.n_units}, metric={self.metric!r}) with {len(self)} rows"

    @property
    def made_by(self) -> str | None:
        """The fingerprint of the encoder that made the codes, as far as it is known."""
        return self._state.made_by

    @made_by.setter
    def made_by(self, made_by: str | None) -> None:
        """Take ``made_by`` for the encoder of all rows; None takes its name off."""
        if not isinstance(made_by, str | None):
            raise TypeError(
                f"made_by={shown(made_by)} is of type {type(made_by).__name__}; the fingerprint of an encoder, or "
                "None, was expected."
            )
        with self._changing:
            self._state = self._state.named(made_by)

    @property
    def ids(self) -> list[int | str]:
        """The ids, by row."""
        return self._state.ids.tolist()

    @property
    def codes(self) -> Codes:
        """All codes, by row: n rows, values float32.  Not to be written to."""
        return self._state.codes

    def codes_and_ids(self) -> tuple[Codes, Ids]:
        """Return all codes and their ids, by row, both of one moment."""
        state = self._state
        return state.codes, state.ids

    def row_of(self, id: int | str) -> int:
        """Return the row of ``id``.

        Raises ValueError if it is not in the index, TypeError if it is neither string nor integer.
        """
        return self._state.row_of(as_id(id))

    def add(
        self,
        codes: Codes | np.ndarray,
        ids: Iterable[int | str] | None = None,
        *,
        on_duplicate: str = "raise",
    ) -> None:
        """Append codes; either all of them come in, or an error is raised and none does.

        Parameters
        ----------
        codes : Codes or (n, h) array
        ids : n strings or integers, optional
            By default numbers that count the rows ever added, so that a removed number never comes back.
        on_duplicate : "raise", "replace" or "skip"
            What becomes of an id that is in the index or comes twice: an error; the later code, in the row
            that the id has; or the earlier one.

        Raises
        ------
        ValueError
            If an id comes twice or is in the index and ``on_duplicate`` is "raise", if there is not one id
            for each code, if codes are of another width or made by another model, not finite, or of a norm above
            1e19.
        TypeError
            If an id is neither string nor integer.
        """
        one_of("on_duplicate", on_duplicate, ON_DUPLICATE)
        codes = self._own(codes)
        known = None if ids is None else as_ids(ids)
        with self._changing:
            self._state = self._state.with_added(codes, known, on_duplicate)

    def remove(self, ids: Iterable[int | str]) -> None:
        """Take out the rows with these ids; the rows after them move up.

        Raises ValueError if one of the ``ids`` is not in the index; then nothing is removed.
        """
        known = as_ids(ids)
        with self._changing:
            state = self._state
            self._state = state.without([state.row_of(id) for id in known])

    def merge(self, *others: CodeIndex) -> None:
        """Append the rows of ``others``; either all of them come in, or an error is raised and none does.

        Raises ValueError if an id is in two of them, or they are of another width, metric or model, and TypeError if
        one is no ``CodeIndex``.  All rows come into memory; ``nsae.retrieval.merge_folders`` merges indexes on disk
        without that.
        """
        for other in others:
            if not isinstance(other, CodeIndex):
                raise TypeError(
                    f"A CodeIndex is expected, got {type(other).__name__}. Codes are added by add(codes, ids)."
                )
            if other.metric != self.metric:
                raise ValueError(
                    f"An index with metric={self.metric!r} cannot take in one with {other.metric!r}. If that "
                    "is what you want: add(other.codes, other.ids)."
                )
            if other.n_units != self.n_units:
                raise ValueError(
                    f"An index of {self.n_units} units cannot take in one of {other.n_units}: their codes "
                    "come from different models."
                )
        if others:
            states = [other._state for other in others]
            ids = [id for state in states for id in state.ids]
            made_by = one_model([state.made_by for state in states if len(state)])
            codes = replace(Codes.concatenate([state.codes for state in states]), made_by=made_by)
            n_added = max(state.n_added for state in states)
            with self._changing:
                merged = self._state.with_added(codes, ids, "raise")
                merged.n_added = max(merged.n_added, n_added)
                self._state = merged

    def warm_up(self) -> None:
        """Prepare for searches, so that none of them has to wait: a service calls this before its first query.

        Otherwise the first searches make or read what all of them need, and "auto" loads Numba when there was
        enough to compare, which takes a few tenths of a second once.
        """
        self._state.searcher().warm_up()

    def stats(self) -> dict[str, int | float]:
        """Return what the index holds, in numbers.

        ``rows``, ``units``, ``nonzeros``, ``bytes`` (of the codes), ``active_units_a_row`` (mean),
        ``zero_codes`` (rows without any unit, which match nothing), ``dead_units`` (active in no row) and
        ``most_common_unit_fraction`` (the fraction of rows in which the most common unit is active).
        """
        return statistics(self.codes)

    def search(
        self,
        codes: Codes | np.ndarray,
        k: int = 10,
        *,
        keep: int | None = None,
        where: Where | None = None,
        require: Iterable[int] = (),
        forbid: Iterable[int] = (),
        weights: Weights | None = None,
        exclude: Sequence[int | str | None] | None = None,
        **execution: Unpack[Execution],
    ) -> Hits:
        """Find the k nearest rows to each query.

        Parameters
        ----------
        codes : Codes, (q, h) array or (h,) array
            The queries.
        k : int
            Hits for each query.  Where the index has fewer, they are padded and ``counts`` tells; see ``Hits``
            for a k above 1,000.
        keep : int, optional
            Compare only the ``keep`` largest values of each code, of queries and rows alike.
        where : (n,) bool or function of an id, optional
            Which rows may be found.
        require, forbid : units
            Find only rows in which all, and none, of these are active.
        weights : (h,) array or dict of unit to weight, optional
            0, or 1e-60 and more, and 1 for units that a dict leaves out.  q·z becomes Σ wⱼqⱼzⱼ and ‖z‖² Σ wⱼzⱼ²;
            the units of a support count as wⱼ each.
        exclude : q ids or None, optional
            For each query an id that it shall not find, or None (leave-one-out).
        **execution
            How the search is run; the hits are the same.  ``n_threads`` (by default 1) is over how many threads
            several queries are spread; None and −1 are as many as there are processors.  ``backend`` is "auto",
            "numpy" or "numba"; "auto" is numba where it is installed and there is enough to do.

        Returns
        -------
        Hits
            Ascending in the distance as reported, float32; ties in insertion order.

        Raises
        ------
        ValueError
            If k or keep is below 1, an excluded id is not in the index, an option does not fit the index,
            weights are so large that distances could be infinite, or the queries are not codes that could be
            added.
        TypeError
            If an option has another name.

        Examples
        --------
        >>> import numpy as np
        >>> from nsae import CodeIndex
        >>> index = CodeIndex(3)
        >>> index.add(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), ids=["a", "b"])
        >>> hits = index.search(np.array([1.0, 0.0, 0.0]), k=2)
        >>> hits.ids[0].tolist(), hits.distances[0].round(2).tolist()
        (['a', 'b'], [0.29, 1.0])
        >>> index.search(np.array([1.0, 0.0, 0.0]), k=2, forbid=[1]).ids[0].tolist()
        ['b', None]
        """
        options: SearchOptions = {
            "keep": keep,
            "where": where,
            "require": require,
            "forbid": forbid,
            "weights": weights,
            "exclude": exclude,
            **execution,
        }
        check_options("search", options)
        state = self._state
        k = columns(k, len(state))
        searcher, queries, filters, how = self._prepared(state, codes, options)
        return Hits.of(*searcher.search(queries, k, filters, **how), state.ids)

    def within(self, codes: Codes | np.ndarray, radius: float, **options: Unpack[SearchOptions]) -> Hits:
        """Find all rows at a distance up to ``radius`` from each query, padded to the longest list.

        ``codes``, ``options``, result and errors are those of :meth:`search`.  ``radius``, which may not be
        NaN, is rounded to float32, as distances are.
        """
        check_options("within", options)
        radius = checked_radius(radius)
        state = self._state
        searcher, queries, filters, execution = self._prepared(state, codes, options)
        return Hits.of(*searcher.within(queries, radius, filters, **execution), state.ids)

    def explain(self, code: Codes | np.ndarray, id: int | str, top: int = 10) -> list[tuple[int, float]]:
        """Tell why ``code`` matches the row ``id``: units active in both and their contributions, Eq. (26).

        Parameters
        ----------
        code : Codes of one row, or (h,) array
        id : str or int
        top : int
            At most so many units.

        Returns
        -------
        list of (unit, contribution)
            Largest contribution first, ties by lowest unit.  Over all units they add up to the similarity:
            for cosine 1 − distance, for the other metrics see
            :func:`nsae.retrieval.explain.contributions.explain`.

        Raises
        ------
        ValueError
            If the id is not in the index, top < 1, or not one code came.
        ModelFormatError, a ValueError
            If the index is mapped, and its file is damaged.
        """
        code, state = self._own(code), self._state
        row = state.row_of(as_id(id))
        with whole_arrays():
            row_code = checked_codes(state.codes[row], self.n_units)
        return explain(code, row_code, top, metric=self.metric)

    def counterfactual(
        self, code: Codes | np.ndarray, id: int | str, k: int = 10, **options: Any
    ) -> Counterfactual | None:
        """Return the smallest set of the query's units whose removal drops the row ``id`` out of its top k.

        ``code``, ``k``, ``options``, result and errors are those of
        :func:`nsae.retrieval.explain.counterfactual.counterfactual`.  Options are those of :meth:`search`; of
        ``exclude``, it takes the one id.
        """
        check_options("counterfactual", options)
        state = self._state

        def search(queries: Codes, k: int, **options: Any) -> Hits:
            searcher, queries, filters, execution = self._prepared(state, queries, options)
            return Hits.of(*searcher.search(queries, k, filters, **execution), state.ids)

        query, row = self._own(code), state.row_of(as_id(id))
        return counterfactual(search, state.codes, query, row, k, metric=self.metric, **options)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        extra_files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write the index as a folder, beside its place first and then renamed into it.

        If it was saved there or loaded from there, and few of many rows (above 16,384) have changed since, only
        these and the ids are written; the other files stay.  More than a 64th of new rows, or a quarter of
        removed ones, and everything is written anew, as it is under another name.  Codes must not be written to:
        a value that someone has changed in ``index.codes`` is lost where its row is not among those that are written.

        Parameters
        ----------
        path : str or PathLike
        overwrite : bool
            Replace an index that is there.  A folder that is not an index is never replaced.
        extra_files : mapping of file name to bytes, optional
            Further files of the folder, such as the encoder that makes the codes.  They are
            listed with their checksums and verified by ``load``.

        Raises
        ------
        FileExistsError, FileNotFoundError
            If the path is taken, or its parent folder does not exist.
        ValueError
            If an extra file's name is a path, or a name that the index uses; or if someone has written to
            the index's codes, so that they could not be loaded again.
        """
        state = self._state
        header = {"metric": self.metric, "n_units": self.n_units, "n_added": state.n_added}
        if state.made_by is not None:
            header["made_by"] = state.made_by
        files: dict[str, Any] = {"overwrite": overwrite, "extra_files": extra_files or {}}
        changed = state.saved_changes()
        if changed is not None:
            changes, kept = changed
            state.check(changes)
            changed_header = {**header, "search_version": VERSION}
            if write_changes(path, changes, state.ids, changed_header, kept=kept, **files):
                return
        state.check()
        # The search structure of few rows is made again sooner than it is read.
        search = state.postings().arrays() if len(state) > WINDOW else None
        saved = write_folder(
            path, state.codes, state.ids, header, search=search, search_version=VERSION, **files
        )
        state.take_saved(saved)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, mmap: bool = False) -> CodeIndex:
        """Return the index that ``save`` wrote at ``path``.

        Parameters
        ----------
        path : str or PathLike
        mmap : bool
            Map the arrays instead of reading them: opening takes the same few milliseconds whatever their
            size, and processes share the memory.  Then only the manifest and the sizes of large files are
            checked; ``verify`` checks everything.  The arrays stay what they are when the index on disk is
            replaced.

        Raises
        ------
        ModelFormatError, a ValueError
            If a file is missing, truncated, altered, not from an index, or from a newer nsae.
        """
        stored = read_folder(path, mmap=mmap, search_version=VERSION)
        try:
            index = cls(stored.manifest["n_units"], metric=stored.manifest["metric"])
            n_added = operator.index(stored.manifest["n_added"])
            layers, ids = Layers.stored(stored.before, stored.changes, stored.kept), stored.ids
            if not mmap or layers.before.nbytes <= CHECKED_BYTES:
                layers = layers._replace(before=checked_codes(layers.before, index.n_units))
                ids = unique_ids(ids)
            made_by = stored.manifest.get("made_by")
            if not (made_by is None or isinstance(made_by, str)):
                raise TypeError(f"its made_by is {shown(made_by)}, where a text was expected.")
            index._state = IndexState(index.metric, layers, ids, n_added, made_by=made_by)
            if stored.search is not None:
                index._state.take_postings(stored.search)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelFormatError(
                f"{path} does not hold a usable index: {error} Restore the folder, or index again."
            ) from error
        return index

    @classmethod
    def verify(cls, path: str | os.PathLike[str]) -> None:
        """Read all that the index at ``path`` consists of, and check it: checksums, codes and ids.

        Raises ModelFormatError as ``load`` does.
        """
        cls.load(path)
        read_folder(path, mmap=False, search_version=VERSION, need_search=True)

    def _own(self, codes: Codes | np.ndarray) -> Codes:
        """Check ``codes``, and that they are not of another model than those of this index."""
        codes = checked_codes(codes, self.n_units)
        if len(self):
            one_model([self.made_by, codes.made_by])
        return codes

    def _prepared(
        self, state: IndexState, codes: Codes | np.ndarray, options: Mapping[str, Any]
    ) -> tuple[Searcher | ChangedSearcher, Codes, Filters, Mapping[str, Any]]:
        """Return what answers a search, its queries, its filters, and the options of its execution."""
        filtering = {name: value for name, value in options.items() if name in FILTERING}
        execution = {name: value for name, value in options.items() if name in EXECUTION}
        keep, exclude = options.get("keep"), options.get("exclude")
        if keep is not None:
            keep = min(operator.index(keep), self.n_units)
            if keep < 1:
                raise ValueError(f"keep={shown(keep)} is expected to be at least 1.")
        queries = self._own(codes)
        excluded = excluded_rows(exclude, len(queries), lambda id: state.row_of(as_id(id)))
        queries, searcher = queries if keep is None else queries.keep(keep), state.searcher(keep)
        filters = Filters.of(self.n_units, state.ids, searcher.rows_of, excluded, **filtering)
        return searcher, queries, filters, execution
