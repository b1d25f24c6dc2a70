"""CodeIndex: the nearest codes to a query, and why they are near.

The definitions of its distances are in ``distances.py``; ``brute_force.py`` computes them from the few units
that are active, and ``search.py`` finds the same hits without computing all.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nsae.codes import Codes, checked_codes, statistics
from nsae.errors import ModelFormatError
from nsae.retrieval.explain.counterfactual import Counterfactual, counterfactual
from nsae.retrieval.explain.shares import explain
from nsae.retrieval.filters import Conditions, Weights, Where, excluded_rows
from nsae.retrieval.hits import Hits
from nsae.retrieval.ids import Ids, as_id, as_ids
from nsae.retrieval.on_disk.index_folder import read_folder, write_folder
from nsae.retrieval.search.brute_force import METRICS
from nsae.retrieval.search.postings import VERSION, WINDOW
from nsae.retrieval.search.searcher import Searcher
from nsae.validation import one_of

ON_DUPLICATE = ("raise", "replace", "skip")


class CodeIndex:
    """Sparse codes with ids, searched by distance.

    Rows are kept in insertion order, values as float32 (codes in float64 are rounded).

    Parameters
    ----------
    n_units : int
        h, the number of units of the model that makes the codes.
    metric : "cosine", "l2", "dot", "jaccard" or "hamming"
        Eq. (23), (24), (25), (32) or (33).

    Raises
    ------
    ValueError
        If the metric is unknown or n_units < 1.
    """

    def __init__(self, n_units: int, *, metric: str = "cosine"):
        self.n_units = operator.index(n_units)
        if self.n_units < 1:
            raise ValueError(
                f"n_units={n_units} is expected to be at least 1: the width of the model's codes."
            )
        self.metric = one_of("metric", metric, METRICS)
        self._parts = [Codes.from_dense(np.zeros((0, self.n_units), np.float32))]  # joined when read
        self._ids = Ids()  # by row
        self._n_added = 0  # rows ever added: the next default id, free also after a removal
        self._searchers: dict[int | None, Searcher] = {}  # by ``keep``; dropped with the rows

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: object) -> bool:
        return id in self._ids

    def __repr__(self) -> str:
        return f"CodeIndex({self.n_units}, metric={self.metric!r}) with {len(self)} rows"

    @property
    def ids(self) -> list[int | str]:
        """The ids, by row."""
        return self._ids.tolist()

    @property
    def codes(self) -> Codes:
        """All codes, by row: n rows, values float32.  Not to be written to."""
        if len(self._parts) > 1:
            self._parts = [Codes.concatenate(self._parts)]
        return self._parts[0]

    def row_of(self, id: int | str) -> int:
        """The row of an id.  Raises ValueError if it is not in the index, TypeError if it can be none."""
        row = self._ids.rows.get(as_id(id))
        if row is None:
            raise ValueError(
                f"The id {id!r} is not in this index of {len(self)} rows. See .ids for those that are."
            )
        return row

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
            for each code, if codes are of another width, not finite, or of a norm above 1e19.
        TypeError
            If an id is neither string nor integer.
        """
        one_of("on_duplicate", on_duplicate, ON_DUPLICATE)
        codes = checked_codes(codes, self.n_units)
        ids = range(self._n_added, self._n_added + len(codes)) if ids is None else as_ids(ids)
        if len(ids) != len(codes):
            raise ValueError(f"{len(codes)} codes came with {len(ids)} ids. Give one id for each code.")
        new: dict[int | str, int] = {}  # id -> which of the codes becomes a new row
        other: dict[int, int] = {}  # row -> which of the codes takes its place
        for i, id in enumerate(ids):
            row = self._ids.rows.get(id)
            if on_duplicate == "raise" and (row is not None or id in new):
                raise ValueError(
                    f"The id {id!r} comes twice. Ids are unique: remove({id!r}) first, rename it, or say "
                    'on_duplicate="replace" or "skip".'
                )
            if row is None and (on_duplicate == "replace" or id not in new):
                new[id] = i  # a dict keeps the place where an id came first
            elif row is not None and on_duplicate == "replace":
                other[row] = i
        parts = self._parts
        if other:
            source = np.arange(len(self))  # (n,): rows of these codes, below them the new ones
            source[list(other)] = len(self) + np.fromiter(other.values(), np.int64)
            parts = [Codes.concatenate([self.codes, codes])[source]]
        fresh = codes if len(new) == len(codes) else codes[list(new.values())]
        self._ids.extend(list(new))
        self._set([*parts, fresh], self._ids, self._n_added + len(codes))

    def remove(self, ids: Iterable[int | str]) -> None:
        """Take out the rows with these ids; the rows after them move up.

        Raises ValueError if an id is not in the index; then nothing is removed.
        """
        gone = [self.row_of(id) for id in as_ids(ids)]
        stays = np.ones(len(self), bool)  # (n,)
        stays[gone] = False
        left = [id for id, stay in zip(self._ids, stays, strict=True) if stay]
        self._set([self.codes[stays]], Ids(left), self._n_added)

    def merge(self, *others: CodeIndex) -> None:
        """Append the rows of other indexes; either all of them come in, or an error is raised and none does.

        Raises ValueError if an id is in two of them, or they are of another width or metric.
        """
        for other in others:
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
            ids = [id for other in others for id in other.ids]
            n_added = max([self._n_added, *(other._n_added for other in others)])
            self.add(Codes.concatenate([other.codes for other in others]), ids)
            self._n_added = max(self._n_added, n_added)

    def stats(self) -> dict[str, int | float]:
        """What the index holds, in numbers.

        ``rows``, ``units``, ``nonzeros``, ``bytes`` (of the codes), ``active_units_a_row`` (mean),
        ``zero_codes`` (rows without any unit, which match nothing), ``dead_units`` (active in no row) and
        ``most_common_unit_share`` (the share of rows in which the most common unit is active).
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
        n_threads: int | None = 1,
        backend: str = "auto",
    ) -> Hits:
        """The k nearest rows to each query.

        Parameters
        ----------
        codes : Codes, (q, h) array or (h,) array
            The queries.
        k : int
            Hits for each query.  Where the index has fewer, they are padded and ``counts`` tells.
        keep : int, optional
            Compare only the ``keep`` largest values of each code, of queries and rows alike.
        where : (n,) bool or function of an id, optional
            Which rows may be found.
        require, forbid : units
            Find only rows in which all, and none, of these are active.
        weights : (h,) array or dict of unit to weight, optional
            At least 0, and 1 for units that a dict leaves out.  q·z becomes Σ wⱼqⱼzⱼ and ‖z‖² Σ wⱼzⱼ²; the
            units of a support count as wⱼ each.
        exclude : q ids or None, optional
            For each query an id that it shall not find, or None (leave-one-out).
        n_threads : int, optional
            Over which several queries are spread; None for as many as there are processors.
        backend : "auto", "numpy" or "numba"
            The same hits come from each.  "auto" is numba where it is installed and there is enough to do.

        Returns
        -------
        Hits
            Ascending in the distance as reported, float32; ties in insertion order.

        Raises
        ------
        ValueError
            If k or keep is below 1, an excluded id is not in the index, an option does not fit the index,
            or the queries are not codes that could be added.
        """
        if operator.index(k) < 1:
            raise ValueError(f"k={k} is expected to be at least 1: it is the number of hits a query gets.")
        options = {"where": where, "require": require, "forbid": forbid, "weights": weights}
        searcher, queries, conditions = self._prepared(codes, keep=keep, exclude=exclude, **options)
        found = searcher.search(queries, k, conditions, n_threads=n_threads, backend=backend)
        return Hits.of(*found, self._ids)

    def within(
        self,
        codes: Codes | np.ndarray,
        radius: float,
        *,
        n_threads: int | None = 1,
        backend: str = "auto",
        **options: Any,
    ) -> Hits:
        """All rows at a distance up to ``radius`` from each query, padded to the longest list.

        Options, result and errors are those of :meth:`search`.  ``radius``, which may not be NaN, is rounded
        to float32, as distances are.
        """
        if np.isnan(radius):
            raise ValueError("radius=nan is expected to be a number: the largest distance to be found.")
        searcher, queries, conditions = self._prepared(codes, **options)
        found = searcher.within(queries, radius, conditions, n_threads=n_threads, backend=backend)
        return Hits.of(*found, self._ids)

    def explain(self, code: Codes | np.ndarray, id: int | str, top: int = 10) -> list[tuple[int, float]]:
        """Why ``code`` matches the row ``id``: the units active in both, and their shares, Eq. (26).

        Parameters
        ----------
        code : Codes of one row, or (h,) array
        id : str or int
        top : int
            At most so many units.

        Returns
        -------
        list of (unit, share)
            Largest share first, ties by lowest unit.  Over all units the shares add up to the similarity:
            for cosine 1 − distance, for the other metrics see :func:`nsae.retrieval.explain.shares.explain`.

        Raises
        ------
        ValueError
            If the id is not in the index, top < 1, or not one code came.
        """
        code = checked_codes(code, self.n_units)
        return explain(code, self.codes[self.row_of(id)], top, metric=self.metric)

    def counterfactual(
        self, code: Codes | np.ndarray, id: int | str, k: int = 10, **options: Any
    ) -> Counterfactual | None:
        """The smallest set of the query's units whose removal drops the row ``id`` out of its top k.

        Arguments, result and errors are those of
        :func:`nsae.retrieval.explain.counterfactual.counterfactual`, which takes the options of ``search``; of
        ``exclude``, it takes the one id.
        """
        return counterfactual(self, checked_codes(code, self.n_units), self.row_of(id), k, **options)

    def save(
        self,
        path: str | os.PathLike,
        *,
        overwrite: bool = False,
        extra_files: Mapping[str, bytes] | None = None,
    ) -> None:
        """Write the index as a folder, beside its place first and then renamed into it.

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
            If an extra file's name is a path, or a name that the index uses.
        """
        header = {"metric": self.metric, "n_units": self.n_units, "n_added": self._n_added}
        # of few rows, it is made again sooner than read
        search = self._searcher(None).postings.arrays() if len(self) > WINDOW else None
        write_folder(
            path,
            self.codes,
            self._ids,
            header,
            overwrite=overwrite,
            extra_files=extra_files or {},
            search=search,
            search_version=VERSION,
        )

    @classmethod
    def load(cls, path: str | os.PathLike, *, mmap: bool = False) -> CodeIndex:
        """The index that ``save`` wrote at ``path``.

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
            if mmap:
                index._set([stored.codes], stored.ids, n_added)
            else:
                index.add(stored.codes, stored.ids)
                index._n_added = n_added
            if stored.search is not None:
                index._searchers[None] = Searcher.stored(index.codes, index.metric, stored.search)
        except (ValueError, TypeError, KeyError) as error:
            raise ModelFormatError(
                f"{path} does not hold a usable index: {error} Restore the folder, or index again."
            ) from error
        return index

    @classmethod
    def verify(cls, path: str | os.PathLike) -> None:
        """Read all that an index on disk consists of, and check it: checksums, codes and ids.

        Raises ModelFormatError as ``load`` does.
        """
        cls.load(path)
        read_folder(path, mmap=False, search_version=VERSION, need_search=True)

    def _set(self, parts: list[Codes], ids: Ids, n_added: int) -> None:
        """Take on new rows, and forget what was made of the old ones."""
        self._parts, self._ids, self._n_added, self._searchers = parts, ids, n_added, {}

    def _searcher(self, keep: int | None) -> Searcher:
        """What searches these rows; the last one made is kept, beside that of whole codes."""
        if keep not in self._searchers:
            codes = self.codes if keep is None else self.codes.keep(keep)
            whole = {None: self._searchers[None]} if None in self._searchers else {}
            self._searchers = {**whole, keep: Searcher(codes, self.metric)}
        return self._searchers[keep]

    def _prepared(
        self, codes: Codes | np.ndarray, *, keep: int | None = None, exclude: Any = None, **conditions: Any
    ) -> tuple[Searcher, Codes, Conditions]:
        queries = checked_codes(codes, self.n_units)
        excluded = excluded_rows(exclude, len(queries), self.row_of)
        queries, searcher = queries if keep is None else queries.keep(keep), self._searcher(keep)
        return searcher, queries, Conditions.of(searcher, self._ids, excluded, **conditions)
