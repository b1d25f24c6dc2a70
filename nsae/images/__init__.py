"""Images: from files to arrays, and from images to sparse codes.

``ImageEncoder`` is imported when it is first asked for.
"""

from typing import TYPE_CHECKING

from nsae.images.files import find_images, iter_images, load_image, load_images

if TYPE_CHECKING:
    from nsae.images.encoder import ImageEncoder

__all__ = ["ImageEncoder", "find_images", "iter_images", "load_image", "load_images"]


def __getattr__(name: str) -> object:
    """Import the encoder, and all that it learns with, when it is first asked for."""
    if name != "ImageEncoder":
        raise AttributeError(f"module 'nsae.images' has no attribute {name!r}")
    from nsae.images.encoder import ImageEncoder

    return ImageEncoder
