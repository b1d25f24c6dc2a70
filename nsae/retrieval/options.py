"""The options of a search, by name and type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from nsae.retrieval.ids import Id
from nsae.validation import shown

Where = np.ndarray | Callable[[Id], bool]
Weights = np.ndarray | Sequence[float] | Mapping[int, float]


class Execution(TypedDict, total=False):
    """How a search is run; the hits are the same."""

    n_threads: int | None
    backend: str


class SearchOptions(Execution, total=False):
    """All options of ``CodeIndex.search``, which explains them."""

    keep: int | None
    where: Where | None
    require: Iterable[int]
    forbid: Iterable[int]
    weights: Weights | None
    exclude: Sequence[Id | None] | None


EXECUTION = ("n_threads", "backend")
FILTERING = ("where", "require", "forbid", "weights")
OPTIONS = ("keep", "exclude", *FILTERING, *EXECUTION)


def check_options(caller: str, options: Mapping[str, Any]) -> None:
    """Raise TypeError, which lists what is allowed, if ``options`` of ``caller`` have another name."""
    for name in options:
        if name not in OPTIONS:
            raise TypeError(
                f"{caller}() got an unexpected keyword argument {shown(name)}. Allowed are: {', '.join(OPTIONS)}."
            )
