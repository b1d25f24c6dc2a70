"""Images to bytes and back, by sparse codes of learned patterns.

Read ``pursuit`` (codes with few bits), ``range_coder`` (symbols to bytes), ``stream`` (which symbols) and ``codec``
(images).  docs/compression.md has the figures.
"""

from nsae.compression.codec import compress, decompress
from nsae.compression.dictionary import Dictionary, refine
from nsae.compression.pursuit import pursue

__all__ = ["Dictionary", "compress", "decompress", "pursue", "refine"]
