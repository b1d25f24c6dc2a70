"""ShardedIndex: one index whose rows lie in several, searched as if they lay in one.

Each shard finds its own k nearest rows, exactly.  The k nearest of all are among these: a row that k others of its
own shard precede is preceded by them everywhere.  Distances are the same bits wherever a row lies, so rows at the
same distance are ties here as in one index, and come in insertion order: shard by shard.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes, check_not_masked, checked_codes
from nsae.retrieval.filters import excluded_rows
from nsae.retrieval.hits import Hits, columns
from nsae.retrieval.ids import as_id
from nsae.retrieval.index import CodeIndex
from nsae.retrieval.on_disk.manifest import read_manifest
from nsae.retrieval.on_disk.merge import check_alike
from nsae.retrieval.on_disk.unique_ids import check_unique
from nsae.retrieval.options import check_options
from nsae.retrieval.search.records import Found
from nsae.system.threads import Threads
from nsae.validation import shown

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from typing import Unpack
    else:
        from typing_extensions import Unpack

    from nsae.retrieval.options import SearchOptions

Shard = CodeIndex | str | os.PathLike[str]
Ask = tuple[str, Any]  # "search" and k, or "within" and a radius
PATIENCE = 60.0  # seconds for a worker to search a shard
SEVERAL = ("require", "forbid", "exclude")  # options that may be any iterable


class ShardedIndex:
    """Shards that are searched as one index: the hits of a ``CodeIndex`` of all rows, ties included.

    Rows are counted through all shards, in their order.

    Parameters
    ----------
    shards : sequence of CodeIndex or paths
        At least one; paths are folders that ``CodeIndex.save`` wrote, and are mapped.  A shard may be empty.
    client : distributed.Client, optional
        Of a Dask cluster whose workers see the folders.  Each shard is then searched on a worker, as often as
        possible on the same one, which keeps it open.
    check_ids : bool
        Look for ids that come twice, which reads all ids.  False for shards that are known to have ids of
        their own, such as those of ``nsae.distributed.build_index``.

    Attributes
    ----------
    n_units : int
    metric : str

    Raises
    ------
    ModelFormatError, a ValueError
        A folder is not an index, or is damaged.
    ValueError
        There is no shard; an id is in two of them; or they differ in metric, width, or extra files, such as
        the encoder.  Indexes in memory have no extra files, and are compared with none.
    TypeError
        Something else than folders was given with a ``client``.

    Examples
    --------
    >>> import numpy as np
    >>> from nsae import CodeIndex
    >>> from nsae.retrieval import ShardedIndex
    >>> shards = [CodeIndex(2), CodeIndex(2)]
    >>> shards[0].add(np.array([[1.0, 1.0], [0.0, 1.0]]), ids=["a", "b"])
    >>> shards[1].add(np.array([[1.0, 0.0], [2.0, 0.0]]), ids=["c", "d"])
    >>> ShardedIndex(shards).search(np.array([1.0, 0.0]), k=3).ids.tolist()
    [['c', 'd', 'a']]
    """

    def __init__(self, shards: Sequence[Shard], *, client: Any = None, check_ids: bool = True):
        shards = [shards] if isinstance(shards, (str, os.PathLike, CodeIndex)) else list(shards)
        names = [f"shard {i}" if isinstance(s, CodeIndex) else os.fspath(s) for i, s in enumerate(shards)]
        manifests = [_manifest(shard) for shard in shards]
        check_alike(names, manifests)
        self._seals = [_seal(manifest) for manifest in manifests]
        self._folders = [None if isinstance(shard, CodeIndex) else os.path.abspath(shard) for shard in shards]
        if client is not None and None in self._folders:
            raise TypeError(
                "With a client, shards are given as folders that its workers see. Save them first."
            )
        self._client = client
        self._shards = [
            shard if isinstance(shard, CodeIndex) else _opened(os.fspath(shard), seal)
            for shard, seal in zip(shards, self._seals, strict=True)
        ]
        self.n_units, self.metric = self._shards[0].n_units, self._shards[0].metric
        if check_ids:
            check_unique(names, [shard.codes_and_ids()[1] for shard in self._shards])

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def __contains__(self, id: object) -> bool:
        return any(id in shard for shard in self._shards)

    def __repr__(self) -> str:
        shards = f"{len(self._shards)} shard{'s' * (len(self._shards) != 1)}"
        return f"ShardedIndex({self.n_units}, metric={self.metric!r}) with {len(self)} rows in {shards}"

    @property
    def ids(self) -> list[int | str]:
        """The ids, by row."""
        return [id for shard in self._shards for id in shard.ids]

    def row_of(self, id: int | str) -> int:
        """Return the row of ``id``; ValueError if it is in no shard, TypeError if it is no string or integer."""
        which, start = self._shard_of(as_id(id)), self._starts()
        return int(start[which]) + self._shards[which].row_of(id)

    def search(self, codes: Codes | np.ndarray, k: int = 10, **options: Unpack[SearchOptions]) -> Hits:
        """Find the k nearest rows to each query.

        Parameters
        ----------
        codes : Codes, (q, h) array or (h,) array
            The queries.
        k : int
            Hits for each query.
        **options
            Those of ``CodeIndex.search``: keep, where, require, forbid, weights, exclude, n_threads, backend.
            One query is spread over ``n_threads`` by shards, and several by queries.

        Returns
        -------
        Hits
            The same as of a ``CodeIndex`` of all rows.

        Raises
        ------
        ValueError, TypeError
            As ``CodeIndex.search``.
        ValueError
            With a ``client``: a worker opens a shard that was replaced since this object was made.
        """
        check_options("search", options)
        k = columns(k, len(self))
        found = self._ask(codes, lambda shard: ("search", min(k, max(1, len(shard)))), options)
        return _joined(found, self._starts(), k)

    def within(self, codes: Codes | np.ndarray, radius: float, **options: Unpack[SearchOptions]) -> Hits:
        """Find all rows at a distance up to ``radius`` from each query, as ``CodeIndex.within`` does.

        ``codes``, ``options``, result and errors are those of :meth:`search`.
        """
        check_options("within", options)
        found = self._ask(codes, lambda _: ("within", radius), options)
        longest = int(np.sum([hits.counts for hits in found], axis=0).max(initial=0))
        return _joined(found, self._starts(), longest)

    def explain(self, code: Codes | np.ndarray, id: int | str, top: int = 10) -> list[tuple[int, float]]:
        """Tell why ``code`` matches the row ``id`` by ``top`` units at most: see ``CodeIndex.explain``.

        There is no ``counterfactual`` here: it looks at all codes together.  ``merge_folders`` makes one index of the
        shards, which has it.
        """
        return self._shards[self._shard_of(as_id(id))].explain(code, id, top)

    # ---- inside

    def _starts(self) -> np.ndarray:
        """Return the first row of each shard, (shards,) int64."""
        return np.cumsum([0, *map(len, self._shards)])[:-1]

    def _shard_of(self, id: int | str) -> int:
        for which, shard in enumerate(self._shards):
            if id in shard:
                return which
        raise ValueError(
            f"The id {shown(id)} is not in these {len(self._shards)} shards of {len(self)} rows. See .ids for "
            "those that are."
        )

    def _ask(
        self, codes: Codes | np.ndarray, ask_of: Callable[[CodeIndex], Ask], options: Mapping[str, Any]
    ) -> list[Hits]:
        """Return what each shard finds."""
        queries = checked_codes(codes, self.n_units)
        # An iterator would be at its end when the second shard asks.
        lists = {name: list(options[name]) for name in SEVERAL if options.get(name) is not None}
        options = {**options, **lists}
        asked = [
            (*ask_of(shard), queries, some)
            for shard, some in zip(self._shards, self._options_by_shard(len(queries), options), strict=True)
        ]
        if self._client is not None:
            return self._asked_of_workers(asked)
        found: list[Any] = [None] * len(asked)

        def some_shards(_part: int, lo: int, hi: int, **alone: int) -> None:
            for i in range(lo, hi):
                how, number, queries, some = asked[i]
                found[i] = _answer(self._shards[i], how, number, queries, {**some, **alone})

        n_threads = options.get("n_threads", 1)
        if len(queries) != 1 or n_threads == 1:
            some_shards(0, 0, len(asked))
        else:
            with Threads(n_threads) as threads:
                threads.parallel_for(len(asked), partial(some_shards, n_threads=1), always=True)
        return found

    def _asked_of_workers(self, asked: Sequence[tuple[Any, ...]]) -> list[Hits]:
        """Return what each shard finds on a worker: the same one each time, as long as the workers stay.

        A shard of which no worker has told anything for ``PATIENCE`` is searched here.
        """
        workers = sorted(self._client.nthreads())
        futures = [
            self._client.submit(
                _answer_here,
                folder,
                seal,
                *ask,
                workers=[workers[i % len(workers)]] if workers else None,
                allow_other_workers=True,
                pure=False,
            )
            for i, (folder, seal, ask) in enumerate(zip(self._folders, self._seals, asked, strict=True))
        ]
        from asyncio import TimeoutError as TooLong  # here: nsae alone does without it

        found = []
        for future, shard, ask in zip(futures, self._shards, asked, strict=True):
            try:
                found.append(future.result(timeout=PATIENCE))
            except TooLong:  # A worker that died may take its task along.
                future.cancel()
                found.append(_answer(shard, *ask))
        return found

    def _options_by_shard(self, q: int, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the options of each shard's search: ``where`` and ``exclude`` are about its own rows."""
        where, exclude = options.get("where"), options.get("exclude")
        by_shard = [dict(options) for _ in self._shards]
        if where is not None and not callable(where):
            check_not_masked(where)
            mask = np.asarray(where)
            if mask.shape != (len(self),) or mask.dtype != bool:
                raise ValueError(
                    f"where: {len(self)} booleans, one for each row, or a function of an id are expected, got "
                    f"{mask.shape} of {mask.dtype}."
                )
            for some, part in zip(by_shard, np.split(mask, self._starts()[1:]), strict=True):
                some["where"] = part
        if exclude is not None:
            owners = excluded_rows(exclude, q, lambda id: self._shard_of(as_id(id)))  # (q,)
            for which, some in enumerate(by_shard):
                here = [id if owner == which else None for id, owner in zip(exclude, owners, strict=True)]
                some["exclude"] = here
        return by_shard


def _answer(shard: CodeIndex, how: str, number: Any, queries: Codes, options: Mapping[str, Any]) -> Hits:
    """Return what one ``shard`` finds: ``number`` is k, or a radius."""
    if how == "within":
        return shard.within(queries, number, **options)
    return shard.search(queries, number, **options)


def _answer_here(folder: str, seal: str, *ask: Any) -> Hits:
    """Return what the shard in ``folder`` finds; on a worker."""
    return _answer(_open_once(folder, seal), *ask)


@lru_cache(maxsize=256)
def _open_once(folder: str, seal: str) -> CodeIndex:
    """Return the shard in ``folder``, mapped, which stays open."""
    return _opened(folder, seal)


def _opened(folder: str, seal: str) -> CodeIndex:
    """Return the shard in ``folder``, mapped; ValueError if its content is not that of ``seal``."""
    index = CodeIndex.load(folder, mmap=True)
    # Read after the files: had these been older, the manifest would have changed before it is read here.
    if _seal(read_manifest(Path(folder))) != seal:
        raise ValueError(
            f"The shard {folder} was replaced after the ShardedIndex was opened, so its rows are others. Open the "
            "ShardedIndex again."
        )
    return index


def _seal(manifest: Mapping[str, Any]) -> str:
    """Return what stands for the content of a shard."""
    return json.dumps([manifest.get(name) for name in ("metric", "n_units", "files")])


def _manifest(shard: Shard) -> dict[str, Any]:
    if isinstance(shard, CodeIndex):
        return {"metric": shard.metric, "n_units": shard.n_units, "made_by": shard.made_by}
    return read_manifest(Path(shard))


def _joined(found: Iterable[Hits], starts: np.ndarray, k: int) -> Hits:
    """Return the ``k`` nearest of what shards ``found``, whose first rows are ``starts (shards,)``."""
    hits = list(found)
    D = np.concatenate([some.distances for some in hits], axis=1)  # (q, all)
    R = np.concatenate(
        [np.where(some.rows < 0, -1, some.rows + start) for some, start in zip(hits, starts, strict=True)],
        axis=1,
    )  # (q, all)
    names = np.concatenate([some.ids for some in hits], axis=1)  # (q, all)
    # Shards are in insertion order, and so are ties within one: a stable sort leaves them so.
    order = np.argsort(D, axis=1, kind="stable")[:, :k]  # (q, ≤ k)
    padded = Found.nothing(len(D), k)
    all_names = np.full((len(D), k), None, object)  # (q, k)
    for whole, part in ((padded.distances, D), (padded.rows, R), (all_names, names)):
        whole[:, : order.shape[1]] = np.take_along_axis(part, order, axis=1)
    counts = np.count_nonzero(padded.rows >= 0, axis=1)  # (q,)
    return Hits(padded.distances, padded.rows, counts, all_names)
