"""What the file of an image pipeline holds, and how it is checked when it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nsae.errors import ModelFormatError
from nsae.images.features.neighbours import NeighbourMap
from nsae.images.features.patch_features import Geometry
from nsae.validation import at_least

NEIGHBOURS = tuple(
    f"neighbours_{name}" for name in ("hidden_W", "hidden_b", "output_W", "output_b")
)  # where there are any


def check_image_thresholds(path: object, has_them: bool) -> None:
    """Raise ModelFormatError for a model at ``path`` unless its codes have a threshold for each image.

    ``has_them`` tells.  A model without would give other codes today, without a word.
    """
    if not has_them:
        raise ModelFormatError(
            f"{path} is an image encoder of an earlier nsae, from before codes had a threshold for each image. "
            "Learn it again, and index with the new one."
        )


def neighbour_map_from(arrays: Mapping[str, np.ndarray]) -> NeighbourMap | None:
    """Return the map that ``arrays`` hold, or None if they hold none.

    Raises
    ------
    ValueError
        Its arrays do not fit each other.
    """
    found = [arrays[name] for name in NEIGHBOURS if name in arrays]
    if not found:
        return None
    if len(found) < len(NEIGHBOURS):
        raise ValueError(f"of {', '.join(NEIGHBOURS)}, some are missing")
    R, r, M, c = found
    if R.ndim != 2 or (h := len(R), m := R.shape[1]) != (len(r), len(c)) or M.shape != (m, h + m):
        raise ValueError(f"the map of neighbours does not fit: {R.shape}, {r.shape}, {M.shape}, {c.shape}")
    return NeighbourMap(R, r, M, c)


def arrays_of(neighbours: NeighbourMap | None) -> dict[str, np.ndarray]:
    """Return the arrays of the map of ``neighbours`` by their names in a file; none, if it is None."""
    if neighbours is None:
        return {}
    return dict(
        zip(
            NEIGHBOURS,
            (neighbours.hidden_W, neighbours.hidden_b, neighbours.output_W, neighbours.output_b),
            strict=True,
        )
    )


def geometry_from(fields: dict[str, Any]) -> Geometry:
    """Return the geometry with the ``fields`` of a file's header, where JSON has made a list of its grid.

    Raises
    ------
    KeyError, TypeError, ValueError
        A field is missing, or is no such number.
    """
    geometry = Geometry(**{**fields, "grid": tuple(fields["grid"])})
    for name in ("image_size", "patch_size", "stride"):
        at_least(name, getattr(geometry, name), 1, whole=True)
    for cells in geometry.grid:
        at_least("grid", cells, 1, whole=True)
    at_least("contrast_eps", geometry.contrast_eps, 0)
    at_least("color_weight", geometry.color_weight, 0)
    if not isinstance(geometry.color, bool) or geometry.patch_size > geometry.image_size:
        raise ValueError(f"its patches do not fit its images: {geometry}")
    return geometry
