"""Codes, arrays and models to and from other libraries.

Codes: ``scipy_arrays``, ``torch_tensors``, ``top_pairs`` and ``csr_file``.  Models that others have published, read
with NumPy alone: ``safetensors``, ``published``, ``sparsify`` and ``saelens``.  SciPy and PyTorch are imported by
``to_scipy`` and ``to_torch`` alone.
"""

from nsae.interchange.csr_file import read_csr, write_csr
from nsae.interchange.published import is_published, load_published
from nsae.interchange.saelens import save_saelens
from nsae.interchange.safetensors import read_safetensors, read_safetensors_metadata, write_safetensors
from nsae.interchange.scipy_arrays import from_scipy, to_scipy
from nsae.interchange.sparsify import save_sparsify
from nsae.interchange.top_pairs import TopUnits, from_top, to_top
from nsae.interchange.torch_tensors import from_torch, to_torch

__all__ = [
    "TopUnits",
    "from_scipy",
    "from_top",
    "from_torch",
    "is_published",
    "load_published",
    "read_csr",
    "read_safetensors",
    "read_safetensors_metadata",
    "save_saelens",
    "save_sparsify",
    "to_scipy",
    "to_top",
    "to_torch",
    "write_csr",
    "write_safetensors",
]
