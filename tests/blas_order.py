"""Which BLAS adds up in an order that depends on the place of a row in a product."""

import pytest


def blas_sums_by_place():
    """OpenBLAS's float32 kernel for AVX2 does, and of kernels that are not known it is assumed."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    return any(
        info["user_api"] == "blas" and info.get("architecture") not in ("SkylakeX", "Cooperlake")
        for info in threadpoolctl.threadpool_info()
    )
