"""nsae: a sparse autoencoder written out in NumPy, and image search by its sparse codes.

Importing it loads NumPy and nothing else.  EQUATIONS.md, beside this file, numbers the equations
that the code cites.
"""

from nsae.autoencoder import Autoencoder
from nsae.codes import Codes
from nsae.encoder import Encoder
from nsae.errors import ImageReadError, MissingExtraError, ModelFormatError, NotFittedError
from nsae.estimator import SparseAutoencoder
from nsae.gradcheck import check_gradients
from nsae.retrieval import CodeIndex, Hits, evaluate

__version__ = "0.1.0"

__all__ = [
    "Autoencoder",
    "CodeIndex",
    "Codes",
    "Encoder",
    "Hits",
    "ImageReadError",
    "MissingExtraError",
    "ModelFormatError",
    "NotFittedError",
    "SparseAutoencoder",
    "check_gradients",
    "evaluate",
]
