"""Beyond one machine, with Dask: encoding, training and indexes on the workers of a cluster.

It needs the extra ``dask``, and imports it when something is first called.  What each part sends, and what
survives the death of a worker, is in its file.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nsae.distributed.encoding import EncodedFiles, encode
    from nsae.distributed.fitting import StepTraffic, fit
    from nsae.distributed.image_fitting import fit_images
    from nsae.distributed.shards import build_index
    from nsae.retrieval import ShardedIndex, merge_folders

__all__ = [
    "EncodedFiles",
    "ShardedIndex",
    "StepTraffic",
    "build_index",
    "encode",
    "fit",
    "fit_images",
    "merge_folders",
]

_WHERE = {
    "EncodedFiles": "nsae.distributed.encoding",
    "StepTraffic": "nsae.distributed.fitting",
    "ShardedIndex": "nsae.retrieval",
    "build_index": "nsae.distributed.shards",
    "encode": "nsae.distributed.encoding",
    "fit": "nsae.distributed.fitting",
    "fit_images": "nsae.distributed.image_fitting",
    "merge_folders": "nsae.retrieval",
}


def __getattr__(name: str) -> object:
    """Import a part, and all that it needs, when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module 'nsae.distributed' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
