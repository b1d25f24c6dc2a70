"""ImageLibrary: an index that is kept in step with a folder of photos.

``scan.py`` finds what has changed there, ``intake.py`` makes codes of what is new.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nsae.codes import Codes
from nsae.errors import ModelFormatError
from nsae.images.encode_photos import BLOCK, PhotoEncoder, encode_photos
from nsae.images.files import OnError
from nsae.images.library.duplicates import SAME_FILE, SAME_PICTURE, DuplicateGroup, find_duplicates
from nsae.images.library.intake import Intake, Photo, TakenIn
from nsae.images.library.library_folder import (
    read_library_folder,
    state_of,
    updating,
    write_library_folder,
)
from nsae.images.library.scan import (
    UNSURE,
    Changes,
    Stamp,
    UpdateReport,
    check_folder,
    compare,
    known_id,
)
from nsae.retrieval import CodeIndex, Hits
from nsae.system.interrupts import defer_interrupts
from nsae.system.progress import Progress

if TYPE_CHECKING:
    pass

SAVE_SECONDS = 10.0  # of work that a crash may cost, or ten times what saving takes


class ImageLibrary:
    """The codes of a folder of photos, and what is needed to keep them in step with it.

    Parameters
    ----------
    encoder : ImageEncoder, Encoder or SparseAutoencoder
        Fitted, and knowing how files become its input (``preprocessing``).
    root : str or PathLike
        The folder.  A photo's id is its path below it, with "/".
    metric : str
        Of the index.
    encoder_bytes : bytes, optional
        The encoder's file, which ``save`` keeps beside the codes; by default what ``encoder.to_bytes()`` is.

    exclude : sequence of str
        Patterns of files and folders to leave out, as for :func:`find_images`.

    Attributes
    ----------
    index : CodeIndex
    root : Path
        Without links.
    folder : Path or None
        Where the library is kept: ``update`` saves there as it goes.  None before ``save``.

    Raises
    ------
    ValueError
        If the encoder was trained on rows of numbers.

    Examples
    --------
    >>> library = ImageLibrary(encoder, "photos")  # doctest: +SKIP
    >>> library.save("photos.nsae")  # doctest: +SKIP
    >>> print(library.update())  # doctest: +SKIP
    1000 added
    """

    def __init__(
        self,
        encoder: PhotoEncoder,
        root: str | os.PathLike,
        *,
        metric: str = "cosine",
        encoder_bytes: bytes | None = None,
        exclude: Sequence[str] = (),
    ):
        encoder_bytes = encoder.to_bytes() if encoder_bytes is None else encoder_bytes
        encoder = encoder.encoder()
        if encoder.preprocessing is None:
            raise ValueError(
                "The encoder was trained on rows of numbers and does not say how photos become such rows. "
                "Use an ImageEncoder, or set preprocessing_ before it is saved."
            )
        self.encoder = encoder
        self.root = Path(os.path.realpath(root))
        self.index = CodeIndex(encoder.n_units, metric=metric)
        self.folder: Path | None = None
        self.exclude = tuple(exclude)
        self._files: dict[str, Stamp] = {}  # by id: photos of the index, and files that failed
        self._encoder_bytes = encoder_bytes  # the encoder's file
        self._unsaved = False  # whether anything has changed since
        self._moved_from: Path | None = None  # where the photos were, if another root was given
        self._state: object = None  # of the folder, when it was read or written
        self._on_disk = False  # whether the folder holds this library

    def __len__(self) -> int:
        return len(self.index)

    def __repr__(self) -> str:
        return f"ImageLibrary({os.fspath(self.root)!r}) with {len(self)} photos"

    @property
    def failed(self) -> dict[str, str]:
        """The files that are no images, by id, and why.  They are not read again until they change."""
        return {id: stamp.reason for id, stamp in self._files.items() if stamp.reason is not None}

    # ---- in step with the folder

    def update(self, *, prune: bool | None = None, verbose: bool = False) -> UpdateReport:
        """Bring the index in step with the folder, and encode only what was never encoded.

        Files are unchanged if size and modification time are.  Of the others the content decides: the same
        under the same name was only touched, under another name moved or copied; none is encoded again.

        A library that has a place on disk (``open``, ``save``) is saved there, also on the way: whatever
        stops the process, at most some ten seconds of encoding are lost.  If another process updates it, this
        one waits, and goes on from what the other one wrote.

        Parameters
        ----------
        prune : bool, optional
            Take photos whose files are gone out of the index.  By default this is done, but not where more than
            a third are gone: the folder may be another one.  With False they stay, and are missing again next
            time.  Photos below a folder that cannot be listed are never taken out.
        verbose : bool
            Progress on stderr.

        Raises
        ------
        FileNotFoundError
            The folder does not exist, or holds none of the photos that are indexed, or less than two thirds
            of them without ``prune``: its drive may not be there.  Nothing is changed then.
        """
        with self._alone(verbose):
            changes = compare(self.root, self._known(), self.exclude)
            if prune is not False:
                known = [str(id) for id in self.index.ids]
                check_folder(self.root, changes, known, self.exclude, self._moved_from, prune is True)
            report = UpdateReport(
                moved=[(old, new) for old, (new, stamp) in changes.moved.items() if stamp.reason is None],
                missing=[id for id in changes.missing if id in self.index],
                failed=list(changes.failed),
                left_out=changes.left_out,
            )
            self._take_over(changes, prune is not False)
            try:
                self._take_in([*changes.changed, *changes.new], report, verbose=verbose)
            finally:  # after Ctrl-C too
                self._keep()
        self._moved_from = None  # All is known to be here now.
        return report

    def add(
        self,
        ids: Sequence[str],
        *,
        decoded: Mapping[str, Photo] | None = None,
        block: int | None = None,
        verbose: bool = False,
    ) -> UpdateReport:
        """Take photos of the folder into the index, whether or not they are in it, and save as ``update`` does.

        Parameters
        ----------
        ids : sequence of str
            Paths below ``root``, with "/", each once.
        decoded : mapping of Photo, optional
            Photos that were read before, by id; they are read again only if their files have changed since.
        block : int, optional
            How many are encoded at a time.
        verbose : bool
            Progress on stderr.
        """
        report = UpdateReport()
        try:
            self._take_in(ids, report, decoded=decoded, block=block, verbose=verbose)
        finally:  # after Ctrl-C too
            self._keep()
        return report

    @contextmanager
    def _alone(self, verbose: bool) -> Iterator[None]:
        """One update at a time of a library on disk; this one begins with what is there."""
        if self.folder is None or not self._on_disk:
            yield
            return

        with updating(self.folder, verbose):
            if state_of(self.folder) != self._state and not self._unsaved:
                found = read_library_folder(self.folder)
                if found.encoder_bytes != self._encoder_bytes:
                    raise ValueError(
                        f"{self.folder} was indexed anew, with another encoder, since it was opened. Open it again."
                    )
                self.index, self._files = found.index, dict(found.files or {})
                self._state = state_of(self.folder)
            yield

    def _known(self) -> dict[str, Stamp]:
        """The table of files; a photo of an index without one is taken for changed."""
        if len(self._files) >= len(self) and all(id in self._files for id in self.index.ids):
            return self._files
        return {**{str(id): Stamp(UNSURE, UNSURE) for id in self.index.ids}, **self._files}

    def _take_over(self, changes: Changes, prune: bool) -> None:
        """Bring the index in step with what needs no encoding."""
        gone = [id for id in changes.missing if prune or id not in self.index]
        if not (gone or changes.moved or changes.touched):
            return
        with defer_interrupts():
            renamed = [old for old in changes.moved if old in self.index]
            codes = self.index.codes[[self.index.row_of(old) for old in renamed]]
            self.index.remove([id for id in chain(gone, renamed) if id in self.index])
            self.index.add(codes, [changes.moved[old][0] for old in renamed])
            for id in chain(gone, changes.moved):
                self._files.pop(id, None)
            self._files.update(changes.touched)
            self._files.update(changes.moved.values())
            self._unsaved = True

    def _take_in(
        self,
        ids: Sequence[str],
        report: UpdateReport,
        *,
        decoded: Mapping[str, Photo] | None = None,
        block: int | None = None,
        verbose: bool = False,
    ) -> None:
        """Encode these photos, or find their codes by their content, and save now and then."""
        if not ids:
            return
        intake = Intake(self.encoder, self.root, self.index, self._files, decoded)
        saved, cost = time.monotonic(), 0.0  # when it was last, and how long it took
        with Progress("encoding photos", len(ids), enabled=verbose and len(ids) > BLOCK) as progress:
            for taken in intake.blocks(ids, block or BLOCK):
                self._add_block(taken, report)
                for _ in taken.stamps:
                    progress.update()
                if time.monotonic() - saved > max(SAVE_SECONDS, 10 * cost):
                    before = time.monotonic()
                    self._keep()
                    saved = time.monotonic()
                    cost = saved - before

    def _add_block(self, taken: TakenIn, report: UpdateReport) -> None:
        """Add a block to the index and to the report."""
        report.failed += taken.failed
        for id in taken.ids:
            (report.changed if id in self.index else report.added).append(id)
        with defer_interrupts():
            self.index.add(taken.codes, taken.ids, on_duplicate="replace")
            self.index.remove([id for id, stamp in taken.stamps.items() if stamp.reason and id in self.index])
            self._files.update(taken.stamps)
            self._unsaved = self._unsaved or bool(taken.stamps)

    # ---- asking

    def encode(self, queries: Sequence[str | os.PathLike | np.ndarray]) -> Codes:
        """Return the codes of photos.

        Parameters
        ----------
        queries : sequence of paths, or of arrays (H, W) or (H, W, 3)
            Of uint8, or of floats in [0, 1].

        Raises
        ------
        ImageReadError
            A file cannot be read.
        """
        return encode_photos(self.encoder, queries)

    def similar(self, query: str | os.PathLike | np.ndarray, k: int = 10, **options: Any) -> Hits:
        """Return the k photos nearest to one, without itself.

        Parameters
        ----------
        query : path, or array (H, W) or (H, W, 3)
            Of uint8, or of floats in [0, 1].  It need not be in the library.
        k : int
        options
            Of :meth:`CodeIndex.search`.

        Returns
        -------
        Hits
            Of one query.  ``root / id`` is a hit's file.

        Raises
        ------
        ImageReadError
            The file cannot be read.
        ValueError
            As ``CodeIndex.search`` does.
        """
        return self._search([query], self.encode([query]), k, options)

    def duplicates(
        self,
        radius: float | None = None,
        *,
        kinds: Collection[str] = (SAME_FILE, SAME_PICTURE),
        invariant: bool = False,
        on_error: OnError | None = None,
        verbose: bool = False,
    ) -> list[DuplicateGroup]:
        """Return groups of photos that show the same.  Nothing is deleted, here or elsewhere.

        Pixels decide, so all photos are read.  All that pairs connect is one group.  Photos whose files are
        gone are in no group, and a file with several names, by links, counts once.

        Parameters
        ----------
        radius : float, optional
            How far apart the codes of two photos of the same scene may be, in the index's metric.  For
            cosine, 0.03 by default.  Who gives one asks for scenes, too.
        kinds : collection of str
            Which groups are wanted: "same file", of equal content; "same picture", resized or compressed
            anew; "same scene", of which the codes are near and the pixels differ.
        invariant : bool
            Pictures that are mirrored, or turned by 90°, 180° or 270°, are the same picture, too.
        on_error : callable, optional
            Is given an ImageReadError for each file that cannot be read.  By default, such files are passed
            over; they may still be of the same content, or of the same scene.
        verbose : bool
            Show progress on stderr.

        Returns
        -------
        list of DuplicateGroup
            Each has a ``kind`` and two or more ``ids``, in the order of the index.

        Raises
        ------
        ValueError
            ``radius`` is not a number of at least 0, or is not given for another metric than cosine; a kind
            that there is not.
        """
        return find_duplicates(
            self.index,
            self.root,
            self._files,
            radius=radius,
            kinds=kinds,
            invariant=invariant,
            on_error=on_error or (lambda error: None),
            verbose=verbose,
        )

    def gallery(
        self,
        target: str | os.PathLike,
        queries: Sequence[str | os.PathLike | np.ndarray],
        k: int = 10,
        *,
        title: str | None = None,
        overwrite: bool = False,
        **options: Any,
    ) -> Path:
        """Write one HTML file that shows queries, what is similar to them, and why.

        Parameters
        ----------
        target : str or PathLike
            The file.
        queries : sequence of paths or arrays
            As for :meth:`similar`.
        k : int
            Hits of each query.
        title : str, optional
            Of the page.
        overwrite : bool
            Replace a file that exists.
        options
            Of :meth:`CodeIndex.search`.

        Returns
        -------
        Path
            The file, which :func:`nsae.images.pictures.gallery.write_gallery` has written.
        """
        # Here, since most libraries are never drawn.
        from nsae.images.pictures.gallery import GalleryOptions, GalleryQuery, write_gallery

        codes = self.encode(queries)
        hits = self._search(queries, codes, k, options)
        return write_gallery(
            target,
            [GalleryQuery([query], codes[q]) for q, query in enumerate(queries)],
            hits,
            index=self.index,
            encoder=self.encoder,
            root=self.root,
            options=GalleryOptions(title=title, keep=options.get("keep")),
            overwrite=overwrite,
        )

    def _search(
        self, queries: Sequence[str | os.PathLike | np.ndarray], codes: Codes, k: int, options: dict[str, Any]
    ) -> Hits:
        own = [
            None if isinstance(query, np.ndarray) else known_id(query, self.root, self._files)
            for query in queries
        ]
        exclude = [id if id in self.index else None for id in own]  # A photo is no hit of its own.
        return self.index.search(codes, k, **{"exclude": exclude, **options})

    # ---- on disk

    def save(self, folder: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write the library to a folder, where ``update`` will save it from now on.

        It is an index folder as ``nsae index`` writes it, with the encoder and a table of the files.  It is
        replaced whole or not at all.

        Parameters
        ----------
        folder : str or PathLike
        overwrite : bool
            Replace an index that exists.

        Raises
        ------
        FileExistsError
            The folder exists, and ``overwrite`` is False or the folder is no index.
        """
        with defer_interrupts():
            write_library_folder(
                folder,
                self.index,
                self._encoder_bytes,
                self.root,
                self._files,
                exclude=self.exclude,
                overwrite=overwrite,
            )
            self.folder, self._unsaved, self._on_disk = Path(folder), False, True
            self._state = state_of(self.folder)

    def _keep(self) -> None:
        if self.folder is not None and self._unsaved and (len(self) or self._on_disk):
            self.save(self.folder, overwrite=True)

    @classmethod
    def open(cls, folder: str | os.PathLike, *, root: str | os.PathLike | None = None) -> ImageLibrary:
        """Open the library that ``save`` or ``nsae index`` wrote.

        Parameters
        ----------
        folder : str or PathLike
        root : str or PathLike, optional
            Where the photos are now, if their folder as a whole has moved.

        Raises
        ------
        ModelFormatError
            The folder is damaged, or is no index of photos.
        """
        state = state_of(folder)
        found = read_library_folder(folder)
        if found.encoder is None or found.root is None:
            raise ModelFormatError(
                f"{folder} is no library of photos, but an index of rows. Index a folder of photos: "
                "nsae index PHOTOS -o LIBRARY."
            )
        where = found.root if root is None else root
        library = cls(found.encoder, where, encoder_bytes=found.encoder_bytes, exclude=found.exclude)
        library.index, library.folder, library._files = found.index, Path(folder), dict(found.files or {})
        library._moved_from = None if library.root == found.root else found.root
        library._unsaved, library._on_disk = library._moved_from is not None, True
        library._state = state
        return library
