"""Ranking by sparse codes: distances, an index over the codes, and how good a ranking is.

It works on codes and knows neither images nor models.  Read ``distances.py`` first (the definitions), then
``search/brute_force.py`` (the same over lists of units), ``search/search_postings.py`` (most rows left out),
``index.py``, ``metrics.py`` and ``classification.py``.  What is said about hits is in ``explain/``, and how an
index is stored in ``on_disk/``, where many are merged; ``sharded.py`` searches them as they are.
"""

from nsae.retrieval.classification import linear_probe, soft_knn
from nsae.retrieval.dense_ranking import rank_dense
from nsae.retrieval.distances import contributions, cosine, dot, hamming, jaccard, l2
from nsae.retrieval.explain.counterfactual import Counterfactual
from nsae.retrieval.explain.units import UnitUse, unit_catalogue
from nsae.retrieval.hits import Hits
from nsae.retrieval.index import CodeIndex
from nsae.retrieval.metrics import average_precision, evaluate, evaluate_blocks, precision_at, recall_at
from nsae.retrieval.on_disk.merge import merge_folders
from nsae.retrieval.options import Execution, SearchOptions
from nsae.retrieval.queries import compose, expand
from nsae.retrieval.sharded import ShardedIndex

__all__ = [
    "CodeIndex",
    "Counterfactual",
    "Execution",
    "Hits",
    "SearchOptions",
    "ShardedIndex",
    "UnitUse",
    "average_precision",
    "compose",
    "contributions",
    "cosine",
    "dot",
    "evaluate",
    "evaluate_blocks",
    "expand",
    "hamming",
    "jaccard",
    "l2",
    "linear_probe",
    "merge_folders",
    "precision_at",
    "rank_dense",
    "recall_at",
    "soft_knn",
    "unit_catalogue",
]
