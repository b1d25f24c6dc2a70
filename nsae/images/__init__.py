"""Images: from files to arrays."""

from nsae.images.files import find_images, iter_images, load_image, load_images

__all__ = ["find_images", "iter_images", "load_image", "load_images"]
