"""Codes, arrays and models to and from other libraries.

Models that others have published are read by ``published``, ``sparsify`` and ``saelens``, with NumPy alone.
"""

from nsae.interchange.published import is_published, load_published
from nsae.interchange.saelens import save_saelens
from nsae.interchange.safetensors import read_safetensors, read_safetensors_metadata, write_safetensors
from nsae.interchange.sparsify import save_sparsify

__all__ = [
    "is_published",
    "load_published",
    "read_safetensors",
    "read_safetensors_metadata",
    "save_saelens",
    "save_sparsify",
    "write_safetensors",
]
