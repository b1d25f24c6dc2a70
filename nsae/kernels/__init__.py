"""The hot loops, compiled by Numba: every ``@njit`` of the project is in this folder.

The NumPy code in the topic files is the definition; each kernel names the lines that it stands for, and
``tests/kernels`` compares the two.  Rules, each from a measurement or a crash:

- Serial, ``nogil``, over a range ``lo:hi`` of rows or units; ``nsae.system.threads`` runs ranges side by side.
- Each array is cut to its range first and then indexed from 0: with a start that the compiler does not
  know, it must allow for negative indices, and does not vectorise.
- ``error_model="numpy"``: Python's check for division by zero would stop vectorisation, too.
- Sums run along the columns of an accumulator, where a vector of them goes on side by side.  Sums within
  a row may be reordered (``REORDER``), but NaN is kept: never plain ``fastmath``.
- An array is copied into another one by a loop: ``a[:] = b`` makes Numba compile the text of an error, too,
  which takes a second.  ``a[:] = 0`` does not.
- Matrix products are BLAS's business.  The one exception is of bytes, which BLAS does not have: byte_bounds.py.
- ``njit`` is that of ``compile.py``: a cached loop depends on every file that it is made from.
"""

from nsae.kernels.adam import adam, adam_units, squares
from nsae.kernels.build_postings import fill_postings, squared_norms, strongest_units
from nsae.kernels.byte_bounds import (
    BYTE_PRODUCTS,
    MAXIMA,
    PANEL,
    TILE_ROWS,
    byte_product,
    byte_rows,
    byte_units,
    select_bounded,
)
from nsae.kernels.dense_step import (
    bias_exponent,
    bias_relu,
    gate_relu,
    gate_sigmoid,
    normalise_rows,
    sigmoid_output,
    sigmoid_units,
    squared_output,
    tangent_rows,
)
from nsae.kernels.ksparse_step import (
    by_unit,
    decode_and_backprop,
    top_k,
    unit_lists,
    unit_squares,
    update_units,
)
from nsae.kernels.nearest_heap import enter, sort_hits
from nsae.kernels.options import COMPILED
from nsae.kernels.patches import cut_patches
from nsae.kernels.pooling import select_and_pool
from nsae.kernels.search_postings import distances_to, search_postings
from nsae.kernels.search_products import fill_rows, search_products
from nsae.kernels.select_columns import TILE, top_k_columns
from nsae.kernels.small_net import small_steps
from nsae.kernels.sparse_rows import (
    LANES,
    sparse_decode_and_backprop,
    sparse_outer,
    sparse_product,
    sparse_sigmoid_output,
    sparse_squared_output,
)
from nsae.kernels.thresholds import next_distance
from nsae.kernels.upper_bounds import BOUNDS_BLOCK

__all__ = [
    "BOUNDS_BLOCK",
    "BYTE_PRODUCTS",
    "COMPILED",
    "LANES",
    "MAXIMA",
    "PANEL",
    "TILE",
    "TILE_ROWS",
    "adam",
    "adam_units",
    "bias_exponent",
    "bias_relu",
    "by_unit",
    "byte_product",
    "byte_rows",
    "byte_units",
    "cut_patches",
    "decode_and_backprop",
    "distances_to",
    "enter",
    "fill_postings",
    "fill_rows",
    "gate_relu",
    "gate_sigmoid",
    "next_distance",
    "normalise_rows",
    "search_postings",
    "search_products",
    "select_and_pool",
    "select_bounded",
    "sigmoid_output",
    "sigmoid_units",
    "small_steps",
    "sort_hits",
    "sparse_decode_and_backprop",
    "sparse_outer",
    "sparse_product",
    "sparse_sigmoid_output",
    "sparse_squared_output",
    "squared_norms",
    "squared_output",
    "squares",
    "strongest_units",
    "tangent_rows",
    "top_k",
    "top_k_columns",
    "unit_lists",
    "unit_squares",
    "update_units",
]
