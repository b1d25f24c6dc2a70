"""Ranking by sparse codes: distances, an index over the codes, and how good a ranking is.

It works on codes and knows neither images nor models.  Read ``distances.py`` first (the
definitions), then ``postings.py`` (the same over lists of units), ``index.py`` and ``metrics.py``; then what is
said about hits: ``explain.py``, ``counterfactual.py``, ``units.py``.
"""

from nsae.retrieval.dense_ranking import rank_dense
from nsae.retrieval.distances import cosine, dot, hamming, jaccard, l2, shares
from nsae.retrieval.explain.counterfactual import Counterfactual
from nsae.retrieval.explain.units import UnitUse, unit_catalogue
from nsae.retrieval.hits import Hits
from nsae.retrieval.index import CodeIndex
from nsae.retrieval.metrics import average_precision, evaluate, precision_at, recall_at
from nsae.retrieval.queries import compose, expand

__all__ = [
    "CodeIndex",
    "Counterfactual",
    "Hits",
    "UnitUse",
    "average_precision",
    "compose",
    "cosine",
    "dot",
    "evaluate",
    "expand",
    "hamming",
    "jaccard",
    "l2",
    "precision_at",
    "rank_dense",
    "recall_at",
    "shares",
    "unit_catalogue",
]
