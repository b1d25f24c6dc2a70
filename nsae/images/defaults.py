"""What ImageEncoder's hyperparameters come to: defaults by the kind of image, and what is refused."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from nsae.images.features.patch_features import Geometry
from nsae.images.image_blocks import Images
from nsae.validation import at_least, check_n_threads

SMALL = 48  # pixels a side: up to here, arrays are taken for small images such as MNIST's, else for photos
# Chosen by how well they rank, one change at a time and among a few values, none of them on the queries that
# benchmarks/retrieval_quality.py reports: small grey by mAP on training images of MNIST and Fashion-MNIST, small
# color by mAP@1000 on those of CIFAR-10, photos by precision@20 on Corel-1K's with even numbers (which are among
# those reported: it has no others).  benchmarks/retrieval_levers.py tries neighbouring values on such a split,
# and docs/what_was_tried.md has what they did.  A unit for each image finds the one nearest image best.  Small grey
# images are taken for ten or so kinds of thing, such as digits: with fewer units, more images of a kind share one.
DEFAULTS: dict[str, dict[str, Any]] = {
    "small grey": {
        "patch_size": 4,
        "patch_units": 512,
        "grid": (1, 2, 4),
        "n_components": 200,
        "most_units": 640,
        "neighbour_steps": 2,
        "stride": 1,
        "zca_eps": 1.0,
    },
    "small color": {
        "patch_size": 6,
        "patch_units": 512,
        "grid": 3,
        "n_components": 300,
        "most_units": 16384,
        "neighbour_steps": 0,
        "stride": 1,
        "zca_eps": 0.1,
    },
    "photos": {
        "patch_size": 8,
        "patch_units": 1024,
        "grid": (1, 2, 3),
        "n_components": 300,
        "most_units": 16384,
        "neighbour_steps": 2,
        "stride": 2,
        "zca_eps": 1.0,
        "color_weight": 0.5,
    },
}
PHOTO_SIDE = 96
IMAGES_A_COMPONENT = 10  # Of few photos, the later components are noise,
FEW_COMPONENTS = 50  # and the first ones never are.


def resolve_hyperparameters(encoder: Any, images: Images) -> tuple[Geometry, dict[str, Any]]:
    """Replace each hyperparameter that is None by its default for images of this kind, and check all.

    Parameters
    ----------
    encoder : ImageEncoder
        Not necessarily fitted; stays as it is.
    images : array or list of paths
        As ``check_images`` returned them.

    Returns
    -------
    Geometry
    dict
        "n_units", "patch_units", "patch_k", "n_components", "neighbour_steps", "zca_eps", and what the geometry
        has.

    Raises
    ------
    ValueError, TypeError
        A hyperparameter that cannot be used, by its name.
    """
    size, color = _size_and_color(encoder, images)
    kind = ("small color" if color else "small grey") if size <= SMALL else "photos"
    defaults: dict[str, Any] = {"patch_k": 4, "color_weight": 0.0, **DEFAULTS[kind]}
    most, k = encoder.max_images, encoder.k  # They may be of any type: what is no number is refused below.
    n = min(len(images), int(most)) if isinstance(most, Integral) else len(images)
    fewest = 2 * int(k) if isinstance(k, Integral) else 1
    defaults["n_units"] = max(min(n, defaults.pop("most_units")), fewest)
    if kind == "photos":
        defaults["n_components"] = min(defaults["n_components"], max(n // IMAGES_A_COMPONENT, FEW_COMPONENTS))
    settled = {n: v if getattr(encoder, n) is None else getattr(encoder, n) for n, v in defaults.items()}
    if not color and encoder.color_weight is None:
        settled["color_weight"] = 0.0
    _check_numbers(encoder, size, settled)
    if settled["color_weight"] and not color:
        raise ValueError(
            f"color_weight={settled['color_weight']} needs color images, and these are grey. Leave it out."
        )
    if settled["patch_size"] > size:
        raise ValueError(
            f"Patches of patch_size={settled['patch_size']} do not fit into images of image_size={size}. "
            "Take larger images or smaller patches."
        )
    geometry = Geometry(
        image_size=int(size),
        color=bool(color),
        patch_size=int(settled["patch_size"]),
        stride=int(settled["stride"]),
        grid=_checked_grid(settled["grid"], (size - settled["patch_size"]) // settled["stride"] + 1),
        contrast_eps=float(encoder.contrast_eps),
        color_weight=float(settled["color_weight"]),
    )
    return geometry, settled


def _size_and_color(encoder: Any, images: Images) -> tuple[Any, bool]:
    """The side of the images that the encoder will read, and whether they have colour."""
    size, color = encoder.image_size, encoder.color
    array: Any = None if isinstance(images, list) else images
    if color is None:
        color = array is None or array.ndim == 4
    if size is None:
        small = array is not None and array.shape[1] == array.shape[2] <= SMALL
        size = array.shape[1] if small else PHOTO_SIDE
    return size, color


def _check_numbers(encoder: Any, size: Any, settled: dict[str, Any]) -> None:
    """Raise TypeError or ValueError for a number that is none, or too small."""
    whole = {"image_size": size, "n_patches": encoder.n_patches, "max_images": encoder.max_images}
    names = ("n_units", "patch_size", "stride", "patch_units", "patch_k", "n_components")
    whole |= {n: settled[n] for n in names}
    for name, value in whole.items():
        at_least(name, value, 1, whole=True)
    at_least("neighbour_steps", settled["neighbour_steps"], 0, whole=True)
    check_n_threads(encoder.n_threads)
    others: dict[str, Any] = {
        "whitening_power": encoder.whitening_power,
        "contrast_eps": encoder.contrast_eps,
    }
    others |= {n: settled[n] for n in ("zca_eps", "color_weight")}
    others["shrink_threshold"] = encoder.shrink_threshold
    for name, value in others.items():
        at_least(name, value, 0)
    if encoder.contrast_eps == 0:
        raise ValueError("contrast_eps=0 is expected to be above 0: flat patches are divided by it.")
    if encoder.shrink_threshold >= 1:
        raise ValueError(
            f"shrink_threshold={encoder.shrink_threshold} is expected below 1: at 1, the weakest unit of a code "
            "may become 0."
        )


def _checked_grid(grid: Any, along: int) -> tuple[int, ...]:
    """The grid as a tuple, if each of its numbers is at most ``along``, the patches along a side."""
    numbers = grid if isinstance(grid, (tuple, list)) else (grid,)
    for g in numbers:
        at_least("grid", g, 1, whole=True)
        if g > along:
            raise ValueError(
                f"grid={grid} was given, and there are {along} patches a side. Use fewer cells, or a smaller "
                "stride."
            )
    return tuple(map(int, numbers))
