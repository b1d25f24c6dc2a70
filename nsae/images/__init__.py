"""Images: from files to arrays, and from images to sparse codes."""

from nsae.images.encoder import ImageEncoder
from nsae.images.files import find_images, iter_images, load_image, load_images

__all__ = ["ImageEncoder", "find_images", "iter_images", "load_image", "load_images"]
