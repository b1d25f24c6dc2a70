"""How every kernel is compiled."""

KERNEL = {"cache": True, "nogil": True, "error_model": "numpy"}
REORDER = {**KERNEL, "fastmath": {"reassoc", "contract", "nsz"}}  # sums may be reordered; NaN stays NaN
