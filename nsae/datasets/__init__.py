"""Images to learn from: built-in characters and photos, and data sets that are read from files.

``glyphs``, ``dead_leaves`` and ``photos`` need no download.  The others are read from
:func:`data_folder`.  :func:`download` fetches MNIST and Fashion-MNIST into it.
"""

from nsae.datasets.archives import CALTECH101, CIFAR10, COREL1K, caltech101, cifar10_jpeg, corel1k
from nsae.datasets.dead_leaves import dead_leaves
from nsae.datasets.download import download
from nsae.datasets.folder import data_folder
from nsae.datasets.glyphs import CHARACTERS, glyphs
from nsae.datasets.mnist import fashion_mnist, mnist, read_idx
from nsae.datasets.photos import photos

__all__ = [
    "CALTECH101",
    "CHARACTERS",
    "CIFAR10",
    "COREL1K",
    "caltech101",
    "cifar10_jpeg",
    "corel1k",
    "data_folder",
    "dead_leaves",
    "download",
    "fashion_mnist",
    "glyphs",
    "mnist",
    "photos",
    "read_idx",
]
