"""nsae: a sparse autoencoder written out in NumPy, and image search by its sparse codes.

Importing nsae loads NumPy and nothing else.  A part that needs more is imported when it is first used.
The code cites equations by number; equations/README.md has them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nsae.codes import Codes
from nsae.equations.autoencoder import Autoencoder
from nsae.errors import CollapseWarning, ImageReadError, MissingExtraError, ModelFormatError, NotFittedError

if TYPE_CHECKING:
    from nsae.equations.gradcheck import compare_gradients
    from nsae.export.export_encoder import export_encoder
    from nsae.export.playground import export_playground
    from nsae.images import ImageEncoder, ImageLibrary
    from nsae.images.encode_photos import encode_photos
    from nsae.images.load_encoder import load_encoder
    from nsae.models.encoder import Encoder
    from nsae.models.sparse_autoencoder import SparseAutoencoder
    from nsae.retrieval import CodeIndex, Hits, evaluate
    from nsae.study.explain_step import explain_step
    from nsae.training.check_gradients import check_gradients

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "CodeIndex",
    "Codes",
    "CollapseWarning",
    "Encoder",
    "Hits",
    "ImageEncoder",
    "ImageLibrary",
    "ImageReadError",
    "MissingExtraError",
    "ModelFormatError",
    "NotFittedError",
    "SparseAutoencoder",
    "check_gradients",
    "compare_gradients",
    "encode_photos",
    "evaluate",
    "explain_step",
    "export_encoder",
    "export_playground",
    "load_encoder",
]

_WHERE = {
    "CodeIndex": "nsae.retrieval",
    "Encoder": "nsae.models.encoder",
    "Hits": "nsae.retrieval",
    "ImageEncoder": "nsae.images",
    "ImageLibrary": "nsae.images",
    "SparseAutoencoder": "nsae.models.sparse_autoencoder",
    "check_gradients": "nsae.training.check_gradients",
    "compare_gradients": "nsae.equations.gradcheck",
    "encode_photos": "nsae.images.encode_photos",
    "evaluate": "nsae.retrieval",
    "explain_step": "nsae.study.explain_step",
    "export_encoder": "nsae.export.export_encoder",
    "export_playground": "nsae.export.playground",
    "load_encoder": "nsae.images.load_encoder",
}
# Rooms whose names are public, too: nsae.datasets.photos()
_ROOMS = ("compression", "datasets", "deep", "distributed", "images", "interchange", "plots", "retrieval")


def __getattr__(name: str) -> object:
    """Import a public name, or a room of public names, when it is first used."""
    if name in _ROOMS:
        return import_module(f"nsae.{name}")
    if name not in _WHERE:
        raise AttributeError(f"module 'nsae' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_WHERE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
