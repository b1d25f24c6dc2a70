"""Images: from files to arrays, from images to sparse codes, and a folder of photos as a library.

``ImageEncoder`` and ``ImageLibrary`` are imported when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nsae.images.decoding import load_image
from nsae.images.files import find_images, iter_images, load_images

if TYPE_CHECKING:
    from nsae.images.encoder import ImageEncoder
    from nsae.images.library.image_library import ImageLibrary

__all__ = ["ImageEncoder", "ImageLibrary", "find_images", "iter_images", "load_image", "load_images"]

_WHERE = {"ImageEncoder": "nsae.images.encoder", "ImageLibrary": "nsae.images.library.image_library"}


def __getattr__(name: str) -> object:
    """Import a part, and all that it needs, when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'nsae.images' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
