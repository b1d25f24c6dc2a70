"""Softmax and its cross-entropy, with the gradient: Eq. (43).  Labels are numbers of classes, from 0 to C − 1."""

from __future__ import annotations

import numpy as np


def softmax(U: np.ndarray) -> np.ndarray:
    """Return the probabilities P (B, C) of the classes, Eq. (43), for pre-activations ``U`` (B, C).

    The largest entry of a row is subtracted first.  That changes no quotient, and no exponential overflows.
    """
    E = np.exp(U - U.max(axis=1, keepdims=True))  # (B, C), at most 1
    return E / E.sum(axis=1, keepdims=True)  # (43) (B, C)


def softmax_cross_entropy(U: np.ndarray, labels: np.ndarray) -> float:
    """Return −(1/B) Σᵢ log p of the class of sample i, Eq. (43), from pre-activations: finite for every u.

    Parameters
    ----------
    U : (B, C) array
        Pre-activations, also called logits.
    labels : (B,) int array
        The class of each sample.
    """
    U = U - U.max(axis=1, keepdims=True)  # (B, C), at most 0
    own = U[np.arange(len(U)), labels]  # (B,)
    return float(np.mean(np.log(np.exp(U).sum(axis=1)) - own))  # (43)


def softmax_gradient(U: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return dU = (P − T)/B (B, C), the gradient in Eq. (43), for ``U`` (B, C) and ``labels`` (B,).

    T has a 1 in the column of a sample's class, and 0 elsewhere.
    """
    dU = softmax(U)  # (B, C)
    dU[np.arange(len(U)), labels] -= 1  # P − T (B, C)
    return dU / len(U)  # (43) (B, C)
