"""Beyond one machine, with Dask: encoding, training and indexes on the workers of a cluster.

It needs the extra ``dask``, and imports it when something is first called.  What each part sends, and what
survives the death of a worker, is in its file.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nsae.distributed.encoding import EncodedFiles, encode
    from nsae.distributed.fitting import StepTraffic, fit

__all__ = ["EncodedFiles", "StepTraffic", "encode", "fit"]

_WHERE = {
    "EncodedFiles": "nsae.distributed.encoding",
    "StepTraffic": "nsae.distributed.fitting",
    "encode": "nsae.distributed.encoding",
    "fit": "nsae.distributed.fitting",
}


def __getattr__(name: str) -> object:
    """Import a part, and all that it needs, when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'nsae.distributed' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
