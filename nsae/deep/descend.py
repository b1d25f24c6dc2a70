"""The steps by which a stack learns from labels, and the checks of what comes in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nsae.deep.stack import Stack
from nsae.equations.layers import Dense
from nsae.equations.optimizers import Adam
from nsae.validation import at_least


class Steps(NamedTuple):
    """How a stack learns.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        α of the first step; it falls to 0 on a line.
    """

    epochs: int
    batch_size: int
    learning_rate: float


def descend(
    stack: Stack, X: np.ndarray, numbers: np.ndarray, steps: Steps, rng: np.random.Generator
) -> list[float]:
    """Move the parameters of ``stack``, in place, and return the mean J of each epoch.

    Parameters
    ----------
    stack : Stack
    X : (n, d) array
    numbers : (n,) int array
        The class of each row, from 0.
    steps : Steps
    rng : numpy.random.Generator
        For the order of rows in each epoch.

    Raises
    ------
    FloatingPointError
        J became NaN or infinite.
    """
    adam, losses = Adam(steps.learning_rate), []
    batches = -(-len(X) // steps.batch_size)  # in an epoch
    for epoch in range(steps.epochs):
        order, total = rng.permutation(len(X)), 0.0
        for start in range(0, len(X), steps.batch_size):
            rows = order[start : start + steps.batch_size]  # (B,)
            J, grads = stack.loss_and_grads(
                X[rows].astype(np.float32, copy=False), numbers[rows]
            )  # (43) (44)
            if not np.isfinite(J):
                raise FloatingPointError(
                    f"The loss became {J} in epoch {epoch + 1}. Lower learning_rate={steps.learning_rate}, or scale "
                    "the data to about [0, 1]."
                )
            adam.learning_rate = steps.learning_rate * (1 - adam.t / (steps.epochs * batches))
            adam.step(stack.params, grads)  # (16)–(19)
            total += J * len(rows)
        losses.append(total / len(X))
    return losses


def random_top(n_in: int, n_classes: int, weight_decay: float, rng: np.random.Generator) -> Dense:
    """Return the layer below softmax, with random weights in float32.

    Parameters
    ----------
    n_in, n_classes : int
        Units below, and classes.
    weight_decay : float
        γ of Eq. (9).
    rng : numpy.random.Generator
    """
    top = Dense.random(n_in, n_classes, rng, "float32")
    top.weight_decay = weight_decay
    return top


def copied(layer: Dense, weight_decay: float) -> Dense:
    """Return a copy of ``layer`` in float32, with another ``weight_decay``."""
    return Dense(layer.W.astype(np.float32), layer.b.astype(np.float32), weight_decay)


def check_labels(y: object, n: int) -> np.ndarray:
    """Return the labels ``y`` as an array (n,), or raise ValueError: there must be one for each of ``n`` rows."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(f"One label for each of {n} rows is expected, got labels of shape {labels.shape}.")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y has NaN or infinite labels. Remove these rows.")
    return labels


def classes_of(y: object, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted classes (C,) of the labels ``y``, and the number of each row's class, (n,).

    Raises
    ------
    ValueError
        There are not ``n`` labels, or fewer than 2 classes.
    """
    classes, numbers = np.unique(check_labels(y, n), return_inverse=True)  # (C,), (n,)
    if len(classes) < 2:
        raise ValueError(f"Labels of at least 2 classes are expected, all {n} are {classes.tolist()[0]!r}.")
    return classes, numbers.reshape(-1)


def known_classes(y: object, n: int, classes: np.ndarray) -> np.ndarray:
    """Return the number of each row's class, (n,).

    Raises
    ------
    ValueError
        There are not ``n`` labels in ``y``, or one is not among ``classes`` (C,).
    """
    labels = check_labels(y, n)
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"y has the label {unknown.tolist()[0]!r}, and softmax has learned {classes.tolist()}."
        )
    return np.searchsorted(classes, labels)


def check_steps(weight_decay: object, batch_size: object, learning_rate: object) -> None:
    """Raise ValueError or TypeError if ``weight_decay``, ``batch_size`` or ``learning_rate`` cannot be used."""
    at_least("weight_decay", weight_decay, 0)
    at_least("learning_rate", learning_rate, 0)
    at_least("batch_size", batch_size, 1, whole=True)
