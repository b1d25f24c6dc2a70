"""How every kernel is compiled."""

from numba import config

COMPILED = not config.DISABLE_JIT  # Python reads the kernels if NUMBA_DISABLE_JIT is set.
KERNEL = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
REORDER = {**KERNEL, "fastmath": {"reassoc", "contract", "nsz"}}  # sums may be reordered; NaN stays NaN
INNER = {**KERNEL, "no_cpython_wrapper": True}  # what only other kernels call
