"""Data frames in and out, as scikit-learn's own estimators treat them, without importing it, pandas or polars."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

import numpy as np

from nsae.errors import MissingExtraError
from nsae.validation import one_of

CONTAINERS = ("default", "pandas", "polars")
SHOWN = 5  # names of columns in an error, at most,
SHOWN_NAME = 100  # and characters of each


def feature_names(X: object) -> np.ndarray | None:
    """Return the names of the columns (d,) of a data frame ``X``; None if it is none, or its columns have no names.

    Raises
    ------
    TypeError
        Some names are text and some are not.
    """
    columns = getattr(X, "columns", None)
    if columns is None or not hasattr(X, "shape"):
        return None
    names = np.empty(len(columns), object)
    names[:] = list(columns)
    types = sorted({type(name).__qualname__ for name in names})
    if len(types) > 1 and "str" in types:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your input has "
            f"{types} as feature name / column name types. Convert them: X.columns = X.columns.astype(str)."
        )
    return names if types == ["str"] else None


def check_feature_names(X: object, fitted: np.ndarray | None, owner: str) -> None:
    """Check that the columns of ``X`` are those that ``owner`` was fitted with, in the same order.

    Parameters
    ----------
    X : array or data frame (n, d)
    fitted : (d,) array of str, or None
        The names at fit.  If only one of the two has names, that is a warning.
    owner : str
        Name of the class, for the messages.

    Raises
    ------
    ValueError
        The names or their order are others; which ones is said.
    """
    names = feature_names(X)
    if names is None and fitted is None:
        return
    if fitted is None:
        warnings.warn(f"X has feature names, but {owner} was fitted without feature names", stacklevel=4)
        return
    if names is None:
        warnings.warn(
            f"X does not have valid feature names, but {owner} was fitted with feature names", stacklevel=4
        )
        return
    if np.array_equal(names, fitted):
        return
    unseen, missing = sorted(set(names) - set(fitted)), sorted(set(fitted) - set(names))
    lines = ["The feature names should match those that were passed during fit."]
    if unseen:
        lines += ["Feature names unseen at fit time:", *_list(unseen)]
    if missing:
        lines += ["Feature names seen at fit time, yet now missing:", *_list(missing)]
    if not unseen and not missing:
        lines += [
            "Feature names must be in the same order as they were in fit.",
            "Reorder them: X[list(model.feature_names_in_)].",
        ]
    raise ValueError("\n".join(lines) + "\n")


def _list(names: list[str]) -> list[str]:
    return [f"- {name[:SHOWN_NAME]}" for name in names[:SHOWN]] + ["- ..."] * (len(names) > SHOWN)


def check_input_features(given: Any, fitted: np.ndarray | None, d: int) -> None:
    """Check the names that ``get_feature_names_out`` was ``given``, if any, against the ``fitted`` ones, ``d`` of them.

    Raises
    ------
    ValueError
        They are others, or not so many.
    """
    if given is None:
        return
    if fitted is not None and list(given) != list(fitted):
        raise ValueError("input_features is not equal to feature_names_in_")
    if len(given) != d:
        raise ValueError(
            f"input_features should have length equal to number of features ({d}), got {len(given)}"
        )


def in_wanted_container(estimator: Any, Z: np.ndarray, X: object) -> Any:
    """Return the codes ``Z`` (n, h) of ``X`` in what ``estimator.set_output`` or scikit-learn's setting asks for."""
    container = wanted_container(estimator)
    return Z if container == "default" else in_container(Z, X, estimator.get_feature_names_out(), container)


def wanted_container(estimator: object) -> str:
    """Return what ``transform`` of an ``estimator`` is to give: "default" (an array), "pandas" or "polars".

    ``set_output`` of the estimator says so, or else scikit-learn's global setting, if it is loaded.
    """
    config = getattr(estimator, "_sklearn_output_config", {})
    if "transform" in config:
        return str(config["transform"])
    sklearn = sys.modules.get("sklearn")
    get_config = getattr(sklearn, "get_config", None)
    return "default" if get_config is None else str(get_config().get("transform_output", "default"))


def in_container(Z: np.ndarray, X: object, names: np.ndarray, container: str) -> Any:
    """Return the codes ``Z`` (n, h) in a ``container``, with ``names`` (h,) as columns.

    "pandas" keeps the index of ``X``, if that has one; "polars" has none; "default" is ``Z`` itself.

    Raises
    ------
    MissingExtraError
        pandas or polars is not installed.
    ValueError
        There is no such container.
    """
    container = one_of("transform", container, CONTAINERS)
    if container == "default":
        return Z
    try:
        package = importlib.import_module(container)
    except ImportError as error:
        raise MissingExtraError(
            f"The output was set to {container!r}, which cannot be imported ({error}). Install it with: "
            f'pip install {container}, or use set_output(transform="default").'
        ) from error
    if container == "polars":
        return package.DataFrame(Z, schema=list(names), orient="row")
    index = X.index if isinstance(X, (package.DataFrame, package.Series)) else None
    return package.DataFrame(Z, index=index, columns=names)
