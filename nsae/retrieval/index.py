"""CodeIndex: the nearest codes to a query, and why they are near.

The definitions of its distances are in ``distances.py``; ``postings.py`` computes them from the few units
that are active.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.errors import ModelFormatError, one_of
from nsae.retrieval.counterfactual import Counterfactual, counterfactual
from nsae.retrieval.explain import explain
from nsae.retrieval.folder import read_folder, write_folder
from nsae.retrieval.hits import Hits, collect
from nsae.retrieval.postings import Postings, squared_norms_of

METRICS = ("cosine", "l2", "dot")
MAX_NORM = 1e19  # a larger norm could make a distance, which is reported in float32, infinite


class CodeIndex:
    """Sparse codes with ids, searched by distance.

    Rows are kept in insertion order, values as float32 (codes in float64 are rounded).

    Parameters
    ----------
    n_units : int
        h, the number of units of the model that makes the codes.
    metric : "cosine", "l2" or "dot"
        Eq. (23), (24) or (25).

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
        self._row_of: dict[int | str, int] = {}  # id -> row; a dict keeps its order, so the keys are the ids
        self._n_added = 0  # rows ever added: the next default id, free also after a removal
        self._postings: Postings | None = None  # made by search, for its ``keep``; dropped by add and remove
        self._postings_keep: int | None = None

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, id: object) -> bool:
        return id in self._row_of

    def __repr__(self) -> str:
        return f"CodeIndex({self.n_units}, metric={self.metric!r}) with {len(self)} rows"

    @property
    def ids(self) -> list[int | str]:
        """The ids, by row."""
        return list(self._row_of)

    @property
    def codes(self) -> Codes:
        """All codes, by row: n rows, values float32.  Not to be written to."""
        if len(self._parts) > 1:
            self._parts = [Codes.concatenate(self._parts)]
        return self._parts[0]

    def add(self, codes: Codes | np.ndarray, ids: Iterable[int | str] | None = None) -> None:
        """Append codes; either all of them come in, or an error is raised and none does.

        Parameters
        ----------
        codes : Codes or (n, h) array
        ids : n strings or integers, optional
            By default numbers that count the rows ever added, so that a removed number never comes back.

        Raises
        ------
        ValueError
            If an id comes twice or is in the index, if there is not one id for each code, if codes are of
            another width, not finite, or of a norm above 1e19.
        TypeError
            If an id is neither string nor integer.
        """
        codes = _checked(codes, self.n_units)
        ids = range(self._n_added, self._n_added + len(codes)) if ids is None else _as_ids(ids)
        if len(ids) != len(codes):
            raise ValueError(f"{len(codes)} codes came with {len(ids)} ids. Give one id for each code.")
        rows: dict[int | str, int] = {}
        for row, id in enumerate(ids, start=len(self)):
            if id in self._row_of or rows.setdefault(id, row) != row:
                raise ValueError(
                    f"The id {id!r} comes twice. Ids are unique: remove({id!r}) first, or rename it."
                )
        self._row_of |= rows
        self._parts.append(codes)
        self._n_added += len(codes)
        self._postings = None

    def remove(self, ids: Iterable[int | str]) -> None:
        """Take out the rows with these ids; the rows after them move up.

        Raises ValueError if an id is not in the index; then nothing is removed.
        """
        gone = [self._row(id) for id in _as_ids(ids)]
        stays = np.ones(len(self), bool)  # (n,)
        stays[gone] = False
        self._parts = [self.codes[stays]]
        left = [id for id, row in self._row_of.items() if stays[row]]
        self._row_of = {id: row for row, id in enumerate(left)}
        self._postings = None

    def search(
        self,
        codes: Codes | np.ndarray,
        k: int = 10,
        *,
        keep: int | None = None,
        exclude: Sequence[int | str | None] | None = None,
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
        exclude : q ids or None, optional
            For each query an id that it shall not find, or None (leave-one-out).

        Returns
        -------
        Hits
            Ascending in the distance as reported, float32; ties in insertion order.

        Raises
        ------
        ValueError
            If k or keep is below 1, an excluded id is not in the index, or the queries are not codes that
            could be added.
        """
        queries = _checked(codes, self.n_units)
        excluded = [None] * len(queries) if exclude is None else self._excluded(exclude, len(queries))
        if keep is not None:
            queries = queries.keep(keep)
        if self._postings is None or self._postings_keep != keep:
            self._postings = Postings.of(self.codes if keep is None else self.codes.keep(keep))
            self._postings_keep = keep
        postings, squared_norms = self._postings, squared_norms_of(queries)

        def distances() -> Iterator[np.ndarray]:
            for query, squared_norm, left_out in zip(queries, squared_norms, excluded, strict=True):
                row = postings.distances(*query, squared_norm, self.metric).astype(np.float32)  # (n,)
                if left_out is not None:
                    row[left_out] = np.inf
                yield row

        return collect(distances(), self.ids, len(queries), k)

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
            for cosine 1 − distance, for the other metrics see :func:`nsae.retrieval.explain.explain`.

        Raises
        ------
        ValueError
            If the id is not in the index, top < 1, or not one code came.
        """
        code = _checked(code, self.n_units)
        return explain(code, self.codes[self._row(_as_id(id))], top, metric=self.metric)

    def counterfactual(
        self, code: Codes | np.ndarray, id: int | str, k: int = 10, **options: Any
    ) -> Counterfactual | None:
        """The smallest set of the query's units whose removal drops the row ``id`` out of its top k.

        Arguments, result and errors are those of
        :func:`nsae.retrieval.counterfactual.counterfactual`, which takes the options of ``search``; of
        ``exclude``, it takes the one id.
        """
        return counterfactual(self, _checked(code, self.n_units), self._row(_as_id(id)), k, **options)

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
        write_folder(path, self.codes, self.ids, header, overwrite=overwrite, extra_files=extra_files or {})

    @classmethod
    def load(cls, path: str | os.PathLike) -> CodeIndex:
        """The index that ``save`` wrote at ``path``.

        Raises ModelFormatError, a ValueError, if a file is missing, truncated, altered, not from an
        index, or from a newer nsae.
        """
        manifest, codes, ids = read_folder(path)
        try:
            index = cls(manifest["n_units"], metric=manifest["metric"])
            index.add(codes, ids)
            index._n_added = operator.index(manifest["n_added"])
        except (ValueError, TypeError, KeyError) as error:
            raise ModelFormatError(
                f"{path} does not hold a usable index: {error} Restore the folder, or index again."
            ) from error
        return index

    def _row(self, id: int | str) -> int:
        if id not in self._row_of:
            raise ValueError(
                f"The id {id!r} is not in this index of {len(self)} rows. See .ids for those that are."
            )
        return self._row_of[id]

    def _excluded(self, exclude: Sequence[int | str | None], q: int) -> list[int | None]:
        if len(exclude) != q:
            raise ValueError(
                f"{q} queries came with {len(exclude)} entries of exclude. Give an id or None for each."
            )
        return [None if id is None else self._row(_as_id(id)) for id in exclude]


def _checked(codes: Codes | np.ndarray, n_units: int) -> Codes:
    """A copy of the codes that is safe to search: n_units wide, float32, finite, units ascending."""
    if not isinstance(codes, Codes):
        Z = np.asarray(codes)
        if Z.ndim not in (1, 2) or Z.dtype.kind not in "fiub":
            raise ValueError(f"Codes or an array (n, h) are expected, got shape {Z.shape} of {Z.dtype}.")
        codes = Codes.from_dense(Z)
    if codes.n_units != n_units:
        raise ValueError(
            f"The codes have {codes.n_units} units, the index has {n_units}. "
            "Encode with the model that the index was made with."
        )
    if (codes.counts < 0).any():
        raise ValueError("indptr must not decrease.")
    rows, units = codes.row_of_entry(), codes.units  # (nnz,), (nnz,)
    outside = (units < 0) | (units >= n_units)
    if outside.any():
        raise ValueError(f"Units from 0 to {n_units - 1} are expected, got {units[outside][0]}.")
    disorder = (rows[1:] == rows[:-1]) & (units[1:] <= units[:-1])
    if disorder.any():
        raise ValueError(
            f"Units must ascend within a row, those of row {rows[1:][disorder][0]} do not. "
            "Codes.from_dense and encode() make them so."
        )
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused below
        values = codes.values.astype(np.float32)  # (nnz,)
    stored = values != 0  # what is below float32 becomes 0, and zeros are not stored
    indptr = np.zeros(len(codes) + 1, np.int64)
    np.cumsum(np.bincount(rows[stored], minlength=len(codes)), out=indptr[1:])
    codes = Codes(indptr, units[stored].astype(np.int32), values[stored], n_units)
    norms = codes.norms()
    bad = np.flatnonzero(~(norms <= MAX_NORM))  # NaN is not below either
    if len(bad):
        raise ValueError(
            f"Finite codes of a norm up to {MAX_NORM:g} are expected, row {bad[0]} has norm {norms[bad[0]]}. "
            "Look for NaN or infinity in the model's input."
        )
    return codes


def _as_ids(ids: Iterable[int | str]) -> list[int | str]:
    """Ids as a list; a single one counts as a list of one."""
    return [_as_id(id) for id in ([ids] if isinstance(ids, str | Integral) else ids)]


def _as_id(id: int | str) -> int | str:
    """NumPy's strings and integers as Python's, which equal ids need to be equal keys."""
    if isinstance(id, str):
        return str(id)
    if isinstance(id, Integral) and not isinstance(id, bool):
        return int(id)
    raise TypeError(f"An id is expected to be a string or an integer, got {id!r} ({type(id).__name__}).")
