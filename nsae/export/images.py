"""The exported file of an ``ImagePipeline``, which reads images."""

from __future__ import annotations

from typing import Any

from nsae.codes import nonzero_entries
from nsae.equations.activations import KSparse
from nsae.export import exported_images
from nsae.export.python_file import python_file
from nsae.images.features import color_histogram, exact_sums, patches, pooling
from nsae.images.features.neighbours import unit_rows
from nsae.images.pipeline import ImagePipeline

ABOUT = """Sparse codes of images of {size} pixels: {h} units, of which at most {k} are active.

This is a trained encoder, written by nsae.  It needs NumPy alone:

    from {module} import encode, encode_sparse
    Z = encode(images)                              # uint8, or floats in [0, 1], {shape} -> Z (n, {h})
    indptr, units, values = encode_sparse(images)   # the entries of Z that are not 0, as SciPy's csr_matrix has them

or, in a shell:

    python {module}.py images.npy Z.npy

From an image to its code, with the numbers that the equations have in nsae:

{steps}

The weights are at the end of this file.  Photos of other sizes, and grey ones, must be resized first.  The codes
are the bits of ``encode`` in nsae, with the same NumPy on the same processor.
"""

ENCODE = '''N_COLORS, BINS = {n_colors}, {bins}
PATCHES = {patches}
BITS, WEIGHT_BITS = {bits}, {weight_bits}


def encode(images: np.ndarray) -> np.ndarray:
    """Return the codes of images {shape} as an array Z (n, {h})."""
    return np.concatenate(list(thresholded(codes_of_rows(rows_of(images), W, b, g), k, phi)))


def encode_sparse(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the codes of images {shape} as (indptr, units, values), without zeros."""
    return as_pairs(thresholded(codes_of_rows(rows_of(images), W, b, g), k, phi))


def rows_of(images: np.ndarray) -> np.ndarray:
    """Return what the second autoencoder reads: {read} numbers (n, {read}) of each image."""
    return {rows}
'''

COMPONENTS = "components(check_images(images, {one_shape}), layer, A, a)"
ROWS = (COMPONENTS, f"beside_predictions({COMPONENTS}, hidden_W, hidden_b, output_W, output_b)")

SETTINGS = """layer = PatchLayer(
    patch_W,
    patch_b,
    k={patch_k},
    patch_size={patch},
    stride={stride},
    grid={grid},
    contrast_eps={eps!r},
    color_weight={color_weight!r},
)
k, phi = {k}, {phi!r}
g = KSparse({selected})"""


FUNCTIONS = (
    exported_images.check_images,
    exported_images.components,
    exported_images.thresholded,
    unit_rows,
    nonzero_entries,
    exported_images.PatchLayer,
    exported_images.pooled,
    patches.patch_places,
    patches.cut_patches,
    patches.normalise_contrast,
    exact_sums.on_grid,
    exact_sums.pixel_bits,
    exact_sums.patch_bits,
    exact_sums.exact_product,
    pooling.cells_of,
    pooling.select_and_pool,
    pooling.add_codes,
    pooling.root_and_norm,
    color_histogram.color_histogram,
    color_histogram.color_bins,
    color_histogram.append_histogram,
    KSparse,
)


def source_of_images(pipeline: ImagePipeline, module: str) -> str:
    """Return the text of the Python file for a ``pipeline`` that will be imported as ``module``."""
    features, fields = pipeline.features, _fields(pipeline, module)
    functions = (*FUNCTIONS, exported_images.beside_predictions) if pipeline.neighbours else FUNCTIONS
    return python_file(
        ABOUT.format(**fields),
        ENCODE.format(**fields),
        functions,
        {
            "patch_W": features.W,
            "patch_b": features.layer.b,
            "A": pipeline.pca.A,
            "a": pipeline.pca.a,
            "W": pipeline.code_layer.W,
            "b": pipeline.code_layer.b,
            **({} if pipeline.neighbours is None else vars(pipeline.neighbours)),
        },
        SETTINGS.format(**fields),
    )


def _fields(pipeline: ImagePipeline, module: str) -> dict[str, Any]:
    """What is filled into the texts above."""
    geometry, features = pipeline.geometry, pipeline.features
    return {
        "h": pipeline.n_units,
        "k": pipeline.k,
        "m": len(pipeline.pca.a),
        "size": " × ".join(map(str, geometry.shape)),
        "shape": "(n, " + ", ".join(map(str, geometry.shape)) + ")",
        "one_shape": geometry.shape,
        "module": module,
        "patch": geometry.patch_size,
        "stride": geometry.stride,
        "grid": tuple(geometry.grid),
        "eps": float(geometry.contrast_eps),
        "color_weight": float(geometry.color_weight),
        "patch_k": features.k,
        "phi": float(pipeline.shrink_threshold),
        "selected": pipeline.k + (pipeline.shrink_threshold > 0),
        "steps": _steps(pipeline),
        "rows": ROWS[pipeline.neighbours is not None].format(one_shape=geometry.shape),
        "read": pipeline.code_layer.W.shape[1],
        "n_colors": color_histogram.N_COLORS,
        "bins": color_histogram.BINS,
        "patches": patches.PATCHES,
        "bits": exact_sums.BITS,
        "weight_bits": exact_sums.WEIGHT_BITS,
    }


def _steps(pipeline: ImagePipeline) -> str:
    """From an image to its code, a line for each step, with the numbers of the equations."""
    geometry, layer = pipeline.geometry, pipeline.features.layer
    grids = ", ".join(f"{cells} × {cells}" for cells in geometry.grid)
    steps = [
        (f"patches of {geometry.patch_size} × {geometry.patch_size} pixels, at equal contrast", "(29)"),
        (f"their k-sparse codes, {len(layer.b)} units with k = {pipeline.features.k}", "(1) (2) (4) (30)"),
        (f"roots of their sums over {grids} cells, at norm 1", "(31)"),
        ("a histogram of colours beside these", "(35)") if geometry.color_weight else None,
        (f"{len(pipeline.pca.a)} principal components, at norm 1", "(37)"),
        ("what they predict of their neighbours beside them", "(38)") if pipeline.neighbours else None,
        (f"their k-sparse code, {pipeline.n_units} units with k = {pipeline.k}", "(1) (2) (4)"),
        ("less a threshold of the image", "(36)"),
    ]
    return "\n".join(f"    {step[0]:<68}{step[1]}".rstrip() for step in steps if step is not None)
