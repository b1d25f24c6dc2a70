"""Warnings where a fit has not learned anything: training goes through, and its codes are of no use.

All of them look at up to ``SAMPLED_ROWS`` rows, evenly spaced, so that they cost next to nothing.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from nsae.codes import Codes
from nsae.equations.activations import Sigmoid
from nsae.errors import CollapseWarning
from nsae.models.explained_variance import explained_variance

SAMPLED_ROWS = 1000
STACK = 4  # from here to the line that called fit
SATURATED = 20.0  # of |x|: a sigmoid unit of random weights is then 0 or 1 for most samples
NEAR_ZERO = 1e-3  # the largest activation, beside the largest number in the data


def sampled(X: np.ndarray) -> np.ndarray:
    """Return up to ``SAMPLED_ROWS`` rows (m, d) of X (n, d), evenly spaced, in float64; of Codes, as Codes."""
    return X[np.linspace(0, len(X) - 1, min(len(X), SAMPLED_ROWS)).astype(np.int64)].astype(np.float64)


def warn_of_scale(model: Any, X: np.ndarray) -> None:
    """Warn if the data X (n, d) is far from what the sigmoids of ``model`` can give or take."""
    rows = sampled(X)  # (m, d)
    low, high = map(float, _range(rows))
    if model.output == "sigmoid":
        entries = rows.values if isinstance(rows, Codes) else rows  # 0 is inside
        outside = np.count_nonzero((entries < -0.1) | (entries > 1.1)) / np.prod(rows.shape)
        if outside > 0.01:
            _warn(
                f"The data goes from {low:.3g} to {high:.3g}, and output='sigmoid' gives numbers in (0, 1): "
                f"{outside:.0%} of the entries cannot be reconstructed. Scale the data to [0, 1], or use "
                "output='linear'."
            )
    if (
        model.activation == "sigmoid"
        and float(np.mean(np.max(np.abs(_range(rows, 1)), axis=0) > SATURATED)) > 0.5
    ):
        _warn(
            f"The data goes from {low:.3g} to {high:.3g}. With such numbers sigmoid units are nearly 0 or 1 for most "
            "samples, where their slope is nearly 0, and learn little. Scale the data to about [0, 1]."
        )


def warn_of_collapse(model: Any, X: np.ndarray) -> None:
    """Warn if the fitted ``model`` gives the rows of X (n, d) codes near zero, or explains nothing of them."""
    rows = sampled(X)  # (m, d)
    lowest, highest = _range(rows, 0)  # (d,) each
    if np.array_equal(lowest, highest):
        return  # there is nothing to learn
    encoder = model.encoder()
    Z = encoder.transform(rows)  # (m, h)
    largest, scale = float(Z.max()), float(max(-lowest.min(), highest.max()))
    explained = explained_variance(encoder, rows)
    filled = np.any(_range(rows, 1), axis=0)  # (m,): a row of zeros may well have a code of zeros
    silent = float(np.mean(Z.max(axis=1)[filled] <= 0))
    if silent > 0.5 and explained < 0.5:
        _warn(
            f"{silent:.0%} of {np.count_nonzero(filled)} samples activate no unit, so their codes are all zeros. "
            f"{_cures(model)}"
        )
    elif largest < NEAR_ZERO * (1.0 if isinstance(model.autoencoder_.g, Sigmoid) else scale):
        shrunk = model.l1 and not model.unit_norm and not isinstance(model.autoencoder_.g, Sigmoid)
        cheat = " Small codes and large V avoid the L1 penalty: set unit_norm=True." if shrunk else ""
        _warn(f"All codes are near zero: the largest activation is {largest:.2g}.{cheat} {_cures(model)}")
    if explained <= 0:
        _warn(
            f"The explained variance is {explained:.3g} on {len(rows)} samples: the mean of the data, in place of each "
            f"reconstruction, would be at least as good. {_cures(model)}"
        )


def _range(rows: np.ndarray | Codes, axis: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest entries along ``axis``; of ``Codes``, those that are 0 count too."""
    if not isinstance(rows, Codes):
        return rows.min(axis=axis), rows.max(axis=axis)
    if axis is None:
        low, high = _range(rows, 0)
        return low.min(), high.max()
    groups = rows.row_of_entry() if axis else rows.units
    full = np.bincount(groups, minlength=rows.shape[1 - axis]) == rows.shape[axis]
    low, high = np.where(full, np.inf, 0), np.where(full, -np.inf, 0)
    np.minimum.at(low, groups, rows.values)
    np.maximum.at(high, groups, rows.values)
    return low, high


def _cures(model: Any) -> str:
    """Return what may help, in the hyperparameters that the model has."""
    penalties = [
        f"{name}={float(getattr(model, name)):g}"
        for name in ("l1", "kl", "weight_decay")
        if getattr(model, name)
    ]
    lower = f"Lower {', '.join(penalties)}; or train" if penalties else "Train"
    return (
        f"{lower} longer (epochs={model.epochs}) or with another learning_rate ({float(model.learning_rate):g}); "
        "check the scale of the data."
    )


def _warn(text: str) -> None:
    warnings.warn(text, CollapseWarning, stacklevel=STACK)
