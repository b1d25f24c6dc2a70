"""Read MNIST and Fashion-MNIST from their idx files."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from nsae.datasets.folder import data_folder
from nsae.validation import one_of

_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def mnist(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Read handwritten digits from :func:`~nsae.datasets.data_folder`.

    Parameters
    ----------
    split : "train" or "test"
        Which images: 60,000 or 10,000.

    Returns
    -------
    images : (n, 28, 28) uint8
    labels : (n,) uint8

    Raises
    ------
    FileNotFoundError
        If the files are not there.
    ValueError
        If they are damaged.
    """
    return _mnist_like("mnist", split)


def fashion_mnist(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Read photos of clothes; ``split``, result and errors are those of :func:`mnist`."""
    return _mnist_like("fashion-mnist", split)


def _mnist_like(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    prefix = "train" if one_of("split", split, ("train", "test")) == "train" else "t10k"
    paths = [data_folder() / name / f"{prefix}-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist. Run `nsae download {name}`, or set NSAE_DATA to the folder that "
                f"holds {name}/{path.name}."
            )
    images, labels = map(read_idx, paths)  # (n, 28, 28), (n,)
    if images.shape != (len(labels), 28, 28) or labels.ndim != 1:
        raise ValueError(
            f"{paths[0]} holds {images.shape} and {paths[1].name} {labels.shape}; (n, 28, 28) and (n,) were "
            f"expected. Run `nsae download {name}` again."
        )
    return images, labels


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read the array in the idx file at ``path``, which may be compressed by gzip.

    The array has the file's shape and the machine's byte order.  The format is that of
    http://yann.lecun.com/exdb/mnist: two zero bytes, a type, the number of dimensions, each dimension as a
    big-endian uint32, the values.

    Raises ValueError if the file is damaged, too short, too long, or of another format.
    """
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"{path}: its gzip compression is damaged ({error}). Fetch it again.") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_DTYPES:
        raise ValueError(
            f"{path}: not an idx file. It begins with {data[:4]!r}; expected are two zero bytes, a type "
            f"(one of {', '.join(f'0x{code:02x}' for code in _IDX_DTYPES)}) and the number of dimensions."
        )
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise ValueError(f"{path}: cut short in its header, {len(data)} of {start} bytes. Fetch it again.")
    shape = tuple(int(extent) for extent in np.frombuffer(data, ">u4", data[3], 4))
    dtype = np.dtype(_IDX_DTYPES[data[2]])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise ValueError(
            f"{path}: {len(data)} bytes, where its header, of shape {shape}, announces {expected}. Fetch it again."
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
