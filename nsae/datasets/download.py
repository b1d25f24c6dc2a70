"""Fetch data sets, and check that their content is the one that is expected."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from nsae.datasets.folder import data_folder
from nsae.system.storage import atomic_file
from nsae.validation import one_of

MIRRORS = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion-mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
}

# Of the uncompressed content, because mirrors compress the same content differently.
SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion-mnist": {
        "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}

_CHUNK = 1 << 16  # bytes
_TIMEOUT = 30  # seconds without a byte


def download(
    name: str,
    *,
    folder: str | os.PathLike | None = None,
    mirror: str | None = None,
    force: bool = False,
    progress: Callable[[str, int, int | None], object] | None = None,
) -> Path:
    """Fetch the four files of MNIST or Fashion-MNIST, and return the folder that they are in.

    A file that is there and has the expected content is kept.  A file with other content is replaced.  No file
    appears or changes before its new content is complete and its checksum is right.

    Parameters
    ----------
    name : "mnist" or "fashion-mnist"
        Which data set.
    folder : path or None
        The files go to ``folder/name``, which is made if it is not there.  None: :func:`~nsae.datasets.data_folder`.
    mirror : str or None
        The URL of a folder that has the files.  None: the official one.
    force : bool
        Fetch files that have the expected content, too.
    progress : callable or None
        Called as ``progress(file name, bytes so far, bytes in all or None)`` while bytes arrive.

    Raises
    ------
    ValueError
        If the name is unknown, or if the content has another checksum.
    OSError
        If a file cannot be fetched; the message has its URL.
    """
    one_of("name", name, tuple(MIRRORS))
    target = Path(data_folder() if folder is None else folder) / name
    target.mkdir(parents=True, exist_ok=True)
    base = (MIRRORS[name] if mirror is None else mirror).rstrip("/")
    for file, sha256 in SHA256[name].items():
        path, url = target / file, f"{base}/{file}"
        if not force and path.is_file() and _content_sha256(path) == sha256:
            continue
        with atomic_file(path, overwrite=True) as out:
            done = 0
            for chunk, total in _chunks(url, path):
                out.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(file, done, total)
            out.seek(0)
            found = _content_sha256(out)
            if found != sha256:
                raise ValueError(
                    f"{url} has other content than expected: {found or 'it is not whole gzip'}, where SHA-256 "
                    f"{sha256} was expected. Nothing was written. Name another place: mirror='https://…'."
                )
    return target


def _chunks(url: str, path: Path) -> Iterator[tuple[bytes, int | None]]:
    """Yield parts of what ``url`` answers, each with the number of bytes that the answer announced.

    Raises OSError if the answer ends before that number.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
            length = answer.headers.get("Content-Length")
            total = int(length) if length else None
            done = 0
            while chunk := answer.read(_CHUNK):
                done += len(chunk)
                yield chunk, total
            if total is not None and done != total:  # read() with a size comes back short without an error
                raise ConnectionError(f"the connection ended after {done:,} of {total:,} bytes")
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OSError(
            f"{url} could not be fetched: {error}. Try again, name another place (mirror='https://…'), or put "
            f"the file there by hand: {path}"
        ) from error


def _content_sha256(file: Path | BinaryIO) -> str | None:
    """Return the SHA-256 of what the gzip ``file`` holds, or None if it is damaged or not gzip."""
    sha256 = hashlib.sha256()
    try:
        with gzip.open(file) as content:
            while chunk := content.read(_CHUNK):
                sha256.update(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    return sha256.hexdigest()
